/**
 * Has jobs that have not started by their deadline fail, in whatever state they wait and whether or not anybody knows
 * their queue or type. Those that run by then are stopped by `deadlines`.
 */
import { MillraceError } from '../errors.js';
import { hasEnded, isOverdue } from '../job/record.js';
import { expired } from '../job/transitions.js';
import type { IndexEntry } from '../journal/pages.js';
import { deadlineKey, deadlineKeyOf, DEADLINES_SPAN } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import { DueEntries, type DueEntriesLinks } from './due-entries.js';
import type { IdleJobs } from './idle-jobs.js';

export interface ExpirerLinks extends DueEntriesLinks {
  readonly idle: IdleJobs;
  /** Jobs that were held meanwhile are free again. */
  readonly onFreed: () => void;
}

/** However many expire at once, so many fail in one commit. */
const PAGE = 200;

export class Expirer {
  readonly #links: ExpirerLinks;
  readonly #entries: DueEntries;

  constructor(links: ExpirerLinks) {
    this.#links = links;
    this.#entries = new DueEntries(links, {
      name: 'Jobs whose deadline has come',
      // What waits, or runs, keeps the process alive where anything does; its deadline alone does not.
      keepsAlive: false,
      span: DEADLINES_SPAN,
      keyOf: (at) => deadlineKey(at, 0),
      pageSize: PAGE,
      page: (after, limit) => links.journal.indexes.deadlines(after, limit),
      work: (due) => this.#expire(due),
    });
  }

  start(): void {
    this.#entries.start();
  }

  /** Waits for a pass that is under way. */
  stop(): Promise<void> {
    return this.#entries.stop();
  }

  /** There is a job with this deadline that has not ended. */
  notice(deadlineAt: number): void {
    this.#entries.notice(deadlineAt);
  }

  /** @returns the entries that are done with: those of jobs that run stay until they have ended. */
  async #expire(entries: readonly IndexEntry[]): Promise<readonly IndexEntry[]> {
    const { clock, idle, onFreed } = this.#links;
    const now = clock.now();
    const ids = [...new Set(entries.map(({ text: id }) => id))];
    const { reads, changed, running } = await idle.change(ids, {
      decide: (job) => (hasEnded(job.status) || !isOverdue(job, now) ? undefined : expired(job, now)),
    });
    onFreed();
    const stale: IndexEntry[] = [];
    const missing: IndexEntry[] = [];
    const gone = entries.filter((entry) => {
      const { key, text: id } = entry;
      if (running.includes(id)) return false;
      const job = reads.get(id);
      if (job === undefined) missing.push(entry);
      else if (job instanceof MillraceError) this.#entries.report(entry, job);
      // A power cut has brought it back.
      else if (deadlineKeyOf(job) !== key) stale.push(entry);
      else return changed.has(id);
      return true;
    });
    await this.#entries.reportMissing(missing);
    await this.#forget(stale);
    return gone;
  }

  async #forget(entries: readonly IndexEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const change = new Transaction();
    for (const { key } of entries) change.forget(key);
    await this.#links.journal.commit(change);
  }
}
