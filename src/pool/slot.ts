/**
 * The memory that a thread shares with the engine about one chunk, so that each sees at once what the other does,
 * even while the thread is deep in synchronous code: which task it is at, since when, and which should not run on.
 */
import type { StopReason } from './contract.js';

/** How many tasks one chunk may hold. */
export const MAX_CHUNK = 256;

const REASONS: readonly StopReason[] = ['timedOut', 'overdue', 'cancelled', 'shutdown'];
const CURRENT = 0;
const AT = 1;
const FIRST_TASK = 2;
/** The instant comes first, for it needs an alignment of eight bytes. */
const WORDS_OFFSET = 8;
/** How much of what the thread tells has been heard; it goes on from chunk to chunk. */
const HEARD = FIRST_TASK + MAX_CHUNK;
const BYTES = WORDS_OFFSET + 4 * (HEARD + 1);

/** How many progress values and log lines may be on their way at once. */
export const MAX_UNHEARD = 64;

/** What the word of a task says; above `STOPPED` it is the reason. */
const WAITING = 0;
const TAKEN = 1;
const WITHHELD = 2;
const STOPPED = 3;
/** An event loop that is blocked for longer, perhaps because it waits for this thread, is told one more after each such wait. */
const LONGEST_WAIT_MS = 1_000;

export class Slot {
  readonly buffer: SharedArrayBuffer;
  readonly #startedAt: BigInt64Array;
  readonly #words: Int32Array;
  /** What the thread has told so far. */
  #told = 0;
  /** What the engine has heard in this turn of its event loop. */
  #hearing = 0;

  constructor(buffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.#startedAt = new BigInt64Array(buffer, 0, 1);
    this.#words = new Int32Array(buffer, WORDS_OFFSET);
  }

  /** Engine: before a chunk of so many tasks is sent. */
  reset(tasks: number): void {
    for (let i = 0; i < FIRST_TASK + tasks; i++) Atomics.store(this.#words, i, WAITING);
  }

  /**
   * Thread: this task's turn has come.
   * @returns whether it is the thread's now; otherwise the engine has withheld it, and it must not run.
   */
  take(index: number): boolean {
    if (Atomics.compareExchange(this.#words, FIRST_TASK + index, WAITING, TAKEN) !== WAITING) return false;
    Atomics.store(this.#words, AT, index + 1);
    return true;
  }

  /** Thread: the chunk is through. */
  leave(): void {
    Atomics.store(this.#words, AT, 0);
  }

  /** Engine: the task whose turn it is: the one to blame when the thread dies. */
  entered(): number | undefined {
    const word = Atomics.load(this.#words, AT);
    return word === 0 ? undefined : word - 1;
  }

  /** Thread: the handler of this task starts now. */
  begin(index: number): void {
    // All threads of a process share one monotonic clock.
    Atomics.store(this.#startedAt, 0, process.hrtime.bigint());
    Atomics.store(this.#words, CURRENT, index + 1);
  }

  /** Thread: no handler is running. */
  end(): void {
    Atomics.store(this.#words, CURRENT, 0);
  }

  /** Engine: the task whose handler is running, or nothing. */
  current(): number | undefined {
    const word = Atomics.load(this.#words, CURRENT);
    return word === 0 ? undefined : word - 1;
  }

  /** Engine: for how long the current handler has been running. */
  elapsedMs(): number {
    return Number(process.hrtime.bigint() - Atomics.load(this.#startedAt, 0)) / 1e6;
  }

  /** Engine: keeps a task whose turn has not come from ever running. @returns whether it was in time. */
  withhold(index: number): boolean {
    return Atomics.compareExchange(this.#words, FIRST_TASK + index, WAITING, WITHHELD) === WAITING;
  }

  /** Engine: asks a task to stop that the thread has taken. */
  stop(index: number, reason: StopReason): void {
    Atomics.store(this.#words, FIRST_TASK + index, STOPPED + REASONS.indexOf(reason));
  }

  /** Thread: why a task that it has taken should stop, or nothing. */
  stopped(index: number): StopReason | undefined {
    return REASONS[Atomics.load(this.#words, FIRST_TASK + index) - STOPPED];
  }

  /** Thread: it tells a progress value or a log line. */
  tell(): void {
    this.#told = (this.#told + 1) | 0;
  }

  /** Thread: whether the engine may be told one more. */
  get mayTell(): boolean {
    return this.#mayTell(Atomics.load(this.#words, HEARD));
  }

  /** Thread: holds it up until the engine may be told one more, though not for ever. */
  awaitHearing(): void {
    const heard = Atomics.load(this.#words, HEARD);
    if (!this.#mayTell(heard)) Atomics.wait(this.#words, HEARD, heard, LONGEST_WAIT_MS);
  }

  /** Engine: has heard one. The thread learns of it at the end of the turn, or one turn would never end. */
  hear(): void {
    if (this.#hearing++ > 0) return;
    setImmediate(() => {
      Atomics.add(this.#words, HEARD, this.#hearing);
      Atomics.notify(this.#words, HEARD);
      this.#hearing = 0;
    });
  }

  #mayTell(heard: number): boolean {
    // Both go round.
    return ((this.#told - heard) | 0) < MAX_UNHEARD;
  }
}
