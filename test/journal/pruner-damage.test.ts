/** The pruner where the journal is damaged, or fails, or holds what an earlier power cut has brought back. */
import { expect, test } from 'vitest';
import { enqueued } from '../../src/job/transitions.js';
import { endedKey, specKey, statusKey } from '../../src/journal/keys.js';
import { Transaction } from '../../src/journal/transaction.js';
import { memoryDisk } from '../fixtures/disks.js';
import { specOf } from '../fixtures/jobs.js';
import { endedIds, tamper } from './harness.js';
import { PrunerBench, REST } from './pruner-bench.js';

const CORRUPT = { code: 'MILLRACE_JOURNAL_CORRUPT' };

const invert = (bench: PrunerBench, ...keys: readonly string[]): Promise<void> =>
  tamper(bench.disk, (key, value) => (keys.includes(key) ? value.map((byte) => ~byte) : undefined));

const open = async (): Promise<PrunerBench> => PrunerBench.open(await memoryDisk());

test.each([3, 450])('of %d jobs that ended together, only those that cannot be read stay', async (count) => {
  const bench = await open();
  const ids = await bench.end('completed', { count });
  const [first = '', second = ''] = ids;
  const last = ids.at(-1) ?? '';
  await invert(bench, specKey(first), statusKey(last));
  // It was removed before, by whatever means.
  const gone = new Transaction();
  const job = await bench.journal.job(second);
  if (job && 'spec' in job) gone.remove(job);
  await bench.journal.commit(gone);

  bench.pruner.start();
  await bench.advance(10_000 + REST);
  expect(bench.journal.counts()).toMatchObject({ completed: 2 });
  expect(await endedIds(bench.journal, 'completed')).toStrictEqual([first, last]);
  expect((await bench.keys()).filter((key) => !key.startsWith('f!'))).toHaveLength(4);
  expect(bench.warnings.all).toMatchObject([CORRUPT, CORRUPT]);
});

test('what cannot be read is reported once by each process, and no other job waits for it', async () => {
  const bench = await open();
  const [damaged = ''] = await bench.end('completed');
  await invert(bench, specKey(damaged));
  bench.pruner.start();
  await bench.advance(10_000 + REST);
  expect(bench.clock.isIdle).toBe(true);
  const later = await bench.end('completed', { count: 2 });
  await bench.advance(10_000 + REST);
  expect(await bench.kept([damaged, ...later])).toStrictEqual([damaged]);
  expect(bench.warnings.all).toMatchObject([CORRUPT]);
  await bench.close();

  const next = await PrunerBench.open(bench.disk, bench.clock);
  next.pruner.start();
  await next.pruner.passed();
  expect(next.warnings.all).toMatchObject([CORRUPT]);
  expect(next.journal.counts()).toMatchObject({ completed: 1 });
});

test('what cannot be read stays where the next process finds it, although the journal was opened anew', async () => {
  const bench = await open();
  const [damaged = ''] = await bench.end('completed');
  await invert(bench, specKey(damaged));
  bench.pruner.start();
  await bench.advance(10_000 + REST);
  bench.store.failure = new Error('no space left');
  await expect(bench.end('completed')).rejects.toThrow();
  await bench.pruner.stop();
  bench.store.failure = undefined;
  await bench.journal.reopen();
  bench.pruner.start();
  for (let i = 0; i < 3; i++) {
    await bench.end('completed');
    await bench.advance(10_000 + REST);
  }
  expect(bench.journal.counts()).toMatchObject({ completed: 1 });
  // The marks travel with a later write.
  await bench.end('failed');
  await bench.close();
  const next = await PrunerBench.open(bench.disk, bench.clock);
  next.pruner.start();
  await next.pruner.passed();
  expect(next.warnings.all).toMatchObject([CORRUPT]);
});

test('a roster that is damaged is reported once, and stays with its jobs', async () => {
  const bench = await open();
  const lost = await bench.end('completed', { sequence: 500, id: 'lost' });
  await invert(bench, endedKey('completed', 'resize', bench.clock.now(), 500));
  const sound = await bench.end('completed');
  bench.pruner.start();
  await bench.advance(10_000 + REST);
  const later = await bench.end('completed');
  await bench.advance(10_000 + REST);
  expect(await bench.kept([...lost, ...sound, ...later])).toStrictEqual(lost);
  expect(bench.warnings.all).toMatchObject([CORRUPT]);
});

