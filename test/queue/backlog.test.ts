/** The backlog of a real journal in memory: what is in windows, and what is found again. */
import { expect, onTestFinished, test } from 'vitest';
import type { MillraceError } from '../../src/errors.js';
import type { Job, JobSpec } from '../../src/job/record.js';
import { cancelled, claimed, enqueued } from '../../src/job/transitions.js';
import { Journal } from '../../src/journal/journal.js';
import { laneSpan, readyKey } from '../../src/journal/keys.js';
import { Transaction } from '../../src/journal/transaction.js';
import { Backlog } from '../../src/runtime/backlog.js';
import { WINDOW_SIZE } from '../../src/queue/window.js';
import { Collector } from '../fixtures/collector.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { memoryDisk, type Disk } from '../fixtures/disks.js';
import { jobOf, NOW, specOf } from '../fixtures/jobs.js';
import { StoreSpy } from '../fixtures/store-spy.js';

const always = (): boolean => true;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface BenchOptions {
  readonly types?: Readonly<Record<string, number>>;
  readonly queues?: Readonly<Record<string, number>>;
}

/** A backlog and the journal below it. */
class Bench {
  readonly refills = new Collector<true>();
  readonly warnings = new Collector<MillraceError>();
  readonly clock = new FakeClock(NOW);
  readonly disk: Disk;
  readonly store: StoreSpy;
  readonly journal: Journal;
  readonly backlog: Backlog;

  private constructor(disk: Disk, store: StoreSpy, journal: Journal, options: BenchOptions) {
    const { types = { resize: Infinity }, queues = { default: Infinity } } = options;
    this.disk = disk;
    this.store = store;
    this.journal = journal;
    this.backlog = new Backlog({
      journal,
      clock: this.clock,
      nativeTypes: new Set(),
      nativeConcurrency: 1,
      queues: Object.entries(queues).map(([name, concurrency]) => ({ name, concurrency, weight: 1 })),
      selection: 'weighted',
      typeConcurrency: new Map(Object.entries(types)),
      onRefill: () => this.refills.add(true),
      onWarning: this.warnings.add,
    });
  }

  static async open(disk?: Disk, options: BenchOptions = {}): Promise<Bench> {
    const place = disk ?? (await memoryDisk());
    const store = new StoreSpy(await place.open());
    const bench = new Bench(place, store, await Journal.open(store), options);
    onTestFinished(() => bench.journal.close());
    await bench.backlog.load();
    return bench;
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
      const [job] = await this.journal.jobs([pick.id]);
      const { spec, status } = job && 'spec' in job ? job : jobOf(0);
      const running = claimed(status, this.journal.nextSequence(), NOW);
      await this.journal.commit(new Transaction().move(spec, status, running));
      this.backlog.settle(pick, pick.key);
      if (ids.length === count) break;
    }
    return ids;
  }

  /** Cancels a job that is available, as the engine does. */
  async cancel({ spec, status }: Job): Promise<void> {
    this.backlog.take(spec);
    await this.journal.commit(new Transaction().move(spec, status, cancelled(status, NOW)));
    this.backlog.settle(spec, readyKey(spec));
  }
}

test('a queue longer than its window is handed out in order, and whole', async () => {
  const bench = await Bench.open();
  const jobs = await bench.enqueue(2 * WINDOW_SIZE + 500);
  const ids: string[] = [];
  while (ids.length < jobs.length) {
    const some = await bench.claim(400);
    ids.push(...some);
    if (some.length === 0) await bench.refills.reached(bench.refills.items.length + 1);
  }
  expect(ids).toStrictEqual(jobs.map(({ spec }) => spec.id));
  await turn();
  expect(await bench.claim(1)).toStrictEqual([]);
});

test('a window that cancels have emptied is filled again', async () => {
  const bench = await Bench.open();
  const jobs = await bench.enqueue(WINDOW_SIZE + 5);
  await Promise.all(jobs.slice(0, WINDOW_SIZE).map((job) => bench.cancel(job)));
  await bench.claim(1);
  await bench.refills.reached(2);
  expect(await bench.claim(10)).toHaveLength(5);
});

