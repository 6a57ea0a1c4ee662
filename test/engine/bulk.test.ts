/** cancel(), retry(), promote() and remove() of all jobs that a filter means. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace, threadJob } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { collect } from '../fixtures/collect.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { Gate } from '../fixtures/gate.js';
import { openInline } from '../fixtures/inline-engine.js';
import type { Script } from '../fixtures/scripted.js';
import { StoreSpy } from '../fixtures/store-spy.js';

const many = <Options extends object>(count: number, payload: Script, options: Options) =>
  Array.from({ length: count }, () => ({ name: 'work', payload, options }) as const);

test('more jobs than go into one commit are cancelled, retried, promoted and removed', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const work = scriptedInline({ concurrency: 1, grace: 1 });
  const queues = { default: {}, other: {} };
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, queues, durability: 'os' }));
  const busy = await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'busy' });
  await gate.arrived('busy');
  const events = record(mill, 'cancelled', 'enqueued');
  await mill.enqueueMany(many(700, { do: 'return' }, {}));
  await mill.enqueueMany(many(50, { do: 'return' }, { queue: 'other' }));
  await mill.enqueueMany(many(700, { do: 'return' }, { delay: 3_600_000 }));
  expect(await mill.cancel({ state: 'available', queue: 'default' }, { reason: 'not needed' })).toBe(700);
  expect(events.all.slice(-700)).toEqual(
    Array.from({ length: 700 }, () => ['cancelled', expect.objectContaining({ reason: 'not needed' })]),
  );
  expect(await mill.counts()).toMatchObject({ available: 50, running: 1, scheduled: 700, cancelled: 700 });
  expect(await mill.promote({ queue: 'default' })).toBe(700);
  expect(await mill.retry({ state: 'cancelled' })).toBe(700);
  expect(await mill.counts()).toMatchObject({ available: 1_450, running: 1, scheduled: 0, cancelled: 0 });
  // What runs stays.
  expect(await mill.remove({ queue: 'default' })).toBe(1_400);
  expect(await mill.counts('default')).toMatchObject({ available: 0, running: 1 });
  gate.open('busy');
  await busy.result();
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: 51, available: 0, running: 0, cancelled: 0 });
  expect(await mill.remove({})).toBe(51);
  expect(await collect(mill.jobs())).toEqual([]);
  await mill.close();
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
}, 60_000);

test('of a filter without states, jobs in threads are asked and then ended, and all others go as well', async () => {
  const { options, closing } = await bench();
  const work = scriptedThread({ grace: 20 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, threads: { count: 2 } }));
  const begun = record(mill, 'progress');
  const listens = await mill.enqueue('work', { do: 'untilAborted', ends: 'throw' });
  const loops = await mill.enqueue('work', { do: 'loop' });
  await begun.reached(2);
  await mill.enqueueMany([
    ...many(20, { do: 'return' }, {}),
    ...many(20, { do: 'return' }, { delay: 3_600_000 }),
  ]);
  expect(await mill.cancel({ name: 'work' }, { reason: 'the day is over' })).toBe(42);
  for (const { id } of [listens, loops])
    expect(await mill.job(id)).toMatchObject({
      state: 'cancelled',
      cancelReason: 'the day is over',
      attempt: 1,
      errors: [],
    });
  await expect(loops.result()).rejects.toMatchObject({ reason: 'the day is over' });
  expect(await mill.counts()).toMatchObject({ cancelled: 42, available: 0, running: 0, scheduled: 0 });
  expect(await (await mill.enqueue('work', { do: 'return', value: 'next' })).result()).toBe('next');
});

test('what runs is not cancelled where the filter does not mean it', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const work = scriptedThread({ grace: 20 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, threads: { count: 1 } }));
  const busy = await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'busy', value: 'done' });
  await gate.arrived('busy');
  await mill.enqueueMany(many(3, { do: 'return' }, {}));
  expect(await mill.cancel({ state: ['available', 'scheduled'] })).toBe(3);
  gate.open('busy');
  expect(await busy.result()).toBe('done');
});

test('a job that was claimed since it was found available is left alone', async () => {
  const store = new StoreSpy(openMemoryStore(new MemoryDisk()));
  const { engine, starts, release } = await openInline(store, { places: 1 });
  await engine.enqueue('work', null, { id: 'first' });
  await engine.enqueue('work', null, { id: 'second' });
  await starts.reached(1);
  // The first ends, and the second is claimed, while the cancel is on its way.
  release();
  const cancelled = await engine.cancel({ state: 'available' });
  await engine.drain();
  const counts = await engine.counts();
  expect(counts).toMatchObject({ cancelled, completed: 2 - Number(cancelled) });
});

const tiny = threadJob<typeof import('../fixtures/tiny.js')>(
  new URL('../fixtures/tiny.js', import.meta.url),
  {
    maxAttempts: 1,
    grace: 20,
  },
);

test('cancelling several jobs that share a thread costs their neighbours on it nothing', async () => {
  const { options, closing } = await bench();
  const jobs = { tiny, work: scriptedThread({ grace: 20 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 }, durability: 'os' }));
  const items = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ name: 'tiny', payload: i }) as const);
  // From here on they are known to be tiny, and share messages.
  await Promise.all((await mill.enqueueMany(items(300))).map((job) => job.result()));
  for (let round = 0; round < 5; round++) {
    const jobs = await mill.enqueueMany(items(200));
    const ids = jobs.filter((_, i) => i % 2 === 0).map(({ id }) => id);
    const states = await Promise.all(ids.map((id) => mill.cancel(id)));
    const results = await Promise.allSettled(jobs.map((job) => job.result()));
    for (const [i, { id }] of jobs.entries()) {
      const job = await mill.job(id);
      expect(job).toMatchObject({ errors: [], state: i % 2 === 0 ? states[i / 2] : 'completed' });
      expect(job?.attempt).toBeLessThan(2);
      expect(results[i]?.status).toBe(job?.state === 'completed' ? 'fulfilled' : 'rejected');
    }
  }
});

test('a bulk cancel ends a thread for one of its jobs, and its neighbours keep their attempt', async () => {
  const { options, closing } = await bench();
  const jobs = { tiny, doomed: { ...tiny, options: { ...tiny.options, queue: 'doomed' } } };
  const queues = { default: {}, doomed: {} };
  const mill = closing(
    await Millrace.open({ ...options, jobs, queues, threads: { count: 1 }, durability: 'os' }),
  );
  const warm = ['tiny', 'doomed'] as const;
  const warmUp = Array.from(
    { length: 600 },
    (_, i) => ({ name: warm[i % 2] ?? 'tiny', payload: i }) as const,
  );
  await Promise.all((await mill.enqueueMany(warmUp)).map((job) => job.result()));
  const started = record(mill, 'started');
  const mixed = Array.from({ length: 60 }, (_, i) =>
    i % 3 === 0 ? ({ name: 'doomed', payload: 'loop' } as const) : ({ name: 'tiny', payload: i } as const),
  );
  const handles = await mill.enqueueMany(mixed);
  await started.until(([, value]) => 'name' in value && value.name === 'doomed');
  expect(await mill.cancel({ name: 'doomed', state: ['available', 'running', 'retryable'] })).toBe(20);
  for (const [i, job] of handles.entries()) {
    if (i % 3 === 0) await expect(job.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_CANCELLED' });
    else expect(await job.result()).toBe(i);
    expect(await job.snapshot()).toMatchObject({ errors: [] });
    if (i % 3 !== 0) expect(await job.snapshot()).toMatchObject({ attempt: 1 });
  }
}, 60_000);

test('two bulk cancels at the same time count each job once between them', async () => {
  const { options, closing } = await bench();
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: scriptedInline() }, durability: 'os' }),
  );
  await mill.enqueueMany(many(900, { do: 'return' }, { delay: 3_600_000 }));
  const counts = await Promise.all([mill.cancel({}), mill.cancel({ state: 'scheduled' }), mill.cancel({})]);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(900);
  expect(await mill.counts()).toMatchObject({ cancelled: 900, scheduled: 0 });
});

test('inline, the reason of the signal says what was said of the cancel', async () => {
  const { options, closing } = await bench();
  const reasons: unknown[] = [];
  const work = inlineJob((_payload: undefined, job) => {
    job.progress('begun');
    return new Promise((resolve) =>
      job.signal.addEventListener('abort', () => resolve(reasons.push(job.signal.reason))),
    );
  });
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const begun = record(mill, 'progress');
  const job = await mill.enqueue('work');
  await begun.reached(1);
  expect(await job.cancel({ reason: 'too slow' })).toBe('cancelled');
  expect(reasons).toMatchObject([{ code: 'MILLRACE_JOB_CANCELLED', reason: 'too slow' }]);
});

test.each([
  { reason: '' },
  { reason: 'x'.repeat(257) },
  { reason: 7 },
  { reason: '\ud800' },
  { because: 'x' },
])('a cancel with %j is refused, and changes nothing', async (wrong) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const job = await mill.enqueue('work', { do: 'return' }, { delay: '1h' });
  // What no type lets pass.
  const asked = wrong as { reason?: string };
  await expect(job.cancel(asked)).rejects.toMatchObject({ code: 'MILLRACE_OPTION_INVALID' });
  await expect(mill.cancel({}, asked)).rejects.toMatchObject({ code: 'MILLRACE_OPTION_INVALID' });
  expect(await job.snapshot()).toMatchObject({ state: 'scheduled' });
});

test.each(['lost', 'applied'] as const)(
  'after a write that failed, a retry or removal is what the journal holds of it (%s)',
  async (fault) => {
    const clock = new FakeClock();
    const store = new FragileStore(openMemoryStore(new MemoryDisk()));
    const { engine, starts, release, warnings } = await openInline(store, { clock });
    release();
    for (const id of ['retried', 'removed']) {
      await engine.enqueue('work', null, { id, delay: '1h' });
      await engine.cancel(id);
    }
    store.writes = fault;
    const refused = { code: 'MILLRACE_JOURNAL_WRITE_FAILED' };
    const calls = [engine.retry('retried'), engine.remove('removed')];
    for (const call of calls) await expect(call).rejects.toMatchObject(refused);
    await expect(engine.retry({})).rejects.toMatchObject(refused);
    store.writes = undefined;
    await clock.armed(100);
    await clock.advance(100);
    await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED');
    await engine.drain();
    expect(starts.all).toEqual(fault === 'applied' ? ['retried'] : []);
    expect(await engine.snapshot('retried')).toMatchObject({
      state: fault === 'applied' ? 'completed' : 'cancelled',
    });
    const removed = await engine.snapshot('removed');
    if (fault === 'applied') expect(removed).toBeUndefined();
    else expect(removed).toMatchObject({ state: 'cancelled' });
    expect(await engine.remove({})).toBe(fault === 'applied' ? 1 : 2);
    expect(Object.values(await engine.counts()).every((count) => count === 0)).toBe(true);
  },
);
