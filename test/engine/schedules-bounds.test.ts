/** Schedules that begin, end, and are over: `startAt`, `endAt` and `maxRuns`. */
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { NOW } from '../fixtures/jobs.js';
import { DAY, HOUR, MINUTE, pass, scheduleThat, ticking } from '../fixtures/ticking.js';

const hourly = { job: 'work', payload: 'one', every: '1h' } as const;
/** Ticks along, so that a test knows when time has passed. */
const beat = { job: 'work', payload: 'beat', every: '1h' } as const;

test('an interval ticks first at `startAt`, and counts from there', async () => {
  const { options, clock, runs, closing } = await ticking();
  const startAt = NOW + 100 * MINUTE;
  const schedules = { one: { ...hourly, startAt: new Date(startAt) } };
  const mill = closing(await Millrace.open({ ...options, schedules }));
  const [one] = await mill.schedules.list({ upcoming: 2 });
  expect(one).toMatchObject({ startAt, upcoming: [startAt, startAt + HOUR] });
  await pass(clock, 100 * MINUTE);
  await runs.reached(1);
  await pass(clock, HOUR);
  expect(await runs.reached(2)).toMatchObject([{ scheduledFor: startAt }, { scheduledFor: startAt + HOUR }]);
});

test('a `startAt` that is past is where the interval counts from, and nothing is made up for', async () => {
  const { options, closing } = await ticking();
  const schedules = { one: { ...hourly, startAt: NOW - 10 * HOUR - MINUTE } };
  const mill = closing(await Millrace.open({ ...options, schedules }));
  expect(await mill.schedules.list()).toMatchObject([{ upcoming: [NOW + HOUR - MINUTE], runCount: 0 }]);
});

test('a pattern ticks first at `startAt`, where it matches that, or after it', async () => {
  const { options, closing } = await ticking();
  const daily = { job: 'work', pattern: '0 6 * * *', timezone: 'UTC' } as const;
  const sixAm = Date.UTC(2023, 11, 24, 6);
  const schedules = {
    at: { ...daily, startAt: sixAm },
    after: { ...daily, startAt: sixAm + 1 },
    before: { ...daily, startAt: sixAm - 1 },
  };
  const mill = closing(await Millrace.open({ ...options, schedules }));
  expect(await mill.schedules.list()).toMatchObject([
    { name: 'after', upcoming: [sixAm + DAY] },
    { name: 'at', upcoming: [sixAm] },
    { name: 'before', upcoming: [sixAm] },
  ]);
});

test('a start that is moved moves the next tick', async () => {
  const { options, clock, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  await mill.schedules.upsert('one', { ...hourly, startAt: NOW + 5 * HOUR });
  await clock.armed(MINUTE);
  const startAt = NOW + 100 * MINUTE;
  await mill.schedules.upsert('one', { ...hourly, startAt });
  expect(await mill.schedules.list({ upcoming: 2 })).toMatchObject([{ upcoming: [startAt, startAt + HOUR] }]);
  await mill.schedules.upsert('one', hourly);
  expect(await mill.schedules.list()).toMatchObject([{ upcoming: [NOW + HOUR] }]);
});

test('there is no tick at `endAt`, and the schedule is over, also after a restart', async () => {
  const { options, clock, runs, closing } = await ticking();
  const first = closing(await Millrace.open({ ...options, schedules: { beat } }));
  await first.schedules.upsert('one', { ...hourly, endAt: NOW + 2 * HOUR });
  await first.schedules.upsert('two', { ...hourly, endAt: new Date(NOW + 2 * HOUR + 1) });
  await pass(clock, HOUR);
  await runs.reached(3);
  expect(await scheduleThat(first, 'one')).toMatchObject({ state: 'over', upcoming: [], runCount: 1 });
  expect(await scheduleThat(first, 'two')).toMatchObject({ state: 'active', upcoming: [NOW + 2 * HOUR] });
  await pass(clock, HOUR);
  await runs.reached(5);
  expect(await scheduleThat(first, 'two')).toMatchObject({ state: 'over', upcoming: [], runCount: 2 });
  await first.close();
  const again = closing(await Millrace.open({ ...options, schedules: { beat } }));
  await pass(clock, HOUR);
  await runs.reached(6);
  const names = runs.all.map(({ id }) => id.replace(/@.*/, ''));
  expect(names.toSorted()).toEqual(['beat', 'beat', 'beat', 'one', 'two', 'two']);
  expect(await again.schedules.list()).toMatchObject([
    { name: 'beat' },
    { state: 'over' },
    { state: 'over' },
  ]);
});

test('one that has ended before it began is over, and none of its ticks is', async () => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, endAt: NOW } } }));
  expect(await mill.schedules.list()).toMatchObject([{ state: 'over', upcoming: [], runCount: 0 }]);
});

