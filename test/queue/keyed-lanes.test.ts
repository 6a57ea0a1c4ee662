/** The jobs of many keys: they take turns, up to the limit of each, however many there are and however few fit in memory. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Choice } from '../../src/runtime/backlog.js';
import type { JobSpec } from '../../src/job/record.js';
import { levelDisk } from '../fixtures/disks.js';
import { jobOf } from '../fixtures/jobs.js';
import { always, BacklogBench as Bench } from './backlog-bench.js';
import { anySteps, KeyedModel } from './keyed-model.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const keyed = (concurrencyKey: string, fields: Partial<JobSpec> = {}): Partial<JobSpec> => ({
  concurrencyKey,
  ...fields,
});
const many = (count: number, fields: Partial<JobSpec>): Partial<JobSpec>[] =>
  Array.from({ length: count }, () => fields);
const next = (bench: Bench): Choice | undefined => bench.backlog.next(always, always);

/** Claims the next jobs, and ends each before the next is chosen. @returns their keys. */
async function keysOfNext(bench: Bench, count: number, keyOf: (id: string) => string): Promise<string[]> {
  const keys: string[] = [];
  while (keys.length < count) {
    const pick = next(bench);
    if (pick) {
      keys.push(keyOf(pick.id));
      await bench.commitClaim(pick);
      bench.backlog.end(pick);
    } else await turn();
  }
  return keys;
}

/** Enqueues jobs of some keys in one commit. @returns what tells the key of each. */
async function enqueue(bench: Bench, fields: readonly Partial<JobSpec>[]): Promise<(id: string) => string> {
  const jobs = await bench.enqueueMany(fields);
  const keys = new Map(jobs.map(({ spec }) => [spec.id, spec.concurrencyKey ?? spec.name]));
  return (id) => keys.get(id) ?? '';
}

test('keys take turns, and one that comes new is next', async () => {
  const bench = await Bench.open();
  const keyOf = await enqueue(bench, [...many(5_000, keyed('a')), ...many(2, keyed('b'))]);
  expect((await keysOfNext(bench, 7, keyOf)).join('')).toBe('ababaaa');
  const [late] = await bench.enqueueMany([keyed('c')]);
  expect(next(bench)?.id).toBe(late?.spec.id);
});

test('the next process finds all keys, and lets them take turns', async () => {
  const first = await Bench.open();
  const keyOf = await enqueue(first, [...many(3_000, keyed('a')), ...many(2, keyed('b')), keyed('c')]);
  const bench = await Bench.open(first.disk);
  expect((await keysOfNext(bench, 6, keyOf)).join('')).toBe('abcaba');
});

test('priority orders the jobs of a key, and gives no key more turns', async () => {
  const bench = await Bench.open();
  const [low, high] = await bench.enqueueMany([keyed('a'), keyed('a', { priority: 9 })]);
  const [other] = await bench.enqueueMany([keyed('b')]);
  expect(await bench.claim(3)).toStrictEqual([high, other, low].map((job) => job?.spec.id));
});

test('jobs without a key, whatever their types, and those of each type that have keys, take turns', async () => {
  const bench = await Bench.open(undefined, {
    types: { resize: Infinity, mail: Infinity, report: Infinity },
  });
  const keyOf = await enqueue(bench, [
    ...many(1_000, keyed('a', { name: 'resize', priority: 5 })),
    ...many(4, { name: 'resize' }),
    ...many(4, { name: 'mail' }),
    ...many(4, keyed('b', { name: 'report', priority: -5 })),
  ]);
  const keys = await keysOfNext(bench, 15, keyOf);
  const of = (key: string): number => keys.filter((one) => one === key).length;
  expect([of('a'), of('b'), of('resize'), of('mail')]).toStrictEqual([5, 4, 4, 2]);
});

test('a key at its limit waits, and holds up neither other keys nor jobs without one', async () => {
  const bench = await Bench.open(undefined, { keys: { resize: 2 } });
  await bench.enqueueMany([...many(2_000, keyed('a')), ...many(3, keyed('b')), {}]);
  const picks = Array.from({ length: 9 }, () => next(bench)).filter((pick) => pick !== undefined);
  expect(picks.map((pick) => pick.keyed?.at(-1) ?? '-').sort()).toStrictEqual(['-', 'a', 'a', 'b', 'b']);
  expect(picks.find((pick) => pick.keyed)?.isLimited).toBe(true);
  const ended = picks.find((pick) => pick.keyed?.endsWith('b'));
  if (ended) bench.backlog.end(ended);
  expect(next(bench)?.keyed).toBe(ended?.keyed);
  expect(next(bench)).toBeUndefined();
});

test('the limit of a key holds in all queues together, and each type has its own', async () => {
  const bench = await Bench.open(undefined, {
    types: { resize: Infinity, mail: Infinity },
    queues: { default: Infinity, low: Infinity },
    keys: { resize: 1, mail: 1 },
  });
  await bench.enqueueMany([
    ...many(2, keyed('a')),
    ...many(2, keyed('a', { queue: 'low' })),
    ...many(2, keyed('a', { name: 'mail' })),
  ]);
  const picks = Array.from({ length: 6 }, () => next(bench)).filter((pick) => pick !== undefined);
  expect(picks.map(({ name }) => name).sort()).toStrictEqual(['mail', 'resize']);
  for (const { name } of picks) {
    if (name !== 'resize') continue;
    // What ended in one queue lets the other's go on.
    const queues = new Set<string>();
    for (let pick = picks.find((one) => one.name === name); pick; pick = next(bench)) {
      queues.add(pick.queue);
      bench.backlog.end(pick);
    }
    expect([...queues].sort()).toStrictEqual(['default', 'low']);
  }
});

