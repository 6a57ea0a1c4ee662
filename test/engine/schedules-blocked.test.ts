/** Schedules that are due and cannot tick: they say so, keep no other from ticking, and tick when they can. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type MillraceError } from '../../src/index.js';
import { record } from '../fixtures/engine.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, ticking, tickOf, type Ticking } from '../fixtures/ticking.js';

/** How long until it is tried again. */
const RETRY = MINUTE / 2;
const blocked = 'MILLRACE_SCHEDULE_BLOCKED';
const hourly = { job: 'work', payload: 'one', every: '1h' } as const;

/** A payload function that throws until it is mended, and for which ticks it was asked. */
function mendable() {
  const state = { isBroken: true };
  const asked: number[] = [];
  const payload = (at: number): number => {
    asked.push(at);
    if (state.isBroken) throw new Error('no luck');
    return at;
  };
  return { payload, asked, mend: () => void (state.isBroken = false) };
}

/** What a payload function that makes trouble makes of it. */
const troubles: [what: string, make: () => unknown, message: RegExp, cause: object][] = [
  [
    'throws',
    () => {
      throw new RangeError('no luck');
    },
    /schedule one .* no luck/i,
    { name: 'RangeError' },
  ],
  [
    'throws what is no error',
    () => {
      // What comes of that is the point.
      throw 'no luck' as unknown;
    },
    /no luck/,
    { cause: 'no luck' },
  ],
  [
    'makes what cannot be stored',
    () => ({ a: [() => 1] }),
    /payload\.a\[0\]/,
    { code: 'MILLRACE_PAYLOAD_INVALID' },
  ],
  ['makes a promise', () => Promise.resolve(1), /payload/, { code: 'MILLRACE_PAYLOAD_INVALID' }],
];

test.each(troubles)(
  'a payload function that %s holds its schedule, and no other',
  async (_what, make, message, cause) => {
    const { options, clock, runs, closing } = await ticking();
    const schedules = { a: hourly, one: { ...hourly, payload: make }, z: hourly };
    const mill = closing(await Millrace.open({ ...options, schedules }));
    const warnings = record(mill, 'warning');
    await pass(clock, HOUR);
    await runs.reached(2);
    const [, warning] = await warnings.until(() => true);
    expect(warning).toMatchObject({
      code: blocked,
      message: expect.stringMatching(message),
      cause: expect.objectContaining(cause),
    });
    expect(await scheduleThat(mill, 'one', ({ state }) => state === 'blocked')).toMatchObject({
      blockedBecause: (warning as MillraceError & { cause: Error }).cause.message,
      runCount: 0,
    });
    expect(runs.all.map(({ id }) => id).toSorted()).toEqual([
      tickOf('a', NOW + HOUR),
      tickOf('z', NOW + HOUR),
    ]);
    expect(await mill.counts()).toMatchObject({ available: 0, scheduled: 0 });
  },
);

test('it is asked again twice a minute, the warning comes once, and its tick is made up for', async () => {
  const { options, clock, runs, closing } = await ticking();
  const { payload, mend, asked } = mendable();
  const mill = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, payload } } }));
  const warnings = record(mill, 'warning');
  await pass(clock, HOUR);
  await warnings.reached(1);
  for (let n = 2; n <= 4; n++) {
    await pass(clock, RETRY);
    await scheduleThat(mill, 'one', () => asked.length === n);
  }
  mend();
  await pass(clock, RETRY);
  expect(await runs.reached(1)).toEqual([
    { id: tickOf('one', NOW + HOUR), scheduledFor: NOW + HOUR, payload: NOW + HOUR },
  ]);
  const one = await scheduleThat(mill, 'one', (schedule) => schedule.lastRun?.outcome !== undefined);
  expect(one).toMatchObject({ state: 'active', runCount: 1, upcoming: [NOW + 2 * HOUR] });
  expect(one).not.toHaveProperty('blockedBecause');
  expect(asked).toEqual(Array.from({ length: 5 }, () => NOW + HOUR));
  expect(warnings.all).toHaveLength(1);
});

test('another reason is told of, too', async () => {
  const { options, clock, closing } = await ticking();
  let n = 0;
  const payload = (): never => {
    throw new Error(`reason ${n++ < 2 ? 'one' : 'two'}`);
  };
  const mill = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, payload } } }));
  const warnings = record(mill, 'warning');
  await pass(clock, HOUR);
  await warnings.reached(1);
  await pass(clock, RETRY);
  await scheduleThat(mill, 'one', () => n === 2);
  await pass(clock, RETRY);
  await warnings.reached(2);
  expect(warnings.all.map(([, warning]) => 'message' in warning && warning.message)).toEqual([
    expect.stringContaining('reason one'),
    expect.stringContaining('reason two'),
  ]);
});

