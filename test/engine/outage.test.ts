/**
 * A journal that cannot be written for a while: nothing that was acknowledged is lost, what runs goes on and its
 * outcomes are kept, what is new is refused, and the engine comes back by itself.
 */
import { expect, test } from 'vitest';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import type { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openInline, type InlineOptions } from '../fixtures/inline-engine.js';

const refused = {
  code: 'MILLRACE_JOURNAL_WRITE_FAILED',
  message: expect.stringContaining('the disk is full'),
};
const reopened = { code: 'MILLRACE_JOURNAL_REOPENED' };
/** Before the journal is first tried again. */
const FIRST_RETRY_MS = 100;

async function open(options: InlineOptions = {}, disk = new MemoryDisk()) {
  const clock = new FakeClock();
  const store = new FragileStore(openMemoryStore(disk));
  const opened = await openInline(store, { ...options, clock });
  /** There is room again. */
  const heal = async (): Promise<void> => {
    store.writes = undefined;
    await clock.armed(FIRST_RETRY_MS);
    await clock.advance(FIRST_RETRY_MS);
    await opened.warnings.until(({ code }) => code === reopened.code);
  };
  return { ...opened, clock, store, disk, heal };
}

/** The next write fails, whatever it is. */
async function fail({ engine, store }: { engine: EmbeddedEngine; store: FragileStore }): Promise<void> {
  store.writes = 'lost';
  await expect(engine.enqueue('work', null)).rejects.toMatchObject(refused);
}

test('once a write has failed nothing more is taken, and whoever waits goes on waiting', async () => {
  const opened = await open();
  const { engine, warnings, starts, release, heal } = opened;
  const { id } = await engine.enqueue('work', null);
  await starts.reached(1);
  const waiting = [engine.result(id), engine.drain()];
  await fail(opened);
  // What comes later is told at once.
  await expect(engine.enqueue('work', null)).rejects.toMatchObject(refused);
  await expect(engine.enqueue('work', null, { id: 'mine' })).rejects.toMatchObject(refused);
  expect(() => engine.enqueueMany([{ name: 'work' }])).toThrow(expect.objectContaining(refused));
  await expect(engine.cancel(id)).rejects.toMatchObject(refused);
  // What can be read is told.
  expect(await engine.snapshot(id)).toMatchObject({ state: 'running' });
  waiting.push(engine.result(id), engine.drain());
  await heal();
  release();
  await Promise.all(waiting);
  expect(warnings.all).toMatchObject([refused, reopened]);
  expect(await engine.counts()).toMatchObject({ completed: 1, running: 0, available: 0 });
});

test.each(['lost', 'applied'] as const)(
  'the outcome of a running job is kept, and told once it is in the journal (a write that failed: %s)',
  async (fault) => {
    const { engine, store, starts, ends, warnings, release, heal, disk } = await open();
    const { id } = await engine.enqueue('work', null);
    await starts.reached(1);
    const result = engine.result(id);
    store.writes = fault;
    release();
    await warnings.until(({ code }) => code === refused.code);
    expect(ends.all).toEqual([]);
    expect(await engine.snapshot(id)).toMatchObject({ state: 'running' });
    await heal();
    await result;
    expect(ends.all).toEqual([`completed ${id}`]);
    expect(await engine.counts()).toMatchObject({ completed: 1, running: 0 });
    // Not even a kill makes it run again.
    const next = await open({}, disk);
    expect(await next.engine.snapshot(id)).toMatchObject({ state: 'completed', attempt: 1 });
    expect(await next.engine.counts()).toMatchObject({ completed: 1, running: 0, available: 0 });
    expect(next.rescued.all).toEqual([]);
  },
);

test('jobs that end while nothing can be written are kept together, and their neighbours go on', async () => {
  const opened = await open({ places: 5 });
  const { engine, starts, ends, release, heal } = opened;
  const handles = await engine.enqueueMany([1, 2, 3].map(() => ({ name: 'work' })));
  await starts.reached(3);
  await fail(opened);
  release();
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  expect(ends.all).toEqual([]);
  await heal();
  await ends.reached(3);
  expect(ends.all.toSorted()).toEqual(handles.map(({ id }) => `completed ${id}`).toSorted());
  expect(await engine.counts()).toMatchObject({ completed: 3, running: 0 });
});

test.each([
  { fault: 'lost', jobs: 0 },
  { fault: 'applied', jobs: 1 },
] as const)(
  'a refused job is there afterwards where its write was, and runs ($fault)',
  async ({ fault, jobs }) => {
    const { engine, store, starts, heal } = await open();
    store.writes = fault;
    await expect(engine.enqueue('work', null, { priority: 1 })).rejects.toMatchObject(refused);
    await heal();
    const marker = await engine.enqueue('work', null);
    await starts.until((id) => id === marker.id);
    expect(starts.all).toHaveLength(jobs + 1);
  },
);

