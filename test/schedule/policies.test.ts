/** What becomes of ticks that were missed, and of those whose predecessor is still going: each policy with each other. */
import { describe, expect, it } from 'vitest';
import type { Misfire, Overlap } from '../../src/index.js';
import { MISFIRES, OVERLAPS } from '../../src/schedule/record.js';
import { MINUTE, ScheduleBench } from './bench.js';

const START = Date.parse('2026-03-01T12:00:00Z');
/** The ticks: the first runs, the next three are missed, the last comes after the restart. */
const TICKS = [10, 20, 30, 40, 50].map((minutes) => START + minutes * MINUTE);
const [FIRST, , , , LAST] = TICKS as [number, number, number, number, number];

/** Which ticks run, by their numbers: at once after the restart, and once all that is going has ended. */
interface Expected {
  readonly atOnce: readonly number[];
  readonly afterwards?: readonly number[];
  readonly isCancelled?: true;
}

/** The job of the first tick has not ended. */
const BUSY: Record<Misfire, Record<Overlap, Expected>> = {
  skip: {
    allow: { atOnce: [] },
    skip: { atOnce: [] },
    queue: { atOnce: [] },
    cancelPrevious: { atOnce: [] },
  },
  once: {
    allow: { atOnce: [4] },
    skip: { atOnce: [] },
    queue: { atOnce: [], afterwards: [4] },
    cancelPrevious: { atOnce: [4], isCancelled: true },
  },
  all: {
    allow: { atOnce: [2, 3, 4] },
    skip: { atOnce: [] },
    queue: { atOnce: [], afterwards: [4] },
    cancelPrevious: { atOnce: [4], isCancelled: true },
  },
};

/** It has ended. */
const FREE: Record<Misfire, Record<Overlap, Expected>> = {
  skip: BUSY.skip,
  once: {
    allow: { atOnce: [4] },
    skip: { atOnce: [4] },
    queue: { atOnce: [4] },
    cancelPrevious: { atOnce: [4] },
  },
  all: {
    allow: { atOnce: [2, 3, 4] },
    skip: { atOnce: [2] },
    queue: { atOnce: [2], afterwards: [4] },
    cancelPrevious: { atOnce: [4] },
  },
};

const idOf = (tick: number): string => `s@${new Date(TICKS[tick - 1] ?? NaN).toISOString()}`;

/** The app goes down after the first tick, and is back at 45 minutes past. */
async function restarted(misfire: Misfire, overlap: Overlap, isBusy: boolean): Promise<ScheduleBench> {
  const bench = await ScheduleBench.make();
  bench.clock.jump(START - bench.clock.now());
  const s = { job: 'work', every: '10m', misfire, overlap } as const;
  await bench.start({ s });
  await bench.pass(10 * MINUTE);
  expect(bench.began).toEqual([{ id: idOf(1), scheduledFor: FIRST }]);
  if (!isBusy) await bench.letGo(idOf(1));
  await bench.stop();
  bench.began.length = 0;
  bench.clock.jump(35 * MINUTE);
  await bench.start({ s });
  return bench;
}

const begun = ({ began }: ScheduleBench): string[] =>
  began.map(({ id }) => id).filter((id) => id !== idOf(1));

describe.each(MISFIRES)('misfire %s', (misfire) => {
  describe.each(OVERLAPS)('overlap %s', (overlap) => {
    it.each([
      ['a job that is still going', BUSY, true],
      ['none that is', FREE, false],
    ] as const)('after a restart with %s', async (_title, table, isBusy) => {
      const { atOnce, afterwards = [], isCancelled = false } = table[misfire][overlap];
      const bench = await restarted(misfire, overlap, isBusy);
      expect(begun(bench)).toEqual(atOnce.map(idOf));
      expect(bench.cancelled).toEqual(isCancelled ? [idOf(1)] : []);
      for (let held = bench.held; held.length > 0; held = bench.held)
        for (const id of held) await bench.letGo(id);
      expect(begun(bench)).toEqual([...atOnce, ...afterwards].map(idOf));
      const [schedule] = await bench.engine.schedules.list();
      expect(schedule).toMatchObject({ upcoming: [LAST] });
      expect(schedule).not.toHaveProperty('queuedFor');

      await bench.pass(5 * MINUTE);
      expect(bench.held).toEqual([idOf(5)]);
      const [after] = await bench.engine.schedules.list();
      expect(after?.runCount).toBe(2 + atOnce.length + afterwards.length);
    });

    it('tells of what is not made up for', async () => {
      const bench = await restarted(misfire, overlap, false);
      const codes = bench.warnings.map(({ code }) => code);
      expect(codes).toEqual(misfire === 'all' ? [] : ['MILLRACE_TICKS_MISSED']);
    });
  });
});

