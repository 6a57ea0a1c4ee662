/** Rate limits: never more starts in a window than they say, and nobody waits who is not limited. */
import { Level } from 'level';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type JobTypeOptions } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { startProgram } from '../fixtures/child.js';
import { bench, record, scriptedThread, type Bench } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openInline } from '../fixtures/inline-engine.js';
import { Recorder } from '../fixtures/recorder.js';

const MINUTE = 60_000;
/** A window, and the step by which a start may come later than it could. */
const WINDOW = MINUTE + MINUTE / 32;
const STEP = 5_000;
const perMinute = (max: number) => ({ max, per: '1m' }) as const;

/** Job types that tell of their starts, by monotonic time. */
function jobsOf(clock: FakeClock, options: JobTypeOptions) {
  const starts = new Recorder<number>();
  const work = inlineJob(() => starts.push(clock.monotonic()), options);
  return { starts, jobs: { work, free: inlineJob((payload: number) => payload) } };
}

const many = (count: number) => Array.from({ length: count }, () => ({ name: 'work' }) as const);

/** Resolves once all that can be done now has been: a job that is not limited comes behind all others. */
async function settled(mill: Awaited<ReturnType<typeof open>>): Promise<void> {
  for (let i = 0; i < 3; i++) await (await mill.enqueue('free', i, { priority: -1 })).result();
}

const open = async (
  { options, closing }: Pick<Bench, 'options' | 'closing'>,
  clock: FakeClock,
  jobs: ReturnType<typeof jobsOf>['jobs'],
) => closing(await Millrace.open({ ...options, clock, jobs, queues: { default: {}, other: {} } }));

test('a type that is limited starts no more in a window, and others of its queue go on', async () => {
  const clock = new FakeClock();
  const { starts, jobs } = jobsOf(clock, { rateLimit: perMinute(3) });
  const mill = await open(await bench(), clock, jobs);
  // The first is claimed with its enqueue.
  await (await mill.enqueue('work')).result();
  await mill.enqueueMany(many(7));
  await starts.reached(3);
  await settled(mill);
  expect(await mill.counts()).toMatchObject({ available: 5 });
  await (await mill.enqueue('free', 1)).result();
  for (let started = 3; started < 8;) {
    await clock.advance(STEP);
    await settled(mill);
    expect(starts.all.length - started).toBeLessThanOrEqual(3);
    started = starts.all.length;
  }
  for (let i = 3; i < 8; i++) {
    const distance = (starts.all[i] ?? 0) - (starts.all[i - 3] ?? 0);
    expect(distance).toBeGreaterThan(MINUTE);
    expect(distance).toBeLessThanOrEqual(WINDOW + STEP);
  }
});

test('one by one, none is claimed with its enqueue that is not allowed', async () => {
  const clock = new FakeClock();
  const { starts, jobs } = jobsOf(clock, { rateLimit: perMinute(2) });
  const mill = await open(await bench(), clock, jobs);
  for (let i = 0; i < 2; i++) await (await mill.enqueue('work')).result();
  const third = await mill.enqueue('work');
  await settled(mill);
  expect(await third.snapshot()).toMatchObject({ state: 'available' });
  // The engine wakes by itself.
  await clock.advance(WINDOW);
  await third.result();
  expect(starts.all).toHaveLength(3);
});

test('a queue that is limited starts no more, of whatever type, and other queues go on', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const { starts, jobs } = jobsOf(clock, {});
  const queues = { default: { rateLimit: perMinute(2), weight: 5 }, other: {} };
  const mill = closing(await Millrace.open({ ...options, clock, jobs, queues, selection: 'strict' }));
  await mill.enqueueMany(many(4));
  const held = await mill.enqueue('free', 7);
  await starts.reached(2);
  await (await mill.enqueue('free', 1, { queue: 'other' })).result();
  expect(await mill.counts('default')).toMatchObject({ available: 3, completed: 2 });
  await clock.advance(WINDOW);
  await starts.reached(4);
  expect(await held.snapshot()).toMatchObject({ state: 'available' });
  await clock.advance(WINDOW);
  expect(await held.result()).toBe(7);
});

test('attempts that errored count, and so do those of a queue and a type at once', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const backoff = { type: 'exponential', delay: 0, jitter: 'none' } as const;
  const work = inlineJob(
    (_payload: undefined, job) => {
      if (job.attempt < 3) throw new Error('again');
      return job.attempt;
    },
    { rateLimit: perMinute(2), backoff },
  );
  const queues = { default: { rateLimit: { max: 5, per: 10 * MINUTE } } };
  const mill = closing(await Millrace.open({ ...options, clock, jobs: { work }, queues }));
  const errored = record(mill, 'errored');
  const job = await mill.enqueue('work');
  await errored.reached(2);
  expect(await mill.counts()).toMatchObject({ completed: 0 });
  await clock.advance(WINDOW);
  expect(await job.result()).toBe(3);
  const started = record(mill, 'started');
  await mill.enqueueMany(Array.from({ length: 4 }, () => ({ name: 'work' }) as const));
  await clock.advance(3 * WINDOW);
  // The fourth and the fifth of the queue.
  await started.reached(2);
  await clock.advance(2 * WINDOW);
  expect(started.all).toHaveLength(2);
});

