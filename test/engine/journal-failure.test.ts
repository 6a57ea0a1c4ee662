/** A journal that takes no more writes, or cannot be read for once: everybody who waits is told, nothing hangs. */
import { expect, test } from 'vitest';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import type { Store } from '../../src/journal/store.js';
import type { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { openInline } from '../fixtures/inline-engine.js';

/** A store whose next writes or reads fail when told so. */
function fragile(store: Store) {
  const fails = { writes: false, reads: false };
  const wrapped: Store = {
    batch() {
      const batch = store.batch();
      const write = batch.write.bind(batch);
      batch.write = async (sync) => {
        if (fails.writes) throw new Error('the disk is full');
        return write(sync);
      };
      return batch;
    },
    async getMany(keys) {
      if (fails.reads) throw new Error('the disk is mad');
      return store.getMany(keys);
    },
    page: (range) => store.page(range),
    close: () => store.close(),
  };
  return { store: wrapped, fails };
}

/** An engine on such a store. */
async function open() {
  const { store, fails } = fragile(openMemoryStore(new MemoryDisk()));
  return { ...(await openInline(store)), fails };
}

const failed = {
  code: 'MILLRACE_JOURNAL_WRITE_FAILED',
  message: expect.stringContaining('the disk is full'),
};

test('once a write has failed, everybody who waits is told, and nothing more is taken', async () => {
  const { engine, fails, warnings, starts } = await open();
  const { id: running } = await engine.enqueue('work', null);
  await starts.reached(1);
  const waiting = [engine.result(running), engine.drain()];
  fails.writes = true;
  await expect(engine.enqueue('work', null)).rejects.toMatchObject(failed);
  for (const one of waiting) await expect(one).rejects.toMatchObject(failed);
  // What comes later is told at once.
  await expect(engine.enqueue('work', null)).rejects.toMatchObject(failed);
  await expect(engine.result(running)).rejects.toMatchObject(failed);
  await expect(engine.drain()).rejects.toMatchObject(failed);
  await expect(engine.cancel(running)).rejects.toMatchObject(failed);
  expect(warnings.all).toMatchObject([failed]);
});

test('a job whose outcome is not journaled does not count as done', async () => {
  const { engine, fails, starts, release } = await open();
  const { id } = await engine.enqueue('work', null);
  await starts.reached(1);
  const result = engine.result(id);
  fails.writes = true;
  release();
  await expect(result).rejects.toMatchObject(failed);
  expect(await engine.counts()).toMatchObject({ running: 1, completed: 0 });
});

test('close() ends an engine whose journal has failed', async () => {
  const { engine, fails, starts, release } = await open();
  await engine.enqueue('work', null);
  await starts.reached(1);
  fails.writes = true;
  await expect(engine.enqueue('work', null)).rejects.toMatchObject(failed);
  release();
  await engine.close(60_000);
});

/**
 * Payloads of this size are not kept in memory, so they must be read back for jobs to be claimed; and of two in one turn
 * none is claimed with its enqueue.
 */
async function enqueueLarge(engine: EmbeddedEngine): Promise<string> {
  const large = { text: 'x'.repeat(10_000) };
  const [{ id }] = await Promise.all([engine.enqueue('work', large), engine.enqueue('work', large)]);
  return id;
}

test('jobs that cannot be read for once are told of, and run when they can be', async () => {
  const { engine, fails, warnings, starts, release } = await open();
  release();
  fails.reads = true;
  const unread = await enqueueLarge(engine);
  const warning = await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_READ_FAILED');
  expect(warning.message).toContain('the disk is mad');
  fails.reads = false;
  await starts.until((id) => id === unread);
  expect(await engine.result(unread)).toBeUndefined();
});

test('a job that could not be read when it was to be claimed can still be cancelled', async () => {
  const { engine, fails, warnings, starts } = await open();
  fails.reads = true;
  const unread = await enqueueLarge(engine);
  // It has been chosen by now, and is being read.
  const cancelled = engine.cancel(unread);
  fails.reads = false;
  expect(await cancelled).toBe('cancelled');
  expect(warnings.all).toMatchObject([{ code: 'MILLRACE_JOURNAL_READ_FAILED' }]);
  expect(starts.all).toEqual([]);
});