test.each(['lost', 'applied'] as const)(
  'a claim that could not be journaled is made again, once (%s)',
  async (fault) => {
    const { engine, store, starts, warnings, release, heal } = await open({ places: 1 });
    const first = await engine.enqueue('work', null);
    const second = await engine.enqueue('work', null);
    await starts.reached(1);
    // The outcome is the next write, and the claim of the second job the one after it.
    let writes = 0;
    store.onWrite = () => {
      if (++writes === 2) store.writes = fault;
    };
    release();
    await engine.result(first.id);
    await warnings.until(({ code }) => code === refused.code);
    expect(starts.all).toEqual([first.id]);
    await heal();
    await engine.result(second.id);
    expect(starts.all).toEqual([first.id, second.id]);
    expect(await engine.snapshot(second.id)).toMatchObject({ state: 'completed', attempt: 1 });
    expect(await engine.counts()).toMatchObject({ completed: 2, running: 0, available: 0 });
  },
);

test.each([
  { fault: 'lost', end: 'completed' },
  { fault: 'applied', end: 'cancelled' },
] as const)(
  'a refused cancel of a running job holds where it was written ($fault)',
  async ({ fault, end }) => {
    const { engine, store, starts, ends, release, heal } = await open();
    const { id } = await engine.enqueue('work', null);
    await starts.reached(1);
    store.writes = fault;
    await expect(engine.cancel(id)).rejects.toMatchObject(refused);
    await heal();
    release();
    await ends.reached(1);
    expect(ends.all).toEqual([`${end} ${id}`]);
    expect(await engine.counts()).toMatchObject({ [end]: 1, running: 0 });
    // What was refused can be asked for again.
    expect(await engine.cancel(id)).toBe(end);
  },
);

test('a refused cancel of a waiting job leaves it where it was', async () => {
  const { engine, store, starts, release, heal } = await open({ places: 1 });
  const first = await engine.enqueue('work', null);
  const second = await engine.enqueue('work', null);
  await starts.reached(1);
  store.writes = 'lost';
  await expect(engine.cancel(second.id)).rejects.toMatchObject(refused);
  await heal();
  release();
  await Promise.all([engine.result(first.id), engine.result(second.id)]);
});

test('a disk that erred may have lost what was written and not synced: what runs goes on all the same', async () => {
  const { engine, store, starts, ends, release, heal, disk } = await open({ places: 3 });
  const kept = await engine.enqueue('work', null);
  const [gone] = await engine.enqueueMany([{ name: 'work', options: { durability: 'os' } }]);
  await starts.reached(2);
  store.writes = 'lost';
  await expect(engine.enqueue('work', null)).rejects.toMatchObject(refused);
  // The claims go with it, and one job altogether.
  disk.dropUnsynced();
  await heal();
  release();
  await ends.reached(2);
  expect(ends.all.toSorted()).toEqual([kept.id, gone?.id].map((id) => `completed ${id}`).toSorted());
  expect(await engine.counts()).toMatchObject({ completed: 2, running: 0, available: 0 });
  expect(starts.all).toHaveLength(2);
});

test('a job that runs and that the disk holds as delayed again goes on, and does not run beside itself', async () => {
  const opened = await open();
  const { engine, clock, starts, ends, release, heal, disk } = opened;
  const { id } = await engine.enqueue('work', null, { delay: 10 });
  await clock.armed(10);
  await clock.advance(10);
  await starts.reached(1);
  await fail(opened);
  // That it was due and was claimed goes with it.
  disk.dropUnsynced();
  await heal();
  expect(await engine.snapshot(id)).toMatchObject({ state: 'running', attempt: 1 });
  release();
  await ends.reached(1);
  await engine.drain();
  expect(starts.all).toEqual([id]);
  expect(await engine.counts()).toMatchObject({ completed: 1, scheduled: 0, running: 0, available: 0 });
});

test('a job that goes on although the disk holds it as delayed is rescued after a kill', async () => {
  const opened = await open();
  const { engine, clock, starts, heal, disk } = opened;
  const { id } = await engine.enqueue('work', null, { delay: 10 });
  await clock.armed(10);
  await clock.advance(10);
  await starts.reached(1);
  await fail(opened);
  disk.dropUnsynced();
  await heal();
  const next = await open({}, disk);
  await next.rescued.reached(1);
  expect(next.rescued.all).toEqual([id]);
});

