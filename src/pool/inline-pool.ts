/**
 * Runs inline handlers on the event loop, through a p-queue per job type that bounds how many run at once. A
 * promise cannot be ended: when the grace of a stopped task is over its outcome is decided, its late result is
 * ignored, and its job is not accepted again before the old promise has settled.
 */
import PQueue from 'p-queue';
import { MAX_TIMER_MS, type Clock, type Timer } from '../clock.js';
import { asError, messageOf, MillraceError } from '../errors.js';
import { decode } from '../job/codec.js';
import type { JobContext } from '../job/context.js';
import type { Outcome } from '../job/outcome.js';
import { errorAnswer, lostOutcome, outcomeOf, resultAnswer, type Answer } from './answer.js';
import {
  attemptOver,
  isDecidedBy,
  stopError,
  type JobRequest,
  type Need,
  type Pool,
  type PoolEvents,
  type PoolView,
  type Ride,
  type Seat,
  type StopReason,
  type Task,
} from './contract.js';
import { HandedOut } from './handed-out.js';
import { jobContext } from './job-context.js';
import { readPayload } from './payload-source.js';
import { AwaitedReplies } from './requests.js';

export interface InlineHandler {
  /** The payload is what was enqueued under the job's name; its type was checked there. */
  readonly handler: (payload: never, job: JobContext) => unknown;
  /** How many may run at once. */
  readonly concurrency: number;
  /** How many bytes a result, a checkpoint or progress may take; absent: the default. */
  readonly maxResultBytes?: number | undefined;
}

interface Line {
  readonly handler: (payload: unknown, job: JobContext) => unknown;
  readonly maxResultBytes: number | undefined;
  readonly queue: PQueue;
  reserved: number;
}

interface Attempt {
  readonly task: Task;
  readonly abort: AbortController;
  awaited?: AwaitedReplies;
  handedOut?: HandedOut;
  stop?: StopReason;
  timer?: Timer | undefined;
}

export class InlinePool implements Pool {
  readonly #lines = new Map<string, Line>();
  readonly #events: PoolEvents;
  readonly #clock: Clock;
  readonly #attempts = new Map<Task, Attempt>();
  /** Jobs whose outcome was decided before their promise settled. */
  readonly #lingering = new Set<string>();