test('what is blocked while its next ticks come goes on as its misfire policy says', async () => {
  const { options, clock, runs, closing } = await ticking();
  const { payload, mend } = mendable();
  const schedules = { one: { ...hourly, payload }, all: { ...hourly, payload, misfire: 'all' } } as const;
  const mill = closing(await Millrace.open({ ...options, schedules }));
  const warnings = record(mill, 'warning');
  await pass(clock, HOUR);
  await warnings.reached(2);
  await clock.armed(RETRY);
  await clock.advance(2 * HOUR);
  mend();
  await pass(clock, RETRY);
  await runs.reached(4);
  const ticksOf = (name: string): (number | undefined)[] =>
    runs.all.filter(({ id }) => id.startsWith(`${name}@`)).map(({ scheduledFor }) => scheduledFor);
  expect(ticksOf('one')).toEqual([NOW + 3 * HOUR]);
  expect(ticksOf('all')).toEqual([1, 2, 3].map((n) => NOW + n * HOUR));
  expect(await scheduleThat(mill, 'one')).toMatchObject({ state: 'active', upcoming: [NOW + 4 * HOUR] });
});

test('one whose payload function the code has not given since the restart ticks once upsert() gives it', async () => {
  const { options, clock, runs, closing } = await ticking();
  const payload = (at: number): string => `made for ${at}`;
  const first = closing(await Millrace.open(options));
  await first.schedules.upsert('one', { ...hourly, payload });
  await first.close();
  const again = closing(await Millrace.open(options));
  const warnings = record(again, 'warning');
  // It is not due yet, and the code may be about to give it.
  expect(await scheduleThat(again, 'one')).toMatchObject({ state: 'active', upcoming: [NOW + HOUR] });
  await pass(clock, HOUR);
  const [, warning] = await warnings.until(() => true);
  expect(warning).toMatchObject({ code: blocked, message: expect.stringContaining('made by a function') });
  expect(await scheduleThat(again, 'one', ({ state }) => state === 'blocked')).not.toHaveProperty('payload');
  await again.schedules.upsert('one', { ...hourly, payload });
  expect(await runs.reached(1)).toMatchObject([
    { scheduledFor: NOW + HOUR, payload: `made for ${NOW + HOUR}` },
  ]);
  expect(await scheduleThat(again, 'one')).toMatchObject({ state: 'active', upcoming: [NOW + 2 * HOUR] });
});

test('a declared payload function is there after a restart', async () => {
  const { options, clock, runs, closing } = await ticking();
  const schedules = { one: { ...hourly, payload: (at: number) => at } };
  await closing(await Millrace.open({ ...options, schedules })).close();
  const again = closing(await Millrace.open({ ...options, schedules }));
  await pass(clock, HOUR);
  expect(await runs.reached(1)).toMatchObject([{ payload: NOW + HOUR }]);
  // Without it, what is stored has none.
  await again.close();
  const static_ = closing(await Millrace.open({ ...options, schedules: { one: hourly } }));
  await pass(clock, HOUR);
  expect(await runs.reached(2)).toMatchObject([{}, { payload: 'one' }]);
  expect(await scheduleThat(static_, 'one')).toMatchObject({ payload: 'one' });
});

type Open = (options: Ticking['options']) => Promise<Millrace>;
const withoutType: Open = (options) =>
  Millrace.open({ ...options, jobs: { other: inlineJob(() => {}) }, queues: { default: {}, low: {} } });
const withoutQueue: Open = (options) => Millrace.open({ ...options, queues: { other: {}, default: {} } });

test.each([
  ['job type', withoutType, /`job`.*other.*"work"/],
  ['queue', withoutQueue, /queues.*other.*"low"/],
] as const)(
  'one whose %s the code does not know any more is blocked and kept, and ticks when it is known again',
  async (_what, open, message) => {
    const { options, clock, runs, closing } = await ticking();
    const known = { ...options, queues: { default: {}, low: {} } } as const;
    const first = closing(await Millrace.open(known));
    await first.schedules.upsert('one', { ...hourly, options: { queue: 'low' } });
    await first.close();
    await clock.advance(HOUR);
    const strange = closing(await open(options));
    const warnings = record(strange, 'warning');
    const [, warning] = await warnings.until(() => true);
    expect(warning).toMatchObject({ code: blocked, message: expect.stringMatching(message) });
    expect(await scheduleThat(strange, 'one', ({ state }) => state === 'blocked')).toMatchObject({
      job: 'work',
      payload: 'one',
      runCount: 0,
    });
    await strange.close();
    const again = closing(await Millrace.open(known));
    expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + HOUR }]);
    expect(await scheduleThat(again, 'one')).toMatchObject({ runCount: 1, upcoming: [NOW + 2 * HOUR] });
  },
);

