/**
 * The memory that a thread shares with the engine, so that each sees at once what the other does, even while
 * the thread is deep in synchronous code: which task of its chunk it is at, since when, and which it should stop.
 */
import type { StopReason } from './contract.js';

/** How many tasks one chunk may hold. */
export const MAX_CHUNK = 256;

const REASONS: readonly StopReason[] = ['timedOut', 'cancelled', 'shutdown'];
const CURRENT = 0;
const AT = 1;
const FIRST_STOP = 2;
/** The instant comes first, for it needs an alignment of eight bytes. */
const WORDS_OFFSET = 8;
const BYTES = WORDS_OFFSET + 4 * (FIRST_STOP + MAX_CHUNK);

export class Slot {
  readonly buffer: SharedArrayBuffer;
  readonly #startedAt: BigInt64Array;
  readonly #words: Int32Array;

  constructor(buffer = new SharedArrayBuffer(BYTES)) {
    this.buffer = buffer;
    this.#startedAt = new BigInt64Array(buffer, 0, 1);
    this.#words = new Int32Array(buffer, WORDS_OFFSET);
  }

  /** Engine: before a chunk is sent. */
  reset(): void {
    for (let i = 0; i < this.#words.length; i++) Atomics.store(this.#words, i, 0);
  }

  /** Thread: this task's turn has come, or `undefined`: nothing's. */
  enter(index: number | undefined): void {
    Atomics.store(this.#words, AT, index === undefined ? 0 : index + 1);
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

  /** Engine: asks a task to stop. */
  stop(index: number, reason: StopReason): void {
    Atomics.store(this.#words, FIRST_STOP + index, REASONS.indexOf(reason) + 1);
  }

  /** Thread: why a task should stop, or nothing. */
  stopped(index: number): StopReason | undefined {
    return REASONS[Atomics.load(this.#words, FIRST_STOP + index) - 1];
  }
}
