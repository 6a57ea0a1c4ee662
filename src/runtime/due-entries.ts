/**
 * Works off an index of the journal that is ordered by time: whatever is due in it, page by page, as soon as it is. What
 * is done with that is its owner's affair.
 */
import type { Clock } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import type { Journal } from '../journal/journal.js';
import type { IndexEntry, IndexPage } from '../journal/pages.js';
import { dueAtOf, type Span } from '../journal/keys.js';
import type { Alarm, Bell, BellOptions } from './alarm.js';

export interface DueEntriesLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly alarm: Alarm;
  readonly onWarning: (error: MillraceError) => void;
}

export interface DueIndex extends Pick<BellOptions, 'keepsAlive'> {
  /** What it is called in a warning. */
  readonly name: string;
  readonly span: Span;
  /** What its keys of an instant begin with. */
  readonly keyOf: (at: number) => string;
  readonly pageSize: number;
  readonly page: (after: string | undefined, limit: number) => Promise<IndexPage>;
  /** Works off entries that are due. @returns those that are done with; the others are tried again soon. */
  readonly work: (due: readonly IndexEntry[]) => Promise<readonly IndexEntry[]>;
}

/** Before due entries that are still there are tried again. */
const RETRY_MS = 1_000;

export class DueEntries {
  readonly #links: DueEntriesLinks;
  readonly #index: DueIndex;
  /** Due entries whose job cannot be read: reported once, and left in the journal. */
  readonly #damaged = new Set<string>();
  readonly #bell: Bell;
  /** When the next entry is due, as far as is known. */
  #nextAt = Infinity;
  #pass: Promise<void> | undefined;
  #isStopped = true;

  constructor(links: DueEntriesLinks, index: DueIndex) {
    this.#links = links;
    this.#index = index;
    this.#bell = links.alarm.bell(() => this.#begin(), index);
  }

  start(): void {
    this.#isStopped = false;
    this.#begin();
  }

  /** Waits for a pass that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#bell.set(Infinity);
    await this.#pass;
  }

  /** An entry was added. */
  notice(at: number): void {
    if (at >= this.#nextAt) return;
    this.#nextAt = at;
    this.#arm();
  }

  /** Resolves when no pass is under way. */
  async passed(): Promise<void> {
    await this.#pass;
  }

  /** The entry's job cannot be read. */
  report({ key }: IndexEntry, error: MillraceError): void {
    this.#damaged.add(key);
    this.#links.journal.pin(key);
    this.#links.onWarning(error);
  }

  /** There are no such jobs: one that was removed since the page was read has taken its entry along. */
  async reportMissing(entries: readonly IndexEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const left = await this.#links.journal.records(entries.map(({ key }) => key));
    for (const [i, entry] of entries.entries()) {
      if (left[i] === undefined) continue;
      const message = `The record of job ${entry.text} is missing`;
      this.report(entry, new MillraceError('MILLRACE_JOURNAL_CORRUPT', message));
    }
  }

  #arm(): void {
    const isIdle = !this.#isStopped && !this.#pass;
    this.#bell.set(isIdle ? this.#nextAt : Infinity);
  }

  #begin(): void {
    // What is noticed from here on may come too late for this pass, and counts for the next timer.
    this.#nextAt = Infinity;
    this.#pass = this.#run().finally(() => {
      this.#pass = undefined;
      this.#arm();
    });
  }

  async #run(): Promise<void> {
    const { journal, clock, onWarning } = this.#links;
    try {
      const nextAt = await this.#workOff();
      this.#nextAt = Math.min(this.#nextAt, nextAt);
    } catch (thrown) {
      // A journal that has stopped writing has said so itself; and who was stopped meanwhile may have been refused.
      if (journal.failure || this.#isStopped) return;
      const cause = asError(thrown);
      const message = `${this.#index.name} could not be read: ${cause.message}`;
      onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
      this.#nextAt = clock.now() + RETRY_MS;
    }
  }

  /** @returns when the next entry is due. */
  async #workOff(): Promise<number> {
    const { page, pageSize, work } = this.#index;
    let retryAt = Infinity;
    for (let after: string | undefined; !this.#isStopped;) {
      const now = this.#links.clock.now();
      const { entries, next } = await page(after, pageSize);
      const due = entries.filter(({ key }) => dueAtOf(key) <= now && !this.#damaged.has(key));
      const gone = due.length > 0 ? await work(due) : [];
      // Once something stays, what lies behind it is above no mark.
      if (retryAt === Infinity) this.#raiseMark(entries, gone);
      if (gone.length < due.length) retryAt = now + RETRY_MS;
      const later = entries.find(({ key }) => dueAtOf(key) > now);
      if (later) return Math.min(dueAtOf(later.key), retryAt);
      if (next === undefined) return retryAt;
      after = next;
    }
    return Infinity;
  }

  /** Below the first entry that stays, and below what was noticed meanwhile, nothing is left. */
  #raiseMark(entries: readonly IndexEntry[], gone: readonly IndexEntry[]): void {
    const first = entries.find((entry) => !gone.includes(entry)) ?? entries.at(-1);
    if (!first || gone.length === 0) return;
    const { span, keyOf } = this.#index;
    const noticed = this.#nextAt === Infinity ? first.key : keyOf(this.#nextAt);
    this.#links.journal.raiseMark(span.from, noticed < first.key ? noticed : first.key);
  }
}
