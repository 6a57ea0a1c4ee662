/** Schedules that open() is given: stored, brought up to date, and told of when the code gives them no more. */
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { record } from '../fixtures/engine.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, ticking, tickOf } from '../fixtures/ticking.js';

const hourly = { hourly: { job: 'work', payload: 'one', every: '1h' } } as const;
const undeclared = 'MILLRACE_SCHEDULE_UNDECLARED';

test('a declared schedule ticks at its time', async () => {
  const { options, clock, runs, closing } = await ticking();
  closing(await Millrace.open({ ...options, schedules: hourly }));
  await pass(clock, HOUR - 1);
  expect(runs.all).toEqual([]);
  await clock.advance(1);
  await runs.reached(1);
  await pass(clock, HOUR);
  expect(await runs.reached(2)).toEqual([
    { id: tickOf('hourly', NOW + HOUR), scheduledFor: NOW + HOUR, payload: 'one' },
    { id: tickOf('hourly', NOW + 2 * HOUR), scheduledFor: NOW + 2 * HOUR, payload: 'one' },
  ]);
});

test('one that is declared again goes on where it was', async () => {
  const { options, clock, runs, closing } = await ticking();
  const schedules = {
    ...hourly,
    cron: { job: 'work', payload: new Map([[1, 2n]]), pattern: '0 12 * * *', timezone: 'Asia/Kolkata' },
    limited: { job: 'work', every: '1h', maxRuns: 5, endAt: NOW + 9 * HOUR, options: { priority: 3 } },
  } as const;
  const first = closing(await Millrace.open({ ...options, schedules }));
  await pass(clock, HOUR);
  for (const name of ['hourly', 'limited'])
    await scheduleThat(first, name, ({ lastRun }) => lastRun?.outcome === 'completed');
  await pass(clock, 20 * MINUTE);
  const before = await first.schedules.list({ upcoming: 3 });
  await first.close();
  await clock.advance(25 * MINUTE);
  const again = closing(await Millrace.open({ ...options, schedules }));
  expect(await again.schedules.list({ upcoming: 3 })).toEqual(before);
  await pass(clock, 15 * MINUTE);
  await runs.reached(4);
  expect(runs.all.map(({ scheduledFor }) => scheduledFor)).toEqual([1, 1, 2, 2].map((n) => NOW + n * HOUR));
});

test('one whose interval is another counts from now on, and keeps its past', async () => {
  const { options, clock, runs, closing } = await ticking();
  const first = closing(await Millrace.open({ ...options, schedules: hourly }));
  await pass(clock, HOUR);
  await runs.reached(1);
  await first.close();
  await clock.advance(10 * MINUTE);
  const now = clock.now();
  const schedules = { hourly: { ...hourly.hourly, every: '30m' } } as const;
  const again = closing(await Millrace.open({ ...options, schedules }));
  expect(await again.schedules.list()).toMatchObject([
    {
      everyMs: 30 * MINUTE,
      upcoming: [now + 30 * MINUTE],
      runCount: 1,
      lastRun: { scheduledFor: NOW + HOUR },
    },
  ]);
  await pass(clock, 30 * MINUTE);
  expect(await runs.reached(2)).toMatchObject([{}, { scheduledFor: now + 30 * MINUTE }]);
});

test('one whose pattern or zone is another ticks by that', async () => {
  const { options, closing } = await ticking();
  const daily = { job: 'work', pattern: '30 2 * * *', timezone: 'UTC' } as const;
  const upcoming = async (schedule: { pattern: string; timezone: string }): Promise<string[]> => {
    const schedules = { daily: { job: 'work', ...schedule } } as const;
    const mill = closing(await Millrace.open({ ...options, schedules }));
    const [listed] = await mill.schedules.list();
    await mill.close();
    return (listed?.upcoming ?? []).map((at) => new Date(at).toISOString());
  };
  expect(await upcoming(daily)).toEqual(['2023-11-15T02:30:00.000Z']);
  expect(await upcoming({ ...daily, timezone: 'Europe/Berlin' })).toEqual(['2023-11-15T01:30:00.000Z']);
  expect(await upcoming({ ...daily, pattern: '0 3 * * *' })).toEqual(['2023-11-15T03:00:00.000Z']);
});

test('one whose payload is another ticks when it would have, with that', async () => {
  const { options, clock, runs, closing } = await ticking();
  const first = closing(await Millrace.open({ ...options, schedules: hourly }));
  await pass(clock, HOUR - MINUTE);
  await first.close();
  const schedules = { hourly: { ...hourly.hourly, payload: 'two' } } as const;
  const again = closing(await Millrace.open({ ...options, schedules }));
  expect(await again.schedules.list()).toMatchObject([{ payload: 'two', upcoming: [NOW + HOUR] }]);
  await pass(clock, MINUTE);
  expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + HOUR, payload: 'two' }]);
});

test('a tick that is due when the payload becomes another is not lost', async () => {
  const { options, clock, runs, closing } = await ticking();
  await closing(await Millrace.open({ ...options, schedules: hourly })).close();
  await clock.advance(HOUR);
  const schedules = { hourly: { ...hourly.hourly, payload: 'two' } } as const;
  closing(await Millrace.open({ ...options, schedules }));
  expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + HOUR, payload: 'two' }]);
});

