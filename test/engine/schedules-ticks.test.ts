/** Ticks: each enqueues one job, which can tell the tick that it is for. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { collect } from '../fixtures/collect.js';
import { record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, SECOND, ticking, tickOf } from '../fixtures/ticking.js';

const hourly = { job: 'work', payload: 'one', every: '1h' } as const;

test.each([
  ['inline', scriptedInline],
  ['thread', scriptedThread],
] as const)('the job of a tick is told the tick, and tells it (%s)', async (_kind, scripted) => {
  const { options, clock, closing } = await ticking();
  const mill = closing(
    await Millrace.open({
      ...options,
      jobs: { work: scripted() },
      schedules: { one: { job: 'work', payload: { do: 'tellContext' }, every: '1h' } },
      threads: { count: 1 },
    }),
  );
  const completed = record(mill, 'completed');
  await pass(clock, HOUR);
  await completed.reached(1);
  const at = NOW + HOUR;
  expect(await mill.handle('work', tickOf('one', at)).result()).toEqual({
    id: tickOf('one', at),
    name: 'work',
    queue: 'default',
    attempt: 1,
    maxAttempts: 3,
    scheduledFor: at,
  });
  expect(await mill.job(tickOf('one', at))).toMatchObject({
    id: 'one@2023-11-14T23:13:20.000Z',
    schedule: 'one',
    scheduledFor: at,
    enqueuedAt: at,
  });
});

test.each([
  ['inline', scriptedInline],
  ['thread', scriptedThread],
] as const)('a job that was enqueued is for no tick (%s)', async (_kind, scripted) => {
  const { options, closing } = await ticking();
  const jobs = { work: scripted() };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const handle = await mill.enqueue('work', { do: 'tellContext' });
  expect(await handle.result()).toMatchObject({ scheduledFor: undefined });
  expect(await handle.snapshot()).not.toHaveProperty('schedule');
  expect(await handle.snapshot()).not.toHaveProperty('scheduledFor');
});

test('an attempt that is made again is for the same tick', async () => {
  const { options, clock, closing } = await ticking();
  const scripts = [{ do: 'throw' }, { do: 'tellContext' }] as const;
  const mill = closing(
    await Millrace.open({
      ...options,
      jobs: { work: scriptedInline({ backoff: { type: 'exponential', delay: '30s', jitter: 'none' } }) },
      schedules: { one: { job: 'work', payload: { do: 'inTurn', scripts }, every: '1h' } },
    }),
  );
  const retrying = record(mill, 'retrying');
  await pass(clock, HOUR);
  await retrying.reached(1);
  await pass(clock, 30 * SECOND);
  expect(await mill.handle('work', tickOf('one', NOW + HOUR)).result()).toMatchObject({
    attempt: 2,
    scheduledFor: NOW + HOUR,
  });
});

test('each tick has one job, and no job is of no tick', async () => {
  const { options, clock, runs, closing } = await ticking();
  const schedules = {
    minutes: { ...hourly, every: '1m' },
    cron: { job: 'work', pattern: '*/2 * * * *', timezone: 'UTC' },
    same: { job: 'work', pattern: '*/2 * * * *', timezone: 'Asia/Tokyo' },
  } as const;
  const mill = closing(await Millrace.open({ ...options, schedules }));
  const enqueued = record(mill, 'enqueued');
  const expected: string[] = [];
  // NOW is 22:13:20: the even minutes come 40 s after a tick of the interval, or 20 s before the next.
  for (let n = 1; n <= 6; n++) {
    const minute = NOW + n * MINUTE;
    if (n % 2 === 1) {
      await pass(clock, 40 * SECOND);
      const even = minute - 20 * SECOND;
      expected.push(tickOf('cron', even), tickOf('same', even));
      await runs.reached(expected.length);
    }
    await pass(clock, n % 2 === 1 ? 20 * SECOND : MINUTE);
    expected.push(tickOf('minutes', minute));
    await runs.reached(expected.length);
  }
  await scheduleThat(
    mill,
    'minutes',
    ({ runCount, lastRun }) => runCount === 6 && lastRun?.outcome === 'completed',
  );
  expect(runs.all.map(({ id }) => id).toSorted()).toEqual(expected.toSorted());
  expect(enqueued.all).toHaveLength(expected.length);
  expect(await mill.counts()).toMatchObject({ completed: expected.length, available: 0, scheduled: 0 });
  expect((await mill.schedules.list()).map(({ runCount }) => runCount)).toEqual([3, 6, 3]);
});

test('the events of its job are those of any job', async () => {
  const { options, clock, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { hourly } }));
  const events = record(mill, 'enqueued', 'started', 'completed', 'drained');
  await pass(clock, HOUR);
  await events.until(([event]) => event === 'drained');
  const job = { id: tickOf('hourly', NOW + HOUR), name: 'work', queue: 'default' };
  expect(events.all).toEqual([
    ['enqueued', job],
    ['started', { ...job, attempt: 1 }],
    ['completed', { ...job, attempt: 1, result: 'one', durationMs: 0 }],
    ['drained', {}],
  ]);
});

