/**
 * Commits transactions: what arrives together is one write (group commit).
 *
 * One write is in flight; what arrives meanwhile forms the next. A write syncs if any of its members asks for it;
 * urgent members go ahead of it without. After the first failed write nothing more is written: LevelDB can acknowledge
 * such writes and lose them. What comes then has its own group commit, on the store opened anew.
 */
import { asError, MillraceError } from '../errors.js';
import type { Counters } from './counters.js';
import type { Marks } from './marks.js';
import { putNumber } from './meta.js';
import type { Store, StoreBatch } from './store.js';
import type { Transaction } from './transaction.js';

/** How many sequence numbers an open journal reserves ahead, so that a crash skips some and repeats none. */
const SEQUENCE_BLOCK = 16_384;
/** How many changes are handed to the store in one go. */
const SLICE = 4_096;

/** Called once, when the transaction is committed, or will never be. */
export type OnCommit = (error: Error | undefined) => void;

interface Waiting {
  readonly transaction: Transaction;
  readonly onCommit: OnCommit;
}

export class GroupCommit {
  readonly #store: Store;
  readonly #counters: Counters;
  readonly #marks: Marks;
  #sequence: number;
  #reserved: number;
  #waiting: Waiting[] = [];
  #writing = false;
  #failure: MillraceError | undefined;
  #idle: (() => void)[] = [];
  onFailure: (error: MillraceError) => void = () => {};
  /** Called behind each write, before those who made it hear of it. */
  onWritten: () => void = () => {};

  /**
   * @param sequence The first number that no journal before has given.
   * @param reserved The first that the store does not know to be taken.
   */
  constructor(store: Store, counters: Counters, marks: Marks, sequence: number, reserved: number) {
    this.#store = store;
    this.#counters = counters;
    this.#marks = marks;
    this.#sequence = sequence;
    this.#reserved = reserved;
  }

  nextSequence(): number {
    return this.#sequence++;
  }

  /** Numbers up to this one have been given meanwhile. */
  skipTo(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  get failure(): MillraceError | undefined {
    return this.#failure;
  }

  /** Reserves sequence numbers, which is written at once. To be called before the first {@link submit}. */
  async reserve(): Promise<void> {
    const batch = this.#store.batch();
    this.#reserve(batch);
    await batch.write(true);
  }

  submit(transaction: Transaction, onCommit: OnCommit): void {
    const failure = this.#failure;
    if (failure) {
      queueMicrotask(() => onCommit(failure));
      return;
    }
    this.#waiting.push({ transaction, onCommit });
    if (!this.#writing) this.#begin();
  }

  /** Resolves once nothing waits and nothing is being written. */
  whenIdle(): Promise<void> {
    return this.#writing ? new Promise((resolve) => this.#idle.push(resolve)) : Promise.resolve();
  }

  /** The write starts in the next turn of the event loop, so that everything of this turn travels with it. */
  #begin(): void {
    this.#writing = true;
    setImmediate(() => void this.#write());
  }

  async #write(): Promise<void> {
    this.#writing = true;
    const members = this.#take();
    try {
      await this.#writeBatch(members);
    } catch (thrown) {
      this.#fail(asError(thrown), members);
      return;
    }
    this.#counters.written();
    for (const { transaction } of members) transaction.written();
    this.onWritten();
    this.#writing = false;
    // Before the news of this one, which keep the main thread busy: meanwhile the disk is, too.
    if (this.#waiting.length > 0) void this.#write();
    for (const { onCommit } of members) onCommit(undefined);
    if (!this.#writing) for (const idle of this.#idle.splice(0)) idle();
  }

  /** All that wait; or, where some of them would have to wait for the disk because of others, those first. */
  #take(): Waiting[] {
    const waiting = this.#waiting;
    const urgent = waiting.filter(({ transaction }) => transaction.isUrgent);
    const hasBoth = urgent.length > 0 && urgent.length < waiting.length;
    if (hasBoth && waiting.some(({ transaction }) => transaction.sync)) {
      this.#waiting = waiting.filter(({ transaction }) => !transaction.isUrgent);
      return urgent;
    }
    this.#waiting = [];
    return waiting;
  }

  async #writeBatch(members: readonly Waiting[]): Promise<void> {
    const batch = this.#store.batch();
    let sync = false;
    this.#marks.begin();
    for (const { transaction } of members) {
      transaction.close();
      const { keys, values } = transaction;
      for (let i = 0; i < keys.length; i++) {
        // Safe: there is a value for each key.
        const key = keys[i] as string;
        const value = values[i];
        if (value) batch.put(key, value);
        else batch.del(key);
        // Thousands of jobs that go in together must not hold up the event loop.
        if (i % SLICE === SLICE - 1) await new Promise((resolve) => setImmediate(resolve));
      }
      this.#counters.change(transaction.counts);
      for (const place of transaction.places) this.#marks.note(place);
      sync ||= transaction.sync;
    }
    this.#counters.addTo(batch);
    this.#marks.addTo(batch);
    if (this.#sequence > this.#reserved) {
      this.#reserve(batch);
      // LevelDB does not sync a log that it leaves for a new one, so a later sync need not cover an earlier write.
      sync = true;
    }
    await batch.write(sync);
  }

  #reserve(batch: StoreBatch): void {
    this.#reserved = this.#sequence + SEQUENCE_BLOCK;
    putNumber(batch, 'sequence', this.#reserved);
  }

  #fail(cause: Error, members: readonly Waiting[]): void {
    const message = `The journal could not be written: ${cause.message}. Nothing is taken until it can be opened again, which is tried until it succeeds; ${adviceFor(cause)}`;
    this.#failure = new MillraceError('MILLRACE_JOURNAL_WRITE_FAILED', message, { cause });
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#writing = false;
    for (const { onCommit } of [...members, ...waiting]) onCommit(this.#failure);
    this.onFailure(this.#failure);
    for (const idle of this.#idle.splice(0)) idle();
  }
}

function adviceFor({ message }: Error): string {
  if (/corrupt/i.test(message)) return 'close the engine, then Millrace.verify() tells what is damaged';
  return 'make room on the disk, mend it, or put the directory back';
}
