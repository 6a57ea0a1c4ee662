/** Attempts that err: how often a job gets another, and when. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace, UnrecoverableError, type StoredError } from '../../src/index.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';

const atOnce = { type: 'exponential', delay: 0 } as const;

test.each([
  ['in a thread', scriptedThread({ backoff: atOnce })],
  ['inline', scriptedInline({ backoff: atOnce })],
])('a job %s that errs is tried again until it completes', async (_where, work) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const events = record(mill, 'started', 'errored', 'retrying', 'completed', 'failed');
  const scripts = [{ do: 'throw' }, { do: 'throw' }, { do: 'return', value: 'third time lucky' }] as const;
  const job = await mill.enqueue('work', { do: 'inTurn', scripts });
  expect(await job.result()).toBe('third time lucky');
  const told = events.all.map(([event, value]) => `${event} ${'attempt' in value ? value.attempt : ''}`);
  expect(told.join(', ')).toBe(
    'started 1, errored 1, retrying 1, started 2, errored 2, retrying 2, started 3, completed 3',
  );
  const snapshot = await job.snapshot();
  expect(snapshot).toMatchObject({ state: 'completed', attempt: 3 });
  expect(snapshot.errors.map(({ attempt, error }) => [attempt, error.code])).toEqual([
    [1, 'E_LUCK'],
    [2, 'E_LUCK'],
  ]);
});

test('a job fails after maxAttempts, with the last error rebuilt as the cause', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread({ backoff: atOnce, maxAttempts: 2 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const events = record(mill, 'failed', 'retrying');
  const job = await mill.enqueue('work', { do: 'throw', message: 'bad luck' });
  const error = await job.result().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    name: 'JobFailedError',
    code: 'MILLRACE_JOB_FAILED',
    jobId: job.id,
    jobName: 'work',
    attempt: 2,
    message: expect.stringContaining('bad luck'),
    cause: {
      name: 'RangeError',
      message: 'bad luck',
      code: 'E_LUCK',
      cause: { message: 'inner' },
      detail: { tries: new Map([['first', 2]]) },
      stack: expect.stringContaining('scripted'),
    },
  });
  expect(events.all.map(([event]) => event)).toEqual(['retrying', 'failed']);
  expect(events.all.at(-1)?.[1]).toMatchObject({ id: job.id, attempt: 2, error: { code: 'E_LUCK' } });
  expect(await job.snapshot()).toMatchObject({ state: 'failed', attempt: 2 });
});

test('three attempts are what a job gets if nobody says otherwise', async () => {
  const { options, closing } = await bench();
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: scriptedInline({ backoff: atOnce }) } }),
  );
  await expect((await mill.enqueue('work', { do: 'throw' })).result()).rejects.toMatchObject({ attempt: 3 });
});

test.each([
  ['in a thread', scriptedThread()],
  ['inline', scriptedInline()],
])('an UnrecoverableError fails a job %s at once', async (_where, work) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const job = await mill.enqueue('work', { do: 'throwUnrecoverable' });
  await expect(job.result()).rejects.toMatchObject({
    attempt: 1,
    cause: { name: 'UnrecoverableError', code: 'MILLRACE_UNRECOVERABLE', message: 'no use trying again' },
  });
});

test('a subclass of UnrecoverableError, or one of another copy of the package, counts as one', async () => {
  const { options, closing } = await bench();
  class Declined extends UnrecoverableError {}
  const jobs = {
    subclass: inlineJob(() => {
      throw new Declined('no');
    }),
    copy: inlineJob(() => {
      throw Object.assign(new Error('no'), { code: 'MILLRACE_UNRECOVERABLE' });
    }),
  };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  for (const name of ['subclass', 'copy'] as const) {
    await expect((await mill.enqueue(name)).result()).rejects.toMatchObject({ attempt: 1 });
  }
});

test('the wait doubles from `delay` to `max`, and is exact without jitter', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const backoff = { type: 'exponential', delay: '1s', max: '5s', jitter: 'none' } as const;
  const jobs = { work: scriptedInline({ backoff, maxAttempts: 6 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  const events = record(mill, 'retrying', 'started');
  await mill.enqueue('work', { do: 'throw' });
  for (const [i, waitMs] of [1_000, 2_000, 4_000, 5_000, 5_000].entries()) {
    const [, value] = await events.until(([event, value]) => event === 'retrying' && value.attempt === i + 1);
    expect('runAt' in value && value.runAt - clock.now()).toBe(waitMs);
    await clock.advance(waitMs - 1);
    expect(events.all.filter(([event]) => event === 'started')).toHaveLength(i + 1);
    await clock.advance(1);
    await events.until(([event, value]) => event === 'started' && value.attempt === i + 2);
  }
});

test('full jitter spreads the waits between nothing and the computed one', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const jobs = { work: scriptedInline({ backoff: { type: 'exponential', delay: '1h', max: '1d' } }) };
  const mill = closing(await Millrace.open({ ...options, jobs, clock, durability: 'os' }));
  const events = record(mill, 'retrying');
  await Promise.all(Array.from({ length: 200 }, () => mill.enqueue('work', { do: 'throw' })));
  await events.reached(200);
  const waits = events.all.flatMap(([, value]) => ('runAt' in value ? [value.runAt - clock.now()] : []));
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(0);
  expect(Math.max(...waits)).toBeLessThanOrEqual(3_600_000);
  // Of 200 even draws none below a fifth, or none above four fifths, is a chance of one in 10^19.
  expect(Math.min(...waits)).toBeLessThan(720_000);
  expect(Math.max(...waits)).toBeGreaterThan(2_880_000);
});

test('a retry that waits survives a restart, and keeps its attempt and errors', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const work = scriptedInline({ backoff: { type: 'exponential', delay: '1m', jitter: 'none' } });
  const first = closing(await Millrace.open({ ...options, jobs: { work }, clock }));
  const retrying = record(first, 'retrying');
  const scripts = [{ do: 'throw' }, { do: 'return', value: 'again' }] as const;
  const { id } = await first.enqueue('work', { do: 'inTurn', scripts });
  await retrying.reached(1);
  await first.close();
  const second = closing(await Millrace.open({ ...options, jobs: { work }, clock }));
  const job = second.handle('work', id);
  expect(await job.snapshot()).toMatchObject({ state: 'retryable', attempt: 1, error: { code: 'E_LUCK' } });
  const result = job.result();
  await clock.armed(60_000);
  await clock.advance(60_000);
  expect(await result).toBe('again');
  expect(await job.snapshot()).toMatchObject({ attempt: 2, errors: [{ attempt: 1 }] });
});

test('of many errors the last ten are kept', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedInline({ backoff: atOnce, maxAttempts: 13 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, durability: 'os' }));
  const job = await mill.enqueue('work', { do: 'throw' });
  await expect(job.result()).rejects.toMatchObject({ attempt: 13 });
  expect((await job.snapshot()).errors.map(({ attempt }) => attempt)).toEqual([
    4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
  ]);
});

test.each([
  ['a list', ['10s', '30s'] as const, [10_000, 30_000, 30_000]],
  ['linear', { type: 'linear', delay: '1s', jitter: 'none' } as const, [1_000, 2_000, 3_000]],
  ['fixed', { type: 'fixed', delay: '5s' } as const, [5_000, 5_000, 5_000]],
  [
    'a function',
    (attempt: number, error: StoredError) => (error.code === 'E_LUCK' ? attempt * 7 : 0),
    [7, 14, 21],
  ],
])('a job waits as its backoff says: %s', async (_what, backoff, expected) => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const work = scriptedInline({ backoff, maxAttempts: 4 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, clock }));
  const events = record(mill, 'retrying');
  await mill.enqueue('work', { do: 'throw' });
  for (const [i, waitMs] of expected.entries()) {
    const [, value] = await events.until(([, value]) => 'attempt' in value && value.attempt === i + 1);
    expect('runAt' in value && value.runAt - clock.now()).toBe(waitMs);
    await clock.armed(waitMs);
    await clock.advance(waitMs);
  }
});

test.each([
  ['in a thread', scriptedThread],
  ['inline', scriptedInline],
])('a job %s is not tried again where isRetryable says that it cannot help', async (_where, scripted) => {
  const { options, closing } = await bench();
  const isRetryable = ({ cause }: Error): boolean => (cause as Error).message !== 'inner';
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scripted({ isRetryable }) } }));
  const events = record(mill, 'retrying', 'failed');
  const job = await mill.enqueue('work', { do: 'throw' });
  await expect(job.result()).rejects.toMatchObject({ attempt: 1, cause: { code: 'E_LUCK' } });
  expect(events.all.map(([event]) => event)).toEqual(['failed']);
});

test('functions of a job type that fail are warned of, and cost nothing', async () => {
  const { options, closing } = await bench();
  const fail = (): never => {
    throw new Error('a mistake');
  };
  const clock = new FakeClock();
  const work = scriptedThread({ backoff: fail, isRetryable: fail });
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, clock }));
  const warnings = record(mill, 'warning');
  const retrying = record(mill, 'retrying');
  const job = await mill.enqueue('work', {
    do: 'inTurn',
    scripts: [{ do: 'throw' }, { do: 'return', value: 'fine' }],
  });
  await retrying.reached(1);
  expect(warnings.all).toMatchObject([
    ['warning', { code: 'MILLRACE_IS_RETRYABLE_INVALID', cause: { message: 'a mistake' } }],
    ['warning', { code: 'MILLRACE_BACKOFF_INVALID', cause: { message: 'a mistake' } }],
  ]);
  await clock.armed();
  await clock.advance(1_000);
  expect(await job.result()).toBe('fine');
});