test('its jobs have its options instead of their type’s own', async () => {
  const { options, clock, closing } = await ticking();
  const type = { queue: 'default', priority: 1, maxAttempts: 7, timeout: '1h' } as const;
  const own = { queue: 'low', priority: -3, maxAttempts: 2, durability: 'os' } as const;
  const work = inlineJob(() => {}, type);
  const mill = closing(
    await Millrace.open({
      ...options,
      jobs: { work },
      queues: { default: {}, low: {} },
      schedules: {
        own: { job: 'work', every: '1h', options: { ...own, timeout: '5s' } },
        plain: { job: 'work', every: '1h' },
      },
    }),
  );
  const completed = record(mill, 'completed');
  await pass(clock, HOUR);
  await completed.reached(2);
  const lines = (await collect(mill.export())).slice(1, -1).map((line) => JSON.parse(line) as object);
  expect(lines).toHaveLength(2);
  expect(lines).toContainEqual(expect.objectContaining({ schedule: 'own', ...own, timeoutMs: 5 * SECOND }));
  expect(lines).toContainEqual(
    expect.objectContaining({ schedule: 'plain', queue: 'default', priority: 1, durability: 'fsync' }),
  );
});

test('`maxAttempts` and `timeout` of its options count', async () => {
  const { options, clock, closing } = await ticking();
  const jobs = { work: scriptedInline({ grace: '1h', concurrency: 2 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const failed = record(mill, 'failed');
  const progress = record(mill, 'progress');
  const every = '1h';
  const untilAborted = { do: 'untilAborted', ends: 'throw' } as const;
  await mill.schedules.upsert('once', {
    job: 'work',
    payload: { do: 'throw' },
    every,
    options: { maxAttempts: 1 },
  });
  const limits = { maxAttempts: 1, timeout: '30s' } as const;
  await mill.schedules.upsert('slow', { job: 'work', payload: untilAborted, every, options: limits });
  await pass(clock, HOUR);
  await Promise.all([failed.reached(1), progress.reached(1)]);
  await pass(clock, 30 * SECOND);
  await failed.reached(2);
  expect(failed.all.map(([, value]) => 'error' in value && value.error.code)).toEqual([
    'E_LUCK',
    'MILLRACE_TIMEOUT',
  ]);
});

test('a payload function makes the payload of each tick', async () => {
  const { options, clock, runs, closing } = await ticking();
  const asked: number[] = [];
  const payload = (at: number) => {
    asked.push(at);
    return { day: new Date(at), n: asked.length };
  };
  closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, payload } } }));
  await pass(clock, HOUR);
  await runs.reached(1);
  await pass(clock, HOUR);
  await runs.reached(2);
  expect(asked).toEqual([NOW + HOUR, NOW + 2 * HOUR]);
  expect(runs.all.map((run) => run.payload)).toEqual([
    { day: new Date(NOW + HOUR), n: 1 },
    { day: new Date(NOW + 2 * HOUR), n: 2 },
  ]);
});

test('a job of its own that has the id of a tick stays, and the tick has a job all the same', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { hourly } }));
  const id = tickOf('hourly', NOW + HOUR);
  await (await mill.enqueue('work', 'mine', { id })).result();
  await pass(clock, HOUR);
  await runs.reached(2);
  expect(await mill.job(id)).toMatchObject({ payload: 'mine', enqueuedAt: NOW });
  const { lastRun, runCount } = await scheduleThat(
    mill,
    'hourly',
    (one) => one.lastRun?.outcome !== undefined,
  );
  expect(runCount).toBe(1);
  expect(lastRun).toMatchObject({ scheduledFor: NOW + HOUR, outcome: 'completed' });
  expect(lastRun?.jobId).not.toBe(id);
  expect(await mill.job(lastRun?.jobId ?? '')).toMatchObject({
    payload: 'one',
    schedule: 'hourly',
    scheduledFor: NOW + HOUR,
  });
  // The next one is free.
  await pass(clock, HOUR);
  expect(await runs.reached(3)).toMatchObject([{}, {}, { id: tickOf('hourly', NOW + 2 * HOUR) }]);
});

test('schedules go on one by one, whatever their names', async () => {
  const { options, clock, runs, closing } = await ticking();
  const names = ['a', 'A', 'a.b', 'a/b:c', '_', 'x'.repeat(128)];
  const schedules = Object.fromEntries(names.map((name) => [name, { ...hourly, payload: name }]));
  const mill = closing(await Millrace.open({ ...options, schedules }));
  await pass(clock, HOUR);
  await runs.reached(names.length);
  expect(new Map(runs.all.map(({ id, payload }) => [id, payload]))).toEqual(
    new Map(names.map((name) => [tickOf(name, NOW + HOUR), name])),
  );
  expect((await mill.schedules.list()).map(({ name }) => name)).toEqual(names.toSorted());
});

test('an enqueue with the id of a tick that was gives its job', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { hourly } }));
  await pass(clock, HOUR);
  await runs.reached(1);
  const handle = await mill.enqueue('work', 'mine', { id: tickOf('hourly', NOW + HOUR) });
  expect(await handle.result()).toBe('one');
  expect(runs.all).toHaveLength(1);
});