  constructor(handlers: Readonly<Record<string, InlineHandler>>, events: PoolEvents, clock: Clock) {
    this.#events = events;
    this.#clock = clock;
    for (const [name, { handler, concurrency, maxResultBytes }] of Object.entries(handlers)) {
      this.#lines.set(name, {
        // The cast widens the payload: the bytes of a job of this name are what its type was checked for.
        handler: handler as Line['handler'],
        maxResultBytes,
        queue: new PQueue({ concurrency }),
        reserved: 0,
      });
    }
  }

  hasRoom({ name }: Pick<Need, 'name'>): boolean {
    const line = this.#lines.get(name);
    return line !== undefined && line.queue.pending + line.reserved < line.queue.concurrency;
  }

  isLingering(id: string): boolean {
    return this.#lingering.has(id);
  }

  reserve({ name }: Pick<Need, 'name'>): Seat {
    const line = this.#line(name);
    line.reserved++;
    return { release: () => void line.reserved-- };
  }

  run(rides: readonly Ride[]): void {
    for (const { task } of rides) {
      const line = this.#line(task.name);
      line.reserved--;
      const attempt: Attempt = { task, abort: new AbortController() };
      this.#attempts.set(task, attempt);
      // #run() never rejects: whatever the handler does becomes an answer.
      void line.queue.add(() => this.#run(attempt, line));
    }
  }

  stop(task: Task, reason: StopReason, said?: string): void {
    const attempt = this.#attempts.get(task);
    if (!attempt || attempt.stop) return;
    attempt.stop = reason;
    attempt.timer?.cancel();
    attempt.timer = this.#clock.setTimer(() => this.#giveUp(attempt), task.graceMs);
    this.#events.stopping(task);
    const error = stopError(reason, task, said);
    attempt.abort.abort(error);
    if (isDecidedBy(reason)) attempt.awaited?.stop(error);
  }

  view(): PoolView {
    return { threads: [] };
  }

  /** Promises that have not settled by now are let go: nothing can end them. */
  async close(): Promise<void> {
    for (const attempt of this.#attempts.values()) {
      attempt.stop ??= 'shutdown';
      this.#giveUp(attempt);
    }
  }

  async #run(attempt: Attempt, line: Line): Promise<void> {
    const { task } = attempt;
    const answer = await this.#answer(attempt, line);
    this.#lingering.delete(task.id);
    if (this.#isLive(attempt)) this.#settle(attempt, outcomeOf(answer, task, attempt.stop));
    // p-queue counts this task until its promise has resolved.
    setImmediate(() => this.#events.available());
  }

  async #answer(attempt: Attempt, { handler, maxResultBytes }: Line): Promise<Answer> {
    const { task, abort } = attempt;
    try {
      // Only where it has to: else the handler begins at once.
      const payload = task.payloadFile ? await readPayload(task.payloadFile) : task.payload;
      // It was told to stop meanwhile: then it does not begin, for it would not hear of that any more.
      if (attempt.stop) return ['stopped'];
      if (task.timeoutMs !== undefined) this.#timeOutAfter(attempt, task.timeoutMs);
      const context = jobContext(task, {
        maxResultBytes,
        signal: abort.signal,
        progress: (value) => this.#isLive(attempt) && this.#events.progress(task, value),
        log: (logLine) => this.#isLive(attempt) && this.#events.log(task, logLine),
        request: (request) => this.#request(attempt, request),
        hand: (promise) => this.#hand(attempt, promise),
      });
      const result = await handler(decode(payload), context);
      if (attempt.handedOut) await attempt.handedOut.settled();
      return resultAnswer(result, task.name, maxResultBytes);
    } catch (thrown) {
      return errorAnswer(thrown);
    }
  }

  async #request(attempt: Attempt, request: JobRequest): Promise<unknown> {
    const { task, abort, stop } = attempt;
    if (stop && isDecidedBy(stop)) throw abort.signal.reason;
    if (!this.#isLive(attempt)) throw attemptOver(task);
    attempt.awaited ??= new AwaitedReplies();
    return attempt.awaited.add(this.#events.request(task, request));
  }

  /** Of a handler that goes on behind its attempt nothing is left that could error. */
  #hand<Value>(attempt: Attempt, promise: Promise<Value>): Promise<Value> {
    attempt.handedOut ??= new HandedOut();
    if (this.#isLive(attempt)) return attempt.handedOut.hand(promise);
    return attempt.handedOut.hand(promise, (thrown) => {
      const message = `Job ${attempt.task.name} ${attempt.task.id} does not await what it asks for: ${messageOf(thrown)}`;
      const cause = asError(thrown);
      this.#events.warning(new MillraceError('MILLRACE_HANDLER_STRAY_ERROR', message, { cause }));
    });
  }

  #timeOutAfter(attempt: Attempt, leftMs: number): void {
    attempt.timer = this.#clock.setTimer(() => {
      if (leftMs > MAX_TIMER_MS) this.#timeOutAfter(attempt, leftMs - MAX_TIMER_MS);
      else this.stop(attempt.task, 'timedOut');
    }, leftMs);
  }

  #giveUp(attempt: Attempt): void {
    const { task, stop } = attempt;
    this.#lingering.add(task.id);
    const message = `Job ${task.name} ${task.id} was told to stop and goes on: an inline handler cannot be ended. Its result will be ignored; pass \`job.signal\` on to what it waits for`;
    this.#events.warning(new MillraceError('MILLRACE_INLINE_STUCK', message));
    this.#settle(attempt, lostOutcome(task, stop));
  }

  #settle(attempt: Attempt, outcome: Outcome): void {
    attempt.timer?.cancel();
    this.#attempts.delete(attempt.task);
    this.#events.settled([{ task: attempt.task, outcome }]);
  }

  #isLive(attempt: Attempt): boolean {
    return this.#attempts.get(attempt.task) === attempt;
  }

  #line(name: string): Line {
    const line = this.#lines.get(name);
    if (!line) throw new Error(`There is no inline handler named ${name}: hasRoom() says so`);
    return line;
  }
}