test('an end that is put off lets it go on with its next tick', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { beat } }));
  await mill.schedules.upsert('one', { ...hourly, endAt: NOW + HOUR });
  await pass(clock, HOUR);
  await runs.reached(1);
  await mill.schedules.upsert('one', { ...hourly, endAt: NOW + 3 * HOUR });
  expect(await scheduleThat(mill, 'one')).toMatchObject({ state: 'active', upcoming: [NOW + 2 * HOUR] });
  await pass(clock, HOUR);
  await runs.reached(3);
  expect(await scheduleThat(mill, 'one')).toMatchObject({ state: 'over', runCount: 1 });
});

test('it is over after `maxRuns`, and one more lets it go on', async () => {
  const { options, clock, runs, closing } = await ticking();
  const first = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, maxRuns: 2 } } }));
  for (let n = 1; n <= 2; n++) {
    await pass(clock, HOUR);
    await runs.reached(n);
  }
  const over = { state: 'over', upcoming: [], runCount: 2, maxRuns: 2 };
  expect(
    await scheduleThat(first, 'one', ({ lastRun }) => lastRun?.scheduledFor === NOW + 2 * HOUR),
  ).toMatchObject(over);
  await first.close();
  await clock.advance(3 * HOUR);
  const second = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, maxRuns: 2 } } }));
  expect(await scheduleThat(second, 'one')).toMatchObject(over);
  await second.close();
  const third = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, maxRuns: 3 } } }));
  // What passed while it was over was none of its ticks.
  expect(await scheduleThat(third, 'one')).toMatchObject({ state: 'active', upcoming: [NOW + 6 * HOUR] });
  await pass(clock, HOUR);
  expect(await runs.reached(3)).toMatchObject([{}, {}, { scheduledFor: NOW + 6 * HOUR }]);
  expect(await scheduleThat(third, 'one', ({ state }) => state === 'over')).toMatchObject({ runCount: 3 });
});

test('a `maxRuns` that was reached when it is set ends it at once', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  await mill.schedules.upsert('one', hourly);
  for (let n = 1; n <= 2; n++) {
    await pass(clock, HOUR);
    await runs.reached(n);
  }
  await mill.schedules.upsert('one', { ...hourly, maxRuns: 2 });
  expect(await scheduleThat(mill, 'one')).toMatchObject({ state: 'over', runCount: 2 });
  await mill.schedules.upsert('one', { ...hourly, every: '2h', maxRuns: 1 });
  expect(await scheduleThat(mill, 'one')).toMatchObject({ state: 'over', runCount: 2 });
});

test('one that is over can be paused and resumed, and stays over', async () => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, endAt: NOW } } }));
  await mill.schedules.pause('one');
  expect(await scheduleThat(mill, 'one')).toMatchObject({ state: 'paused' });
  await mill.schedules.resume('one');
  expect(await scheduleThat(mill, 'one')).toMatchObject({ state: 'over', upcoming: [] });
});
