/** The rate limit of each concurrency key: what it holds back, for how long, and that it holds back nothing else. */
import * as fc from 'fast-check';
import { Level } from 'level';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type JobTypeOptions } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { startProgram } from '../fixtures/child.js';
import { bench, record, scriptedThread, type Bench } from '../fixtures/engine.js';
import { levelDisk } from '../fixtures/disks.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openJobs } from '../fixtures/jobs-engine.js';
import { Recorder } from '../fixtures/recorder.js';

const MINUTE = 60_000;
const STEP = MINUTE / 32;
/** A window, and the step by which a start may come later than it could. */
const WINDOW = MINUTE + STEP;
const perMinute = (max: number) => ({ max, per: '1m' }) as const;

interface Start {
  /** A job's concurrency key, as its payload says. */
  readonly key: string | undefined;
  readonly at: number;
}

/** A job type that tells of its starts, by monotonic time; and one without a limit. */
function jobsOf(clock: FakeClock, options: JobTypeOptions) {
  const starts = new Recorder<Start>();
  const begin = (key: string | undefined): void => starts.push({ key, at: clock.monotonic() });
  return { starts, jobs: { work: inlineJob(begin, options), free: inlineJob((n: number) => n) } };
}

const open = async (
  { options, closing }: Pick<Bench, 'options' | 'closing'>,
  clock: FakeClock,
  jobs: ReturnType<typeof jobsOf>['jobs'],
) => closing(await Millrace.open({ ...options, clock, jobs, queues: { default: {}, other: {} } }));

const item = (key?: string) =>
  ({ name: 'work', payload: key, options: key === undefined ? {} : { concurrencyKey: key } }) as const;
const many = (count: number, key?: string) => Array.from({ length: count }, () => item(key));
const keysOf = (starts: readonly Start[]): string =>
  starts
    .map(({ key = '-' }) => key)
    .sort()
    .join('');

/** Resolves once all that can be done now has been: a job that is not limited comes behind all others. */
async function settled(mill: Awaited<ReturnType<typeof open>>): Promise<void> {
  for (let i = 0; i < 3; i++) await (await mill.enqueue('free', i, { priority: -1 })).result();
}

test('a key starts no more in a window than it may, and other keys, and jobs without one, go on', async () => {
  const clock = new FakeClock();
  const { starts, jobs } = jobsOf(clock, { rateLimitPerKey: perMinute(2) });
  const mill = await open(await bench(), clock, jobs);
  await mill.enqueueMany([...many(5, 'a'), ...many(1, 'b'), ...many(4)]);
  await starts.reached(7);
  await settled(mill);
  expect(keysOf(starts.all)).toBe('----aab');
  // One that comes late has lost nothing by those that wait.
  await mill.enqueueMany(many(2, 'c'));
  await starts.reached(9);
  expect(keysOf(starts.all.slice(7))).toBe('cc');
  await clock.advance(WINDOW);
  await starts.reached(11);
  await settled(mill);
  expect(keysOf(starts.all.slice(9))).toBe('aa');
  await clock.advance(WINDOW);
  await starts.reached(12);
  expect(await mill.counts()).toMatchObject({ available: 0 });
});

test('a key is the same in all queues, and of each type another', async () => {
  const clock = new FakeClock();
  const { starts, jobs } = jobsOf(clock, { rateLimitPerKey: perMinute(1) });
  const { options, closing } = await bench();
  const also = inlineJob(() => 'also', { rateLimitPerKey: perMinute(1) });
  const mill = closing(
    await Millrace.open({ ...options, clock, jobs: { ...jobs, also }, queues: { default: {}, other: {} } }),
  );
  await (await mill.enqueue('work', 'a', { concurrencyKey: 'a', queue: 'other' })).result();
  const second = await mill.enqueue('work', 'a', { concurrencyKey: 'a' });
  const third = await mill.enqueue('work', 'a', { concurrencyKey: 'a', queue: 'other' });
  await (await mill.enqueue('also', undefined, { concurrencyKey: 'a' })).result();
  await settled(mill);
  expect(starts.all).toHaveLength(1);
  await clock.advance(WINDOW);
  await starts.reached(2);
  await settled(mill);
  expect(starts.all).toHaveLength(2);
  await clock.advance(WINDOW);
  await Promise.all([second.result(), third.result()]);
});