describe('while the engine runs', () => {
  async function started(overlap: Overlap): Promise<ScheduleBench> {
    const bench = await ScheduleBench.make();
    bench.clock.jump(START - bench.clock.now());
    await bench.start({ s: { job: 'work', every: '10m', overlap } });
    return bench;
  }

  it('allow: runs go side by side', async () => {
    const bench = await started('allow');
    await bench.pass(30 * MINUTE);
    expect(bench.held).toEqual([1, 2, 3].map(idOf));
  });

  it('skip: a tick whose predecessor is going has no job, and the first one after that has', async () => {
    const bench = await started('skip');
    await bench.pass(30 * MINUTE);
    expect(bench.held).toEqual([idOf(1)]);
    expect(await bench.engine.schedules.list()).toMatchObject([{ runCount: 1, skipCount: 2 }]);
    await bench.letGo(idOf(1));
    expect(bench.held).toEqual([]);
    await bench.pass(10 * MINUTE);
    expect(bench.held).toEqual([idOf(4)]);
  });

  it('queue: of those that wait the last one runs', async () => {
    const bench = await started('queue');
    await bench.pass(30 * MINUTE);
    expect(bench.held).toEqual([idOf(1)]);
    await bench.letGo(idOf(1));
    expect(bench.held).toEqual([idOf(3)]);
    expect(await bench.engine.schedules.list()).toMatchObject([{ runCount: 2, skipCount: 1 }]);
    expect(bench.began.at(-1)).toEqual({ id: idOf(3), scheduledFor: TICKS[2] });
  });

  it('cancelPrevious: the last one takes its place when it has ended', async () => {
    const bench = await started('cancelPrevious');
    await bench.pass(20 * MINUTE);
    expect(bench.cancelled).toEqual([idOf(1)]);
    expect(bench.held).toEqual([idOf(2)]);
    expect(await bench.engine.snapshot(idOf(1))).toMatchObject({ state: 'cancelled' });
  });

  it('counts a job that a restart has put back as going', async () => {
    const bench = await started('skip');
    await bench.pass(10 * MINUTE);
    await bench.stop();
    await bench.start({ s: { job: 'work', every: '10m', overlap: 'skip' } });
    await bench.pass(10 * MINUTE);
    expect(bench.began.map(({ id }) => id)).toEqual([idOf(1), idOf(1)]);
  });

  it('queue: keeps what waits while the schedule is paused', async () => {
    const bench = await started('queue');
    await bench.pass(20 * MINUTE);
    await bench.engine.schedules.pause('s');
    await bench.letGo(idOf(1));
    expect(bench.held).toEqual([]);
    await bench.engine.schedules.resume('s');
    await bench.store.quiet();
    expect(bench.held).toEqual([idOf(2)]);
  });

  it('cancelPrevious: cancels nothing while the schedule is paused, and no run that came after the tick', async () => {
    const bench = await ScheduleBench.make();
    bench.clock.jump(START - bench.clock.now());
    await bench.start({ s: { job: 'stubborn', every: '10m', overlap: 'cancelPrevious' } });
    await bench.pass(20 * MINUTE);
    // The second tick waits for the first one's job, which takes no notice of its cancel.
    const { schedules } = bench.engine;
    const later = await schedules.runNow('s');
    await bench.store.quiet();
    await bench.letGo(idOf(1));
    expect(bench.cancelled).toEqual([idOf(1)]);
    expect(await bench.engine.snapshot(later.id)).toMatchObject({ state: 'running', stopping: false });
    await bench.letGo(later.id);
    expect(bench.held).toEqual([idOf(2)]);

    await bench.pass(10 * MINUTE);
    await schedules.pause('s');
    const paused = await schedules.runNow('s');
    await bench.store.quiet();
    await bench.letGo(idOf(2));
    expect(await bench.engine.snapshot(paused.id)).toMatchObject({ state: 'running', stopping: false });
    await bench.letGo(paused.id);
    expect(bench.held).toEqual([]);
  });

  it('a tick that waits is the only one of its moment, also where the schedule is made to begin with it', async () => {
    const bench = await started('queue');
    await bench.pass(20 * MINUTE);
    const startAt = START + 20 * MINUTE;
    await bench.engine.schedules.upsert('s', { job: 'work', every: '10m', startAt, overlap: 'allow' });
    await bench.store.quiet();
    expect(bench.held).toEqual([1, 2].map(idOf));
    expect(await bench.engine.schedules.list()).toMatchObject([{ runCount: 2, upcoming: [TICKS[2]] }]);
    expect(await bench.engine.counts()).toMatchObject({ running: 2 });
  });

  it('runs what waits at once when overlapping does not matter any more', async () => {
    const bench = await started('queue');
    await bench.pass(20 * MINUTE);
    await bench.engine.schedules.upsert('s', { job: 'work', every: '10m', overlap: 'allow' });
    await bench.store.quiet();
    expect(bench.held).toEqual([idOf(1), idOf(2)]);
  });
});

