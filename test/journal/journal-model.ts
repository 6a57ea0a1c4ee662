/** What a journal should hold, kept beside it while random transitions are committed to it. */
import * as fc from 'fast-check';
import { expect } from 'vitest';
import { type Job, type JobSpec, type JobState, type JobStatus } from '../../src/job/record.js';
import { cancelled, claimed, enqueued, promoted, settled, type Retry } from '../../src/job/transitions.js';
import { noJobs } from '../../src/journal/counters.js';
import type { JobCounts } from '../../src/job/record.js';
import type { Journal } from '../../src/journal/journal.js';
import { Transaction } from '../../src/journal/transaction.js';
import { recover } from '../../src/runtime/recovery.js';
import type { Disk } from '../fixtures/disks.js';
import { NOW, specOf } from '../fixtures/jobs.js';
import { dueIds, openOn, plain, readyIds, runningIds } from './harness.js';

const QUEUES = ['default', 'default-2', 'low'];
const MAX_ATTEMPTS = 3;
const FIRST_DELAY_MS = 50;
const BYTES = Uint8Array.of(1);

type What =
  'enqueue' | 'schedule' | 'promote' | 'claim' | 'complete' | 'error' | 'release' | 'cancel' | 'remove';
/** A transition of the n-th job that it is possible for, a moment to wait for all commits, or the process's end. */
export type Step = readonly [what: What | 'wait' | 'reopen' | 'kill', n: number];

export const anyWalk = (): fc.Arbitrary<Step[]> =>
  fc.array(
    fc.tuple(
      fc.constantFrom<Step[0]>(
        ...([
          'enqueue',
          'enqueue',
          'enqueue',
          'schedule',
          'schedule',
          'promote',
          'promote',
          'claim',
        ] as const),
        ...(['claim', 'claim', 'complete', 'error', 'error', 'release', 'cancel', 'wait', 'wait'] as const),
        ...(['remove', 'wait', 'reopen', 'kill'] as const),
      ),
      fc.nat(40),
    ),
    { minLength: 20, maxLength: 80, size: 'max' },
  );

const FROM: Record<Exclude<What, 'enqueue' | 'schedule'>, readonly JobState[]> = {
  promote: ['scheduled', 'retryable'],
  claim: ['available'],
  complete: ['running'],
  error: ['running'],
  release: ['running'],
  cancel: ['scheduled', 'available', 'retryable', 'running'],
  remove: ['completed', 'failed', 'cancelled'],
};

const byPriority = (a: Job, b: Job): number => b.spec.priority - a.spec.priority;
const byRunAt = (a: Job, b: Job): number => (a.status.runAt ?? 0) - (b.status.runAt ?? 0);
const byClaim = (a: Job, b: Job): number => (a.status.claim ?? 0) - (b.status.claim ?? 0);

export class JournalModel {
  #disk: Disk;
  #journal: Journal;
  readonly #jobs = new Map<string, Job>();
  /** The status that the journal holds, where it differs from the job's: a claim does not write one. */
  readonly #stored = new Map<string, JobStatus>();
  #commits: Promise<void>[] = [];
  #now = NOW;

  private constructor(disk: Disk, journal: Journal) {
    this.#disk = disk;
    this.#journal = journal;
  }

  static async on(disk: Disk): Promise<JournalModel> {
    return new JournalModel(disk, (await openOn(disk)).journal);
  }

