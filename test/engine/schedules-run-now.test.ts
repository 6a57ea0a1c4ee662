/** schedules.runNow(): a job of a schedule out of turn. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { deferred } from '../fixtures/deferred.js';
import { scriptedThread } from '../fixtures/engine.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, ticking, tickOf } from '../fixtures/ticking.js';

const hourly = { job: 'work', payload: 'one', every: '1h' } as const;

test('a job runs at once, with what the schedule says of its jobs, and the next tick is as before', async () => {
  const { options, clock, runs, closing } = await ticking();
  const more = { jitter: '1h', options: { priority: 5 } } as const;
  const mill = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, ...more } } }));
  await pass(clock, 10 * MINUTE);
  const now = clock.now();
  const handle = await mill.schedules.runNow('one');
  expect(handle.name).toBe('work');
  expect(await handle.result()).toBe('one');
  expect(runs.all).toEqual([{ id: handle.id, scheduledFor: now, payload: 'one' }]);
  expect(await handle.snapshot()).toMatchObject({ schedule: 'one', scheduledFor: now, priority: 5 });
  const one = await scheduleThat(mill, 'one', ({ lastRun }) => lastRun?.outcome !== undefined);
  expect(one).toMatchObject({
    upcoming: [NOW + HOUR],
    runCount: 0,
    lastRun: { jobId: handle.id, scheduledFor: now, outcome: 'completed', finishedAt: now },
  });
});

test('a thread job runs now, too', async () => {
  const { options, closing } = await ticking();
  const jobs = { thread: scriptedThread() };
  const schedules = { one: { job: 'thread', payload: { do: 'tellContext' }, every: '1h' } } as const;
  const mill = closing(await Millrace.open({ ...options, jobs, schedules, threads: { count: 1 } }));
  const handle = await mill.schedules.runNow('one');
  expect(await handle.result()).toMatchObject({ id: handle.id, name: 'thread', scheduledFor: NOW });
});

test('what fails is told through the handle', async () => {
  const { options, closing } = await ticking();
  const fail = inlineJob(
    () => {
      throw new Error('no luck');
    },
    { maxAttempts: 1 },
  );
  const mill = closing(
    await Millrace.open({ ...options, jobs: { fail }, schedules: { one: { job: 'fail', every: '1h' } } }),
  );
  const handle = await mill.schedules.runNow('one');
  await expect(handle.result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
    cause: { message: 'no luck' },
  });
});

test('one that is paused can be run now, and stays paused', async () => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { hourly } }));
  await mill.schedules.pause('hourly');
  expect(await (await mill.schedules.runNow('hourly')).result()).toBe('one');
  expect(await mill.schedules.list()).toMatchObject([{ state: 'paused', upcoming: [] }]);
});

test('`maxRuns` does not count it, and one that is over can be run now', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, maxRuns: 1 } } }));
  for (let n = 0; n < 3; n++) await (await mill.schedules.runNow('one')).result();
  expect(await mill.schedules.list()).toMatchObject([
    { state: 'active', runCount: 0, upcoming: [NOW + HOUR] },
  ]);
  await pass(clock, HOUR);
  await runs.until(({ id }) => id === tickOf('one', NOW + HOUR));
  expect(await scheduleThat(mill, 'one', ({ state }) => state === 'over')).toMatchObject({ runCount: 1 });
  expect(await (await mill.schedules.runNow('one')).result()).toBe('one');
  expect(await mill.schedules.list()).toMatchObject([{ state: 'over', runCount: 1, upcoming: [] }]);
});

test('a payload function is asked for the moment of the call', async () => {
  const { options, clock, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  await mill.schedules.upsert('one', { job: 'work', payload: (at: number) => at, every: '1h' });
  await pass(clock, 10 * MINUTE);
  expect(await (await mill.schedules.runNow('one')).result()).toBe(NOW + 10 * MINUTE);
});

test('what its payload function throws is thrown, nothing is enqueued, and its next tick is as before', async () => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  const error = new RangeError('not today');
  const payload = (): never => {
    throw error;
  };
  await mill.schedules.upsert('one', { job: 'work', payload, every: '1h' });
  await expect(mill.schedules.runNow('one')).rejects.toBe(error);
  await mill.schedules.upsert('two', { job: 'work', payload: () => Symbol('no'), every: '1h' });
  await expect(mill.schedules.runNow('two')).rejects.toMatchObject({ code: 'MILLRACE_PAYLOAD_INVALID' });
  expect(await mill.counts()).toMatchObject({ available: 0, running: 0, completed: 0 });
  expect(await mill.schedules.list()).toMatchObject([
    { state: 'active', upcoming: [NOW + HOUR] },
    { state: 'active', upcoming: [NOW + HOUR] },
  ]);
});

test('one whose payload function is not in the code any more cannot be run now, and says so', async () => {
  const { options, closing } = await ticking();
  const first = closing(await Millrace.open(options));
  await first.schedules.upsert('one', { job: 'work', payload: (at: number) => at, every: '1h' });
  await first.close();
  const again = closing(await Millrace.open(options));
  await expect(again.schedules.runNow('one')).rejects.toMatchObject({
    code: 'MILLRACE_SCHEDULE_BLOCKED',
    message: expect.stringContaining('made by a function'),
  });
});

test('one of a job type that the code does not know any more cannot be run now', async () => {
  const { options, closing } = await ticking();
  await closing(await Millrace.open({ ...options, schedules: { hourly } })).close();
  const again = closing(await Millrace.open({ ...options, jobs: { other: options.jobs.work } }));
  await expect(again.schedules.runNow('hourly')).rejects.toMatchObject({ code: 'MILLRACE_JOB_UNKNOWN' });
});

test('a tick regards a job that was run now as one that may overlap', async () => {
  const { options, clock, runs, closing } = await ticking();
  const { promise: begun, resolve: begin } = deferred();
  const { promise: ended, resolve: end } = deferred();
  let starts = 0;
  const slow = inlineJob(
    () => {
      starts++;
      begin();
      return ended;
    },
    { grace: 1 },
  );
  const jobs = { ...options.jobs, slow };
  const schedules = {
    slow: { job: 'slow', every: '1h', overlap: 'skip' },
    beat: { ...hourly, payload: 'beat' },
  } as const;
  const mill = closing(await Millrace.open({ ...options, jobs, schedules }));
  const handle = await mill.schedules.runNow('slow');
  await begun;
  await pass(clock, HOUR);
  await runs.reached(1);
  expect(await scheduleThat(mill, 'slow')).toMatchObject({ runCount: 0, upcoming: [NOW + 2 * HOUR] });
  end();
  await handle.result();
  await scheduleThat(mill, 'slow', ({ lastRun }) => lastRun?.outcome === 'completed');
  await pass(clock, HOUR);
  await runs.reached(2);
  await mill.handle('slow', tickOf('slow', NOW + 2 * HOUR)).result();
  expect(starts).toBe(2);
});

test('many calls at once each have a job of their own', async () => {
  const { options, runs, closing } = await ticking();
  const mill = closing(
    await Millrace.open({ ...options, schedules: { one: { ...hourly, overlap: 'skip' } } }),
  );
  const handles = await Promise.all(Array.from({ length: 100 }, () => mill.schedules.runNow('one')));
  await Promise.all(handles.map((handle) => handle.result()));
  expect(new Set(runs.all.map(({ id }) => id)).size).toBe(100);
  const last = handles.at(-1)?.id;
  expect(await scheduleThat(mill, 'one', ({ lastRun }) => lastRun?.outcome !== undefined)).toMatchObject({
    lastRun: { jobId: last },
    runCount: 0,
  });
});
