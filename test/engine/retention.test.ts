/** What an engine keeps of jobs that have ended, and what becomes of their ids. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type Retention } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { statusKey } from '../../src/journal/keys.js';
import { WITNESS_INTERVAL_MS } from '../../src/journal/witness-keeper.js';
import { bench, record } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { openInline } from '../fixtures/inline-engine.js';
import { StoreSpy } from '../fixtures/store-spy.js';

const NOT_FOUND = { code: 'MILLRACE_JOB_NOT_FOUND' };

async function open(retention: Retention) {
  const { options, closing } = await bench();
  const runs: string[] = [];
  const handler = (payload: string): string => {
    runs.push(payload);
    if (payload === 'fail') throw new Error('as it was told to');
    return `did ${payload}`;
  };
  const jobs = { work: inlineJob(handler, { retention, maxAttempts: 1 }) };
  const clock = new FakeClock();
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  const ended = async (): Promise<number> => {
    const { completed, failed, cancelled } = await mill.counts();
    return completed + failed + cancelled;
  };
  /** Time passes, until no more than so many ended jobs are kept. */
  const untilKept = async (count: number): Promise<void> => {
    while ((await ended()) > count) {
      await clock.advance(1_000);
      await turn();
    }
  };
  return { mill, clock, runs, untilKept };
}

test('of a job that is no longer kept nothing is known, and whoever asks is told so', async () => {
  const { mill, untilKept } = await open({ completed: '10m', failed: '30m', cancelled: '50m' });
  const completed = await mill.enqueue('work', 'it');
  expect(await completed.result()).toBe('did it');
  const failed = await mill.enqueue('work', 'fail');
  await expect(failed.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
  const cancelled = await mill.enqueue('work', 'never', { delay: '100h' });
  await cancelled.cancel();
  for (const [i, job] of [completed, failed, cancelled].entries()) {
    expect(await job.snapshot()).toHaveProperty('state');
    await untilKept(2 - i);
    expect(await mill.job(job.id)).toBeUndefined();
    await expect(job.snapshot()).rejects.toMatchObject(NOT_FOUND);
    await expect(job.cancel()).rejects.toMatchObject(NOT_FOUND);
    await expect(job.result()).rejects.toMatchObject(NOT_FOUND);
    await expect(job.progress()[Symbol.asyncIterator]().next()).rejects.toMatchObject(NOT_FOUND);
    // Nobody looks at this one.
    void job.result();
  }
  await turn();
});

test('an id is taken as long as its job is kept, and free from then on', async () => {
  const { mill, runs, untilKept } = await open({ completed: '10m' });
  const events = record(mill, 'enqueued');
  const first = await mill.enqueue('work', 'first', { id: 'once' });
  await first.result();
  const again = await mill.enqueue('work', 'second', { id: 'once' });
  expect(await again.result()).toBe('did first');
  await untilKept(0);
  const anew = await mill.enqueue('work', 'third', { id: 'once' });
  expect(await anew.result()).toBe('did third');
  expect(runs).toEqual(['first', 'third']);
  expect(events.all).toHaveLength(2);
  expect(await mill.counts()).toMatchObject({ completed: 1, available: 0, running: 0 });
});

test('jobs that are kept for ever or not yet due keep no process alive, and no timer runs for the former', async () => {
  const { mill, clock } = await open({ completed: 'forever' });
  await (await mill.enqueue('work', 'it')).result();
  // Until the witness has noted what was written.
  await clock.advance(WITNESS_INTERVAL_MS);
  expect(clock.isIdle).toBe(true);
  expect(await mill.counts()).toMatchObject({ completed: 1 });
});

test('the status that a power cut has left of a job that was removed is none of a new one with its id', async () => {
  const disk = new MemoryDisk();
  const first = await openInline(openMemoryStore(disk));
  first.release();
  await (await first.engine.enqueue('work', 1, { id: 'once' })).result();
  await first.engine.close(0);
  // The removal is lost in part: the record of the enqueue is gone, and the status of its end is back.
  disk.apply([['j!once', undefined]], true);
  expect(disk.get(statusKey('once'))).toBeDefined();
  const second = await openInline(openMemoryStore(disk));
  second.release();
  const job = await second.engine.enqueue('work', 2, { id: 'once' });
  expect(await job.snapshot()).not.toMatchObject({ state: 'completed' });
  await job.result();
  expect(second.starts.all).toEqual(['once']);
  expect(second.warnings.all).toEqual([]);
});

test('an enqueue whose id is just being removed gets the job that was, or makes a new one, and never half of each', async () => {
  const store = new StoreSpy(openMemoryStore(new MemoryDisk()));
  const clock = new FakeClock();
  const { engine, starts, release, announcer } = await openInline(store, {
    clock,
    retention: { completed: '1m' },
    places: 8,
  });
  release();
  let made = 0;
  announcer.emitter.on('enqueued', () => made++);
  const ids = ['a', 'b', 'c', 'd'];
  const enqueueAll = (): Promise<unknown> => Promise.all(ids.map((id) => engine.enqueue('work', id, { id })));
  for (let round = 0; round < 40; round++) {
    do {
      await enqueueAll();
      await engine.drain();
      await turn();
    } while (clock.isIdle);
    // Everything that is there is due by now, and its removal begins; the enqueues come so many turns later.
    const removed = clock.advanceToNext();
    for (let i = 0; i < round % 8; i++) await turn();
    if (round % 3 === 0) store.hold();
    const enqueued = enqueueAll();
    for (let i = 0; i < round % 5; i++) await turn();
    store.letGo();
    await Promise.all([removed, enqueued]);
  }
  await engine.drain();
  expect(made).toBeGreaterThan(ids.length);
  expect(starts.all).toHaveLength(made);
  const { completed, ...others } = await engine.counts();
  expect(Object.values(others).every((count) => count === 0)).toBe(true);
  const there = await Promise.all(ids.map((id) => engine.snapshot(id)));
  const found = there.filter((job) => job !== undefined);
  expect(completed).toBe(found.length);
  expect(found.every(({ state }) => state === 'completed')).toBe(true);
});

test('what ended of a type that the code does not name any more is kept, whatever time passes', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const work = inlineJob((payload: string) => payload, { retention: { completed: 'forever' } });
  const brief = inlineJob((payload: string) => payload, { retention: { completed: '1m' } });
  const before = closing(await Millrace.open({ ...options, jobs: { work, brief }, clock }));
  await (await before.enqueue('work', 'kept', { id: 'kept' })).result();
  await (await before.enqueue('brief', 'gone', { id: 'gone' })).result();
  await before.close();
  const without = closing(await Millrace.open({ ...options, jobs: { brief }, clock }));
  while ((await without.counts()).completed > 1) {
    await clock.advance(30 * 86_400_000);
    await turn();
  }
  expect(await without.job('kept')).toMatchObject({ result: 'kept' });
});
