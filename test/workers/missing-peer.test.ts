import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const run = promisify(execFile);

/** Runs a worker in a process in which `missing` cannot be found, and hands back the error it ends with. */
async function errorWithout(
  worker: string,
  missing: string,
  payload: object,
): Promise<Record<string, unknown>> {
  const hooks = `export async function resolve(specifier, context, next) {
    if (specifier !== ${JSON.stringify(missing)}) return next(specifier, context);
    const error = new Error("Cannot find package '${missing}' imported from " + context.parentURL);
    throw Object.assign(error, { code: 'ERR_MODULE_NOT_FOUND' });
  }`;
  const script = `
    import { register } from 'node:module';
    register(${JSON.stringify(dataUrl(hooks))});
    const { default: worker } = await import(${JSON.stringify(new URL(`../../workers/${worker}.js`, import.meta.url).href)});
    const job = { progress() {}, throwIfAborted() {} };
    const error = await worker(${JSON.stringify(payload)}, job).then(() => new Error('it passed'), (error) => error);
    console.log(JSON.stringify({ name: error.name, code: error.code, message: error.message, cause: error.cause?.code }));
  `;
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', script]);
  return JSON.parse(stdout);
}

function dataUrl(source: string): string {
  return `data:text/javascript,${encodeURIComponent(source)}`;
}

const image = { input: 'a.png', outputs: [{ path: 'b.png', format: 'png' }] };
const document = { path: 'a.pdf', content: [] };

test.each([
  ['resize-image', 'sharp', image],
  ['render-pdf', 'pdfkit', document],
])('%s without %s says what to install', async (worker, missing, payload) => {
  expect(await errorWithout(worker, missing, payload)).toEqual({
    name: 'MillraceError',
    code: 'MILLRACE_WORKER_DEPENDENCY_MISSING',
    message: `Expected the package "${missing}" to be installed: this worker needs it. Run: npm install ${missing}`,
    cause: 'ERR_MODULE_NOT_FOUND',
  });
});

test.each([
  ['resize-image', 'semver', image],
  ['render-pdf', 'fontkit', document],
])('%s does not blame its package when that lacks %s', async (worker, missing, payload) => {
  const error = await errorWithout(worker, missing, payload);
  expect(error['code']).toBe('ERR_MODULE_NOT_FOUND');
  expect(error['message']).toContain(`'${missing}'`);
});
