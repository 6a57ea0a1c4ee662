/** Who holds a unique key, and what becomes of an enqueue whose key is held: every case. */
import { expect, test } from 'vitest';
import type { UniqueKeyOptions } from '../../src/index.js';
import { RETAINED_MS, UniqueBench } from './bench.js';

type While = NonNullable<UniqueKeyOptions['while']>;
const HELD_MS = 60_000;
const KEY = 'a.jpg:800';

/** How the holder got to where it is. */
const CASES = ['waiting', 'running', 'ended', 'removed', 'late'] as const;
type Case = (typeof CASES)[number];

const HOLDS: readonly { while: While; in: readonly Case[] }[] = [
  { while: 'queued', in: ['waiting', 'late'] },
  { while: 'active', in: ['waiting', 'running', 'late'] },
  { while: 'retained', in: ['waiting', 'running', 'ended', 'late'] },
  { while: HELD_MS, in: ['waiting', 'running', 'ended', 'removed'] },
  { while: '1m', in: ['waiting', 'running', 'ended', 'removed'] },
];

/** A job with the key that has come so far. */
async function holderIn(bench: UniqueBench, where: Case, held: While): Promise<string> {
  const waits = where === 'waiting' || where === 'late';
  const id = await bench.enqueue({
    uniqueKey: { key: KEY, while: held },
    ...(waits && { delay: '1h' }),
  });
  if (where === 'late') await bench.pass(HELD_MS);
  if (where === 'ended' || where === 'removed') await bench.letGo(id);
  if (where === 'removed') await bench.pass(RETAINED_MS + 5_000);
  const states = { waiting: 'scheduled', late: 'scheduled', running: 'running', ended: 'completed' };
  expect(await bench.stateOf(id)).toBe(where === 'removed' ? undefined : states[where]);
  return id;
}

const table = HOLDS.flatMap(({ while: held, in: where }) =>
  CASES.map((holder) => ({ held, holder, isHeld: where.includes(holder) })),
);

test.each(table)('held while $held by a job that is $holder: $isHeld', async ({ held, holder, isHeld }) => {
  const bench = await UniqueBench.make();
  const first = await holderIn(bench, holder, held);
  const conflict = { code: 'MILLRACE_UNIQUE_CONFLICT', jobId: first, uniqueKey: KEY };
  const rejecting = bench.enqueue({ uniqueKey: { key: KEY, onConflict: 'reject' }, delay: '1h' });
  if (!isHeld) {
    const second = await rejecting;
    expect(second).not.toBe(first);
    expect(await bench.enqueue({ uniqueKey: KEY })).toBe(second);
    return;
  }
  await expect(rejecting).rejects.toMatchObject(conflict);
  // Whatever the process goes through, the key is held, and by that job.
  await bench.restart();
  expect(await bench.enqueue({ uniqueKey: KEY })).toBe(first);
  const isClaimedAgain = holder === 'running';
  if (isClaimedAgain) expect(bench.held).toEqual([first]);
  const replacing = bench.enqueue({ uniqueKey: { key: KEY, onConflict: 'replace' }, delay: '1h' });
  if (isClaimedAgain) {
    await expect(replacing).rejects.toMatchObject(conflict);
    expect(await bench.stateOf(first)).toBe('running');
    return;
  }
  const second = await replacing;
  expect(second).not.toBe(first);
  const left = {
    ended: 'completed',
    removed: undefined,
    waiting: 'cancelled',
    late: 'cancelled',
    running: '',
  };
  expect(await bench.stateOf(first)).toBe(left[holder]);
  expect(bench.told.includes(`cancelled ${first}`)).toBe(left[holder] === 'cancelled');
  expect(await bench.enqueue({ uniqueKey: KEY })).toBe(second);
  // What becomes of the job that was replaced does not touch the key any more.
  await bench.pass(HELD_MS + RETAINED_MS);
  expect(await bench.stateOf(first)).toBeUndefined();
  expect(await bench.enqueue({ uniqueKey: KEY })).toBe(second);
});

test('a key is of one job type: another may have the same', async () => {
  const bench = await UniqueBench.make();
  const one = await bench.enqueue({ uniqueKey: KEY, delay: '1h' });
  const other = await bench.enqueue({ uniqueKey: KEY, delay: '1h' }, 'other');
  expect(other).not.toBe(one);
  expect(await bench.enqueue({ uniqueKey: KEY }, 'other')).toBe(other);
});

test('a job that was claimed once does not hold its key for the queue again, whatever comes', async () => {
  const bench = await UniqueBench.make();
  const uniqueKey = { key: KEY, while: 'queued' } as const;
  const first = await bench.enqueue({ uniqueKey });
  expect(bench.held).toEqual([first]);
  const second = await bench.enqueue({ uniqueKey, delay: '1h' });
  // The first is rescued, waits, and is claimed again: that frees nothing.
  await bench.restart();
  expect(bench.held).toEqual([first]);
  expect(await bench.enqueue({ uniqueKey })).toBe(second);
  await bench.restart();
  await bench.letGo(first);
  expect(await bench.enqueue({ uniqueKey })).toBe(second);
});

