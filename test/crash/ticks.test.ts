/** What is not certain of a schedule, and what its policies leave out, the invariants of ticks do not ask for. */
import { describe, expect, test } from 'vitest';
import { findViolations } from './invariants.js';
import {
  answered,
  changing,
  did,
  EVERY_20,
  tickJob,
  restarted,
  ticking,
  without,
  NAME,
  type Timed,
} from './plant-ticks.js';
import { gridOf, ticksBetween } from './rhythm-model.js';

const found = (parts: Parameters<typeof ticking>[0]): string[] =>
  findViolations(ticking(parts)).map(({ invariant, id, message }) => `${invariant}: ${id} ${message}`);

const made = (scheduledFor: number, enqueuedAt: number): ReturnType<typeof tickJob> =>
  tickJob(scheduledFor, { run: { schedule: NAME, scheduledFor, enqueuedAt } });

describe('what was asked for and not answered may be so, or not', () => {
  test.each([
    ['all of its ticks', without()],
    ['none', []],
    ['some', without(20, 60)],
  ])('an upsert: there are %s', (_which, jobs) => {
    expect(found({ facts: [changing('upsert', 10, EVERY_20)], jobs })).toEqual([]);
  });

  test('an upsert: the schedule need not be there', () => {
    expect(found({ facts: [changing('upsert', 10, EVERY_20)], jobs: [], progress: null })).toEqual([]);
  });

  test.each([
    ['it is paused', { pausedAt: 50 }, without(60, 80, 100)],
    ['it goes on', {}, without()],
  ])('a pause: %s', (_which, progress, jobs) => {
    const facts = [...did('upsert', 10, EVERY_20), changing('pause', 50)];
    expect(found({ facts, jobs, progress })).toEqual([]);
  });

  test('nor are calls that overlap certain, one by one', () => {
    const facts = [
      ...did('upsert', 10, EVERY_20),
      changing('pause', 30),
      changing('resume', 30),
      answered('pause', 30, { at: 50 }),
      answered('resume', 30, { at: 50 }),
    ];
    expect(found({ facts, jobs: without(40, 60, 80, 100), progress: { pausedAt: 30 } })).toEqual([]);
    expect(found({ facts })).toEqual([]);
  });

  test('what is acknowledged later settles it', () => {
    const facts = [
      ...did('upsert', 10, EVERY_20),
      changing('pause', 30),
      ...restarted(40),
      ...did('resume', 50),
    ];
    expect(found({ facts, jobs: without(40) })).toEqual([]);
    expect(found({ facts, jobs: without(40, 80) })).toEqual([expect.stringMatching(/^ticksLost/)]);
  });

  test('the same described again is the same, answered or not', () => {
    const facts = [...did('upsert', 10, EVERY_20), changing('upsert', 50, EVERY_20)];
    expect(found({ facts })).toEqual([]);
    expect(found({ facts, jobs: without(80) })).toEqual([expect.stringMatching(/^ticksLost/)]);
  });

  test('a job that it was told to have and not answered for may be of the same moment as a tick', () => {
    const facts = [...did('upsert', 10, EVERY_20), changing('runNow', 55), ...restarted(70)];
    expect(found({ facts, jobs: [...without(), tickJob(60, { id: 'another' })] })).toEqual([]);
  });
});

describe('policies leave ticks out', () => {
  const as = (more: object): Timed[] => did('upsert', 10, { ...EVERY_20, ...more });

  test('those that are made up for by others', () => {
    expect(found({ facts: as({ misfire: 'once' }), jobs: [made(100, 100)] })).toEqual([]);
    expect(found({ facts: as({ maxCatchUp: 2 }), jobs: [made(80, 105), made(100, 105)] })).toEqual([]);
    expect(found({ facts: as({ maxAge: 30 }), jobs: [made(80, 105), made(100, 105)] })).toEqual([]);
  });

  test('those whose predecessor has not ended', () => {
    const ended: Timed = { kind: 'ended', id: tickJob(20).id, state: 'completed', by: 'event', at: 70 };
    const result = { id: tickJob(20).id, token: NAME, attempt: 1 };
    const facts = (more: object): Timed[] => [...as(more), { ...ended, result }];
    expect(found({ facts: facts({ overlap: 'skip' }), jobs: without(40, 60) })).toEqual([]);
    expect(found({ facts: facts({ overlap: 'queue' }), jobs: without(40) })).toEqual([]);
  });

  test('those behind the last run, and behind the end', () => {
    expect(found({ facts: as({ maxRuns: 3 }), jobs: without(80, 100) })).toEqual([]);
    expect(found({ facts: as({ endAt: 80 }), jobs: without(80, 100) })).toEqual([]);
  });

  test('those that were due when it was described otherwise, and not those before', () => {
    const facts = [...as({}), ...did('upsert', 90, { every: 1_000, startAt: 0 })];
    expect(found({ facts, jobs: without(80, 100) })).toEqual([]);
    expect(found({ facts, jobs: without(60, 100) })).toEqual([expect.stringMatching(/^ticksLost/)]);
  });

  test('those of a time that a clock that was set back has again, of an interval', () => {
    const facts: Timed[] = [...as({}), { kind: 'clockSet', ms: -50, at: 50 }];
    expect(found({ facts, jobs: [...without(40), tickJob(77), tickJob(60, { id: 'again' })] })).toEqual([]);
  });
});

describe('the model of rhythms', () => {
  const ticks = (as: Parameters<typeof gridOf>[0], until: number, storedAt?: number): number[] => {
    const grid = gridOf(as, storedAt);
    return grid ? ticksBetween(grid, as, 0, until) : [];
  };

  test.each([
    ['an interval, from where it starts', { every: 20, startAt: 30 }, 90, [30, 50, 70, 90]],
    ['a pattern of seconds', { pattern: '*/20 * * * * *' }, 60_000, [20_000, 40_000, 60_000]],
    ['a pattern of minutes', { pattern: '0 */10 * * * *' }, 1_200_000, [600_000, 1_200_000]],
    ['an interval in words, until its end', { pattern: '@every 20ms', startAt: 10, endAt: 50 }, 90, [10, 30]],
  ])('%s', (_what, as, until, expected) => {
    expect(ticks(as, until)).toEqual(expected);
  });

  test('an interval that does not say where it starts begins when it is stored', () => {
    expect(ticks({ every: 20 }, 90)).toEqual([]);
    expect(ticks({ every: 20 }, 50, 15)).toEqual([15, 35]);
  });
});
