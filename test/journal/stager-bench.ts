/** A stager on a journal in memory, with a clock that stands still. */
import { onTestFinished } from 'vitest';
import type { MillraceError } from '../../src/errors.js';
import type { Job, JobSpec } from '../../src/job/record.js';
import { enqueued } from '../../src/job/transitions.js';
import { Journal } from '../../src/journal/journal.js';
import type { Entry, KeyRange } from '../../src/journal/store.js';
import { Transaction } from '../../src/journal/transaction.js';
import { Alarm } from '../../src/runtime/alarm.js';
import { Stager } from '../../src/runtime/stager.js';
import { memoryDisk, type Disk } from '../fixtures/disks.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { specOf } from '../fixtures/jobs.js';
import { Recorder } from '../fixtures/recorder.js';
import { StoreSpy } from '../fixtures/store-spy.js';

/** A store in which something can happen while a page is read. */
class BusyStore extends StoreSpy {
  /** What happens after the first page that has an entry was read, and before its reader has it. */
  onPage: (() => Promise<void>) | undefined;

  override async page(range: KeyRange): Promise<Entry[]> {
    const entries = await super.page(range);
    if (entries.length > 0 && this.onPage) {
      const { onPage } = this;
      this.onPage = undefined;
      await onPage();
    }
    return entries;
  }
}

export class StagerBench {
  readonly clock = new FakeClock();
  readonly promoted = new Recorder<string>();
  readonly warnings = new Recorder<MillraceError>();
  readonly held = new Set<string>();
  readonly jobs = new Map<string, Job>();
  readonly disk: Disk;
  readonly store: BusyStore;
  readonly journal: Journal;
  readonly stager: Stager;

  private constructor(disk: Disk, store: BusyStore, journal: Journal) {
    this.disk = disk;
    this.store = store;
    this.journal = journal;
    journal.onCorrupt = this.warnings.push;
    this.stager = new Stager({
      journal,
      clock: this.clock,
      alarm: new Alarm(this.clock),
      onLost: async () => {},
      isHeld: (id) => this.held.has(id),
      onPromoted: (job) => {
        this.jobs.set(job.spec.id, job);
        this.promoted.push(job.spec.id);
      },
      onWarning: this.warnings.push,
    });
  }

  static async open(disk?: Disk): Promise<StagerBench> {
    const place = disk ?? (await memoryDisk());
    const store = new BusyStore(await place.open());
    const bench = new StagerBench(place, store, await Journal.open(store));
    onTestFinished(() => bench.close());
    return bench;
  }

  /** Enqueues a job for so long from now, and tells the stager as the engine does. */
  async schedule(delayMs: number, fields: Partial<JobSpec> = {}): Promise<string> {
    const runAt = this.clock.now() + delayMs;
    const spec = specOf(this.journal.nextSequence(), { runAt, ...fields });
    const job = { spec, status: enqueued(spec) };
    await this.journal.commit(new Transaction().enqueue(spec, job.status));
    this.jobs.set(spec.id, job);
    this.stager.notice(runAt);
    return spec.id;
  }

  /** Time passes, and the pass that it may have begun is over. */
  async advance(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.stager.passed();
  }

  async close(): Promise<void> {
    await this.stager.stop();
    await this.journal.close();
  }
}
