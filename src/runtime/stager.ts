/** Makes scheduled and retryable jobs available when they are due. */
import { MillraceError } from '../errors.js';
import type { Job } from '../job/record.js';
import { promoted } from '../job/transitions.js';
import type { IndexEntry } from '../journal/pages.js';
import { DUE_SPAN, dueKey, placeOf } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import { DueEntries, type DueEntriesLinks } from './due-entries.js';

export interface StagerLinks extends DueEntriesLinks {
  /** Whether somebody is changing the job's state at this moment. */
  readonly isHeld: (id: string) => boolean;
  /** A job became available. */
  readonly onPromoted: (job: Job) => void;
  /** Jobs cannot be read, and never become available. */
  readonly onLost: (ids: readonly string[]) => Promise<void>;
}

const PAGE = 500;

export class Stager {
  readonly #links: StagerLinks;
  readonly #promoting = new Set<string>();
  readonly #entries: DueEntries;

  constructor(links: StagerLinks) {
    this.#links = links;
    this.#entries = new DueEntries(links, {
      name: 'Due jobs',
      span: DUE_SPAN,
      keyOf: (at) => dueKey(at, 0),
      pageSize: PAGE,
      page: (after, limit) => links.journal.indexes.due(after, limit),
      work: (due) => this.#promoteFree(due),
    });
  }

  start(): void {
    this.#entries.start();
  }

  /** Waits for a pass that is under way. */
  stop(): Promise<void> {
    return this.#entries.stop();
  }

  /** A job became scheduled or retryable. */
  notice(runAt: number): void {
    this.#entries.notice(runAt);
  }

  /** Whether the job is being promoted; {@link passed} tells when that is over. */
  isPromoting(id: string): boolean {
    return this.#promoting.has(id);
  }

  passed(): Promise<void> {
    return this.#entries.passed();
  }

  /** Whoever holds a job is about to be done with it, or is by now. */
  async #promoteFree(due: readonly IndexEntry[]): Promise<readonly IndexEntry[]> {
    const ready = due.filter(({ text: id }) => !this.#links.isHeld(id));
    for (const { text: id } of ready) this.#promoting.add(id);
    try {
      if (ready.length > 0) await this.#promote(ready);
    } finally {
      for (const { text: id } of ready) this.#promoting.delete(id);
    }
    return ready;
  }

  async #promote(entries: readonly IndexEntry[]): Promise<void> {
    const { journal, onPromoted, onLost } = this.#links;
    const reads = await journal.jobs(entries.map(({ text: id }) => id));
    const lost = entries.filter((_entry, i) => reads[i] === undefined || reads[i] instanceof MillraceError);
    if (lost.length > 0) await onLost(lost.map(({ text: id }) => id));
    const change = new Transaction();
    const available: Job[] = [];
    const missing: IndexEntry[] = [];
    for (const [i, entry] of entries.entries()) {
      const job = reads[i];
      if (job === undefined) missing.push(entry);
      if (job instanceof MillraceError) this.#entries.report(entry, job);
      if (job === undefined || job instanceof MillraceError) continue;
      // It was cancelled since the page was read; or a power cut has brought the entry back.
      if (placeOf(job) !== entry.key) {
        change.forget(entry.key);
        continue;
      }
      const status = promoted(job.status);
      change.move(job.spec, job.status, status);
      available.push({ spec: job.spec, status });
    }
    // Not synced: a promotion that a power cut takes back is made again.
    await journal.commit(change);
    for (const job of available) onPromoted(job);
    await this.#entries.reportMissing(missing);
  }
}
