/** Where the handlers' modules are: the only place that knows. */
export const handlerUrl = (name: string): URL => new URL(`./${name}.js`, import.meta.url);
