/** What a disk that errs, and loses what was not synced, makes of schedules whose engine goes on. */
import { expect, test } from 'vitest';
import { tellStory } from '../crash/story.js';
import { DECLARED, DECLARED_NAME, NAMES, PLANS } from './schedules.js';
import type { History, Step } from './history.js';
import { runHistory } from './simulation.js';
import { NOW } from '../fixtures/jobs.js';

const rest = (act: Step['act']): Step => ({ act, until: 'rest' });

const onOneThread = (declared: number | undefined, steps: readonly Step[]): History => ({
  tuning: {
    durability: 'os',
    threads: 1,
    selection: 'weighted',
    windowSize: 1_000,
    readsEarly: false,
    readsBackwards: false,
    first: 'asked',
    declared,
  },
  steps,
  livesOn: true,
});

/** The next write fails, and takes what was not synced before it. */
const losing: readonly Step[] = [
  rest({ do: 'failWrite', failure: 'unsynced', opens: 0 }),
  rest({ do: 'enqueue', item: { name: 'work', options: {} } }),
];

test('the job of a tick that is lost while it runs goes on, and is the only one of its tick', async () => {
  const often = DECLARED.findIndex(({ every }) => every === 25);
  const { facts, violations } = await runHistory(
    onOneThread(often, [rest({ do: 'advance', ms: 25 }), ...losing]),
  );
  expect(violations, tellStory(violations, facts)).toEqual([]);
  const started = facts.flatMap((fact) => (fact.kind === 'started' ? (fact.scheduledFor ?? []) : []));
  expect(started).toEqual([0, 25, 50, 75, 100, 125].map((ms) => NOW + ms));
});

test('what the code declares ticks again where another description of it was lost', async () => {
  const plan = PLANS.findIndex((plan) => plan(NOW).pattern === '0 */10 * * * *');
  const { facts, violations } = await runHistory(
    onOneThread(0, [rest({ do: 'upsert', n: NAMES.indexOf(DECLARED_NAME), plan }), ...losing]),
  );
  expect(violations, tellStory(violations, facts)).toEqual([]);
});

test('ticks that are too late once the clock is set right are left out, although later ones had their jobs before', async () => {
  const queueing = DECLARED.findIndex(({ overlap }) => overlap === 'queue');
  const plan = PLANS.findIndex((plan) => plan(NOW).maxAge === 60);
  const { facts, violations } = await runHistory(
    onOneThread(queueing, [
      rest({ do: 'advance', ms: 90_000 }),
      rest({ do: 'setClock', ms: -90_000 }),
      rest({ do: 'upsert', n: NAMES.indexOf(DECLARED_NAME), plan }),
    ]),
  );
  expect(violations, tellStory(violations, facts)).toEqual([]);
});

test('a run that ends while its tick, which was lost, is had again is not waited for', async () => {
  const queueing = DECLARED.findIndex(({ overlap }) => overlap === 'queue');
  const { facts, violations } = await runHistory(
    onOneThread(queueing, [
      rest({ do: 'advance', ms: 1_000 }),
      rest({ do: 'end', n: 0, how: 'return' }),
      rest({ do: 'failWrite', failure: 'unsynced', opens: 0 }),
      rest({ do: 'end', n: 0, how: 'return' }),
      rest({ do: 'nothing' }),
    ]),
  );
  expect(violations, tellStory(violations, facts)).toEqual([]);
});

test('a schedule that is described anew while it is paused ticks from when it goes on, although the clock was set back before', async () => {
  const often = PLANS.findIndex((plan) => plan(NOW).maxRuns === 6);
  const other = PLANS.findIndex((plan) => plan(NOW).every === 15 && plan(NOW).startAt === NOW);
  const { facts, violations } = await runHistory(
    onOneThread(0, [
      rest({ do: 'advance', ms: 90_000 }),
      rest({ do: 'upsert', n: 0, plan: often }),
      rest({ do: 'advance', ms: 40 }),
      rest({ do: 'setClock', ms: -90_000 }),
      rest({ do: 'pause', n: 0 }),
      rest({ do: 'upsert', n: 0, plan: other }),
      rest({ do: 'resume', n: 0 }),
      rest({ do: 'advance', ms: 200 }),
    ]),
  );
  expect(violations, tellStory(violations, facts)).toEqual([]);
});

test('runs that a disk that errs has lost, and that go on, are beside those that the schedule has', async () => {
  const often = PLANS.findIndex((plan) => plan(NOW).maxRuns === 6);
  const { facts, violations } = await runHistory(
    onOneThread(undefined, [
      rest({ do: 'upsert', n: 0, plan: often }),
      rest({ do: 'cutPower', kept: 1, downMs: 3_600_000 }),
      rest({ do: 'failWrite', failure: 'unsynced', opens: 0 }),
      rest({ do: 'end', n: 0, how: 'return' }),
    ]),
  );
  const started = new Set(
    facts.flatMap((fact) => (fact.kind === 'started' && fact.id.startsWith('one@') ? fact.id : [])),
  );
  expect(started.size).toBeGreaterThan(6);
  expect(violations, tellStory(violations, facts)).toEqual([]);
});