test('while the journal cannot be opened it is tried ever less often, and the reason is told once', async () => {
  const opened = await open();
  const { engine, store, clock, warnings } = opened;
  const { id } = await engine.enqueue('work', null);
  await fail(opened);
  store.reopens = new Error('no space left on device');
  const tries = (): number => store.reopened.all.length;
  await clock.armed(FIRST_RETRY_MS);
  for (let triesSoFar = 0; triesSoFar < 20; triesSoFar++) {
    await clock.advanceToNext();
    await store.reopened.reached(triesSoFar + 1);
    // Until the next one is set.
    await clock.armed();
  }
  expect(tries()).toBe(20);
  expect(clock.monotonic()).toBeGreaterThan(60_000);
  expect(warnings.all).toMatchObject([
    refused,
    { code: 'MILLRACE_JOURNAL_OPEN_FAILED', message: expect.stringContaining('no space left') },
  ]);
  expect(await engine.snapshot(id)).toMatchObject({ state: 'running' });
  store.reopens = undefined;
  store.writes = undefined;
  await clock.advanceToNext();
  await warnings.until(({ code }) => code === reopened.code);
  await engine.enqueue('work', null);
});

test('a write that fails again while the engine comes back makes it wait again', async () => {
  const opened = await open();
  const { engine, store, clock, starts, release, warnings } = opened;
  const { id } = await engine.enqueue('work', null);
  await starts.reached(1);
  await fail(opened);
  release();
  await clock.armed(FIRST_RETRY_MS);
  // It can be opened, and not written.
  await clock.advance(FIRST_RETRY_MS);
  await store.reopened.reached(1);
  await clock.armed(2 * FIRST_RETRY_MS);
  store.writes = undefined;
  await clock.advance(2 * FIRST_RETRY_MS);
  await engine.result(id);
  await warnings.until(({ code }) => code === reopened.code);
  expect(await engine.counts()).toMatchObject({ completed: 1, running: 0 });
});

test('delayed jobs that came due meanwhile run afterwards', async () => {
  const opened = await open();
  const { engine, clock, starts, heal } = opened;
  const { id } = await engine.enqueue('work', null, { delay: 50 });
  await fail(opened);
  await heal();
  expect(clock.monotonic()).toBeGreaterThan(50);
  await starts.until((started) => started === id);
});

test('a limit still counts what runs', async () => {
  const opened = await open({ places: 2, concurrency: 1 });
  const { engine, starts, release, heal } = opened;
  const handles = await engine.enqueueMany([{ name: 'work' }, { name: 'work' }]);
  await starts.reached(1);
  await fail(opened);
  await heal();
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  expect(starts.all).toHaveLength(1);
  release();
  await Promise.all(handles.map(({ id }) => engine.result(id)));
});

test('close() ends an engine whose journal has failed; what was not written runs after the next start', async () => {
  const opened = await open();
  const { engine, starts, ends, release, disk, clock } = opened;
  const { id } = await engine.enqueue('work', null);
  await starts.reached(1);
  const result = engine.result(id);
  await fail(opened);
  release();
  const closed = engine.close(1_000);
  await clock.armed(1_000);
  await clock.advance(1_000);
  await closed;
  await expect(result).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
  expect(opened.warnings.all.at(-1)).toMatchObject({
    code: 'MILLRACE_JOURNAL_WRITE_FAILED',
    message: expect.stringContaining('what 1 jobs came to is lost'),
  });
  expect(ends.all).toEqual([]);
  const next = await open({}, disk);
  expect(next.rescued.all).toEqual([id]);
  await next.starts.until((started) => started === id);
});

test('close() gives the journal its time to come back', async () => {
  const opened = await open();
  const { engine, store, starts, release, clock, disk } = opened;
  const { id } = await engine.enqueue('work', null);
  await starts.reached(1);
  await fail(opened);
  release();
  store.writes = undefined;
  const closed = engine.close(1_000);
  await clock.armed(1_000);
  await clock.advance(FIRST_RETRY_MS);
  await closed;
  expect(clock.monotonic()).toBeLessThan(1_000);
  const next = await open({}, disk);
  expect(await next.engine.snapshot(id)).toMatchObject({ state: 'completed' });
});

test('a journal that fails while the engine closes ends that, too', async () => {
  const { engine, store, starts, clock } = await open();
  await engine.enqueue('work', null);
  await starts.reached(1);
  store.writes = 'lost';
  const closed = engine.close(0);
  const GRACE_MS = 1;
  await clock.armed(GRACE_MS);
  await clock.advance(GRACE_MS);
  await closed;
});

