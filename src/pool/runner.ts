/**
 * Runs the tasks of a chunk in a thread, one after another, and answers with bytes. Whatever a handler does ends up
 * as data here; only what ends the thread itself is left to the engine.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import type { MessagePort } from 'node:worker_threads';
import { asError, messageOf, MillraceError, sentence } from '../errors.js';
import { decode } from '../job/codec.js';
import { encodeError } from '../job/error-data.js';
import { errorAnswer, resultAnswer, type Answer } from './answer.js';
import type { Handler, HandlerModules } from './handler-modules.js';
import { jobContext } from './job-context.js';
import { readPayloadSync } from './payload-source.js';
import type { EngineMessage, TaskRef, ThreadMessage, ThreadTask } from './protocol.js';
import { ThreadRequests } from './requests.js';
import { Slot } from './slot.js';
import { ThreadAttempt, type ThreadLinks } from './thread-attempt.js';
import { decodeTasks, encodeAnswers, type Timed } from './wire.js';

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

const STOPPED: Answer = ['stopped'];
/** What no handler can return. */
const NOT_BEGUN = Symbol('not begun');

export class Runner {
  readonly #modules: HandlerModules;
  readonly #maxResultBytes: Readonly<Record<string, number>>;
  readonly #slots: readonly Slot[];
  readonly #port: MessagePort;
  readonly #attempts = new AsyncLocalStorage<ThreadAttempt>();
  readonly #links: ThreadLinks;
  #current: ThreadAttempt | undefined;
  /** The chunks so far: each begins when the one before it is through. */
  #last: Promise<void> = Promise.resolve();

  /** @param maxResultBytes By job name. */
  constructor(
    modules: HandlerModules,
    maxResultBytes: Readonly<Record<string, number>>,
    slots: readonly SharedArrayBuffer[],
    port: MessagePort,
  ) {
    this.#modules = modules;
    this.#maxResultBytes = maxResultBytes;
    this.#slots = slots.map((buffer) => new Slot(buffer));
    this.#port = port;
    const send = (message: ThreadMessage): void => port.postMessage(message);
    const requests = new ThreadRequests(send);
    this.#links = { send, requests, maxResultBytes };
    port.on('message', (message: EngineMessage) => {
      if (message.kind === 'stop') this.#stopping(message.of);
      else requests.replied(message);
    });
    port.unref();
    process.on('uncaughtException', (thrown) => this.strayed(thrown));
    process.on('exit', () => this.#current?.flush());
  }

  /** A task should stop. Synchronous code does not wait for that: it sees the shared memory. */
  #stopping({ slot, index }: TaskRef): void {
    const attempt = this.#current;
    if (attempt?.of.index === index && attempt.of.slot === slot) attempt.abortIfStopped();
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
    for (let index = 0; index < tasks.length; index++) {
      outbox.beforeNext(endedAt);
      // Safe: `index` is one of the array's.
      const task = tasks[index] as ThreadTask;
      // From here until its answer is sent, what ends the thread is this task's doing.
      let answer: Answer = STOPPED;
      if (slot.take(index)) {
        const attempt = new ThreadAttempt(task, { slot: number, index }, slot, this.#links);
        // One promise per task, for all promises of a thread are tracked (AsyncLocalStorage).
        try {
          const value = await this.#start(attempt, slot);
          if (attempt.handedOut) await attempt.handedOut.settled();
          if (value !== NOT_BEGUN) answer = resultAnswer(value, task.name, this.#maxResultBytes[task.name]);
        } catch (thrown) {
          answer = errorAnswer(thrown);
        }
        attempt.end();
        this.#current = undefined;
        slot.end();
      }
      const now = performance.now();
      outbox.add([answer, now - endedAt]);
      endedAt = now;
    }
    // The engine may use the slot for another chunk as soon as it has the last answer.
    slot.leave();
    outbox.send(endedAt);
  }

  /** @returns what the handler does, or a promise of that; or that it was told to stop before it began. */
  #start(attempt: ThreadAttempt, slot: Slot): unknown {
    const { name } = attempt.task;
    const module = this.#modules.loaded(name);
    if (module) return this.#call(module.handler, attempt, slot);
    return this.#modules.load(name).then(({ handler }) => this.#call(handler, attempt, slot));
  }

  #call(handler: Handler, attempt: ThreadAttempt, slot: Slot): unknown {
    const { task, of } = attempt;
    const { payloadFile } = task;
    const payload = decode(payloadFile ? readPayloadSync(payloadFile) : task.payload);
    slot.begin(of.index);
    // Begin first, look then: either the engine sees that the handler has begun, or this sees the stop.
    if (slot.stopped(of.index)) return NOT_BEGUN;
    this.#current = attempt;
    return this.#attempts.run(attempt, handler, payload, jobContext(task, attempt));
  }

  /** An error that no promise of a handler caught. */
  strayed(thrown: unknown): void {
    const attempt = this.#attempts.getStore();
    attempt?.flush();
    const message = `An error outside the handler's promise: ${sentence(messageOf(thrown))} A timer or an event listener threw, or a promise was not awaited`;
    const error = new MillraceError('MILLRACE_HANDLER_STRAY_ERROR', message, { cause: asError(thrown) });
    this.#links.send({
      kind: 'stray',
      of: attempt?.live ? attempt.of : undefined,
      jobId: attempt?.task.id,
      error: encodeError(error),
    });
  }
}
