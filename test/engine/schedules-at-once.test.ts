/** Schedules that many callers change at once: one change after the other, each of them whole. */
import { describe, expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { deferred } from '../fixtures/deferred.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, ticking, tickOf, type Ticking } from '../fixtures/ticking.js';

const hourly = { job: 'work', payload: 'one', every: '1h' } as const;

/** All that is known of the engine's schedules but what became of their jobs, which may be on its way. */
async function listed({ schedules }: Pick<Millrace, 'schedules'>) {
  return (await schedules.list({ upcoming: 2 })).map((schedule) => {
    const { lastRun: _, ...others } = schedule;
    return others;
  });
}

/** The schedules, which the journal has as the engine had them in memory. */
async function stored({ options, closing }: Ticking, mill: Pick<Millrace, 'schedules' | 'close'>) {
  const before = await listed(mill);
  await mill.close();
  const again = closing(await Millrace.open(options));
  expect(await listed(again)).toEqual(before);
  return before;
}

test('of many upserts of one name the last that was called is left', async () => {
  const own = await ticking();
  const mill = own.closing(await Millrace.open(own.options));
  const payloads = Array.from({ length: 50 }, (_, i) => i);
  await Promise.all(
    payloads.map((payload) => mill.schedules.upsert('one', { job: 'work', payload, every: payload + 1 })),
  );
  const before = await stored(own, mill);
  expect(before).toMatchObject([{ payload: 49, everyMs: 50, upcoming: [NOW + 50, NOW + 100] }]);
});

test('changes of one name at once are made in the order of the calls', async () => {
  const own = await ticking();
  const mill = own.closing(await Millrace.open(own.options));
  const { schedules } = mill;
  const outcomes = await Promise.all([
    schedules.remove('one'),
    schedules.upsert('one', hourly),
    schedules.pause('one'),
    schedules.remove('one'),
    schedules.pause('one').catch(({ code }: { code: string }) => code),
    schedules.upsert('one', { ...hourly, payload: 'two' }),
    schedules.pause('one'),
    schedules.upsert('one', { ...hourly, payload: 'three' }),
    schedules.remove('other'),
  ]);
  expect(outcomes).toEqual([
    false,
    undefined,
    undefined,
    true,
    'MILLRACE_SCHEDULE_NOT_FOUND',
    undefined,
    undefined,
    undefined,
    false,
  ]);
  const before = await stored(own, mill);
  expect(before).toMatchObject([{ payload: 'three', state: 'paused' }]);
});

test('a change that meets a tick is made before it or after it', async () => {
  const own = await ticking();
  const { options, clock, runs, closing } = own;
  const mill = closing(await Millrace.open(options));
  const names = Array.from({ length: 40 }, (_, i) => `s${i}`.padStart(3, '_'));
  for (const name of names) await mill.schedules.upsert(name, hourly);
  await pass(clock, HOUR - MINUTE);
  await clock.armed(MINUTE);
  const change = (_: unknown, i: number): Promise<void> => {
    const name = names[i] ?? '';
    if (i % 2 === 0) return mill.schedules.pause(name);
    return mill.schedules.upsert(name, { ...hourly, payload: 'two' });
  };
  const before = names.slice(0, 20).map(change);
  // The pass of the ticks begins within the call.
  const time = clock.advance(MINUTE);
  const after = names.slice(20).map((name, i) => change(name, 20 + i));
  await Promise.all([...before, time, ...after]);
  await runs.reached(30);
  const schedules = await stored(own, mill);
  expect(schedules.map(({ state, runCount }) => [state, runCount])).toEqual(
    names.map((_, i) => (i % 2 === 1 ? ['active', 1] : ['paused', i < 20 ? 0 : 1])),
  );
  const payloads = names.map((name) => runs.all.find(({ id }) => id.startsWith(`${name}@`))?.payload);
  expect(payloads).toEqual(names.map((_, i) => (i >= 20 ? 'one' : i % 2 === 1 ? 'two' : undefined)));
  expect(runs.all).toHaveLength(30);
});

describe.each(['pause', 'remove'] as const)('a payload function can %s its own schedule', (what) => {
  const expected = what === 'pause' ? [{ state: 'paused' }] : [];

  test('for a tick that is due', async () => {
    const own = await ticking();
    const { options, clock, runs, closing } = own;
    const mill = closing(await Millrace.open(options));
    const changes: Promise<unknown>[] = [];
    const payload = (at: number): number => {
      changes.push(mill.schedules[what]('one'));
      return at;
    };
    await mill.schedules.upsert('one', { job: 'work', payload, every: '1h' });
    await pass(clock, HOUR);
    expect(await runs.reached(1)).toMatchObject([{ payload: NOW + HOUR }]);
    await Promise.all(changes);
    expect(await stored(own, mill)).toMatchObject(expected);
  });

  test('for a tick that has waited', async () => {
    const own = await ticking();
    const { options, clock, runs, closing } = own;
    const { promise: begun, resolve: begin } = deferred();
    const { promise: ended, resolve: end } = deferred();
    const slow = inlineJob(() => {
      begin();
      return ended;
    });
    const mill = closing(await Millrace.open({ ...options, jobs: { ...options.jobs, slow } }));
    await mill.schedules.upsert('one', { job: 'slow', every: '1h', overlap: 'queue' });
    await pass(clock, HOUR);
    await begun;
    const changes: Promise<unknown>[] = [];
    const payload = (at: number): number => {
      changes.push(mill.schedules[what]('one'));
      return at;
    };
    await mill.schedules.upsert('one', { job: 'work', payload, every: '1h', overlap: 'queue' });
    await pass(clock, HOUR);
    await scheduleThat(mill, 'one', ({ queuedFor }) => queuedFor !== undefined);
    end();
    expect(await runs.reached(1)).toMatchObject([{ payload: NOW + 2 * HOUR }]);
    await Promise.all(changes);
    expect(await stored(own, mill)).toMatchObject(expected);
  });

  test('for runNow()', async () => {
    const own = await ticking();
    const { options, runs, closing } = own;
    const mill = closing(await Millrace.open(options));
    const changes: Promise<unknown>[] = [];
    const payload = (at: number): number => {
      changes.push(mill.schedules[what]('one'));
      return at;
    };
    await mill.schedules.upsert('one', { job: 'work', payload, every: '1h' });
    await mill.schedules.runNow('one');
    expect(await runs.reached(1)).toMatchObject([{ payload: NOW }]);
    await Promise.all(changes);
    expect(await stored(own, mill)).toMatchObject(expected);
  });
});

test('a thousand upserts at once are all stored, and all tick', async () => {
  const own = await ticking();
  const { options, clock, runs, closing } = own;
  const mill = closing(await Millrace.open(options));
  const names = Array.from({ length: 1_000 }, (_, i) => `s${i}`);
  await Promise.all(names.map((name) => mill.schedules.upsert(name, { ...hourly, payload: name })));
  await pass(clock, HOUR);
  await runs.reached(1_000);
  expect(runs.all.map(({ id }) => id).toSorted()).toEqual(
    names.map((name) => tickOf(name, NOW + HOUR)).toSorted(),
  );
  const before = await stored(own, mill);
  expect(before.map(({ name }) => name)).toEqual(names.toSorted());
});
