/**
 * Whether threads can load TypeScript: Node does it itself from 22.18 on, or something was preloaded that does.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import * as workerThreads from 'node:worker_threads';

/** @param execArgv What the threads will be started with. */
export function loadsTypeScript(execArgv: readonly string[]): boolean {
  // Newer than the types of the oldest Node that is supported.
  if ((process.features as { typescript?: unknown }).typescript) return true;
  return preloads(execArgv).length > 0;
}

/**
 * tsx registers itself in worker threads only from Node 22.14 on (https://github.com/privatenumber/tsx/issues/354):
 * before, `--import tsx` works in the main thread and does nothing in others.
 * @returns the URL of the module whose `register()` each thread must call, where that is so.
 */
export function tsxRegistrar(execArgv: readonly string[]): string | undefined {
  // What tsx looks at.
  if ('isInternalThread' in workerThreads) return undefined;
  const tsx = preloads(execArgv).find((specifier) => /(^|[/\\])tsx([/\\]|$)/.test(specifier));
  if (tsx === undefined) return undefined;
  // Its command line names its own file; otherwise it is found where Node would find it: from here.
  const isPath = tsx.startsWith('file:') || tsx.startsWith('/') || /^[A-Za-z]:/.test(tsx);
  const require = createRequire(isPath ? tsx : join(process.cwd(), 'here.js'));
  try {
    const manifest = require.resolve('tsx/package.json');
    const { exports } = JSON.parse(readFileSync(manifest, 'utf8')) as TsxManifest;
    return pathToFileURL(join(dirname(manifest), exports['./esm/api'].import.default)).href;
  } catch {
    return undefined; // The threads, which are to load it too, say what is missing.
  }
}

/** What the manifest says of the one entry that is needed here. */
interface TsxManifest {
  readonly exports: { readonly './esm/api': { readonly import: { readonly default: string } } };
}

const FLAG = /^(?:--import|--loader|--experimental-loader|--require|-r)(?:=(.*))?$/;

/** The modules that are loaded before any other. */
function preloads(execArgv: readonly string[]): string[] {
  const flags = [...execArgv, ...(process.env['NODE_OPTIONS'] ?? '').split(/\s+/)];
  return flags.flatMap((flag, i) => {
    const match = FLAG.exec(flag);
    return match ? [match[1] ?? flags[i + 1] ?? ''] : [];
  });
}
