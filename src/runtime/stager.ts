/** Makes scheduled and retryable jobs available when they are due. */
import type { Clock } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import type { Job } from '../job/record.js';
import { promoted } from '../job/transitions.js';
import type { IndexEntry, Journal } from '../journal/journal.js';
import { DUE_SPAN, dueAtOf, dueKey, placeOf } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import type { Alarm, Bell } from './alarm.js';

export interface StagerLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly alarm: Alarm;
  /** Whether somebody is changing the job's state at this moment. */
  readonly isHeld: (id: string) => boolean;
  /** A job became available. */
  readonly onPromoted: (job: Job) => void;
  readonly onWarning: (error: MillraceError) => void;
}

const PAGE = 500;
/** Before due jobs that could not be promoted are tried again. */
const RETRY_MS = 1_000;

export class Stager {
  readonly #links: StagerLinks;
  readonly #promoting = new Set<string>();
  /** Due entries whose job cannot be read: reported once, and left in the journal. */
  readonly #damaged = new Set<string>();
  readonly #bell: Bell;
  /** When the next job is due, as far as is known. */
  #nextAt = Infinity;
  #pass: Promise<void> | undefined;
  #isStopped = true;

  constructor(links: StagerLinks) {
    this.#links = links;
    this.#bell = links.alarm.bell(() => this.#begin());
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

  /** A job became scheduled or retryable. */
  notice(runAt: number): void {
    if (runAt >= this.#nextAt) return;
    this.#nextAt = runAt;
    this.#arm();
  }

  /** Whether the job is being promoted; {@link passed} tells when that is over. */
  isPromoting(id: string): boolean {
    return this.#promoting.has(id);
  }

  async passed(): Promise<void> {
    await this.#pass;
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
      const nextAt = await this.#promoteDue();
      this.#nextAt = Math.min(this.#nextAt, nextAt);
    } catch (thrown) {
      // A journal that has stopped writing has said so itself.
      if (journal.failure) return;
      const cause = asError(thrown);
      onWarning(
        new MillraceError('MILLRACE_JOURNAL_READ_FAILED', `Due jobs could not be read: ${cause.message}`, {
          cause,
        }),
      );
      this.#nextAt = clock.now() + RETRY_MS;
    }
  }

  /** @returns when the next job is due. */
  async #promoteDue(): Promise<number> {
    const { journal, clock, isHeld } = this.#links;
    let after: string | undefined;
    while (!this.#isStopped) {
      const now = clock.now();
      const { entries, next } = await journal.due(after, PAGE);
      const due = entries.filter(({ key }) => dueAtOf(key) <= now && !this.#damaged.has(key));
      const ready = due.filter(({ text: id }) => !isHeld(id));
      await this.#promote(ready);
      this.#raiseMark(entries, ready);
      const later = entries.find(({ key }) => dueAtOf(key) > now);
      // Whoever held a job then is about to be done with it, or is by now.
      if (ready.length < due.length) return now + RETRY_MS;
      if (later) return dueAtOf(later.key);
      if (next === undefined) return Infinity;
      after = next;
    }
    return Infinity;
  }

  /** Below the first entry that stays, and below what was noticed meanwhile, nothing is left. */
  #raiseMark(entries: readonly IndexEntry[], gone: readonly IndexEntry[]): void {
    const first = entries.find((entry) => !gone.includes(entry)) ?? entries.at(-1);
    if (!first || gone.length === 0) return;
    const noticed = this.#nextAt === Infinity ? first.key : dueKey(this.#nextAt, 0);
    this.#links.journal.raiseMark(DUE_SPAN.from, noticed < first.key ? noticed : first.key);
  }

  async #promote(entries: readonly IndexEntry[]): Promise<void> {
    if (entries.length === 0) return;
    const { journal, onPromoted } = this.#links;
    for (const { text: id } of entries) this.#promoting.add(id);
    try {
      const reads = await journal.jobs(entries.map(({ text: id }) => id));
      const change = new Transaction();
      const available: Job[] = [];
      for (const [i, { key, text: id }] of entries.entries()) {
        const job = reads[i];
        if (job === undefined || job instanceof MillraceError) {
          this.#report(key, id, job);
          continue;
        }
        // It was cancelled since the page was read; or a power cut has brought the entry back.
        if (placeOf(job) !== key) {
          change.forget(key);
          continue;
        }
        const status = promoted(job.status);
        change.move(job.spec, job.status, status);
        available.push({ spec: job.spec, status });
      }
      // Not synced: a promotion that a power cut takes back is made again.
      await journal.commit(change);
      for (const job of available) onPromoted(job);
    } finally {
      for (const { text: id } of entries) this.#promoting.delete(id);
    }
  }

  #report(key: string, id: string, error: MillraceError | undefined): void {
    this.#damaged.add(key);
    this.#links.journal.pin(key);
    this.#links.onWarning(
      error ?? new MillraceError('MILLRACE_JOURNAL_CORRUPT', `The record of job ${id} is missing`),
    );
  }
}
