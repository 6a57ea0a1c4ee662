/**
 * Loads the optional packages that a ready-made worker stands on. They are peers, so an app that does not use
 * the worker need not install them; one that does is told exactly what to install.
 */
import { MillraceError } from '../src/errors.js';

/**
 * @param name The package, as `npm install` takes it.
 * @param load Imports it, as a literal `import('…')` so that bundlers and types see it.
 * @throws MillraceError `MILLRACE_WORKER_DEPENDENCY_MISSING` when that very package is not installed; whatever
 *   else goes wrong while it loads (a package that it needs itself, a native part) is passed on untouched.
 */
export async function loadPeer<Module>(name: string, load: () => Promise<Module>): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    if (!isMissing(name, error)) throw error;
    throw new MillraceError(
      'MILLRACE_WORKER_DEPENDENCY_MISSING',
      `Expected the package "${name}" to be installed: this worker needs it. Run: npm install ${name}`,
      { cause: error },
    );
  }
}

function isMissing(name: string, error: unknown): boolean {
  if (!(error instanceof Error) || !('code' in error) || error.code !== 'ERR_MODULE_NOT_FOUND') return false;
  // "Cannot find package 'sharp' imported from …": the path behind it may name the package too.
  return error.message.split(' imported from ', 1)[0]?.includes(`'${name}'`) ?? false;
}
