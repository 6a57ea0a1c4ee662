/** Large results of many parents, on their way to whoever asks for them. */
import { expect, test } from 'vitest';
import { decode, encode } from '../../src/job/codec.js';
import { claimed, settled } from '../../src/job/transitions.js';
import { Journal } from '../../src/journal/journal.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { Transaction } from '../../src/journal/transaction.js';
import type { Task } from '../../src/pool/contract.js';
import { jobContext } from '../../src/pool/job-context.js';
import { Requests, type RequestsLinks } from '../../src/runtime/requests.js';
import { StoreSpy } from '../fixtures/store-spy.js';
import { jobOf, NOW } from '../fixtures/jobs.js';

const flow = 'flow';

/** @param sizes Of the parents' results. */
async function asking(sizes: readonly number[]) {
  const store = new StoreSpy(openMemoryStore(new MemoryDisk()));
  const journal = await Journal.open(store);
  const change = new Transaction();
  const parents: Record<string, string> = {};
  for (const [i, size] of sizes.entries()) {
    const { spec, status } = jobOf(1 + i, { flow, isParent: true });
    const running = claimed(status, 9, NOW);
    const end = settled(running, { kind: 'completed', result: encode('x'.repeat(size)) }, undefined, NOW);
    change.enqueue(spec, running).move(spec, running, end);
    parents[`p${i}`] = spec.id;
  }
  await journal.commit(change);
  const job = jobOf(9_999, { flow, parents });
  const executor = { attemptOf: () => ({ job }) };
  // Safe: of an attempt it needs the job.
  const requests = new Requests({ journal, executor } as unknown as RequestsLinks);
  const task = { id: 'job-9999', name: 'resize', queue: 'default', attempt: 1, maxAttempts: 1 };
  const replies: Uint8Array[] = [];
  const reads: number[] = [];
  store.onRead = (keys) => void reads.push(keys.filter((key) => key.startsWith('j!')).length);
  const context = jobContext(task, {
    signal: new AbortController().signal,
    progress() {},
    log() {},
    request: async (request) => {
      // Safe: as above.
      const reply = (await requests.answer(task as Task, request)) as Uint8Array;
      replies.push(reply);
      return reply;
    },
    hand: (promise) => promise,
  });
  const results = await context.parentResults();
  await journal.close();
  return { results, replies, reads };
}

const sizes = {
  'all small': Array.from({ length: 1_200 }, () => 10),
  'all large': Array.from({ length: 20 }, () => 300_000),
  'a few small ones before large ones': Array.from({ length: 100 }, (_, i) => (i < 10 ? 10 : 100_000)),
};

test.each(Object.entries(sizes))('%s: they come in pages, and all of them', async (_how, all) => {
  const { results, replies, reads } = await asking(all);
  expect(Object.entries(results).map(([key, value]) => [key, (value as string).length])).toEqual(
    all.map((size, i) => [`p${i}`, size]),
  );
  const largest = Math.max(...all);
  for (const { byteLength, buffer } of replies) {
    expect(byteLength).toBeLessThan(2 ** 18 + 32 * (largest + 100));
    // It is handed over: nothing else may lie in there.
    expect(buffer.byteLength).toBe(byteLength);
  }
  expect(Math.max(...reads)).toBeLessThanOrEqual(32);
  expect(reads.reduce((sum, count) => sum + count)).toBe(all.length);
  const bytes = all.reduce((sum, size) => sum + size);
  expect(replies.length).toBeLessThanOrEqual(1 + all.length / 500 + bytes / 2 ** 18);
});

test('of no parents', async () => {
  const { results, replies } = await asking([]);
  expect(results).toEqual({});
  expect(replies.map((bytes) => decode(bytes))).toEqual([{ results: [], next: undefined }]);
});
