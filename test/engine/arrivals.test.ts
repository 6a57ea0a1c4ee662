/** A job that nothing stands before is claimed with its enqueue; whatever else is true of jobs is true of it. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { memoryDisk, type Disk } from '../fixtures/disks.js';
import { openInline, type InlineOptions } from '../fixtures/inline-engine.js';
import { Recorder } from '../fixtures/recorder.js';
import { StoreSpy } from '../fixtures/store-spy.js';

/** An engine that has found that nothing waits. */
async function idle(options: InlineOptions = {}, disk?: Disk) {
  const store = new StoreSpy(await (disk ?? (await memoryDisk())).open());
  const opened = await openInline(store, options);
  // The store in memory answers within the turn.
  await turn();
  return { ...opened, store };
}

test('on an idle engine the write of its enqueue is the only one before it starts', async () => {
  const { engine, announcer, store, starts } = await idle();
  // The numbers of an open journal are reserved by its first write.
  const { id: first } = await engine.enqueue('work', null, { durability: 'os' });
  store.writes.length = 0;
  const order = new Recorder<string>();
  announcer.emitter.on('enqueued', () => order.push('enqueued'));
  announcer.emitter.on('started', () => order.push('started'));
  const { id } = await engine.enqueue('work', null);
  await starts.until((started) => started === id);
  expect(store.writes).toMatchObject([{ sync: true }]);
  expect(order.all).toEqual(['enqueued', 'started']);
  expect(starts.all).toEqual([first, id]);
  expect(await engine.counts()).toMatchObject({ available: 0, running: 2 });
  expect(await engine.snapshot(id)).toMatchObject({ state: 'running', attempt: 1 });
});

test('a process that dies while it runs leaves an orphan like any other', async () => {
  const disk = await memoryDisk();
  const first = await idle({}, disk);
  const { id } = await first.engine.enqueue('work', null);
  await first.starts.reached(1);
  const next = await openInline(await (await disk.afterKill()).open());
  await next.starts.until((started) => started === id);
  next.release();
  await next.engine.drain();
  expect(next.rescued.all).toEqual([id]);
  expect(await next.engine.snapshot(id)).toMatchObject({ state: 'completed', attempt: 1 });
});

test('it overtakes none: not those that wait, and not those that are on their way', async () => {
  const { engine, starts, release } = await idle();
  // Two have the places, one waits for one of them, and the last comes while that is on its way.
  const enqueued = [1, 2, 3, 4].map(() => engine.enqueue('work', null));
  await starts.reached(2);
  release();
  for (let i = 0; i < 40; i++) {
    enqueued.push(engine.enqueue('work', null));
    // Sometimes the engine is idle by then, sometimes not.
    for (let n = 0; n < i % 5; n++) await turn();
  }
  const ids = (await Promise.all(enqueued)).map(({ id }) => id);
  await engine.drain();
  expect(starts.all).toEqual(ids);
});

test.each([
  ['places', { places: 2 }],
  ['the type may have', { places: 10, concurrency: 2 }],
  ['the queue may have', { places: 10, queues: { default: { concurrency: 2 } } }],
])('no more are claimed than %s', async (_what, options) => {
  const { engine, starts } = await idle(options);
  for (let i = 0; i < 5; i++) await engine.enqueue('work', null);
  await Promise.all([1, 2, 3].map(() => engine.enqueue('work', null)));
  expect(starts.all).toHaveLength(2);
  expect(await engine.counts()).toMatchObject({ available: 6, running: 2 });
});

test('of several that come in one turn the one with the highest priority is first', async () => {
  const { engine, starts, release } = await idle({ places: 1 });
  release();
  const [low, high] = await Promise.all([
    engine.enqueue('work', null, { priority: 0 }),
    engine.enqueue('work', null, { priority: 10 }),
  ]);
  await engine.drain();
  expect(starts.all).toEqual([high.id, low.id]);
});

test('of several that come in one turn the one of the heavier queue is first, where order is strict', async () => {
  const queues = { light: { weight: 1 }, heavy: { weight: 2 }, default: {} };
  const { engine, starts, release } = await idle({ places: 1, queues, selection: 'strict' });
  release();
  const [light, heavy] = await Promise.all([
    engine.enqueue('work', null, { queue: 'light' }),
    engine.enqueue('work', null, { queue: 'heavy' }),
  ]);
  await engine.drain();
  expect(starts.all).toEqual([heavy.id, light.id]);
});

test.each(['enqueue', 'enqueueMany'] as const)(
  'one that a listener of `enqueued` adds does not overtake those that %s() has brought',
  async (how) => {
    const { engine, announcer, starts, release } = await idle({ places: 1 });
    release();
    let later: Promise<{ id: string }> | undefined;
    announcer.emitter.on('enqueued', () => {
      later ??= engine.enqueue('work', null);
    });
    const options = { priority: 10 };
    const first =
      how === 'enqueue'
        ? [await engine.enqueue('work', null, { id: 'first', ...options })]
        : await engine.enqueueMany([1, 2, 3].map(() => ({ name: 'work', payload: null, options })));
    await later;
    await engine.drain();
    expect(starts.all).toEqual([...first.map(({ id }) => id), (await later)?.id]);
  },
);

test('one that the journal does not take never starts', async () => {
  const { engine, store, starts } = await idle();
  store.failure = new Error('the disk is full');
  await expect(engine.enqueue('work', null)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_WRITE_FAILED' });
  expect(starts.all).toEqual([]);
  expect(engine.executor.size).toBe(0);
});

test('one that is due later is not claimed', async () => {
  const { engine, starts } = await idle();
  const { id } = await engine.enqueue('work', null, { delay: '1h' });
  expect(await engine.snapshot(id)).toMatchObject({ state: 'scheduled' });
  expect(starts.all).toEqual([]);
});

test('one for which there is no memory is refused alone, and takes no place', async () => {
  const { engine, starts, release } = await idle({ places: 1 });
  const allocate = vi.spyOn(Buffer, 'allocUnsafe').mockImplementationOnce(() => {
    throw new RangeError('Array buffer allocation failed');
  });
  await expect(engine.enqueue('work', null)).rejects.toThrow('allocation failed');
  allocate.mockRestore();
  const { id } = await engine.enqueue('work', null);
  release();
  await engine.drain();
  expect(starts.all).toEqual([id]);
});
