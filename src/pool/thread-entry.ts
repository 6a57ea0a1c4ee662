/**
 * Where a thread begins: it sends up its port, loads each handler's module once, and hands chunks to its runner.
 * Piscina calls the default export for each request. `Millrace.open()` waits until the modules are loaded, so
 * whatever is needed only to run jobs is loaded behind them.
 */
import { MessageChannel, parentPort, workerData } from 'node:worker_threads';
import { HandlerModules } from './handler-modules.js';
import {
  PORT,
  type LoadFailure,
  type LoadReport,
  type ThreadData,
  type ThreadMessage,
  type ThreadRequest,
} from './protocol.js';
import type { Runner } from './runner.js';

// Safe: pool/piscina-thread.ts starts this module with exactly this data.
const { handlers, maxResultBytes, slots, registrar } = workerData as ThreadData;
const modules = new HandlerModules(handlers);
/** The job whose module is being loaded. */
let loading: string | undefined;
let runner: Promise<Runner> | undefined;

const { port1: port, port2: engineSide } = new MessageChannel();
const send = (message: ThreadMessage, transfer: ArrayBuffer[] = []): void =>
  port.postMessage(message, transfer);
parentPort?.postMessage({ [PORT]: engineSide }, [engineSide]);

/** Errors outside of all promises, before there is a runner to tell of them. */
const early: unknown[] = [];
const keepEarly = (thrown: unknown): void => void early.push(thrown);
process.on('uncaughtException', keepEarly);

process.on('exit', (code) => {
  if (loading === undefined) return;
  const message = `The module of ${loading} (${handlers[loading]}) ended its thread while it was loaded: process.exit(${code})`;
  send({ kind: 'loadExit', message });
});

export default async function serve(request: ThreadRequest): Promise<LoadReport | undefined> {
  if (request.kind === 'load') {
    const report = await loadAll();
    // In a turn of its own, behind the report.
    setImmediate(() => {
      runner ??= startRunner();
    });
    return report;
  }
  runner ??= startRunner();
  await (await runner).runChunk(request.slot, request.tasks);
  return undefined;
}

async function startRunner(): Promise<Runner> {
  const { Runner } = await import('./runner.js');
  const started = new Runner(modules, maxResultBytes, slots, port);
  process.off('uncaughtException', keepEarly);
  for (const thrown of early) started.strayed(thrown);
  return started;
}

async function loadAll(): Promise<LoadReport> {
  // The cast is what pool/loader.ts found the module for.
  if (registrar !== undefined) ((await import(registrar)) as { register(): unknown }).register();
  const failures: LoadFailure[] = [];
  const native: string[] = [];
  for (const name of Object.keys(handlers)) {
    loading = name;
    try {
      const module = await modules.load(name);
      if (module.usesNativePool === true) native.push(name);
    } catch (thrown) {
      const { encodeError } = await import('../job/error-data.js');
      failures.push({ name, error: encodeError(thrown) });
    }
  }
  loading = undefined;
  return { failures, native };
}
