/**
 * Finds the file of a handler's URL. The URL names the `.js` that the build makes; from source, where there is
 * only a `.ts`, that is taken instead if a thread can load it.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { MillraceError } from '../errors.js';
import { loadsTypeScript } from './loader.js';

/**
 * @param execArgv What the threads will be started with.
 * @throws MillraceError `MILLRACE_HANDLER_LOAD_FAILED`
 */
export function resolveModule(url: URL, execArgv: readonly string[]): URL {
  if (url.protocol !== 'file:' || existsSync(fileURLToPath(url))) return url;
  const sibling = new URL(url);
  sibling.pathname = url.pathname.replace(/\.([cm]?)js$/, '.$1ts');
  if (sibling.pathname === url.pathname || !existsSync(fileURLToPath(sibling))) {
    const message = `There is no file ${fileURLToPath(url)}. Expected a handler's module: new URL('./workers/name.js', import.meta.url)`;
    throw new MillraceError('MILLRACE_HANDLER_LOAD_FAILED', message);
  }
  if (loadsTypeScript(execArgv)) return sibling;
  const message = `There is ${fileURLToPath(sibling)} but no .js beside it, and threads of Node ${process.versions.node} cannot load TypeScript. Build first, use Node 22.18 or later, or give them a loader: threads: { execArgv: ['--import', 'tsx'] }`;
  throw new MillraceError('MILLRACE_HANDLER_LOAD_FAILED', message);
}