test('a new job is claimed at once only where its key is below its limit and none waits', async () => {
  const bench = await Bench.open(undefined, { keys: { resize: 1 } });
  const [a, b] = [jobOfBench(bench, keyed('a')), jobOfBench(bench, keyed('b'))] as const;
  const first = bench.backlog.chooseNew(a);
  expect(first).toMatchObject({ id: a.spec.id, isLimited: true });
  expect(bench.backlog.chooseNew(jobOfBench(bench, keyed('a')))).toBeUndefined();
  expect(bench.backlog.chooseNew(b)).toMatchObject({ id: b.spec.id });
  if (first) bench.backlog.end(first);
  await bench.enqueueMany([keyed('c')]);
  expect(bench.backlog.chooseNew(jobOfBench(bench, keyed('a')))).toBeUndefined();
});

test.each([
  ['a job of each of 100,000 keys', Array.from({ length: 100_000 }, (_, i) => keyed(`tenant-${i}`))],
  ['100,000 jobs of one key', [...many(100_000, keyed('a')), keyed('b'), keyed('c')]],
])('with %s, memory holds no more than a window, and a job that comes is found', async (_, fields) => {
  const disk = await levelDisk();
  const first = await Bench.open(disk);
  await first.enqueueMany(fields);
  await first.close();
  const bench = await Bench.open(disk);
  const read = bench.store.pages.reduce((sum, { entries }) => sum + entries.length, 0);
  expect(read).toBeLessThan(3_000);
  const seen = new Set<string>();
  for (let i = 0; i < 3; i++) {
    const [pick] = await claimOf(bench, 1);
    seen.add(pick?.keyed ?? '');
  }
  expect(seen.size).toBe(3);
});

test('keys that are many more than fit in memory have one turn each, round by round', async () => {
  const bench = await Bench.open(undefined, { windowSize: 16 });
  const names = Array.from({ length: 40 }, (_, i) => `t${String(i).padStart(2, '0')}`);
  const keyOf = await enqueue(
    bench,
    names.flatMap((name) => many(3, keyed(name))),
  );
  const keys = await keysOfNext(bench, 120, keyOf);
  // Those that were there first have their second turn while the last have their first.
  for (const name of names) {
    const turns = keys.flatMap((key, at) => (key === name ? [at] : []));
    expect(turns).toHaveLength(3);
    for (const [i, at] of turns.entries()) expect(at).toBeLessThan((i + 1) * 40 + 8);
  }
});

test('cancelled jobs are not handed out, wherever they lie, and those behind them are', async () => {
  const bench = await Bench.open(undefined, { windowSize: 8 });
  const jobs = await bench.enqueueMany(
    Array.from({ length: 60 }, (_, i) => keyed(`t${i % 20}`, { priority: i % 3 })),
  );
  const gone = jobs.filter((_, i) => i % 4 !== 0);
  await Promise.all(gone.map((job) => bench.cancel(job)));
  const left = jobs.filter((job) => !gone.includes(job)).map(({ spec }) => spec.id);
  const ids = (await claimOf(bench, left.length)).map(({ id }) => id);
  expect(ids.sort()).toStrictEqual(left.sort());
  for (let i = 0; i < 5; i++) await turn();
  expect(next(bench)).toBeUndefined();
});

test('what cannot be read is told of once, and read a little later', async () => {
  const first = await Bench.open();
  await first.enqueueMany([keyed('a'), keyed('b'), {}]);
  const bench = await Bench.open(first.disk, { pageFailure: new Error('too many open files') });
  expect(bench.warnings.all).toHaveLength(1);
  bench.store.pageFailure = undefined;
  expect(next(bench)).toBeUndefined();
  await bench.clock.advance(1_000);
  expect(await claimOf(bench, 3)).toHaveLength(3);
});

test('keys with any characters are lanes of their own', async () => {
  const first = await Bench.open();
  const odd = ['a', 'a!', 'A', '~', 'ä', ' ', 'a b', 'x'.repeat(512), `${'x'.repeat(511)}y`, '\u0000', 'a~b'];
  await first.enqueueMany(odd.flatMap((key) => many(2, keyed(key))));
  const bench = await Bench.open(first.disk, { keys: { resize: 1 } });
  const picks = await claimOf(bench, odd.length);
  expect(new Set(picks.map((pick) => pick.keyed)).size).toBe(odd.length);
  expect(next(bench)).toBeUndefined();
});

test('limits per key hold, no job is chosen twice or forgotten, and no key waits for more than a round', async () => {
  await fc.assert(
    fc.asyncProperty(
      anySteps,
      fc.integer({ min: 1, max: 3 }),
      fc.constantFrom(4, 8, 16, 1_000),
      async (all, limit, windowSize) => {
        const model = new KeyedModel(limit, windowSize);
        await model.open();
        for (const step of all) await model.step(step);
        await model.finish();
      },
    ),
    { numRuns: 150 },
  );
});

async function claimOf(bench: Bench, count: number): Promise<Choice[]> {
  const picks: Choice[] = [];
  while (picks.length < count) {
    const pick = next(bench);
    if (pick) {
      picks.push(pick);
      await bench.commitClaim(pick);
    } else await turn();
  }
  return picks;
}

function jobOfBench(bench: Bench, fields: Partial<JobSpec>) {
  return jobOf(bench.journal.nextSequence(), fields);
}