test('one that is not declared any more is warned of at each open, and goes on', async () => {
  const { options, clock, runs, closing } = await ticking();
  await closing(await Millrace.open({ ...options, schedules: hourly })).close();
  for (let time = 0; time < 2; time++) {
    const mill = closing(await Millrace.open(options));
    const [, warning] = await record(mill, 'warning').until(() => true);
    expect(warning).toMatchObject({ code: undeclared, message: expect.stringContaining('schedule hourly') });
    expect(await mill.schedules.list()).toMatchObject([{ name: 'hourly', declared: true }]);
    if (time === 0) await mill.close();
  }
  await pass(clock, HOUR);
  expect(await runs.reached(1)).toMatchObject([{ payload: 'one' }]);
});

test('of many that are not declared any more, one warning names some', async () => {
  const { options, closing } = await ticking();
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const schedules = Object.fromEntries(names.map((name) => [name, hourly.hourly]));
  await closing(await Millrace.open({ ...options, schedules })).close();
  const mill = closing(await Millrace.open(options));
  const warnings = record(mill, 'warning');
  const [, warning] = await warnings.until(() => true);
  expect(warning).toMatchObject({ message: expect.stringContaining('7 schedules: a, b, c, d, e, …') });
  // The engine has begun by now, and told what there was to tell.
  await (await mill.enqueue('work')).result();
  expect(warnings.all).toHaveLength(1);
});

test('with `pruneSchedules` one that is not declared any more is removed, and its jobs stay', async () => {
  const { options, clock, runs, closing } = await ticking();
  const schedules = { ...hourly, other: hourly.hourly };
  const first = closing(await Millrace.open({ ...options, schedules }));
  await pass(clock, HOUR);
  await runs.reached(2);
  await first.close();
  const pruned = closing(await Millrace.open({ ...options, schedules: hourly, pruneSchedules: true }));
  const warnings = record(pruned, 'warning');
  expect(await pruned.schedules.list()).toMatchObject([{ name: 'hourly' }]);
  expect(await pruned.job(tickOf('other', NOW + HOUR))).toMatchObject({ state: 'completed' });
  await (await pruned.enqueue('work')).result();
  await pruned.close();
  expect(warnings.all).toEqual([]);
  const again = closing(await Millrace.open({ ...options, schedules: hourly }));
  expect(await again.schedules.list()).toMatchObject([{ name: 'hourly' }]);
});

test.each([false, true])(
  'what upsert() made is no matter of the declarations (`pruneSchedules: %o`)',
  async (pruneSchedules) => {
    const { options, clock, runs, closing } = await ticking();
    const first = closing(await Millrace.open(options));
    await first.schedules.upsert('own', { job: 'work', payload: 'own', every: '1h' });
    await first.close();
    const mill = closing(await Millrace.open({ ...options, pruneSchedules }));
    const warnings = record(mill, 'warning');
    expect(await mill.schedules.list()).toMatchObject([{ name: 'own', declared: false }]);
    await pass(clock, HOUR);
    expect(await runs.reached(1)).toMatchObject([{ payload: 'own' }]);
    expect(warnings.all).toEqual([]);
  },
);

test('what upsert() makes of a declared one lasts until the next open', async () => {
  const { options, closing } = await ticking();
  const first = closing(await Millrace.open({ ...options, schedules: hourly }));
  await first.schedules.upsert('hourly', { job: 'work', payload: 'mine', every: '2h' });
  expect(await first.schedules.list()).toMatchObject([
    { payload: 'mine', everyMs: 2 * HOUR, declared: false },
  ]);
  await first.close();
  const again = closing(await Millrace.open({ ...options, schedules: hourly }));
  expect(await again.schedules.list()).toMatchObject([{ payload: 'one', everyMs: HOUR, declared: true }]);
});

test('one that was paused stays so, however it is declared', async () => {
  const { options, closing } = await ticking();
  const first = closing(await Millrace.open({ ...options, schedules: hourly }));
  await first.schedules.pause('hourly');
  await first.close();
  for (const schedules of [hourly, { hourly: { ...hourly.hourly, every: '2h' } } as const]) {
    const mill = closing(await Millrace.open({ ...options, schedules }));
    expect(await mill.schedules.list()).toMatchObject([{ state: 'paused', upcoming: [] }]);
    await mill.close();
  }
});

test('an engine that declares a thousand has them all when it has opened', async () => {
  const { options, closing } = await ticking();
  const names = Array.from({ length: 1_000 }, (_, i) => `s${i}`);
  const schedules = Object.fromEntries(names.map((name) => [name, hourly.hourly]));
  const first = closing(await Millrace.open({ ...options, schedules }));
  expect((await first.schedules.list()).map(({ name }) => name)).toEqual(names.toSorted());
  await first.close();
  const pruned = closing(await Millrace.open({ ...options, schedules: hourly, pruneSchedules: true }));
  expect((await pruned.schedules.list()).map(({ name }) => name)).toEqual(['hourly']);
});
