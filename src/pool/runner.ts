/**
 * Runs the tasks of a chunk in a thread, one after another, and answers with bytes. Whatever a handler does ends up
 * as data here; only what ends the thread itself is left to the engine.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { MessagePort } from 'node:worker_threads';
import { asError, MillraceError, show } from '../errors.js';
import { decode, encode } from '../job/codec.js';
import type { JobContext } from '../job/context.js';
import { encodeError } from '../job/error-data.js';
import { errorAnswer, type Answer } from './answer.js';
import { stopError } from './contract.js';
import type { Handler, HandlerModules } from './handler-modules.js';
import { jobContext } from './job-context.js';
import type { ThreadMessage, ThreadTask } from './protocol.js';
import { Slot } from './slot.js';
import { decodeTasks, encodeAnswers } from './wire.js';

/** The attempt whose handler is running, or ran when something stray was set up. */
interface Attempt {
  readonly task: ThreadTask;
  readonly index: number;
  readonly abort: AbortController;
  live: boolean;
}

/** Answers are sent after so long at the latest, so that a thread that is ended takes few finished ones along. */
const ANSWER_EVERY_MS = 5;

export class Runner {
  readonly #modules: HandlerModules;
  readonly #slot: Slot;
  readonly #port: MessagePort;
  readonly #attempts = new AsyncLocalStorage<Attempt>();
  #current: Attempt | undefined;

  constructor(modules: HandlerModules, slot: SharedArrayBuffer, port: MessagePort) {
    this.#modules = modules;
    this.#slot = new Slot(slot);
    this.#port = port;
    // The engine's word that a task should stop. Synchronous code does not wait for it: it sees the shared memory.
    port.on('message', (index: number) => {
      if (this.#current?.index === index) this.#abortIfStopped(this.#current);
    });
    port.unref();
    process.on('uncaughtException', (thrown) => this.strayed(thrown));
  }

  /** @param bytes What encodeTasks() made. */
  async runChunk(bytes: Uint8Array): Promise<void> {
    const tasks = decodeTasks(bytes);
    let answers: Answer[] = [];
    let first = 0;
    let sentAt = performance.now();
    for (const [index, task] of tasks.entries()) {
      // From here until its answer is sent, what ends the thread is this task's doing.
      this.#slot.enter(index);
      answers.push(this.#slot.stopped(index) ? ['stopped'] : await this.#runTask(task, index));
      const isLast = index === tasks.length - 1;
      if (!isLast && performance.now() - sentAt < ANSWER_EVERY_MS) continue;
      const bytes = encodeAnswers(answers);
      this.#send({ kind: 'answers', first, bytes }, [bytes.buffer]);
      answers = [];
      first = index + 1;
      sentAt = performance.now();
    }
    this.#slot.enter(undefined);
  }

  /** An error that no promise of a handler caught. */
  strayed(thrown: unknown): void {
    const attempt = this.#attempts.getStore();
    const cause = asError(thrown);
    const message = `An error outside the handler's promise: ${cause.message}. A timer or an event listener threw, or a promise was not awaited`;
    const error = new MillraceError('MILLRACE_HANDLER_STRAY_ERROR', message, { cause });
    this.#send({
      kind: 'stray',
      index: attempt?.live ? attempt.index : undefined,
      jobId: attempt?.task.id,
      error: encodeError(error),
    });
  }

  async #runTask(task: ThreadTask, index: number): Promise<Answer> {
    const slot = this.#slot;
    try {
      const { handler } = await this.#modules.load(task.name);
      const payload = decode(task.payload);
      slot.begin(index);
      // Begin first, look then: either the engine sees that the handler has begun, or this sees the stop.
      if (slot.stopped(index)) return ['stopped'];
      return ['completed', await this.#runHandler(handler, payload, task, index)];
    } catch (thrown) {
      return errorAnswer(thrown);
    } finally {
      slot.end();
    }
  }

  async #runHandler(
    handler: Handler,
    payload: unknown,
    task: ThreadTask,
    index: number,
  ): Promise<Uint8Array> {
    const attempt: Attempt = { task, index, abort: new AbortController(), live: true };
    const context = this.#contextOf(attempt);
    this.#current = attempt;
    try {
      const value = await this.#attempts.run(attempt, () => handler(payload, context));
      return encode(value, 'result', 'MILLRACE_RESULT_INVALID');
    } finally {
      attempt.live = false;
      this.#current = undefined;
    }
  }

  #contextOf(attempt: Attempt): JobContext {
    const { task, index } = attempt;
    return jobContext(task, {
      signal: this.#watchfulSignal(attempt),
      progress: (value) => attempt.live && this.#send({ kind: 'progress', index, value }),
      log: (line) =>
        attempt.live && this.#send({ kind: 'log', index, line: { ...line, fields: cloneable(line.fields) } }),
    });
  }

  /** The attempt's signal; asking it looks at the shared word first. */
  #watchfulSignal(attempt: Attempt): AbortSignal {
    const { signal } = attempt.abort;
    const abortIfStopped = (): void => this.#abortIfStopped(attempt);
    Object.defineProperties(signal, {
      aborted: {
        get(): boolean {
          abortIfStopped();
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

  #abortIfStopped(attempt: Attempt): void {
    // The slot's words belong to the chunk that runs now, so an attempt that is over must not read them.
    const reason = attempt.live ? this.#slot.stopped(attempt.index) : undefined;
    if (reason) attempt.abort.abort(stopError(reason, { ...attempt.task, graceMs: 0 }));
  }

  #send(message: ThreadMessage, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }
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
