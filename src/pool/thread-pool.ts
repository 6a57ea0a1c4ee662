/**
 * The threads that thread jobs run in: as many as asked for, each replaced when it has ended. A thread counts as
 * free only once it is ready, so a pool that cannot start threads takes no jobs, and burns none.
 */
import type { Clock, Timer } from '../clock.js';
import { MillraceError } from '../errors.js';
import { decodeError, fromErrorData } from '../job/error-data.js';
import type { Pool, PoolEvents, StopReason, Task } from './contract.js';
import type { LoadFailure, LoadReport } from './protocol.js';
import { Thread, type ThreadEvents, type ThreadSettings } from './thread.js';

export interface ThreadPoolSettings extends ThreadSettings {
  readonly count: number;
}

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 30_000;

export class ThreadPool implements Pool {
  readonly #settings: ThreadPoolSettings;
  readonly #events: PoolEvents;
  readonly #clock: Clock;
  /** Threads that run or start; one that is ending has left. */
  readonly #live = new Set<Thread>();
  /** Threads that were ended and are still in native code. As many as `count` are replaced before they have gone. */
  readonly #ending = new Set<Thread>();
  #reserved = 0;
  /** Threads in a row that ended before they took a chunk. */
  #failures = 0;
  #retry: Timer | undefined;
  #retryDelayMs = FIRST_RETRY_MS;
  #isClosed = false;

  constructor(settings: ThreadPoolSettings, events: PoolEvents, clock: Clock) {
    this.#settings = settings;
    this.#events = events;
    this.#clock = clock;
  }

  /**
   * Starts the first thread; the others follow on their own.
   * @returns what it found in the handlers' modules.
   * @throws MillraceError `MILLRACE_THREADS_UNAVAILABLE`
   */
  async start(): Promise<LoadReport> {
    const first = this.#add();
    try {
      return await first.start();
    } catch (thrown) {
      this.#isClosed = true;
      this.#retry?.cancel();
      throw thrown;
    }
  }

  /** Brings the pool to its full number of threads. */
  fill(): void {
    if (this.#isClosed) return;
    // A thread that the system refuses fails at once, and the next one would, too.
    while (
      !this.#retry &&
      this.#live.size < this.#settings.count &&
      this.#live.size + this.#ending.size < 2 * this.#settings.count
    ) {
      const thread = this.#add();
      thread.start().then(
        ({ failures }) => this.#started(thread, failures),
        (error: unknown) => this.#reportFailure(error as MillraceError), // It rejects with nothing else.
      );
    }
  }

  hasRoom(): boolean {
    let idle = 0;
    for (const thread of this.#live) if (thread.isIdle) idle++;
    return idle > this.#reserved;
  }

  /** A thread's tasks are settled when it has answered, or has gone. */
  isLingering(): boolean {
    return false;
  }

  reserve(): void {
    this.#reserved++;
  }

  unreserve(): void {
    this.#reserved--;
  }

  run(tasks: readonly Task[]): void {
    this.#reserved -= tasks.length;
    const thread = [...this.#live].find(({ isIdle }) => isIdle);
    if (thread) thread.run(tasks);
    // The thread whose room was reserved has died since.
    else for (const task of tasks) this.#events.settled(task, { kind: 'released' });
  }

  stop(task: Task, reason: StopReason): void {
    for (const thread of this.#live) if (thread.stop(task, reason)) return;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retry?.cancel();
    const threads = [...this.#live, ...this.#ending];
    for (const thread of threads) thread.end();
    await Promise.all(threads.map((thread) => thread.whenGone()));
  }

  #add(): Thread {
    const pool = this.#events;
    const events: ThreadEvents = {
      stopping: (task) => pool.stopping(task),
      settled: (task, outcome) => pool.settled(task, outcome),
      progress: (task, value) => pool.progress(task, value),
      log: (task, line) => pool.log(task, line),
      warning: (error) => pool.warning(error),
      idle: () => {
        this.#failures = 0;
        this.#events.available();
      },
      ending: (thread) => this.#leave(thread),
      gone: (thread) => {
        this.#ending.delete(thread);
        this.fill();
      },
    };
    const thread = new Thread(this.#settings, events, this.#clock);
    this.#live.add(thread);
    return thread;
  }

  #leave(thread: Thread): void {
    this.#live.delete(thread);
    this.#ending.add(thread);
    if (thread.isProven) this.fill();
    else this.#backOff();
  }

  #started(thread: Thread, [failure]: readonly LoadFailure[]): void {
    if (!failure) {
      this.#events.available();
      return;
    }
    // All modules could be loaded when the pool was started, so the cause may go as it came. Until then no job
    // should pay for it.
    thread.end();
    const cause = fromErrorData(decodeError(failure.error));
    this.#reportFailure(new MillraceError('MILLRACE_HANDLER_LOAD_FAILED', cause.message, { cause }));
  }

  /** Whatever keeps threads from starting would do so again at once. */
  #backOff(): void {
    if (this.#isClosed || this.#retry) return;
    this.#retryDelayMs = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures++);
    this.#retry = this.#clock.setTimer(() => {
      this.#retry = undefined;
      this.fill();
    }, this.#retryDelayMs);
  }

  #reportFailure(error: MillraceError): void {
    if (this.#isClosed) return;
    const message = `${error.message}. No job is lost or counted; the next try is in ${this.#retryDelayMs} ms`;
    this.#events.warning(new MillraceError(error.code, message, { cause: error.cause ?? error }));
  }
}
