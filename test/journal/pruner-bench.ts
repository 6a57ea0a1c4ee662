/** A pruner on a journal of its own, with a clock that stands still. */
import { onTestFinished } from 'vitest';
import { MillraceError } from '../../src/errors.js';
import type { EndedState, Job, JobSpec } from '../../src/job/record.js';
import { retentionPolicy } from '../../src/job/retention.js';
import { enqueued, retried } from '../../src/job/transitions.js';
import { Journal } from '../../src/journal/journal.js';
import { Transaction } from '../../src/journal/transaction.js';
import { Holds } from '../../src/runtime/holds.js';
import { Pruner } from '../../src/runtime/pruner.js';
import type { Disk } from '../fixtures/disks.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { specOf } from '../fixtures/jobs.js';
import { Recorder } from '../fixtures/recorder.js';
import { StoreSpy } from '../fixtures/store-spy.js';

/** How long the pruner rests between two passes. */
export const REST = 1_000;

/** By type; any other is kept as long as jobs of a type that the code does not know. */
export const RETENTION = {
  resize: retentionPolicy({ completed: '10s', failed: '1m', cancelled: '30s' }, ''),
  mail: retentionPolicy({ completed: '20s' }, ''),
  brief: retentionPolicy({ completed: 0, failed: 'forever' }, ''),
  few: retentionPolicy({ failed: 'forever', maxCount: 3 }, ''),
} as const;

const isKnown = (name: string): name is keyof typeof RETENTION => name in RETENTION;

export class PrunerBench {
  readonly clock: FakeClock;
  readonly warnings = new Recorder<MillraceError>();
  readonly disk: Disk;
  readonly store: StoreSpy;
  readonly journal: Journal;
  readonly pruner: Pruner;

  private constructor(disk: Disk, store: StoreSpy, journal: Journal, clock: FakeClock) {
    this.disk = disk;
    this.store = store;
    this.journal = journal;
    this.clock = clock;
    journal.onCorrupt = this.warnings.push;
    this.pruner = new Pruner({
      holds: new Holds(),
      journal,
      clock,
      retentionOf: (name) => (isKnown(name) ? RETENTION[name] : retentionPolicy({}, '')),
      onRemoved: () => {},
      onPass: () => {},
      onWarning: this.warnings.push,
    });
  }

  /** @param clock That of the process before, where there was one. */
  static async open(disk: Disk, clock = new FakeClock()): Promise<PrunerBench> {
    const store = new StoreSpy(await disk.open());
    const bench = new PrunerBench(disk, store, await Journal.open(store), clock);
    onTestFinished(() => bench.close());
    return bench;
  }

  /** Jobs that end now, in one write, and the pruner told as the engine does. @returns their ids. */
  async end(
    state: EndedState,
    { count = 1, ...fields }: Partial<JobSpec> & { readonly count?: number } = {},
  ): Promise<string[]> {
    const jobs = Array.from({ length: count }, () => this.#ended(state, fields));
    const change = new Transaction();
    for (const { spec, status } of jobs)
      change.enqueue(spec, RUNNING, undefined).move(spec, RUNNING, status, undefined);
    // Enqueued and claimed before; here it is all one.
    await this.journal.commit(change);
    for (const job of jobs) this.pruner.notice(job);
    return jobs.map(({ spec }) => spec.id);
  }

  /** A job that does not run. */
  async enqueue(fields: Partial<JobSpec>): Promise<JobSpec> {
    const spec = specOf(this.journal.nextSequence(), fields);
    await this.journal.commit(new Transaction().enqueue(spec, enqueued(spec)));
    return spec;
  }

  async cancel(spec: JobSpec): Promise<void> {
    const status = { state: 'cancelled', attempt: 0, finishedAt: this.clock.now() } as const;
    await this.journal.commit(new Transaction().move(spec, enqueued(spec), status));
    this.pruner.notice({ spec, status });
  }

  /** One that has failed, for somebody. */
  async retry(id: string): Promise<void> {
    const before = await this.journal.job(id);
    if (!before || before instanceof MillraceError) throw new Error(`There is no job ${id}`);
    const job: Job = { spec: before.spec, status: retried(before.status, false) };
    await this.journal.commit(new Transaction().move(job.spec, before.status, job.status));
    this.pruner.changed(job, before);
  }

  #ended(state: EndedState, fields: Partial<JobSpec>): Job {
    const spec = specOf(this.journal.nextSequence(), fields);
    return { spec, status: { state, attempt: 1, claim: 1, finishedAt: this.clock.now() } };
  }

  /** The ids of those jobs that are there. */
  async kept(ids: readonly string[]): Promise<string[]> {
    const reads = await this.journal.jobs(ids);
    return ids.filter((_id, i) => reads[i] !== undefined);
  }

  /** Time passes, and the pass that it may have begun is over. */
  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.pruner.passed();
  }

  /** All keys of jobs, and of rosters of ended ones. */
  async keys(): Promise<string[]> {
    const entries = await this.store.page({ from: ' ', to: '~', limit: 100_000 });
    return entries.map(({ key }) => key).filter((key) => /^[jsf]!/.test(key));
  }

  async close(): Promise<void> {
    await this.pruner.stop();
    await this.journal.close();
  }
}

const RUNNING = { state: 'running', attempt: 1, claim: 1 } as const;
