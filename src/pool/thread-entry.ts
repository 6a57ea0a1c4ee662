/**
 * The thread's side: loads each handler's module once, runs the tasks of a chunk one after another, and answers
 * with bytes. Whatever a handler does ends up as data here; only what ends the thread itself is left to the
 * engine. Piscina calls the default export for each request.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { MessageChannel, parentPort, workerData } from 'node:worker_threads';
import { asError, MillraceError, show } from '../errors.js';
import { decode, encode } from '../job/codec.js';
import type { JobContext } from '../job/context.js';
import { encodeError } from '../job/error-data.js';
import { errorAnswer, type Answer } from './answer.js';
import { stopError } from './contract.js';
import { jobContext } from './job-context.js';
import {
  decodeTasks,
  encodeAnswers,
  PORT,
  type LoadFailure,
  type LoadReport,
  type ThreadData,
  type ThreadMessage,
  type ThreadRequest,
  type ThreadTask,
} from './protocol.js';
import { Slot } from './slot.js';

type Handler = (payload: unknown, job: JobContext) => unknown;

interface LoadedModule {
  readonly handler: Handler;
  readonly usesNativePool: unknown;
}

/** The attempt whose handler is running, or ran when something stray was set up. */
interface Attempt {
  readonly task: ThreadTask;
  readonly index: number;
  readonly abort: AbortController;
  live: boolean;
}

/** Answers are sent after so long at the latest, so that a thread that is ended takes few finished ones along. */
const ANSWER_EVERY_MS = 5;

// Safe: pool/thread.ts starts this module with exactly this data.
const { handlers, slot: buffer, registrar } = workerData as ThreadData;
const slot = new Slot(buffer);
const loaded = new Map<string, Promise<LoadedModule>>();
const attempts = new AsyncLocalStorage<Attempt>();
let current: Attempt | undefined;
/** The job whose module is being loaded. */
let loading: string | undefined;

const { port1: port, port2: engineSide } = new MessageChannel();
const send = (message: ThreadMessage, transfer: ArrayBuffer[] = []): void =>
  port.postMessage(message, transfer);
parentPort?.postMessage({ [PORT]: engineSide }, [engineSide]);

// The engine's word that a task should stop. Synchronous code does not wait for it: it sees the shared memory.
port.on('message', (index: number) => {
  if (current?.index === index) abortIfStopped(current);
});
port.unref();

process.on('uncaughtException', (thrown) => {
  const attempt = attempts.getStore();
  const cause = asError(thrown);
  const message = `An error outside the handler's promise: ${cause.message}. A timer or an event listener threw, or a promise was not awaited`;
  const error = new MillraceError('MILLRACE_HANDLER_STRAY_ERROR', message, { cause });
  send({
    kind: 'stray',
    index: attempt?.live ? attempt.index : undefined,
    jobId: attempt?.task.id,
    error: encodeError(error),
  });
});

process.on('exit', (code) => {
  if (loading === undefined) return;
  const message = `The module of ${loading} (${handlers[loading]}) ended its thread while it was loaded: process.exit(${code})`;
  send({ kind: 'loadExit', error: encodeError(new MillraceError('MILLRACE_HANDLER_LOAD_FAILED', message)) });
});

export default async function serve(request: ThreadRequest): Promise<LoadReport | undefined> {
  if (request.kind === 'load') return loadAll();
  await runChunk(decodeTasks(request.tasks));
  return undefined;
}

async function loadAll(): Promise<LoadReport> {
  // The cast is what pool/loader.ts found the module for.
  if (registrar !== undefined) ((await import(registrar)) as { register(): unknown }).register();
  const failures: LoadFailure[] = [];
  const native: string[] = [];
  for (const name of Object.keys(handlers)) {
    loading = name;
    try {
      const module = await load(name);
      if (module.usesNativePool === true) native.push(name);
    } catch (thrown) {
      failures.push({ name, error: encodeError(thrown) });
    }
  }
  loading = undefined;
  return { failures, native };
}

function load(name: string): Promise<LoadedModule> {
  let module = loaded.get(name);
  if (!module) {
    module = importHandler(name, handlers[name] ?? '');
    loaded.set(name, module);
  }
  return module;
}

