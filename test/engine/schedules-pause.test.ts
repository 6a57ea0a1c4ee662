/** schedules.pause() and resume(). */
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { record } from '../fixtures/engine.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, ticking, tickOf } from '../fixtures/ticking.js';

const hourly = { job: 'work', payload: 'one', every: '1h' } as const;
/** Ticks along, so that a test knows when time has passed. */
const beat = { job: 'work', payload: 'beat', every: '1h' } as const;

test('one that is paused does not tick, and goes on with the tick after resume()', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { hourly, beat } }));
  await mill.schedules.pause('hourly');
  expect(await scheduleThat(mill, 'hourly')).toMatchObject({ state: 'paused', upcoming: [] });
  for (let n = 1; n <= 3; n++) {
    await pass(clock, HOUR);
    await runs.reached(n);
  }
  await pass(clock, 10 * MINUTE);
  const warnings = record(mill, 'warning');
  await mill.schedules.resume('hourly');
  expect(await scheduleThat(mill, 'hourly')).toMatchObject({ state: 'active', upcoming: [NOW + 4 * HOUR] });
  await pass(clock, 50 * MINUTE);
  await runs.reached(5);
  expect(runs.all.filter(({ payload }) => payload === 'one')).toEqual([
    { id: tickOf('hourly', NOW + 4 * HOUR), scheduledFor: NOW + 4 * HOUR, payload: 'one' },
  ]);
  // A pause is no misfire.
  expect(warnings.all).toEqual([]);
});

test('a pause outlasts a restart, and so does its end', async () => {
  const { options, clock, runs, closing } = await ticking();
  const first = closing(await Millrace.open(options));
  await first.schedules.upsert('hourly', hourly);
  await first.schedules.pause('hourly');
  await first.close();
  await clock.advance(2 * HOUR + MINUTE);
  const second = closing(await Millrace.open(options));
  expect(await scheduleThat(second, 'hourly')).toMatchObject({ state: 'paused', upcoming: [], runCount: 0 });
  await second.schedules.resume('hourly');
  await second.close();
  const third = closing(await Millrace.open(options));
  expect(await scheduleThat(third, 'hourly')).toMatchObject({ state: 'active', upcoming: [NOW + 3 * HOUR] });
  await pass(clock, HOUR - MINUTE);
  expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + 3 * HOUR }]);
});

test('what is done twice is done once', async () => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { hourly } }));
  const before = await mill.schedules.list();
  await mill.schedules.resume('hourly');
  expect(await mill.schedules.list()).toEqual(before);
  await mill.schedules.pause('hourly');
  const paused = await mill.schedules.list();
  await mill.schedules.pause('hourly');
  expect(await mill.schedules.list()).toEqual(paused);
  await mill.schedules.resume('hourly');
  await mill.schedules.resume('hourly');
  expect(await mill.schedules.list()).toEqual(before);
});

test('a job that waits when its schedule is paused runs all the same', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, jitter: '30m' } } }));
  await pass(clock, HOUR);
  await scheduleThat(mill, 'one', ({ runCount }) => runCount === 1);
  await mill.schedules.pause('one');
  await pass(clock, 30 * MINUTE);
  expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + HOUR }]);
  const ended = await scheduleThat(mill, 'one', ({ lastRun }) => lastRun?.outcome !== undefined);
  expect(ended).toMatchObject({ state: 'paused', lastRun: { outcome: 'completed' } });
});