  async take([what, n]: Step): Promise<void> {
    this.#now++;
    switch (what) {
      case 'enqueue':
      case 'schedule':
        this.#enqueue(n, what === 'schedule');
        break;
      case 'wait':
        await this.#settle();
        break;
      case 'reopen':
        await this.close();
        await this.#open();
        break;
      case 'kill':
        await this.#settle();
        this.#disk = await this.#disk.afterKill();
        await this.#open();
        break;
      default: {
        const able = [...this.#jobs.values()].filter(({ status }) => FROM[what].includes(status.state));
        const job = able[n % able.length];
        if (!job) break;
        if (what === 'remove') this.#remove(job);
        else this.#move(job, this.#next(job.status, what));
      }
    }
  }

  async close(): Promise<void> {
    await this.#settle();
    await this.#journal.close();
  }

  async check(): Promise<void> {
    await this.#settle();
    const journal = this.#journal;
    for (const queue of QUEUES) {
      expect(journal.counts(queue)).toStrictEqual(this.#counts(({ spec }) => spec.queue === queue));
      const ready = this.#ids('available', byPriority, queue);
      expect(await readyIds(journal, queue, 3)).toStrictEqual(ready);
    }
    expect(journal.counts()).toStrictEqual(this.#counts(() => true));
    expect(await dueIds(journal, 3)).toStrictEqual(this.#ids(['scheduled', 'retryable'], byRunAt));
    expect(await runningIds(journal, 3)).toStrictEqual(this.#ids('running', byClaim));
    const expected = Array.from(this.#jobs, ([id, job]) => ({
      ...job,
      status: this.#stored.get(id) ?? job.status,
    }));
    expect(plain(await journal.jobs([...this.#jobs.keys()]))).toStrictEqual(plain(expected));
  }

  #enqueue(n: number, isScheduled: boolean): void {
    const sequence = this.#journal.nextSequence();
    const spec: JobSpec = specOf(sequence, {
      queue: QUEUES[n % 3] ?? 'default',
      priority: (n % 5) - 2,
      ...(isScheduled && { runAt: this.#now + (n % 7) }),
    });
    const job = { spec, status: enqueued(spec) };
    this.#jobs.set(spec.id, job);
    this.#commits.push(this.#journal.commit(new Transaction().enqueue(spec, job.status)));
  }

  #move({ spec, status }: Job, next: JobStatus): void {
    if (next.state !== 'running') this.#stored.delete(spec.id);
    else this.#stored.set(spec.id, status.state === 'running' ? next : (this.#stored.get(spec.id) ?? status));
    this.#jobs.set(spec.id, { spec, status: next });
    const change = new Transaction().move(spec, status, next);
    if (status.state === 'running' && next.state !== 'running') change.endClaim(status.claim ?? 0);
    this.#commits.push(this.#journal.commit(change));
  }

  #remove(job: Job): void {
    this.#jobs.delete(job.spec.id);
    this.#commits.push(this.#journal.commit(new Transaction().remove(job)));
  }

  #next(status: JobStatus, what: Exclude<keyof typeof FROM, 'remove'>): JobStatus {
    const now = this.#now;
    switch (what) {
      case 'promote':
        return promoted(status);
      case 'claim':
        return claimed(status, this.#journal.nextSequence(), now);
      case 'cancel':
        return cancelled(status, now);
      case 'complete':
        return settled(status, { kind: 'completed', result: BYTES }, undefined, now);
      case 'error':
        return settled(
          status,
          { kind: 'errored', error: BYTES, unrecoverable: false },
          retryAfter(status),
          now,
        );
      case 'release':
        return settled(status, { kind: 'released' }, undefined, now);
      default:
        return what satisfies never;
    }
  }

  /** The next process: what was running is recovered. */
  async #open(): Promise<void> {
    this.#journal = (await openOn(this.#disk)).journal;
    await this.check();
    const { jobs, damaged } = await recover(this.#journal, this.#now);
    expect(damaged).toStrictEqual([]);
    const orphans = [...this.#jobs.values()].filter(({ status }) => status.state === 'running');
    expect(jobs).toHaveLength(orphans.length);
    for (const job of jobs) {
      this.#jobs.set(job.spec.id, job);
      this.#stored.delete(job.spec.id);
    }
    await this.check();
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#commits.splice(0));
  }

  #ids(
    states: JobState | readonly JobState[],
    compare: (a: Job, b: Job) => number,
    queue?: string,
  ): string[] {
    return [...this.#jobs.values()]
      .filter(
        ({ spec, status }) => states.includes(status.state) && (queue === undefined || spec.queue === queue),
      )
      .sort((a, b) => compare(a, b) || a.spec.sequence - b.spec.sequence)
      .map(({ spec }) => spec.id);
  }

  #counts(isCounted: (job: Job) => boolean): JobCounts {
    const counts = noJobs();
    for (const job of this.#jobs.values()) if (isCounted(job)) counts[job.status.state]++;
    return counts;
  }
}

/** Each wait is twice the one before. */
const retryAfter = ({ attempt }: JobStatus): Retry | undefined =>
  attempt < MAX_ATTEMPTS ? { delayMs: FIRST_DELAY_MS * 2 ** (attempt - 1) } : undefined;