async function importHandler(name: string, href: string): Promise<LoadedModule> {
  let module: { default?: unknown; usesNativePool?: unknown };
  try {
    module = (await import(href)) as typeof module;
  } catch (thrown) {
    const cause = asError(thrown);
    const message = `The module of ${name} (${href}) could not be loaded: ${cause.message}`;
    throw new MillraceError('MILLRACE_HANDLER_LOAD_FAILED', message, { cause });
  }
  const { default: handler, usesNativePool } = module;
  // What the handler takes was checked where its jobs are enqueued.
  if (typeof handler === 'function') return { handler: handler as Handler, usesNativePool };
  const message = `Expected the module of ${name} (${href}) to have a function as its default export, got: ${typeof handler}`;
  throw new MillraceError('MILLRACE_HANDLER_NO_DEFAULT_EXPORT', message);
}

async function runChunk(tasks: readonly ThreadTask[]): Promise<void> {
  let answers: Answer[] = [];
  let first = 0;
  let sentAt = performance.now();
  for (const [index, task] of tasks.entries()) {
    // From here until its answer is sent, what ends the thread is this task's doing.
    slot.enter(index);
    answers.push(slot.stopped(index) ? ['stopped'] : await runTask(task, index));
    const isLast = index === tasks.length - 1;
    if (!isLast && performance.now() - sentAt < ANSWER_EVERY_MS) continue;
    const bytes = encodeAnswers(answers);
    send({ kind: 'answers', first, bytes }, [bytes.buffer]);
    answers = [];
    first = index + 1;
    sentAt = performance.now();
  }
  slot.enter(undefined);
}

async function runTask(task: ThreadTask, index: number): Promise<Answer> {
  try {
    const { handler } = await load(task.name);
    const payload = decode(task.payload);
    slot.begin(index);
    // Begin first, look then: either the engine sees that the handler has begun, or this sees the stop.
    if (slot.stopped(index)) return ['stopped'];
    return ['completed', await runHandler(handler, payload, task, index)];
  } catch (thrown) {
    return errorAnswer(thrown);
  } finally {
    slot.end();
  }
}

async function runHandler(
  handler: Handler,
  payload: unknown,
  task: ThreadTask,
  index: number,
): Promise<Uint8Array> {
  const attempt: Attempt = { task, index, abort: new AbortController(), live: true };
  const context = contextOf(attempt);
  current = attempt;
  try {
    const value = await attempts.run(attempt, () => handler(payload, context));
    return encode(value, 'result', 'MILLRACE_RESULT_INVALID');
  } finally {
    attempt.live = false;
    current = undefined;
  }
}

function contextOf(attempt: Attempt): JobContext {
  const { task, index } = attempt;
  return jobContext(task, {
    signal: watchfulSignal(attempt),
    progress: (value) => attempt.live && send({ kind: 'progress', index, value }),
    log: (line) =>
      attempt.live && send({ kind: 'log', index, line: { ...line, fields: cloneable(line.fields) } }),
  });
}

/** The attempt's signal; asking it looks at the shared word first. */
function watchfulSignal(attempt: Attempt): AbortSignal {
  const { signal } = attempt.abort;
  Object.defineProperties(signal, {
    aborted: {
      get(): boolean {
        abortIfStopped(attempt);
        // The getter that this one hides.
        return Reflect.get(AbortSignal.prototype, 'aborted', signal);
      },
    },
    throwIfAborted: {
      value(): void {
        if (signal.aborted) throw signal.reason;
      },
    },
  });
  return signal;
}

function abortIfStopped(attempt: Attempt): void {
  // The slot's words belong to the chunk that runs now, so an attempt that is over must not read them.
  const reason = attempt.live ? slot.stopped(attempt.index) : undefined;
  if (reason) attempt.abort.abort(stopError(reason, { ...attempt.task, graceMs: 0 }));
}

/** Log fields may hold anything; what cannot cross is logged as its description. */
function cloneable(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, cloneableValue(value)]));
}

function cloneableValue(value: unknown): unknown {
  try {
    return structuredClone(value);
  } catch {
    return show(value);
  }
}
