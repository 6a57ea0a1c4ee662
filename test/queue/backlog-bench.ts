/** A backlog and the journal below it, in memory, with a clock that stands still. */
import { onTestFinished } from 'vitest';
import type { MillraceError } from '../../src/errors.js';
import type { Job, JobSpec } from '../../src/job/record.js';
import { cancelled, claimed, enqueued } from '../../src/job/transitions.js';
import { Journal } from '../../src/journal/journal.js';
import { readyKey } from '../../src/journal/keys.js';
import { Transaction } from '../../src/journal/transaction.js';
import type { Selection } from '../../src/queue/selector.js';
import { Backlog, type Choice } from '../../src/runtime/backlog.js';
import { memoryDisk, type Disk } from '../fixtures/disks.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { jobOf, NOW, specOf } from '../fixtures/jobs.js';
import { Recorder } from '../fixtures/recorder.js';
import { StoreSpy } from '../fixtures/store-spy.js';

export const always = (): boolean => true;

export interface BenchOptions {
  /** What reading a page fails with. */
  readonly pageFailure?: Error;
  /** Only pages of keys that begin so. Default: of all jobs that are available. */
  readonly pageFailureIn?: string;
  readonly selection?: Selection;
  readonly types?: Readonly<Record<string, number>>;
  readonly queues?: Readonly<Record<string, number>>;
  /** How many jobs of each type with the same key may run at once. */
  readonly keys?: Readonly<Record<string, number>>;
  readonly windowSize?: number;
}

export class BacklogBench {
  readonly refills = new Recorder<true>();
  readonly warnings = new Recorder<MillraceError>();
  readonly disk: Disk;
  readonly store: StoreSpy;
  readonly journal: Journal;
  readonly clock = new FakeClock();
  readonly backlog: Backlog;
  readonly paused = new Set<string>();

  private constructor(disk: Disk, store: StoreSpy, journal: Journal, options: BenchOptions) {
    const { types = { resize: Infinity }, queues = { default: Infinity } } = options;
    this.disk = disk;
    this.store = store;
    this.journal = journal;
    this.backlog = new Backlog({
      journal,
      clock: this.clock,
      nativeTypes: new Set(['image']),
      nativeConcurrency: 1,
      isPaused: (queue) => this.paused.has(queue),
      queues: Object.entries(queues).map(([name, concurrency]) => ({ name, concurrency, weight: 1 })),
      selection: options.selection ?? 'weighted',
      typeConcurrency: new Map(Object.entries(types)),
      keyConcurrency: new Map(Object.entries(options.keys ?? {})),
      windowSize: options.windowSize,
      onRefill: () => this.refills.push(true),
      onWarning: this.warnings.push,
    });
  }

  static async open(disk?: Disk, options: BenchOptions = {}): Promise<BacklogBench> {
    const place = disk ?? (await memoryDisk());
    const store = new StoreSpy(await place.open());
    const bench = new BacklogBench(place, store, await Journal.open(store), options);
    store.pageFailure = options.pageFailure;
    store.pageFailureIn = options.pageFailureIn ?? '';
    onTestFinished(() => bench.close());
    await bench.backlog.load();
    return bench;
  }

  async close(): Promise<void> {
    await this.backlog.stop();
    await this.journal.close();
  }

  /** In one commit, however many they are. */
  async enqueueMany(fields: readonly Partial<JobSpec>[]): Promise<Job[]> {
    const jobs = fields.map((own): Job => jobOf(this.journal.nextSequence(), own));
    const change = new Transaction();
    for (const { spec, status } of jobs) change.enqueue(spec, status);
    await this.journal.commit(change);
    for (const job of jobs) this.backlog.add(job);
    return jobs;
  }

  async enqueue(count: number, fields: Partial<JobSpec> = {}): Promise<Job[]> {
    const specs = Array.from({ length: count }, () => specOf(this.journal.nextSequence(), fields));
    return Promise.all(
      specs.map(async (spec) => {
        const job = { spec, status: enqueued(spec) };
        await this.journal.commit(new Transaction().enqueue(spec, job.status));
        this.backlog.add(job);
        return job;
      }),
    );
  }

  /** Claims up to so many jobs, as the executor does. @returns their ids. */
  async claim(count: number): Promise<string[]> {
    const ids: string[] = [];
    for (let pick = this.backlog.next(always, always); pick; pick = this.backlog.next(always, always)) {
      ids.push(pick.id);
      await this.commitClaim(pick);
      if (ids.length === count) break;
    }
    return ids;
  }

  async commitClaim(pick: Choice): Promise<void> {
    const [job] = await this.journal.jobs([pick.id]);
    const { spec, status } = job && 'spec' in job ? job : jobOf(0);
    const running = claimed(status, this.journal.nextSequence(), NOW);
    await this.journal.commit(new Transaction().move(spec, status, running));
    this.backlog.settle(pick, pick.key);
  }

  /** Cancels a job that is available, as the engine does. */
  async cancel({ spec, status }: Job): Promise<void> {
    this.backlog.take(spec);
    await this.journal.commit(new Transaction().move(spec, status, cancelled(status, NOW)));
    this.backlog.settle(spec, readyKey(spec));
  }
}