test('keys leave nothing behind once nobody holds them', async () => {
  const bench = await UniqueBench.make();
  for (const held of ['queued', 'active', 'retained', '30s', '3s'] as const) {
    for (let i = 0; i < 3; i++) {
      const id = await bench.enqueue({ uniqueKey: { key: `${held} ${i}`, while: held } });
      await bench.letGo(id);
    }
  }
  expect(bench.entries).toHaveLength(9);
  await bench.pass(200_000);
  expect(bench.entries).toEqual([]);
  expect(bench.disk.keys().filter((key) => /^[ujsty]!/.test(key))).toEqual([]);
});

test('debounce: the job runs so long after the last enqueue, with its payload', async () => {
  const bench = await UniqueBench.make();
  const ids: string[] = [];
  for (let i = 0; i < 5; i++) {
    ids.push(await bench.enqueue({ uniqueKey: KEY, debounce: '5s' }, 'work', i));
    await bench.pass(4_000);
  }
  const [last = ''] = ids.slice(-1);
  expect(bench.held).toEqual([]);
  await bench.pass(1_000);
  expect(bench.held).toEqual([last]);
  expect(await bench.engine.snapshot(last)).toMatchObject({ payload: 4, uniqueKey: KEY });
  expect(bench.told).toEqual([...ids.slice(0, 4).map((id) => `cancelled ${id}`), `started ${last}`]);
  // Once it runs, there is another one.
  const next = await bench.enqueue({ uniqueKey: KEY, debounce: '5s' });
  expect(await bench.stateOf(next)).toBe('scheduled');
  expect(bench.held).toEqual([last]);
});

test('throttle: one job in each window, and the enqueues in it get that', async () => {
  const bench = await UniqueBench.make();
  const ids: string[] = [];
  for (let i = 0; i < 7; i++) {
    ids.push(await bench.enqueue({ uniqueKey: KEY, throttle: '1m' }));
    if (i % 2 === 0 && bench.held.length > 0) await bench.letGo(ids.at(-1) ?? '');
    await bench.pass(20_000);
  }
  const windows = [0, 0, 0, 3, 3, 3, 6];
  expect(ids).toEqual(windows.map((i) => ids[i]));
  expect(new Set(ids).size).toBe(3);
});

test('a job that is retried takes its key again, and where another holds it, it is refused', async () => {
  const bench = await UniqueBench.make();
  const { engine } = bench;
  const first = await bench.enqueue({ uniqueKey: KEY, delay: '1h' });
  const free = await bench.enqueue({ uniqueKey: 'free', delay: '1h' });
  const twin = await bench.enqueue({ uniqueKey: 'twins', delay: '1h' });
  for (const id of [first, free, twin]) await engine.cancel(id);
  const other = await bench.enqueue({ uniqueKey: 'twins', delay: '1h' });
  await engine.cancel(other);
  const second = await bench.enqueue({ uniqueKey: KEY, delay: '1h' });
  const conflict = { code: 'MILLRACE_UNIQUE_CONFLICT', jobId: second };
  await expect(engine.retry(first)).rejects.toMatchObject(conflict);
  expect(await bench.stateOf(first)).toBe('cancelled');
  // Of all that were cancelled the first stays, and one of the two that had the same key.
  expect(await engine.retry({ state: 'cancelled' })).toBe(2);
  await bench.store.quiet();
  expect(bench.held).toContain(free);
  expect(bench.held.filter((id) => id === twin || id === other)).toHaveLength(1);
  expect(await bench.enqueue({ uniqueKey: 'free' })).toBe(free);
  expect(await bench.stateOf(first)).toBe('cancelled');
  await engine.cancel(second);
  expect(await engine.retry(first)).toBe('available');
  await bench.restart();
  expect(await bench.enqueue({ uniqueKey: KEY })).toBe(first);
  await bench.letGo(first);
  expect(await bench.enqueue({ uniqueKey: KEY })).not.toBe(first);
});

test('a job whose key was taken over while it was retained is not retried beside the one that has it', async () => {
  const bench = await UniqueBench.make();
  const uniqueKey = { key: KEY, while: 'retained', onConflict: 'replace' } as const;
  const first = await bench.enqueue({ uniqueKey, delay: '1h' });
  await bench.engine.cancel(first);
  const second = await bench.enqueue({ uniqueKey, delay: '1h' });
  await expect(bench.engine.retry(first)).rejects.toMatchObject({ jobId: second });
  // Removed by hand, it does not take the key along.
  expect(await bench.engine.remove(first)).toBe(true);
  await bench.pass(100_000);
  expect(await bench.enqueue({ uniqueKey: KEY })).toBe(second);
});