test('the next process begins behind what was claimed', async () => {
  const bench = await Bench.open();
  const jobs = await bench.enqueue(1_200);
  await bench.claim(1_100);
  await bench.enqueue(1);
  const next = await Bench.open(bench.disk);
  const scan = next.store.pages.find(({ range }) =>
    range.from.startsWith(laneSpan('default', 'resize').from),
  );
  expect(scan?.range.from).toBe(readyKey(jobs[1_000]?.spec ?? specOf(0)));
  expect(await next.claim(1)).toStrictEqual([jobs[1_100]?.spec.id]);
});

test('jobs of a type that the code does not know are reported once, wait, and are found by code that does', async () => {
  const bench = await Bench.open(undefined, { types: { resize: Infinity, former: Infinity } });
  const [former] = await bench.enqueue(1, { name: 'former' });
  await bench.enqueue(1_500);
  const second = await Bench.open(bench.disk);
  await second.backlog.reportUnknown();
  expect(await second.warnings.reached(1)).toMatchObject([{ code: 'MILLRACE_JOB_UNKNOWN' }]);
  expect(await second.claim(1_200)).toHaveLength(1_200);
  await second.enqueue(1);
  expect(second.warnings.items).toHaveLength(1);
  const third = await Bench.open(bench.disk, { types: { resize: Infinity, former: Infinity } });
  expect(await third.claim(1)).toStrictEqual([former?.spec.id]);
});

test('a job of an unknown type that becomes available later is found by code that knows it', async () => {
  const bench = await Bench.open();
  await bench.enqueue(1, { name: 'former' });
  const [former] = await bench.enqueue(1, { name: 'former', priority: 5 });
  await bench.enqueue(1_500);
  await bench.claim(1_200);
  await bench.enqueue(1);
  const next = await Bench.open(bench.disk, { types: { resize: Infinity, former: Infinity } });
  expect(await next.claim(1)).toStrictEqual([former?.spec.id]);
});

test('a page that cannot be read is reported, and read again after a rest', async () => {
  const bench = await Bench.open();
  const [job] = await bench.enqueue(1);
  await bench.journal.close();
  const store = new StoreSpy(await bench.disk.open());
  const page = store.page.bind(store);
  const journal = await Journal.open(store);
  onTestFinished(() => journal.close());
  store.page = () => Promise.reject(new Error('too many open files'));
  const warnings = new Collector<MillraceError>();
  const refills = new Collector<true>();
  const clock = new FakeClock(NOW);
  const backlog = new Backlog({
    journal,
    clock,
    nativeTypes: new Set(),
    nativeConcurrency: 1,
    queues: [{ name: 'default', concurrency: Infinity, weight: 1 }],
    selection: 'weighted',
    typeConcurrency: new Map([['resize', Infinity]]),
    onRefill: () => refills.add(true),
    onWarning: warnings.add,
  });
  await backlog.load();
  expect(warnings.items).toMatchObject([{ cause: { message: 'too many open files' } }]);
  store.page = page;
  expect(backlog.next(always, always)).toBeUndefined();
  await clock.advance(1_000);
  await refills.reached(1);
  expect(backlog.next(always, always)).toBeUndefined();
  await refills.reached(2);
  expect(backlog.next(always, always)).toMatchObject({ id: job?.spec.id, queue: 'default' });
});

test('limits of queues and of job types hold, and are given back', async () => {
  const bench = await Bench.open(undefined, {
    types: { resize: 2, mail: Infinity },
    queues: { default: 3, low: Infinity },
  });
  await bench.enqueue(5);
  await bench.enqueue(5, { name: 'mail' });
  await bench.enqueue(1, { queue: 'low' });
  const picks = Array.from({ length: 12 }, () => bench.backlog.next(always, always)).filter(Boolean);
  expect(picks.map((pick) => `${pick?.queue} ${pick?.name}`).sort()).toStrictEqual([
    'default mail',
    'default mail',
    'default resize',
    'low resize',
  ]);
  const mail = picks.find((pick) => pick?.name === 'mail');
  if (mail) bench.backlog.end(mail);
  expect(bench.backlog.next(always, always)).toMatchObject({ queue: 'default', name: 'mail' });
});

test('a small job is kept with its entry, a large one is read when it is claimed', async () => {
  const bench = await Bench.open();
  const [small] = await bench.enqueue(1);
  await bench.enqueue(1, { payload: new Uint8Array(10_000) });
  expect(bench.backlog.next(always, always)?.job).toStrictEqual(small);
  expect(bench.backlog.next(always, always)).not.toHaveProperty('job');
});
