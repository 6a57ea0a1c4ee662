/**
 * Removes the entries of unique keys that nobody holds any longer, where no job could take its own along: those of a
 * time, when that is over, and those of jobs that were removed, for another may have taken the key over. One timer, for
 * the first of them; nobody waits for it, for an entry whose job does not hold the key keeps it from nobody.
 */
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import type { Journal } from '../journal/journal.js';
import { sweepAtOf } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import type { ArrivingIds } from './arriving-ids.js';
import type { UniqueKeys } from './unique-keys.js';

export interface KeySweeperLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly arriving: ArrivingIds;
  readonly keys: UniqueKeys;
  readonly onWarning: (error: MillraceError) => void;
}

/** How many keys are looked at in one go. */
const PAGE = 200;
/** Between two passes, so that keys go together. */
const REST_MS = 60_000;
/** While keys are held for a time the clock is looked at this often, for it may be set forward. */
const LOOK_EVERY_MS = 3_600_000;

export class KeySweeper {
  readonly #links: KeySweeperLinks;
  /** When the first key is to be looked at, as far as is known. */
  #dueAt = Infinity;
  #timer: Timer | undefined;
  /** When the timer fires, in monotonic time. */
  #timerAt = Infinity;
  #pass: Promise<void> | undefined;
  #isStopped = true;

  constructor(links: KeySweeperLinks) {
    this.#links = links;
  }

  start(): void {
    this.#isStopped = false;
    this.sweep();
  }

  /** Waits for a pass that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#disarm();
    await this.#pass;
  }

  /** A key is to be looked at then. */
  notice(at: number): void {
    if (at >= this.#dueAt) return;
    this.#dueAt = at;
    this.#arm();
  }

  /** Looks at what is due now. */
  sweep(): void {
    if (this.#isStopped || this.#pass) return;
    this.#disarm();
    // What is noticed from here on may come too late for this pass.
    this.#dueAt = Infinity;
    this.#pass = this.#run().finally(() => {
      this.#pass = undefined;
      this.#arm();
    });
  }

  /** Where nothing else is to be done, a process does not stay for it. */
  #arm(): void {
    const { clock, journal } = this.#links;
    if (this.#isStopped || this.#pass || this.#dueAt === Infinity || journal.failure) return;
    const delayMs = Math.max(REST_MS, Math.min(this.#dueAt - clock.now(), LOOK_EVERY_MS));
    const at = clock.monotonic() + delayMs;
    if (at >= this.#timerAt) return;
    this.#disarm();
    this.#timerAt = at;
    this.#timer = clock.setTimer(() => this.sweep(), delayMs, { keepsAlive: false });
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timerAt = Infinity;
  }

  async #run(): Promise<void> {
    const { journal, clock, onWarning } = this.#links;
    try {
      this.#dueAt = Math.min(this.#dueAt, await this.#sweepDue());
    } catch (thrown) {
      // A journal that has stopped writing has said so itself.
      if (journal.failure || this.#isStopped) return;
      const cause = asError(thrown);
      const message = `Unique keys that nobody holds could not be removed, and are tried again: ${cause.message}`;
      onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
      this.#dueAt = Math.min(this.#dueAt, clock.now());
    }
  }

  /** @returns when the next key is to be looked at. */
  async #sweepDue(): Promise<number> {
    const { journal, clock } = this.#links;
    let after: string | undefined;
    while (!this.#isStopped) {
      const now = clock.now();
      const { entries, next } = await journal.indexes.sweeps(after, PAGE);
      const due = entries.filter(({ key }) => sweepAtOf(key) <= now);
      if (due.length > 0) await this.#sweep(due.map(({ key, text }) => ({ request: key, key: text })));
      const later = entries[due.length];
      if (later) return sweepAtOf(later.key);
      if (next === undefined) return Infinity;
      after = next;
    }
    return Infinity;
  }

  /** Not synced: what a power cut takes back is made again. */
  async #sweep(due: readonly { readonly request: string; readonly key: string }[]): Promise<void> {
    const { journal, arriving, keys } = this.#links;
    const looked = [...new Set(due.map(({ key }) => key))];
    await arriving.alone(looked, async () => {
      const change = new Transaction().readIn(journal.generation);
      const holders = await keys.holders(looked);
      for (const key of looked) if (!holders.has(key)) change.forget(key);
      for (const { request } of due) change.forget(request);
      await journal.commit(change);
    });
  }
}
