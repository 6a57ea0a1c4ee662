/** What a rate limit counts: an attempt whose handler was called, and none that came to its end before that. */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type JobTypeOptions, type QueueOptions } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { bench, record, type Bench } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { openJobs } from '../fixtures/jobs-engine.js';
import { KillableStore } from '../fixtures/killable-store.js';
import { Recorder } from '../fixtures/recorder.js';

const MINUTE = 60_000;
/** A window, the step by which a start may come later than it could, and what restarts round. */
const WINDOW = MINUTE + MINUTE / 32 + 10;
const LIMIT = { max: 1, per: '1m' } as const;

/** The same limit, of each kind. */
const LIMITS: readonly [of: string, type: JobTypeOptions, queue: QueueOptions][] = [
  ['a type', { rateLimit: LIMIT }, {}],
  ['a queue', {}, { rateLimit: LIMIT }],
  ['a key', { rateLimitPerKey: LIMIT }, {}],
];

const schemaOf = (validate: (value: unknown) => unknown): StandardSchemaV1 =>
  ({ '~standard': { version: 1, vendor: 'test', validate } }) as StandardSchemaV1;
const late = schemaOf(async (value) => ({ value }));
const options = { concurrencyKey: 'a' } as const;

function open(
  { options: own, closing }: Pick<Bench, 'options' | 'closing'>,
  clock: FakeClock,
  type: JobTypeOptions & { schema?: StandardSchemaV1 },
  queue: QueueOptions,
) {
  const jobs = {
    work: inlineJob((payload: unknown) => payload, type),
    free: inlineJob((payload: number) => payload, { queue: 'other' }),
  };
  return Millrace.open({ ...own, clock, jobs, queues: { default: queue, other: {} } }).then(closing);
}

/** Resolves once all that can be done now has been. */
async function settled(mill: Awaited<ReturnType<typeof open>>): Promise<void> {
  for (let i = 0; i < 3; i++) await (await mill.enqueue('free', i, { priority: -1 })).result();
}

test.each(LIMITS)(
  'of %s, a start that was put off because its schema takes a while does not count, in any process',
  async (_of, type, queue) => {
    const own = await bench();
    const clock = new FakeClock();
    for (let life = 0; life < 3; life++) {
      const mill = await open(own, clock, { ...type, schema: late }, queue);
      const job = await mill.enqueue('work', life, options);
      expect(await job.result()).toBe(life);
      // One that did start counts, here and in the next process.
      const next = await mill.enqueue('work', 'next', options);
      await settled(mill);
      expect(await next.snapshot()).toMatchObject({ state: 'available' });
      await clock.advance(WINDOW);
      expect(await next.result()).toBe('next');
      await mill.close();
      await clock.advance(WINDOW);
    }
  },
);

test('nor does one whose payload has to be read from its file for its schema', async () => {
  const clock = new FakeClock();
  const schema = schemaOf((value) => ({ value }));
  const mill = await open(await bench(), clock, { rateLimit: LIMIT, schema }, {});
  const payload = new Uint8Array(100_000);
  expect(await (await mill.enqueue('work', payload)).result()).toEqual(payload);
});

test.each(LIMITS)('of %s, jobs that wait for newer code do not count', async (_of, type, queue) => {
  const own = await bench();
  const clock = new FakeClock();
  const newer = await open(own, clock, { ...type, version: 2, upgrade: (payload) => payload }, queue);
  await newer.pause();
  await newer.enqueueMany(Array.from({ length: 4 }, () => ({ name: 'work', payload: 1, options }) as const));
  await newer.close();
  const older = await open(own, clock, type, queue);
  const mine = await older.enqueue('work', 'mine', options);
  await older.resume();
  expect(await mine.result()).toBe('mine');
  expect(await older.counts()).toMatchObject({ scheduled: 4, completed: 1 });
});

test.each(LIMITS)('of %s, what is given back is not kept either', async (_of, type, queue) => {
  const clock = new FakeClock();
  const disk = new MemoryDisk();
  const ran = new Recorder<unknown>();
  const open = (version: number) => {
    const upgrade = (payload: unknown): unknown => payload;
    const work = inlineJob((payload: unknown) => ran.push(payload), {
      ...type,
      version,
      ...(version > 1 && { upgrade }),
    });
    const store = new KillableStore(openMemoryStore(disk));
    return openJobs(store, { work }, { clock, queues: { default: queue } }).then((own) => ({
      ...own,
      store,
    }));
  };
  const newer = await open(2);
  await newer.engine.pauses.pause();
  for (let i = 0; i < 3; i++) await newer.engine.enqueue('work', i, options);
  await newer.engine.close(0);
  const older = await open(1);
  await older.engine.pauses.resume();
  await older.warnings.until(({ code }) => code === 'MILLRACE_PAYLOAD_NEWER');
  while ((await older.engine.counts()).scheduled < 3) await new Promise((resolve) => setImmediate(resolve));
  older.store.die();
  const again = await open(1);
  await again.engine.enqueue('work', 'mine', options);
  await ran.reached(1);
  expect(ran.all).toEqual(['mine']);
});

test('jobs whose deadlines are found to have passed when they are to be claimed do not count', async () => {
  const clock = new FakeClock();
  const mill = await open(await bench(), clock, { rateLimit: LIMIT }, {});
  await mill.pause();
  const failed = record(mill, 'failed');
  for (let i = 0; i < 3; i++) await mill.enqueue('work', i, { expiresIn: '10s' });
  const last = await mill.enqueue('work', 'last');
  // No timer notices.
  clock.jump(20_000);
  await mill.resume();
  expect(await last.result()).toBe('last');
  expect(failed.all).toHaveLength(3);
});

test('one whose process died while its schema was asked counts: it may have begun', async () => {
  const clock = new FakeClock();
  const disk = new MemoryDisk();
  const ran = new Recorder<unknown>();
  const asked = new Recorder<unknown>();
  const openWith = async (validate: (value: unknown) => unknown) => {
    const rateLimit = { max: 2, per: '1m' } as const;
    const work = inlineJob((payload: unknown) => ran.push(payload), {
      rateLimit,
      schema: schemaOf(validate),
    });
    const store = new KillableStore(openMemoryStore(disk));
    return { ...(await openJobs(store, { work }, { clock })), store };
  };
  const first = await openWith((value) => {
    asked.push(value);
    return asked.all.length <= 2 ? Promise.resolve({ value }) : new Promise(() => {});
  });
  await first.engine.enqueue('work', 'a');
  // When it was enqueued, when it was put off, and when it is to run.
  await asked.reached(3);
  first.store.die();
  const second = await openWith((value) => ({ value }));
  await second.engine.enqueue('work', 'b');
  await ran.reached(1);
  for (let turns = 0; turns < 40; turns++) await new Promise((resolve) => setImmediate(resolve));
  expect(ran.all).toHaveLength(1);
  await clock.advance(WINDOW);
  await ran.reached(2);
});
