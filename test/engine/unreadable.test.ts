/** A journal that cannot be read for once: everybody who waits is told, nothing hangs. (What cannot be written: outage.test.ts.) */
import { expect, test } from 'vitest';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import type { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openInline } from '../fixtures/inline-engine.js';

/** An engine on a store whose next reads fail when told so. */
async function open() {
  const fails = new FragileStore(openMemoryStore(new MemoryDisk()));
  return { ...(await openInline(fails)), fails };
}

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