test('one by one, none is claimed with its enqueue that its key does not allow', async () => {
  const clock = new FakeClock();
  const { starts, jobs } = jobsOf(clock, { rateLimitPerKey: perMinute(1) });
  const mill = await open(await bench(), clock, jobs);
  await (await mill.enqueue('work', 'a', { concurrencyKey: 'a' })).result();
  const second = await mill.enqueue('work', 'a', { concurrencyKey: 'a' });
  await settled(mill);
  expect(await second.snapshot()).toMatchObject({ state: 'available' });
  // The engine wakes by itself.
  await clock.advance(WINDOW);
  await second.result();
  expect(starts.all).toHaveLength(2);
});

test.each([0, WINDOW])(
  'a key that waits in a paused queue goes on once that is resumed, %d ms later',
  async (ms) => {
    const clock = new FakeClock();
    const { starts, jobs } = jobsOf(clock, { rateLimitPerKey: perMinute(1) });
    const mill = await open(await bench(), clock, jobs);
    await mill.enqueueMany([...many(2, 'a'), ...many(2, 'b')]);
    await starts.reached(2);
    await settled(mill);
    await mill.pause('default');
    await clock.advance(ms);
    await mill.resume('default');
    await settled(mill);
    await clock.advance(WINDOW - ms);
    await starts.reached(4);
    expect(keysOf(starts.all)).toBe('aabb');
  },
);

test('why a job waits is told by key', async () => {
  const clock = new FakeClock();
  const { jobs } = jobsOf(clock, { rateLimitPerKey: perMinute(1), rateLimit: perMinute(5) });
  const mill = await open(await bench(), clock, jobs);
  await (await mill.enqueue('work', 'a', { concurrencyKey: 'tenant 7' })).result();
  const second = await mill.enqueue('work', 'a', { concurrencyKey: 'tenant 7' });
  const { reasons, summary } = await mill.explain(second.id);
  expect(reasons).toMatchObject([{ reason: 'rateLimited', by: 'key', name: 'work', key: 'tenant 7' }]);
  expect(summary).toContain('the rate limit of work for the key tenant 7 allows no start until');
  const [first] = reasons;
  if (first?.reason !== 'rateLimited') throw new Error('it is not limited');
  await clock.advance(first.inMs - 1);
  expect(await second.snapshot()).toMatchObject({ state: 'available' });
  await clock.advance(1);
  await second.result();
});

test.each([
  ['went on', 0, 20_000, 40_000],
  ['was set back', -3_600_000, 20_000, MINUTE],
])(
  'after a restart a key still has what it had started: the clock %s',
  async (_how, jumpMs, downMs, restMs) => {
    const around = await bench();
    const clock = new FakeClock();
    const { starts, jobs } = jobsOf(clock, { rateLimitPerKey: perMinute(2) });
    const first = await open(around, clock, jobs);
    await first.enqueueMany([...many(4, 'a'), ...many(1, 'b')]);
    await starts.reached(3);
    await settled(first);
    await first.close();
    await clock.advance(downMs);
    clock.jump(jumpMs);
    const second = await open(around, clock, jobs);
    await second.enqueueMany(many(1, 'b'));
    await starts.reached(4);
    await settled(second);
    await clock.advance(restMs - 1_000);
    await settled(second);
    expect(keysOf(starts.all)).toBe('aabb');
    // At most one window later.
    await clock.advance(STEP + 2_000);
    await starts.reached(6);
  },
);

