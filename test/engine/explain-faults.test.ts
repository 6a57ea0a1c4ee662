/** Why a job is not running: reasons that need a disk, or threads, that do not do as they should. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { Millrace, type Reason } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { bench, record, scriptedThread } from '../fixtures/engine.js';
import { deferred } from '../fixtures/deferred.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openInline } from '../fixtures/inline-engine.js';
import { StoreSpy } from '../fixtures/store-spy.js';

type Engine = Awaited<ReturnType<typeof openInline>>['engine'];

const kindsOf = async (engine: Engine, id: string): Promise<string[]> =>
  (await engine.explain(id)).reasons.map(({ reason }) => reason);

test('an outage of the journal, for what waits and what runs', async () => {
  const clock = new FakeClock();
  const store = new FragileStore(openMemoryStore(new MemoryDisk()));
  const { engine, starts, warnings, release } = await openInline(store, { clock, places: 1 });
  const running = await engine.enqueue('work', null);
  const waiting = await engine.enqueue('work', null);
  await engine.enqueue('work', null);
  const flow = await engine.enqueueFlow(
    { parent: { name: 'work', payload: 0 }, child: { name: 'work', payload: 0, parents: ['parent'] } },
    undefined,
  );
  await starts.reached(1);
  store.reopens = new Error('no disk');
  store.writes = 'lost';
  await expect(engine.enqueue('work', null)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_WRITE_FAILED' });
  await clock.armed(100);
  await clock.advance(100);
  await warnings.until(({ message }) => message.includes('no disk'));
  expect((await engine.explain(waiting.id)).reasons).toEqual([
    { reason: 'journalFailed', error: expect.stringContaining('the disk is full'), forMs: 100 },
    {
      reason: 'typeBusy',
      name: 'work',
      running: 1,
      limit: 1,
      jobs: [{ id: running.id, name: 'work', forMs: 100 }],
    },
  ]);
  expect(await kindsOf(engine, running.id)).toEqual(['running', 'journalFailed']);
  expect(await kindsOf(engine, flow['child']?.id ?? '')).toEqual(['journalFailed']);
  store.reads = true;
  await expect(engine.explain(waiting.id)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_WRITE_FAILED' });
  expect(await kindsOf(engine, running.id)).toEqual(['running', 'journalFailed']);
  store.reads = false;
  store.reopens = undefined;
  store.writes = undefined;
  await clock.armed(200);
  await clock.advance(200);
  await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED');
  expect(await kindsOf(engine, waiting.id)).toEqual(['typeBusy']);
  release();
  await engine.result(waiting.id);
});

test('a job whose claim is on its way waits, by all that is told of it, until that is in the journal', async () => {
  const store = new StoreSpy(openMemoryStore(new MemoryDisk()));
  const { engine, starts, release } = await openInline(store);
  const [written, heard] = [deferred(), deferred()];
  store.onWritten = async () => {
    if (store.writes.at(-1)?.keys.some((key) => key.startsWith('j!'))) return;
    written.resolve();
    await heard.promise;
  };
  // Not alone, for then the write that brings it would claim it.
  const [job] = await engine.enqueueMany([{ name: 'work' }, { name: 'work' }]);
  const id = job?.id ?? '';
  await written.promise;
  expect(await engine.explain(id)).toMatchObject({
    state: 'available',
    reasons: [{ reason: 'aboutToStart' }],
  });
  expect(await engine.snapshot(id)).toMatchObject({ state: 'available', attempt: 0 });
  expect(await engine.counts()).toMatchObject({ available: 2, running: 0 });
  heard.resolve();
  await starts.reached(2);
  expect(await engine.explain(id)).toMatchObject({ state: 'running', reasons: [{ reason: 'running' }] });
  expect(await engine.snapshot(id)).toMatchObject({ state: 'running', attempt: 1 });
  release();
});

test('jobs that work on libuv’s pool; and to ask why writes nothing', async () => {
  const store = new StoreSpy(openMemoryStore(new MemoryDisk()));
  const { engine, starts, release } = await openInline(store, { places: 100, isNative: true });
  const handles = await engine.enqueueMany(Array.from({ length: 100 }, () => ({ name: 'work' })));
  await starts.reached(1);
  const { running } = await engine.counts();
  const limit = starts.all.length;
  expect([running, limit < 100]).toEqual([limit, true]);
  const writes = store.writes.length;
  const { reasons } = await engine.explain(handles.at(-1)?.id ?? '');
  expect(store.writes).toHaveLength(writes);
  expect(reasons).toEqual([
    { reason: 'nativeBusy', running: limit, limit },
    { reason: 'behind', jobs: 99 - limit, sameType: 99 - limit, more: false },
  ]);
  release();
});

test('a job that is being claimed, and one that is being changed', async () => {
  const store = new StoreSpy(openMemoryStore(new MemoryDisk()));
  const { engine, starts, release } = await openInline(store);
  await engine.pauses.pause('default');
  // Too large to be kept in memory: its claim has to read it.
  const first = await engine.enqueue('work', 'x'.repeat(10_000));
  const cancelled = await engine.enqueue('work', null);
  store.hold();
  const cancelling = engine.cancel(cancelled.id);
  expect(await kindsOf(engine, cancelled.id)).toEqual(['queuePaused', 'held', 'behind']);
  store.letGo();
  await cancelling;
  const [asked, read] = [deferred(), deferred()];
  store.onRead = () => {
    store.onRead = undefined;
    asked.resolve();
    return read.promise;
  };
  await engine.pauses.resume('default');
  await asked.promise;
  expect(await engine.explain(first.id)).toMatchObject({
    summary: `Job work ${first.id} is available, and nothing holds it back: it should start at any moment.`,
    reasons: [{ reason: 'aboutToStart' }],
  });
  read.resolve();
  await starts.reached(1);
  expect(await kindsOf(engine, first.id)).toEqual(['running']);
  release();
});

test('a line that cannot be read', async () => {
  const clock = new FakeClock();
  const store = new FragileStore(openMemoryStore(new MemoryDisk()));
  const { engine, starts, warnings, release } = await openInline(store, { clock });
  await engine.pauses.pause('default');
  // Too large to be kept in memory: its claim has to read it.
  const { id } = await engine.enqueue('work', 'x'.repeat(10_000));
  store.reads = true;
  await engine.pauses.resume('default');
  await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_READ_FAILED');
  store.reads = false;
  expect(await kindsOf(engine, id)).toEqual(['readFailed']);
  await clock.advance(1_000);
  await starts.reached(1);
  release();
});

test('threads that cannot be started, and then are', async () => {
  const { options, closing, directory } = await bench();
  const flag = join(directory, 'sick');
  const preload = join(directory, 'preload.mjs');
  await writeFile(
    preload,
    `import { existsSync } from 'node:fs'; if (existsSync(${JSON.stringify(flag)})) throw new Error('sick');`,
  );
  const clock = new FakeClock();
  const mill = closing(
    await Millrace.open({
      ...options,
      clock,
      jobs: { work: scriptedThread({ grace: 1 }) },
      threads: { count: 1, execArgv: ['--import', pathToFileURL(preload).href] },
    }),
  );
  const events = record(mill, 'progress', 'warning', 'cancelled');
  const stuck = await mill.enqueue('work', { do: 'loop' });
  await events.until(([event]) => event === 'progress');
  await writeFile(flag, '');
  const cancelling = stuck.cancel();
  await clock.armed(1);
  await clock.advance(1);
  await cancelling;
  await events.until(([event]) => event === 'warning');
  const job = await mill.enqueue('work', { do: 'return' });
  expect((await job.explain()).reasons).toEqual([
    { reason: 'threadsUnavailable', error: expect.stringContaining('sick'), inMs: 100 },
  ]);
  await rm(flag);
  await clock.advance(100);
  // The next one is on its way: a thread takes longer to start than an explanation does.
  expect((await job.explain()).reasons).toEqual([
    { reason: 'threadsStarting', starting: 1 } satisfies Reason,
  ]);
  await job.result();
});
