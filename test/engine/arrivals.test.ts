/** A job that nothing stands before is claimed with its enqueue; whatever else is true of jobs is true of it. */
import { expect, test } from 'vitest';
import { memoryDisk, type Disk } from '../fixtures/disks.js';
import { openInline } from '../fixtures/inline-engine.js';
import { Recorder } from '../fixtures/recorder.js';
import { StoreSpy } from '../fixtures/store-spy.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** An engine that has found that nothing waits. */
async function idle(disk?: Disk) {
  const store = new StoreSpy(await (disk ?? (await memoryDisk())).open());
  const opened = await openInline(store);
  // The store in memory answers within the turn.
  await turn();
  store.writes.length = 0;
  return { ...opened, store };
}

test('on an idle engine the write of its enqueue is the only one before it starts', async () => {
  const { engine, announcer, store, starts } = await idle();
  const order = new Recorder<string>();
  announcer.emitter.on('enqueued', () => order.push('enqueued'));
  announcer.emitter.on('started', () => order.push('started'));
  const { id } = await engine.enqueue('work', null);
  await starts.until((started) => started === id);
  expect(store.writes).toMatchObject([{ sync: true }]);
  expect(order.all).toEqual(['enqueued', 'started']);
  expect(await engine.counts()).toMatchObject({ available: 0, running: 1 });
  expect(await engine.snapshot(id)).toMatchObject({ state: 'running', attempt: 1 });
});

test('a process that dies while it runs leaves an orphan like any other', async () => {
  const disk = await memoryDisk();
  const first = await idle(disk);
  const { id } = await first.engine.enqueue('work', null);
  await first.starts.reached(1);
  expect(first.store.writes).toHaveLength(1);
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

test('no more are claimed than there are places', async () => {
  const { engine, starts } = await idle();
  await Promise.all(Array.from({ length: 10 }, () => engine.enqueue('work', null)));
  expect(starts.all).toHaveLength(2);
  expect(await engine.counts()).toMatchObject({ available: 8, running: 2 });
});

test('one that the journal does not take never starts, and gives its place back', async () => {
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
