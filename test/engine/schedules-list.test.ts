/** schedules.list(): what is told of a schedule. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { record, scriptedInline } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, pass, scheduleThat, ticking, tickOf } from '../fixtures/ticking.js';

const hourly = { job: 'work', payload: 'one', every: '1h' } as const;
const hours = (...numbers: number[]): number[] => numbers.map((n) => NOW + n * HOUR);

test('schedules are listed by name, with all that was said of them', async () => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { b: hourly } }));
  await mill.schedules.upsert('c', {
    job: 'work',
    payload: () => 'made',
    pattern: '  30   2 * * *',
    timezone: 'Europe/Berlin',
    startAt: new Date(NOW + HOUR),
    endAt: NOW + 1_000 * HOUR,
    maxRuns: 7,
    misfire: 'all',
    overlap: 'cancelPrevious',
  });
  await mill.schedules.upsert('a', { job: 'work', pattern: '@every 15m' });
  expect(await mill.schedules.list()).toEqual([
    {
      name: 'a',
      job: 'work',
      payload: undefined,
      state: 'active',
      everyMs: HOUR / 4,
      jitterMs: 0,
      misfire: 'once',
      maxCatchUp: 100,
      overlap: 'allow',
      options: {},
      upcoming: hours(0.25),
      runCount: 0,
      skipCount: 0,
      declared: false,
    },
    {
      name: 'b',
      job: 'work',
      payload: 'one',
      state: 'active',
      everyMs: HOUR,
      jitterMs: 0,
      misfire: 'once',
      maxCatchUp: 100,
      overlap: 'allow',
      options: {},
      upcoming: hours(1),
      runCount: 0,
      skipCount: 0,
      declared: true,
    },
    {
      name: 'c',
      job: 'work',
      state: 'active',
      pattern: '30 2 * * *',
      timezone: 'Europe/Berlin',
      startAt: NOW + HOUR,
      endAt: NOW + 1_000 * HOUR,
      maxRuns: 7,
      jitterMs: 0,
      misfire: 'all',
      maxCatchUp: 100,
      overlap: 'cancelPrevious',
      options: {},
      upcoming: [Date.UTC(2023, 10, 15, 1, 30)],
      runCount: 0,
      skipCount: 0,
      declared: false,
    },
  ]);
});

test('as many ticks are told as were asked for, and no more than there are', async () => {
  const { options, clock, runs, closing } = await ticking();
  const schedules = {
    all: hourly,
    ends: { ...hourly, endAt: NOW + 4 * HOUR },
    few: { ...hourly, maxRuns: 3 },
    none: { ...hourly, endAt: NOW + HOUR },
  };
  const mill = closing(await Millrace.open({ ...options, schedules }));
  const upcoming = async (count?: number): Promise<(readonly number[])[]> => {
    const listed = await mill.schedules.list(count === undefined ? {} : { upcoming: count });
    return listed.map((one) => one.upcoming);
  };
  expect(await upcoming()).toEqual([hours(1), hours(1), hours(1), []]);
  expect(await upcoming(0)).toEqual([[], [], [], []]);
  expect(await upcoming(4)).toEqual([hours(1, 2, 3, 4), hours(1, 2, 3), hours(1, 2, 3), []]);
  expect((await upcoming(1_000))[0]).toHaveLength(1_000);
  await pass(clock, HOUR);
  await runs.reached(3);
  expect(await upcoming(4)).toEqual([hours(2, 3, 4, 5), hours(2, 3), hours(2, 3), []]);
});

test.each([-1, 1.5, 1_001, Number.NaN, '3', null])('%o is no number of ticks', async (upcoming) => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { hourly } }));
  await expect(mill.schedules.list({ upcoming: upcoming as number })).rejects.toMatchObject({
    code: 'MILLRACE_OPTION_INVALID',
    message: expect.stringMatching(/`upcoming`.*0 to 1000.*got/),
  });
});

test('of its last run is told what became of it', async () => {
  const { options, directory, clock, closing } = await ticking();
  const gate = await Gate.in(directory);
  const jobs = { work: scriptedInline({ maxAttempts: 1, concurrency: 2 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const atGate = { do: 'passGate', gate: gate.path, label: 'good' } as const;
  const aborted = { do: 'untilAborted', ends: 'throw' } as const;
  await mill.schedules.upsert('good', { job: 'work', payload: atGate, every: '1h' });
  await mill.schedules.upsert('bad', { job: 'work', payload: { do: 'throw' }, every: '1h' });
  await mill.schedules.upsert('gone', { job: 'work', payload: aborted, every: '1h' });
  expect(await mill.schedules.list()).not.toContainEqual(
    expect.objectContaining({ lastRun: expect.anything() }),
  );
  const progress = record(mill, 'progress');
  await pass(clock, HOUR);
  await Promise.all([gate.arrived('good'), progress.reached(1)]);
  const [at] = hours(1);
  const runOf = (name: string, outcome?: string) => ({
    jobId: tickOf(name, at ?? NaN),
    scheduledFor: at,
    ...(outcome !== undefined && { outcome, finishedAt: at }),
  });
  expect((await scheduleThat(mill, 'good')).lastRun).toEqual(runOf('good'));
  gate.open('good');
  await mill.cancel(tickOf('gone', at ?? NaN));
  const outcomes = [
    ['good', 'completed'],
    ['bad', 'failed'],
    ['gone', 'cancelled'],
  ] as const;
  for (const [name, outcome] of outcomes) {
    const { lastRun } = await scheduleThat(mill, name, (one) => one.lastRun?.outcome !== undefined);
    expect(lastRun).toEqual(runOf(name, outcome));
  }
  const before = await mill.schedules.list();
  await mill.close();
  const again = closing(await Millrace.open({ ...options, jobs }));
  expect(await again.schedules.list()).toEqual(before);
});

test('while a later run goes on, no outcome of an earlier one is told', async () => {
  const { options, directory, clock, closing } = await ticking();
  const gate = await Gate.in(directory);
  const jobs = { work: scriptedInline({ concurrency: 5 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const payload = (at: number) => ({ do: 'passGate', gate: gate.path, label: `${at}` }) as const;
  await mill.schedules.upsert('one', { job: 'work', payload, every: '1h' });
  const [first, second] = hours(1, 2);
  await pass(clock, HOUR);
  await gate.arrived(`${first}`);
  await pass(clock, HOUR);
  await gate.arrived(`${second}`);
  gate.open(`${first}`);
  await mill.handle('work', tickOf('one', first ?? NaN)).result();
  expect((await scheduleThat(mill, 'one')).lastRun).toEqual({
    jobId: tickOf('one', second ?? NaN),
    scheduledFor: second,
  });
  gate.open(`${second}`);
  const ended = await scheduleThat(mill, 'one', ({ lastRun }) => lastRun?.outcome !== undefined);
  expect(ended).toMatchObject({ lastRun: { scheduledFor: second }, runCount: 2 });
});

test('a run that is retried has no outcome yet', async () => {
  const { options, clock, runs, closing } = await ticking();
  let attempts = 0;
  const flaky = inlineJob(
    () => {
      if (++attempts === 1) throw new Error('not yet');
    },
    { backoff: { type: 'exponential', delay: '30s', jitter: 'none' } },
  );
  const mill = closing(await Millrace.open({ ...options, jobs: { ...options.jobs, flaky } }));
  await mill.schedules.upsert('one', { job: 'flaky', every: '1h' });
  const retrying = new Promise((resolve) => mill.on('retrying', resolve));
  await pass(clock, HOUR);
  await retrying;
  // Another schedule's run is told of meanwhile.
  await mill.schedules.upsert('two', hourly);
  await mill.schedules.runNow('two');
  await runs.reached(1);
  await scheduleThat(mill, 'two', ({ lastRun }) => lastRun?.outcome === 'completed');
  expect((await scheduleThat(mill, 'one')).lastRun).not.toHaveProperty('outcome');
  await pass(clock, HOUR / 120);
  const { lastRun } = await scheduleThat(mill, 'one', (one) => one.lastRun?.outcome !== undefined);
  expect(lastRun).toMatchObject({ outcome: 'completed', finishedAt: NOW + HOUR + HOUR / 120 });
});

test('payloads are told as handlers get them, and are the caller’s own', async () => {
  const { options, clock, runs, closing } = await ticking();
  const payload = { map: new Map([[1, 2n]]), at: new Date(5), bytes: Buffer.from('bytes'), list: [{ a: 1 }] };
  const mill = closing(await Millrace.open({ ...options, schedules: { one: { ...hourly, payload } } }));
  const one = await scheduleThat(mill, 'one');
  expect(one.payload).toStrictEqual(payload);
  (one.payload as typeof payload).list.push({ a: 2 });
  (one.payload as typeof payload).bytes.fill(0);
  expect((await scheduleThat(mill, 'one')).payload).toStrictEqual(payload);
  await pass(clock, HOUR);
  expect((await runs.reached(1))[0]?.payload).toStrictEqual(payload);
});