test.each(['before', 'after'] as const)(
  'a cancel that was refused and has reached the disk ends the job for whoever awaits it, asked %s the outage',
  async (asked) => {
    const { engine, store, heal } = await open();
    const job = await engine.enqueue('work', null, { delay: '1h' });
    const early = asked === 'before' ? job.result() : undefined;
    store.writes = 'applied';
    await expect(job.cancel()).rejects.toMatchObject(refused);
    await heal();
    await expect(early ?? job.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_CANCELLED' });
    expect(await engine.counts()).toMatchObject({ cancelled: 1, scheduled: 0 });
  },
);

test('whoever awaits a job that the disk has lost, as its durability allows, hears of that', async () => {
  const opened = await open();
  const { engine, disk, heal } = opened;
  // The first write is synced, for it reserves sequence numbers.
  await engine.enqueue('work', null, { delay: '1h' });
  const job = await engine.enqueue('work', null, { delay: '1h', durability: 'os' });
  const early = job.result();
  await fail(opened);
  disk.dropUnsynced();
  await heal();
  await expect(early).rejects.toMatchObject({ code: 'MILLRACE_JOB_NOT_FOUND' });
  await expect(job.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_NOT_FOUND' });
});

test.each([
  { delay: 50, durability: 'fsync', what: 'promotion' },
  { delay: 50, durability: 'os', what: 'delayed job' },
] as const)(
  'a disk that erred may have lost a $what: the job runs on, once, and is an orphan like any other ($durability)',
  async ({ delay, durability }) => {
    const { engine, store, clock, starts, ends, release, heal, disk } = await open();
    // The first write of all reaches the disk.
    await engine.enqueue('work', null, { delay: '1d' });
    const { id } = await engine.enqueue('work', null, { delay, durability });
    await clock.armed(delay);
    await clock.advance(delay);
    await starts.reached(1);
    store.writes = 'lost';
    await expect(engine.enqueue('work', null)).rejects.toMatchObject(refused);
    disk.dropUnsynced();
    await heal();
    for (let i = 0; i < 5; i++) await new Promise(setImmediate);
    expect(starts.all).toEqual([id]);
    expect(await engine.counts()).toMatchObject({ running: 1, scheduled: 1, available: 0 });
    // Were it killed now, it would run again after the next start.
    const next = await open({}, disk.copy());
    expect(next.rescued.all).toEqual([id]);
    expect(await next.engine.counts()).toMatchObject({ scheduled: 1 });
    release();
    await ends.reached(1);
    expect(ends.all).toEqual([`completed ${id}`]);
    expect(await engine.counts()).toMatchObject({ completed: 1, running: 0, scheduled: 1, available: 0 });
  },
);

test('a refused cancel of a waiting job that was written all the same is told to all who wait', async () => {
  const { engine, store, starts, ends, heal } = await open({ places: 1 });
  await engine.enqueue('work', null);
  const { id } = await engine.enqueue('work', null);
  await starts.reached(1);
  const result = engine.result(id);
  store.writes = 'applied';
  await expect(engine.cancel(id)).rejects.toMatchObject(refused);
  await heal();
  await expect(result).rejects.toMatchObject({ code: 'MILLRACE_JOB_CANCELLED' });
  expect(ends.all).toEqual([`cancelled ${id}`]);
});

test('who waits for a job that the disk has lost is told so', async () => {
  const { engine, store, starts, heal, disk } = await open({ places: 1 });
  await engine.enqueue('work', null);
  await starts.reached(1);
  const [early, late] = await engine.enqueueMany(
    [1, 2].map(() => ({ name: 'work', options: { durability: 'os' as const } })),
  );
  const result = early?.result();
  store.writes = 'lost';
  await expect(engine.enqueue('work', null)).rejects.toMatchObject(refused);
  disk.dropUnsynced();
  await heal();
  await expect(result).rejects.toMatchObject({ code: 'MILLRACE_JOB_NOT_FOUND' });
  await expect(late?.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_NOT_FOUND' });
});

test('a journal that can be opened, and fails again with what was kept, is tried ever less often, too', async () => {
  const opened = await open();
  const { engine, store, clock, starts, release } = opened;
  const { id } = await engine.enqueue('work', null);
  await starts.reached(1);
  await fail(opened);
  release();
  // Small writes succeed, the outcome does not.
  let writes = 0;
  store.onWrite = () => (store.writes = writes++ % 2 === 0 ? undefined : 'lost');
  for (const delayMs of [1, 2, 4, 8].map((times) => times * FIRST_RETRY_MS)) {
    await clock.armed(delayMs);
    await clock.advance(delayMs);
  }
  await clock.armed(16 * FIRST_RETRY_MS);
  store.onWrite = () => (store.writes = undefined);
  await clock.advance(16 * FIRST_RETRY_MS);
  await engine.result(id);
});
