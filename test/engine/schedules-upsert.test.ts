/** schedules.upsert() and remove(): schedules that come, change and go while the engine runs. */
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, SECOND, ticking, tickOf } from '../fixtures/ticking.js';

const hourly = { job: 'work', payload: 'one', every: '1h' } as const;
const closed = { code: 'MILLRACE_CLOSED' };
const notFound = { code: 'MILLRACE_SCHEDULE_NOT_FOUND' };

test('a schedule is stored once upsert() resolves, and ticks here and after a restart', async () => {
  const { options, clock, runs, closing } = await ticking();
  const first = closing(await Millrace.open(options));
  await first.schedules.upsert('hourly', hourly);
  await pass(clock, HOUR);
  await runs.reached(1);
  await first.close();
  const again = closing(await Millrace.open(options));
  expect(await again.schedules.list()).toMatchObject([
    { name: 'hourly', job: 'work', payload: 'one', everyMs: HOUR, runCount: 1, upcoming: [NOW + 2 * HOUR] },
  ]);
  await pass(clock, HOUR);
  expect(await runs.reached(2)).toMatchObject([{}, { scheduledFor: NOW + 2 * HOUR, payload: 'one' }]);
});

test('one that is due sooner than all others sets the timer anew', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  await mill.schedules.upsert('hourly', hourly);
  await clock.armed(MINUTE);
  await mill.schedules.upsert('soon', { ...hourly, every: '20s' });
  await pass(clock, 20 * SECOND);
  expect(await runs.reached(1)).toMatchObject([{ id: tickOf('soon', NOW + 20 * SECOND) }]);
});

test('whoever upserts the same again and again does not put its ticks off', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  for (let time = 0; time < 3; time++) {
    await mill.schedules.upsert('hourly', hourly);
    await pass(clock, 20 * MINUTE);
  }
  expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + HOUR }]);
});

test('a schedule that is described anew keeps its past, and all else is as it is described', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  const limits = {
    startAt: NOW + HOUR,
    endAt: NOW + 9 * HOUR,
    maxRuns: 5,
    misfire: 'all',
    overlap: 'skip',
  } as const;
  await mill.schedules.upsert('one', { ...hourly, ...limits });
  await pass(clock, HOUR);
  await runs.reached(1);
  await mill.schedules.upsert('one', { job: 'work', pattern: '0 * * * *', timezone: 'UTC' });
  const { lastRun, ...one } = await scheduleThat(
    mill,
    'one',
    ({ lastRun }) => lastRun?.outcome !== undefined,
  );
  expect(lastRun).toEqual({
    jobId: tickOf('one', NOW + HOUR),
    scheduledFor: NOW + HOUR,
    outcome: 'completed',
    finishedAt: NOW + HOUR,
  });
  expect(one).toEqual({
    name: 'one',
    job: 'work',
    payload: undefined,
    state: 'active',
    pattern: '0 * * * *',
    timezone: 'UTC',
    jitterMs: 0,
    misfire: 'once',
    maxCatchUp: 100,
    overlap: 'allow',
    options: {},
    upcoming: [Date.UTC(2023, 10, 15, 0)],
    runCount: 1,
    skipCount: 0,
    declared: false,
  });
});

test('one whose payload is another ticks when it would have, with that', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  await mill.schedules.upsert('hourly', hourly);
  await pass(clock, 40 * MINUTE);
  await mill.schedules.upsert('hourly', { ...hourly, payload: 'two' });
  await pass(clock, 20 * MINUTE);
  expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + HOUR, payload: 'two' }]);
});