describe('the bounds of what is made up for', () => {
  const down = async (ms: number, schedule: object, from = START): Promise<ScheduleBench> => {
    const bench = await ScheduleBench.make();
    bench.clock.jump(from - bench.clock.now());
    const s = { job: 'quick' as const, every: '1m' as const, ...schedule };
    await bench.start({ s });
    await bench.stop();
    bench.clock.jump(ms);
    await bench.start({ s });
    return bench;
  };
  const minutes = ({ began }: ScheduleBench): number[] =>
    began.map(({ scheduledFor = NaN }) => (scheduledFor - START) / MINUTE);

  it('all: the last ones, at most maxCatchUp', async () => {
    const bench = await down(90 * MINUTE, { misfire: 'all', maxCatchUp: 3 });
    expect(minutes(bench)).toEqual([88, 89, 90]);
    expect(bench.warnings.map(({ code }) => code)).toEqual(['MILLRACE_TICKS_MISSED']);
  });

  it('all: a hundred where nothing else is said', async () => {
    const bench = await down(300 * MINUTE, { misfire: 'all' });
    expect(minutes(bench)).toEqual(Array.from({ length: 100 }, (_, i) => 201 + i));
  });

  it('all: many at once', async () => {
    const bench = await down(5_000 * MINUTE, { misfire: 'all', maxCatchUp: 10_000 });
    expect(minutes(bench)).toEqual(Array.from({ length: 5_000 }, (_, i) => i + 1));
  });

  it('all: none that is older than maxAge', async () => {
    const bench = await down(90 * MINUTE, { misfire: 'all', maxAge: '2m' });
    expect(minutes(bench)).toEqual([88, 89, 90]);
  });

  it('once: none where the last one is older than maxAge', async () => {
    expect(minutes(await down(90.5 * MINUTE, { maxAge: '20s' }))).toEqual([]);
    expect(minutes(await down(90.5 * MINUTE, { maxAge: '30s' }))).toEqual([90]);
  });

  it('skip: a tick that is not more than a minute late was not missed', async () => {
    expect(minutes(await down(61 * MINUTE, { misfire: 'skip', every: '1h' }))).toEqual([60]);
    expect(minutes(await down(61 * MINUTE + 1, { misfire: 'skip', every: '1h' }))).toEqual([]);
  });

  it('counts what it makes up for, and ends with maxRuns', async () => {
    const bench = await down(90 * MINUTE, { misfire: 'all', maxRuns: 5, maxCatchUp: 50 });
    expect(minutes(bench)).toEqual([41, 42, 43, 44, 45]);
    expect(await bench.engine.schedules.list()).toMatchObject([{ state: 'over', runCount: 5, upcoming: [] }]);
  });

  it('makes up for no tick at endAt or later', async () => {
    const bench = await down(90 * MINUTE, { misfire: 'all', endAt: START + 3 * MINUTE });
    expect(minutes(bench)).toEqual([1, 2]);
    expect(await bench.engine.schedules.list()).toMatchObject([{ state: 'over' }]);
  });

  it('looks no further back than endAt, however long ago that was', async () => {
    const every = { every: '1s', endAt: START + 90_500, misfire: 'once' };
    const bench = await down(365 * 24 * 60 * MINUTE, every);
    expect(bench.began).toEqual([{ id: 's@2026-03-01T12:01:30.000Z', scheduledFor: START + 90_000 }]);
    const pattern = { every: undefined, pattern: '* * * * * *', timezone: 'UTC', endAt: START + 90_500 };
    const cron = await down(365 * 24 * 60 * MINUTE, pattern);
    expect(cron.began).toEqual(bench.began);
  });

  it('makes up for a tick of a pattern that was missed', async () => {
    const pattern = { every: undefined, pattern: '30 2 * * *', timezone: 'Europe/Berlin' };
    const bench = await down(20 * 60 * MINUTE, pattern, Date.parse('2026-03-28T12:00:00Z'));
    expect(bench.began.map(({ id }) => id)).toEqual(['s@2026-03-29T01:00:00.000Z']);
  });
});