test.each([
  ['went on', 0, 20_000, 40_000],
  ['was set back', -3_600_000, 20_000, MINUTE],
  ['was set forward and back', 0, 0, MINUTE],
])(
  'after a restart the window still counts what started before: the clock %s',
  async (how, jumpMs, downMs, restMs) => {
    const around = await bench();
    const clock = new FakeClock();
    const { starts, jobs } = jobsOf(clock, { rateLimit: perMinute(2) });
    const first = await open(around, clock, jobs);
    // While it lives, what the clock says is of no interest.
    clock.jump(7_200_000);
    await first.enqueueMany(many(4));
    await starts.reached(2);
    if (how === 'was set forward and back') clock.jump(-7_200_000);
    await settled(first);
    await first.close();
    await clock.advance(downMs);
    clock.jump(jumpMs);
    const second = await open(around, clock, jobs);
    await settled(second);
    await clock.advance(restMs - 1_000);
    await settled(second);
    expect(starts.all).toHaveLength(2);
    // At most one window later.
    await clock.advance(MINUTE / 32 + 2_000);
    await starts.reached(4);
  },
);

test('after a kill -9 the window still counts what started before', async () => {
  const { options, closing, directory } = await bench();
  const program = startProgram('limited', directory);
  await program.lines.reached(3);
  program.kill('SIGKILL');
  await program.exit;
  expect(program.lines.all).toHaveLength(3);
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
  const jobs = { threaded: scriptedThread({ rateLimit: { max: 3, per: '1h' } }), other: scriptedThread() };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const started = record(mill, 'started');
  for (let i = 0; i < 5; i++) await (await mill.enqueue('other', { do: 'return' })).result();
  expect(started.all.filter(([, value]) => 'name' in value && value.name === 'threaded')).toEqual([]);
  const { completed, available } = await mill.counts();
  expect(completed + available).toBe(5 + 6);
  expect(available).toBeGreaterThanOrEqual(3);
});

test.each([
  ['the window', 'l!t!work'],
  ['the time of the windows', 'l!'],
])(
  'where the record of %s is damaged, that is told, and nothing starts while a window lasts',
  async (_of, key) => {
    const around = await bench();
    const clock = new FakeClock();
    const { starts, jobs } = jobsOf(clock, { rateLimit: perMinute(2) });
    const first = await open(around, clock, jobs);
    await (await first.enqueue('work')).result();
    await first.close();
    const level = new Level<string, Uint8Array>(around.options.directory, { valueEncoding: 'view' });
    await level.put(key, new Uint8Array(20));
    await level.close();
    const second = await open(around, clock, jobs);
    const warnings = record(second, 'warning');
    const job = await second.enqueue('work');
    await warnings.reached(1);
    expect(warnings.all).toMatchObject([['warning', { code: 'MILLRACE_JOURNAL_CORRUPT' }]]);
    await clock.advance(MINUTE);
    await settled(second);
    expect(starts.all).toHaveLength(1);
    await clock.advance(WINDOW);
    await job.result();
  },
);

test('where the time of the windows is lost, a window goes by once, however often the engine is opened meanwhile', async () => {
  const around = await bench();
  const clock = new FakeClock();
  const { starts, jobs } = jobsOf(clock, { rateLimit: perMinute(1) });
  const first = await open(around, clock, jobs);
  await (await first.enqueue('work')).result();
  await first.close();
  const level = new Level<string, Uint8Array>(around.options.directory, { valueEncoding: 'view' });
  await level.del('l!');
  await level.close();
  const second = await open(around, clock, jobs);
  const { id } = await second.enqueue('work');
  for (let process = 0; process < 3; process++) {
    const mill = process === 0 ? second : await open(around, clock, jobs);
    await clock.advance(MINUTE / 3);
    await settled(mill);
    expect(starts.all).toHaveLength(1);
    await mill.close();
  }
  const last = await open(around, clock, jobs);
  const result = last.handle('work', id).result();
  await clock.advance(MINUTE / 3);
  await result;
});

test('what started counts although the journal failed', async () => {
  const clock = new FakeClock();
  const store = new FragileStore(openMemoryStore(new MemoryDisk()));
  const queues = { default: { rateLimit: perMinute(2) } };
  const { engine, warnings, starts, release } = await openInline(store, { clock, queues, places: 5 });
  await engine.enqueueMany([{ name: 'work' }, { name: 'work' }, { name: 'work' }]);
  await starts.reached(2);
  store.writes = 'lost';
  await expect(engine.enqueue('work', null)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_WRITE_FAILED' });
  store.writes = undefined;
  await clock.armed(100);
  await clock.advance(100);
  await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED');
  release();
  await engine.enqueue('work', null);
  await clock.advance(MINUTE - 1_000);
  expect(starts.all).toHaveLength(2);
  await clock.advance(WINDOW);
  await starts.reached(4);
});

/** Time passes whenever somebody looks at it. */
class RestlessClock extends FakeClock {
  #looks = 0;

  override monotonic(): number {
    return super.monotonic() + 4 * this.#looks++;
  }
}

test.each([9, 14, 19, 24, 29, 34, 39, 44])(
  'whoever may start just when all have been looked at is not forgotten (%i ms)',
  async (per) => {
    const clock = new RestlessClock();
    const queues = { default: { rateLimit: { max: 1, per } } };
    const store = openMemoryStore(new MemoryDisk());
    const { engine, starts, release } = await openInline(store, { clock, queues });
    release();
    await engine.enqueueMany(many(40));
    for (let i = 0; i < 400 && starts.all.length < 40; i++) {
      await clock.advance(20);
      for (let turns = 0; turns < 10; turns++) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(starts.all).toHaveLength(40);
  },
);

test('in real threads and real time no window has more', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread({ rateLimit: { max: 4, per: 150 } }) };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 2 }, durability: 'os' }));
  const starts: number[] = [];
  mill.on('started', () => starts.push(performance.now()));
  await Promise.all(Array.from({ length: 20 }, () => mill.enqueue('work', { do: 'return' })));
  await mill.drain();
  expect(starts).toHaveLength(20);
  for (let i = 4; i < 20; i++) expect((starts[i] ?? 0) - (starts[i - 4] ?? 0)).toBeGreaterThan(149);
});
