/** The modules of thread handlers: each is loaded once per thread. */
import { asError, messageOf, MillraceError } from '../errors.js';
import type { JobContext } from '../job/context.js';

export type Handler = (payload: unknown, job: JobContext) => unknown;

export interface LoadedModule {
  readonly handler: Handler;
  readonly usesNativePool: unknown;
}

export class HandlerModules {
  readonly #urls: Readonly<Record<string, string>>;
  readonly #loading = new Map<string, Promise<LoadedModule>>();
  readonly #loaded = new Map<string, LoadedModule>();

  /** @param urls By job name. */
  constructor(urls: Readonly<Record<string, string>>) {
    this.#urls = urls;
  }

  /** @throws MillraceError `MILLRACE_HANDLER_LOAD_FAILED`, `MILLRACE_HANDLER_NO_DEFAULT_EXPORT` */
  load(name: string): Promise<LoadedModule> {
    let module = this.#loading.get(name);
    if (!module) {
      module = this.#import(name);
      this.#loading.set(name, module);
    }
    return module;
  }

  /** What {@link load} has loaded by now. */
  loaded(name: string): LoadedModule | undefined {
    return this.#loaded.get(name);
  }

  async #import(name: string): Promise<LoadedModule> {
    const module = await importHandler(name, this.#urls[name] ?? '');
    this.#loaded.set(name, module);
    return module;
  }
}

interface Exports {
  readonly default?: unknown;
  readonly usesNativePool?: unknown;
}

const isCompiled = (whole: unknown): whole is Exports =>
  typeof whole === 'object' && whole !== null && '__esModule' in whole && whole.__esModule === true;

/** Of a module that was compiled to CommonJS, Node gives all of its exports as the default one. */
function exportsOf(module: Exports): Exports {
  const whole = module.default;
  return isCompiled(whole) ? whole : module;
}

async function importHandler(name: string, href: string): Promise<LoadedModule> {
  let module: Exports;
  try {
    module = exportsOf((await import(href)) as Exports);
  } catch (thrown) {
    const message = `The module of ${name} (${href}) could not be loaded: ${messageOf(thrown)}`;
    const cause = asError(thrown);
    throw new MillraceError('MILLRACE_HANDLER_LOAD_FAILED', message, { cause });
  }
  const { default: handler, usesNativePool } = module;
  // What the handler takes was checked where its jobs are enqueued.
  if (typeof handler === 'function') return { handler: handler as Handler, usesNativePool };
  const message = `Expected the module of ${name} (${href}) to have a function as its default export, got: ${typeof handler}`;
  throw new MillraceError('MILLRACE_HANDLER_NO_DEFAULT_EXPORT', message);
}
