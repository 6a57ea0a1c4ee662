/** The simulation's own promises: a history can be had again, and what fails is shrunk to what matters. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Fact } from '../crash/facts.js';
import { explore } from './explore.js';
import { anyHistory } from './draw.js';
import type { History } from './history.js';
import { PLANTED } from './planted.js';
import { runHistory } from './simulation.js';

/** Ids that the engine gives are new each time, so they are numbered in the order of their coming. */
function withoutIds(facts: readonly Fact[]): string {
  const numbers = new Map<string, string>();
  return JSON.stringify(facts).replace(/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, (id) => {
    const number = numbers.get(id) ?? `#${numbers.size}`;
    numbers.set(id, number);
    return number;
  });
}

test('a history goes the same way each time', async () => {
  await fc.assert(
    fc.asyncProperty(anyHistory, async (history) => {
      const [one, other] = [await runHistory(history), await runHistory(history)];
      expect(withoutIds(other.facts)).toBe(withoutIds(one.facts));
    }),
    { numRuns: 100, seed: 1 },
  );
});

test('what fails is shrunk to what matters, and can be repeated', async () => {
  const planted = PLANTED['a write that asks for a sync gets none'];
  const found = await explore({ histories: 200, seed: 6, ...planted });
  // A job that is acknowledged, and a disk that loses it.
  const acts = found.failure?.history.steps.map(({ act }) => act.do) ?? [];
  expect(acts[0]).toMatch(/^enqueue|^flood|^upsert/);
  expect(acts.filter((act) => act !== 'nothing').length).toBeLessThanOrEqual(3);
  const { path = '' } = found.failure ?? {};
  const repeated = await explore({ histories: 1, seed: 6, path, ...planted });
  expect(repeated.failure?.history).toEqual(found.failure?.history);
});

const tuning = {
  durability: 'fsync',
  threads: 1,
  selection: 'weighted',
  windowSize: 1_000,
  readsEarly: false,
  readsBackwards: false,
  first: 'asked',
} as const;

test('a power cut takes what durability does not keep, and no more', async () => {
  const jobAnd = (durability: 'os' | 'fsync', kept: number): History => ({
    tuning,
    livesOn: false,
    steps: [
      { act: { do: 'enqueueNamed', n: 0, item: { name: 'work', options: { durability } } }, until: 'rest' },
      { act: { do: 'end', n: 0, how: 'return' }, until: 'rest' },
      { act: { do: 'cutPower', kept }, until: 'rest' },
      { act: { do: 'look', n: 0 }, until: 'rest' },
    ],
  });
  // Its first write is synced as well, for it reserves sequence numbers; the claim and the outcome follow.
  const looks = async (history: History): Promise<Fact[]> => {
    const { facts, violations } = await runHistory(history);
    expect(violations).toEqual([]);
    const cut = facts.findIndex(({ kind }) => kind === 'killed');
    return facts.slice(cut).filter((fact) => fact.kind === 'ended' && fact.by === 'snapshot');
  };
  expect(await looks(jobAnd('fsync', 0))).toHaveLength(1);
  expect(await looks(jobAnd('os', 0))).toHaveLength(0);
});

test('a cancel that reached the disk with a write that failed ends a job once, where its task has not begun', async () => {
  const rest = (act: History['steps'][number]['act']): History['steps'][number] => ({ act, until: 'rest' });
  const { facts, violations } = await runHistory({
    tuning,
    steps: [
      rest({ do: 'flood', priorities: [0, 0, 0, 0, 0, 0] }),
      rest({ do: 'end', n: 0, how: 'return' }),
      rest({ do: 'failWrite', failure: 'all', opens: 0 }),
      rest({ do: 'cancel', n: 9 }),
    ],
    livesOn: true,
  });
  expect(violations).toEqual([]);
  expect(facts.filter((fact) => fact.kind === 'ended' && fact.state === 'cancelled')).toHaveLength(1);
});

test('a pause that was not synced can go with what a disk that errs loses', async () => {
  const steps: History['steps'] = [
    { act: { do: 'enqueue', item: { name: 'work', options: {} } }, until: 'rest' },
    { act: { do: 'pauseQueue', n: 0 }, until: 'rest' },
    { act: { do: 'failWrite', failure: 'unsynced', opens: 0 }, until: 'rest' },
    { act: { do: 'cancel', n: 0 }, until: 'rest' },
  ];
  const own = { ...tuning, durability: 'os' } as const;
  expect((await runHistory({ tuning: own, livesOn: false, steps })).violations).toEqual([]);
});

test.each([
  ['whose deadline has come', { expiresIn: 5, delay: 40 }],
  ['that is due', { delay: 5 }],
] as const)('a job %s can be removed while it is looked for', async (_which, options) => {
  const { facts, violations } = await runHistory({
    // What is looked for is read before the removal, and answered behind it.
    tuning: { ...tuning, readsEarly: true, readsBackwards: true },
    livesOn: false,
    steps: [
      { act: { do: 'enqueue', item: { name: 'work', options } }, until: 'rest' },
      { act: { do: 'advance', ms: 15 }, until: 'disk' },
      { act: { do: 'removeJob', n: 0 }, until: 'read' },
      { act: { do: 'nothing' }, until: 'write' },
      { act: { do: 'nothing' }, until: 'rest' },
    ],
  });
  expect(facts).toContainEqual(expect.objectContaining({ kind: 'removed', wasThere: true }));
  expect(violations).toEqual([]);
});
