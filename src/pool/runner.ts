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
import type { TaskRef, ThreadMessage, ThreadTask } from './protocol.js';
import { Slot } from './slot.js';
import { decodeTasks, encodeAnswers, type Timed } from './wire.js';

/** The attempt whose handler is running, or ran when something stray was set up. */
interface Attempt {
  readonly task: ThreadTask;
  readonly of: TaskRef;
  readonly slot: Slot;
  /** Made when the handler first asks for its signal: most tiny ones never do. */
  abort?: AbortController;
  signal?: AbortSignal;
  live: boolean;
}

/**
 * How long an answer may wait for others, so that a thread that is ended takes few finished jobs along: it is sent
 * before the next handler starts, or, while that awaits something, by a timer. Only what was finished so shortly before
 * a handler that blocks the thread waits for its end.
 */
const ANSWER_WITHIN_MS = 1;

/** The answers of a chunk that are still to be sent. */
class Outbox {
  readonly #slot: number;
  readonly #port: MessagePort;
  #answers: Timed[] = [];
  #first = 0;
  #sentAt: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(slot: number, port: MessagePort, now: number) {
    this.#slot = slot;
    this.#sentAt = now;
    this.#port = port;
  }

  add(answer: Timed): void {
    this.#answers.push(answer);
  }

  /** The next handler is about to start. */
  beforeNext(now: number): void {
    if (this.#answers.length === 0) return;
    if (now - this.#sentAt >= ANSWER_WITHIN_MS) this.send(now);
    else this.#timer ??= setTimeout(() => this.send(performance.now()), ANSWER_WITHIN_MS).unref();
  }

  send(now: number): void {
    this.#sentAt = now;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#answers.length === 0) return;
    const bytes = encodeAnswers(this.#answers);
    const first: TaskRef = { slot: this.#slot, index: this.#first };
    this.#port.postMessage({ kind: 'answers', first, bytes } satisfies ThreadMessage, [bytes.buffer]);
    this.#first += this.#answers.length;
    this.#answers = [];
  }
}

export class Runner {
  readonly #modules: HandlerModules;
  readonly #slots: readonly Slot[];
  readonly #port: MessagePort;
  readonly #attempts = new AsyncLocalStorage<Attempt>();
  #current: Attempt | undefined;
  /** The chunks so far: each begins when the one before it is through. */
  #last: Promise<void> = Promise.resolve();

  constructor(modules: HandlerModules, slots: readonly SharedArrayBuffer[], port: MessagePort) {
    this.#modules = modules;
    this.#slots = slots.map((buffer) => new Slot(buffer));
    this.#port = port;
    // The engine's word that a task should stop. Synchronous code does not wait for it: it sees the shared memory.
    port.on('message', ({ slot, index }: TaskRef) => {
      const attempt = this.#current;
      if (attempt?.of.index === index && attempt.of.slot === slot) this.#abortIfStopped(attempt);
    });
    port.unref();
    process.on('uncaughtException', (thrown) => this.strayed(thrown));
  }

  /** @param bytes What encodeTasks() made. */
  runChunk(slot: number, bytes: Uint8Array): Promise<void> {
    // It never rejects: whatever a handler does becomes an answer.
    this.#last = this.#last.then(() => this.#runTasks(slot, decodeTasks(bytes)));
    return this.#last;
  }

  async #runTasks(number: number, tasks: readonly ThreadTask[]): Promise<void> {
    const slot = this.#slots[number];
    if (!slot) throw new Error(`There is no slot ${number}`);
    let endedAt = performance.now();
    const outbox = new Outbox(number, this.#port, endedAt);
    for (const [index, task] of tasks.entries()) {
      outbox.beforeNext(endedAt);
      // From here until its answer is sent, what ends the thread is this task's doing.
      const answer: Answer = slot.take(index)
        ? await this.#runTask(task, { slot: number, index }, slot)
        : ['stopped'];
      const now = performance.now();
      outbox.add([answer, now - endedAt]);
      endedAt = now;
    }
    // The engine may use the slot for another chunk as soon as it has the last answer.
    slot.leave();
    outbox.send(endedAt);
  }

  /** An error that no promise of a handler caught. */
  strayed(thrown: unknown): void {
    const attempt = this.#attempts.getStore();
    const cause = asError(thrown);
    const message = `An error outside the handler's promise: ${cause.message}. A timer or an event listener threw, or a promise was not awaited`;
    const error = new MillraceError('MILLRACE_HANDLER_STRAY_ERROR', message, { cause });
    this.#send({
      kind: 'stray',
      of: attempt?.live ? attempt.of : undefined,
      jobId: attempt?.task.id,
      error: encodeError(error),
    });
  }

  async #runTask(task: ThreadTask, of: TaskRef, slot: Slot): Promise<Answer> {
    try {
      const { handler } = await this.#modules.load(task.name);
      const payload = decode(task.payload);
      slot.begin(of.index);
      // Begin first, look then: either the engine sees that the handler has begun, or this sees the stop.
      if (slot.stopped(of.index)) return ['stopped'];
      return ['completed', await this.#runHandler(handler, payload, { task, of, slot, live: true })];
    } catch (thrown) {
      return errorAnswer(thrown);
    } finally {
      slot.end();
    }
  }

  async #runHandler(handler: Handler, payload: unknown, attempt: Attempt): Promise<Uint8Array> {
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
    const { task, of } = attempt;
    const signalOf = (): AbortSignal => (attempt.signal ??= this.#watchfulSignal(attempt));
    return jobContext(task, {
      get signal() {
        return signalOf();
      },
      progress: (value) => attempt.live && this.#send({ kind: 'progress', of, value }),
      log: (line) =>
        attempt.live && this.#send({ kind: 'log', of, line: { ...line, fields: cloneable(line.fields) } }),
    });
  }

  /** The attempt's signal; asking it looks at the shared word first. */
  #watchfulSignal(attempt: Attempt): AbortSignal {
    attempt.abort = new AbortController();
    const { signal } = attempt.abort;
    this.#abortIfStopped(attempt);
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

  #abortIfStopped({ task, of, slot, abort, live }: Attempt): void {
    // The slot's words belong to the chunk that runs now, so an attempt that is over must not read them.
    const reason = live ? slot.stopped(of.index) : undefined;
    if (reason) abort?.abort(stopError(reason, { ...task, graceMs: 0 }));
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
