/**
 * The threads of a pool: as many as asked for, each replaced when it has ended, or when it has had all the jobs that it is
 * to run. Where one cannot be started, the next is tried after a while.
 */
import type { Clock, Timer } from '../clock.js';
import { MillraceError } from '../errors.js';
import { decodeError, fromErrorData } from '../job/error-data.js';
import type { PoolEvents, PoolView } from './contract.js';
import type { ThreadSettings } from './piscina-thread.js';
import type { LoadFailure, LoadReport } from './protocol.js';
import { Thread, type ThreadEvents } from './thread.js';

export interface CrewSettings extends ThreadSettings {
  readonly count: number;
}

/** What its threads tell, and when there may be room for more: an object of functions that need no `this`. */
export type CrewEvents = Omit<ThreadEvents, 'gone'> & Pick<PoolEvents, 'available'>;

const FIRST_RETRY_MS = 100;
const LONGEST_RETRY_MS = 30_000;

export class Crew {
  readonly #settings: CrewSettings;
  readonly #events: CrewEvents;
  readonly #threadEvents: ThreadEvents;
  readonly #clock: Clock;
  readonly #live = new Set<Thread>();
  /** Threads that were ended and are still in native code. As many as `count` are replaced before they have gone. */
  readonly #ending = new Set<Thread>();
  readonly #retiring = new Set<Thread>();
  /** Threads in a row that ended before they took a chunk. */
  #failures = 0;
  #retry: Timer | undefined;
  #retryDelayMs = FIRST_RETRY_MS;
  #retryAt = 0;
  /** Why the last thread that was to start did not. */
  #failure: MillraceError | undefined;
  #isClosed = false;

  constructor(settings: CrewSettings, events: CrewEvents, clock: Clock) {
    this.#settings = settings;
    this.#events = events;
    this.#threadEvents = {
      ...events,
      ending: (thread) => this.#leave(thread),
      gone: (thread) => {
        this.#ending.delete(thread);
        this.fill();
      },
    };
    this.#clock = clock;
  }

  /** Threads that run or start; one that is ending has left. */
  get live(): ReadonlySet<Thread> {
    return this.#live;
  }

  /** Live threads that have all the jobs that they are to run; their replacements start meanwhile. */
  get retiring(): ReadonlySet<Thread> {
    return this.#retiring;
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
      this.#live.size - this.#retiring.size < this.#settings.count &&
      this.#live.size + this.#ending.size < 2 * this.#settings.count
    ) {
      const thread = this.#add();
      thread.start().then(
        ({ failures }) => this.#started(thread, failures),
        (error: unknown) => this.#reportFailure(error as MillraceError), // It rejects with nothing else.
      );
    }
  }

  /** The thread gets no further jobs, and is to be ended when it is through with those that it has. */
  retire(thread: Thread): void {
    this.#retiring.add(thread);
    this.fill();
  }

  /** A thread is through with a chunk, so that threads can live. */
  worked(): void {
    this.#failures = 0;
  }

  view(): PoolView {
    const threads = [...this.#live, ...this.#ending].map((thread) => thread.view());
    if (!this.#retry || !this.#failure) return { threads };
    const retryMs = Math.max(0, this.#retryAt - this.#clock.monotonic());
    return { threads, failure: { error: this.#failure, retryMs } };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#retry?.cancel();
    const threads = [...this.#live, ...this.#ending];
    for (const thread of threads) thread.end();
    await Promise.all(threads.map((thread) => thread.whenGone()));
  }

  #add(): Thread {
    const thread = new Thread(this.#settings, this.#threadEvents, this.#clock);
    this.#live.add(thread);
    return thread;
  }

  #leave(thread: Thread): void {
    this.#live.delete(thread);
    this.#retiring.delete(thread);
    this.#events.ending(thread);
    this.#ending.add(thread);
    if (thread.isProven) this.fill();
    else this.#backOff();
  }

  #started(thread: Thread, [failure]: readonly LoadFailure[]): void {
    if (!failure) {
      this.#failure = undefined;
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
    this.#retryAt = this.#clock.monotonic() + this.#retryDelayMs;
    this.#retry = this.#clock.setTimer(() => {
      this.#retry = undefined;
      this.fill();
    }, this.#retryDelayMs);
  }

  #reportFailure(error: MillraceError): void {
    if (this.#isClosed) return;
    this.#failure = error;
    const message = `${error.message}. No job is lost or counted; the next try is in ${this.#retryDelayMs} ms`;
    this.#events.warning(new MillraceError(error.code, message, { cause: error.cause ?? error }));
  }
}