test('after a kill -9 each key still has what it had started', async () => {
  const { options, closing, directory } = await bench();
  const program = startProgram('limited-keys', directory);
  await program.lines.reached(5);
  program.kill('SIGKILL');
  await program.exit;
  expect(program.lines.all).toHaveLength(5);
  const jobs = {
    threaded: scriptedThread({ rateLimitPerKey: { max: 2, per: '1h' } }),
    other: scriptedThread(),
  };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const started = record(mill, 'started');
  // Of `a` and `b` none may start, and of `c` one.
  await (await mill.enqueue('threaded', { do: 'return' }, { concurrencyKey: 'c' })).result();
  for (let i = 0; i < 5; i++) await (await mill.enqueue('other', { do: 'return' })).result();
  const threaded = started.all.filter(([, value]) => 'name' in value && value.name === 'threaded');
  expect(threaded).toHaveLength(1);
});

test('a key whose record is damaged starts nothing while a window lasts, and others do', async () => {
  const around = await bench();
  const clock = new FakeClock();
  const { starts, jobs } = jobsOf(clock, { rateLimitPerKey: perMinute(2) });
  const first = await open(around, clock, jobs);
  for (const key of ['a', 'b']) await (await first.enqueue('work', key, { concurrencyKey: key })).result();
  await first.close();
  const level = new Level<string, Uint8Array>(around.options.directory, { valueEncoding: 'view' });
  await level.put('l!k!work~a', new Uint8Array(20));
  await level.close();
  const second = await open(around, clock, jobs);
  const warnings = record(second, 'warning');
  await second.enqueueMany([item('a'), item('b')]);
  await warnings.reached(1);
  expect(warnings.all).toMatchObject([['warning', { code: 'MILLRACE_JOURNAL_CORRUPT' }]]);
  await settled(second);
  expect(keysOf(starts.all)).toBe('abb');
  await clock.advance(WINDOW);
  await starts.reached(4);
});

test('what a key has started counts although the journal failed', async () => {
  const clock = new FakeClock();
  const store = new FragileStore(openMemoryStore(new MemoryDisk()));
  const { starts, jobs } = jobsOf(clock, { rateLimitPerKey: perMinute(1) });
  const { engine, warnings } = await openJobs(store, jobs, { clock });
  await engine.enqueueMany(many(2, 'a'));
  await starts.reached(1);
  store.writes = 'lost';
  await expect(engine.enqueue('work', 'b')).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_WRITE_FAILED' });
  store.writes = undefined;
  await clock.armed(100);
  await clock.advance(100);
  await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED');
  await engine.enqueue('work', 'b', { concurrencyKey: 'b' });
  await starts.reached(2);
  await clock.advance(MINUTE - 1_000);
  expect(keysOf(starts.all)).toBe('ab');
  await clock.advance(WINDOW);
  await starts.until(({ key, at }) => key === 'a' && at > MINUTE);
});

test('of thousands of keys, many more than have their lanes in memory, each has its turns, and none is kept for ever', async () => {
  const clock = new FakeClock();
  const store = await (await levelDisk()).open();
  const { starts, jobs } = jobsOf(clock, { rateLimitPerKey: perMinute(1), concurrency: 50 });
  const { engine } = await openJobs(store, jobs, { clock, places: 50 });
  const records = async (): Promise<number> =>
    (await store.page({ from: 'l!k!', to: 'l!k"', limit: 100_000 })).length;
  const keys = Array.from({ length: 3_000 }, (_, i) => `key ${i}`);
  await engine.enqueueMany(keys.flatMap((key) => [item(key), item(key)]));
  await starts.reached(3_000);
  expect(new Set(starts.all.map(({ key }) => key)).size).toBe(3_000);
  expect(await records()).toBe(3_000);
  await clock.advance(WINDOW);
  await starts.reached(6_000);
  await engine.drain();
  for (const key of keys) expect(starts.all.filter((start) => start.key === key)).toHaveLength(2);
  await clock.advance(WINDOW);
  // Each start forgets two that count no more.
  await engine.enqueueMany(Array.from({ length: 1_500 }, (_, i) => item(`other ${i}`)));
  await engine.drain();
  expect(await records()).toBe(1_500);
});