test('one that is blocked can be paused, removed, and described anew', async () => {
  const { options, clock, runs, closing } = await ticking();
  const payload = (): never => {
    throw new Error('no luck');
  };
  const schedules = { a: { ...hourly, payload }, b: { ...hourly, payload }, c: { ...hourly, payload } };
  const mill = closing(await Millrace.open({ ...options, schedules }));
  const warnings = record(mill, 'warning');
  await pass(clock, HOUR);
  await warnings.reached(3);
  for (const name of ['a', 'b', 'c']) await scheduleThat(mill, name, ({ state }) => state === 'blocked');
  await mill.schedules.pause('a');
  await mill.schedules.remove('b');
  await mill.schedules.upsert('c', { ...hourly, payload: 'mended' });
  expect(await runs.reached(1)).toMatchObject([{ id: tickOf('c', NOW + HOUR), payload: 'mended' }]);
  expect(await scheduleThat(mill, 'a')).toMatchObject({ state: 'paused', upcoming: [] });
  expect(await mill.schedules.list()).toMatchObject([{ name: 'a' }, { name: 'c', state: 'active' }]);
  await pass(clock, HOUR);
  await runs.reached(2);
  expect(warnings.all).toHaveLength(3);
});

test('one that was blocked, paused and mended ticks at its first tick after resume()', async () => {
  const { options, clock, runs, closing } = await ticking();
  const { payload, mend } = mendable();
  const schedules = { one: { ...hourly, payload, every: '20s' } } as const;
  const mill = closing(await Millrace.open({ ...options, schedules }));
  const warnings = record(mill, 'warning');
  await pass(clock, 20_000);
  await warnings.reached(1);
  await scheduleThat(mill, 'one', (one) => one.state === 'blocked');
  await mill.schedules.pause('one');
  mend();
  await mill.schedules.resume('one');
  expect(await scheduleThat(mill, 'one')).toMatchObject({ state: 'active', upcoming: [NOW + 40_000] });
  await pass(clock, 20_000);
  expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + 40_000 }]);
});

test('one that was blocked and can be run now ticks then, too', async () => {
  const { options, clock, runs, closing } = await ticking();
  const { payload, mend } = mendable();
  const mill = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, payload } } }));
  await pass(clock, HOUR);
  await scheduleThat(mill, 'one', (one) => one.state === 'blocked');
  await expect(mill.schedules.runNow('one')).rejects.toThrow('no luck');
  expect(await scheduleThat(mill, 'one')).toMatchObject({ state: 'blocked' });
  mend();
  const { id } = await mill.schedules.runNow('one');
  await runs.reached(2);
  expect(runs.all.map((run) => run.id).toSorted()).toEqual([id, tickOf('one', NOW + HOUR)].toSorted());
});

test('a payload function that returns a promise is told so, and its rejection ends nothing', async () => {
  const { options, clock, closing } = await ticking();
  // JavaScript, and types that allow anything, let it through.
  const payload = (): unknown => Promise.reject(new Error('the database is down'));
  const mill = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, payload } } }));
  const warnings = record(mill, 'warning');
  await pass(clock, HOUR);
  await warnings.reached(1);
  expect(await scheduleThat(mill, 'one', ({ state }) => state === 'blocked')).toMatchObject({
    blockedBecause: expect.stringContaining('must not be async'),
  });
});

test('a tick that cannot have its job keeps neither those before it nor those after it from theirs', async () => {
  const { options, clock, runs, closing } = await ticking();
  const bad = NOW + 2 * HOUR;
  const payload = (at: number): number => {
    if (at === bad) throw new Error('that hour is bad');
    return at;
  };
  const one = { ...hourly, payload, misfire: 'all' } as const;
  await (await Millrace.open({ ...options, schedules: { one } })).close();
  clock.jump(4.5 * HOUR);
  const mill = closing(await Millrace.open({ ...options, schedules: { one } }));
  await runs.reached(1);
  const blocked = await scheduleThat(mill, 'one', ({ state }) => state === 'blocked');
  expect(blocked).toMatchObject({ runCount: 1, upcoming: [bad] });
  await mill.schedules.upsert('one', { ...one, payload: 'mended' });
  await runs.reached(4);
  expect(runs.all.map(({ scheduledFor = 0 }) => (scheduledFor - NOW) / HOUR)).toEqual([1, 2, 3, 4]);
});