test('a job whose id another had before it is not taken for that one', async () => {
  const bench = await open();
  const until = bench.clock.now();
  const waits = specOf(1);
  await bench.journal.commit(new Transaction().enqueue(waits, enqueued(waits)));
  const [renamed = ''] = await bench.end('completed', { name: 'mail' });
  const [other = ''] = await bench.end('failed');
  await bench.clock.advance(9_000);
  const [again = ''] = await bench.end('completed');
  // A power cut has brought back a roster on which all these ids are, of jobs that ended long ago.
  const ids = [waits.id, renamed, other, again];
  await bench.journal.commit(new Transaction().keepRoster(endedKey('completed', 'resize', until, 900), ids));
  bench.pruner.start();
  await bench.advance(1_000 + REST);
  expect(await bench.kept(ids)).toStrictEqual(ids);
  expect(bench.journal.counts()).toMatchObject({ available: 1, completed: 2, failed: 1 });
  await bench.advance(8_000);
  expect(await bench.kept(ids)).toStrictEqual([waits.id, renamed, other]);
});

test('what cannot be read for once is reported, and tried again, each time a little later', async () => {
  const bench = await open();
  const ids = await bench.end('completed');
  await bench.clock.advance(10_000);
  bench.store.pageFailure = new Error('too many open files');
  bench.pruner.start();
  const delays = [2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1_000);
  for (const [i, delayMs] of delays.entries()) {
    await bench.pruner.passed();
    expect(bench.warnings.all).toHaveLength(i + 1);
    await bench.clock.armed(delayMs);
    if (i === delays.length - 1) bench.store.pageFailure = undefined;
    await bench.advance(delayMs);
  }
  const told = { code: 'MILLRACE_JOURNAL_READ_FAILED', cause: { message: 'too many open files' } };
  expect(bench.warnings.all[0]).toMatchObject(told);
  expect(bench.warnings.all).toHaveLength(delays.length);
  expect(await bench.kept(ids)).toStrictEqual([]);
  // It rests no longer than before.
  const next = await bench.end('completed');
  await bench.advance(10_000 + REST);
  expect(await bench.kept(next)).toStrictEqual([]);
});

test('after the journal has failed the pruner rests, for the failure was told already', async () => {
  const bench = await open();
  await bench.end('completed');
  bench.pruner.start();
  await bench.pruner.passed();
  bench.store.failure = new Error('no space left');
  await bench.advance(10_000 + REST);
  expect(bench.warnings.all).toStrictEqual([]);
  expect(bench.clock.isIdle).toBe(true);
});

test('once stopped it removes nothing more, and a batch that is under way is waited for', async () => {
  const bench = await open();
  const ids = await bench.end('completed', { count: 1_000 });
  await bench.clock.advance(10_000);
  const { writes } = bench.store;
  const before = writes.length;
  bench.store.onWritten = async () => void bench.pruner.stop();
  bench.pruner.start();
  await bench.pruner.passed();
  await bench.pruner.stop();
  const kept = await bench.kept(ids);
  expect(writes.length).toBe(before + 1);
  expect(kept.length).toBeGreaterThan(0);
  expect(bench.journal.counts().completed).toBe(kept.length);
  await bench.end('completed');
  await bench.advance(100_000);
  expect(bench.clock.isIdle).toBe(true);
  expect(writes.length).toBe(before + 2);
});

test('few large jobs go in one write, and many small ones', async () => {
  const bench = await open();
  const removals = (): number[] =>
    bench.store.writes.map(({ keys }) => keys.filter((key) => key.startsWith('j!')).length);
  await bench.end('completed', { count: 1_000 });
  await bench.end('completed', { name: 'mail', count: 40, payload: new Uint8Array(1 << 20) });
  await bench.clock.advance(20_000);
  bench.store.writes.length = 0;
  bench.pruner.start();
  await bench.pruner.passed();
  expect(bench.journal.counts()).toMatchObject({ completed: 0 });
  expect(Math.max(...removals())).toBeLessThanOrEqual(200);
  expect(removals().filter((count) => count > 0 && count <= 4).length).toBe(5);
});