test('what a restart finds to count no more it forgets', async () => {
  const clock = new FakeClock();
  const disk = new MemoryDisk();
  const { starts, jobs } = jobsOf(clock, { rateLimitPerKey: perMinute(1) });
  const first = await openJobs(openMemoryStore(disk), jobs, { clock });
  await first.engine.enqueueMany(['a', 'b', 'c'].map(item));
  await starts.reached(3);
  await first.engine.drain();
  await first.engine.close(0);
  await clock.advance(WINDOW + 1);
  const store = openMemoryStore(disk);
  await openJobs(store, jobs, { clock });
  expect(await store.page({ from: 'l!k!', to: 'l!k"', limit: 10 })).toEqual([]);
});

type Step =
  | { do: 'enqueue'; key: number; count: number; queue: 'default' | 'other' }
  | { do: 'pass'; ms: number }
  | { do: 'restart'; downMs: number };

const anyStep = fc.oneof<fc.MaybeWeightedArbitrary<Step>[]>(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('enqueue' as const),
      key: fc.nat({ max: 3 }),
      count: fc.integer({ min: 1, max: 5 }),
      queue: fc.constantFrom('default' as const, 'other' as const),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(1_500) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const), downMs: fc.nat(1_500) }) },
);

/** Turns of the event loop in which an engine on a memory store does all that it can. */
async function idle(): Promise<void> {
  for (let turns = 0; turns < 40; turns++) await new Promise((resolve) => setImmediate(resolve));
}

test('whatever is enqueued when, no window of a key has more, and all run in the end', async () => {
  const limits = fc.record({ max: fc.integer({ min: 1, max: 3 }), per: fc.integer({ min: 1, max: 1_000 }) });
  await fc.assert(
    fc.asyncProperty(
      limits,
      fc.option(fc.integer({ min: 1, max: 2 }), { nil: Infinity }),
      fc.array(anyStep, { maxLength: 30 }),
      async (rateLimitPerKey, concurrencyPerKey, steps) => {
        const clock = new FakeClock();
        const disk = new MemoryDisk();
        const { starts, jobs } = jobsOf(
          clock,
          concurrencyPerKey === Infinity ? { rateLimitPerKey } : { rateLimitPerKey, concurrencyPerKey },
        );
        const queues = { default: {}, other: {} };
        const start = () => openJobs(openMemoryStore(disk), jobs, { clock, queues, places: 3 });
        let { engine } = await start();
        let enqueued = 0;
        for (const step of steps) {
          if (step.do === 'enqueue') {
            const { key, count, queue } = step;
            // Key 0 is none.
            const own = key === 0 ? undefined : `tenant ${key}`;
            const options = own === undefined ? { queue } : { queue, concurrencyKey: own };
            await engine.enqueueMany(
              Array.from({ length: count }, () => ({ name: 'work', payload: own, options })),
            );
            enqueued += count;
          } else if (step.do === 'pass') await clock.advance(step.ms);
          else {
            await idle();
            await engine.close(0);
            await clock.advance(step.downMs);
            ({ engine } = await start());
          }
          await idle();
        }
        for (let i = 0; i < 2 * enqueued && starts.all.length < enqueued; i++) {
          await clock.advance(rateLimitPerKey.per + Math.ceil(rateLimitPerKey.per / 32) + 2);
          await idle();
        }
        expect(starts.all).toHaveLength(enqueued);
        for (const key of ['tenant 1', 'tenant 2', 'tenant 3']) {
          const at = starts.all.filter((one) => one.key === key).map((one) => one.at);
          for (let i = rateLimitPerKey.max; i < at.length; i++)
            expect((at[i] ?? 0) - (at[i - rateLimitPerKey.max] ?? 0)).toBeGreaterThan(rateLimitPerKey.per);
        }
        await engine.close(0);
      },
    ),
    { numRuns: 60 },
  );
});