test('one that is paused is described anew and stays paused', async () => {
  const { options, clock, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  await mill.schedules.upsert('hourly', hourly);
  await mill.schedules.pause('hourly');
  await mill.schedules.upsert('hourly', { ...hourly, every: '2h' });
  expect(await mill.schedules.list()).toMatchObject([{ everyMs: 2 * HOUR, state: 'paused', upcoming: [] }]);
  await mill.schedules.resume('hourly');
  expect(await mill.schedules.list()).toMatchObject([
    { state: 'active', upcoming: [clock.now() + 2 * HOUR] },
  ]);
});

test('what upsert() was given can be changed afterwards', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  const payload = { to: 'you' };
  const upserted = mill.schedules.upsert('hourly', { ...hourly, payload });
  payload.to = 'me';
  await upserted;
  await pass(clock, HOUR);
  expect(await runs.reached(1)).toMatchObject([{ payload: { to: 'you' } }]);
});

test('a schedule that is removed ticks no more, its jobs stay, and one of its name begins anew', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  await mill.schedules.upsert('one', hourly);
  await mill.schedules.upsert('two', { ...hourly, payload: 'two' });
  await pass(clock, HOUR);
  await runs.reached(2);
  expect(await mill.schedules.remove('two')).toBe(true);
  expect(await mill.schedules.remove('two')).toBe(false);
  expect(await mill.job(tickOf('two', NOW + HOUR))).toMatchObject({ schedule: 'two' });
  expect(await mill.schedules.list()).toMatchObject([{ name: 'one' }]);
  await mill.schedules.upsert('two', { ...hourly, payload: 'new' });
  expect(await scheduleThat(mill, 'two')).toMatchObject({ runCount: 0, upcoming: [NOW + 2 * HOUR] });
  expect(await scheduleThat(mill, 'two')).not.toHaveProperty('lastRun');
  expect(await mill.schedules.remove('one')).toBe(true);
  await pass(clock, HOUR);
  await runs.until(({ payload }) => payload === 'new');
  expect(await mill.job(tickOf('one', NOW + 2 * HOUR))).toBeUndefined();
  await mill.close();
  const again = closing(await Millrace.open(options));
  expect(await again.schedules.list()).toMatchObject([{ name: 'two' }]);
});

test('a job that waits when its schedule is removed runs all the same', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  // So long that it is not over at once, whatever the tick.
  await mill.schedules.upsert('late', { ...hourly, jitter: '30m' });
  await pass(clock, HOUR);
  await scheduleThat(mill, 'late', ({ runCount }) => runCount === 1);
  expect(await mill.schedules.remove('late')).toBe(true);
  expect(await mill.job(tickOf('late', NOW + HOUR))).toMatchObject({ state: 'scheduled' });
  await pass(clock, 30 * MINUTE);
  expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + HOUR }]);
});

test('a schedule that does not exist is told of', async () => {
  const { options, closing } = await ticking();
  const { schedules } = closing(await Millrace.open(options));
  for (const call of [schedules.pause('nope'), schedules.resume('nope'), schedules.runNow('nope')])
    await expect(call).rejects.toMatchObject({ ...notFound, message: expect.stringContaining('"nope"') });
  expect(await schedules.remove('nope')).toBe(false);
  expect(await schedules.list()).toEqual([]);
});

test('an engine that is closed takes nothing', async () => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { hourly } }));
  const { schedules } = mill;
  await mill.close();
  await expect(schedules.upsert('hourly', hourly)).rejects.toMatchObject(closed);
  await expect(schedules.list()).rejects.toMatchObject(closed);
  await expect(schedules.pause('hourly')).rejects.toMatchObject(closed);
  await expect(schedules.resume('hourly')).rejects.toMatchObject(closed);
  await expect(schedules.remove('hourly')).rejects.toMatchObject(closed);
  await expect(schedules.runNow('hourly')).rejects.toMatchObject(closed);
});

test('what close() meets on its way is stored or refused', async () => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  const names = Array.from({ length: 50 }, (_, i) => `s${i}`);
  const upserts = Promise.allSettled(names.map((name) => mill.schedules.upsert(name, hourly)));
  await mill.close();
  const outcomes = await upserts;
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject(closed);
  const again = closing(await Millrace.open(options));
  const kept = new Set((await again.schedules.list()).map(({ name }) => name));
  expect(names.filter((name, i) => outcomes[i]?.status === 'fulfilled' && !kept.has(name))).toEqual([]);
});
