/** Attempts that put their job off, by `job.snooze()` or a `RetryAfterError`: it comes back later, and none is counted. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, RetryAfterError, type JobContext } from '../../src/index.js';
import { collect } from '../fixtures/collect.js';
import { startProgram } from '../fixtures/child.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import type { LogRecord } from '../fixtures/logger.js';

const WAIT_MS = 30_000;
const isSnooze = ({ message }: LogRecord): boolean => message.includes('was snoozed');
const atOnce = [0];

test.each([
  ['in a thread', 'snooze', scriptedThread()],
  ['inline', 'snooze', scriptedInline()],
  ['in a thread', 'throwRetryAfter', scriptedThread()],
  ['inline', 'throwRetryAfter', scriptedInline()],
] as const)('a job %s that says %s comes back, and its attempt is not counted', async (_where, act, work) => {
  const { options, closing, directory } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const events = record(mill, 'started', 'errored', 'retrying', 'completed', 'failed', 'warning');
  const file = join(directory, 'runs');
  const job = await mill.enqueue('work', { do: act, delay: '1ms', times: 3, file }, { maxAttempts: 1 });
  expect(await job.result()).toBe('done');
  const told = events.all.map(([event, value]) => `${event} ${'attempt' in value ? value.attempt : ''}`);
  expect(told).toEqual([...Array<string>(4).fill('started 1'), 'completed 1']);
  expect(await job.snapshot()).toMatchObject({ state: 'completed', attempt: 1, snoozes: 3, errors: [] });
});

test('while it waits a job is scheduled, for exactly as long as it was snoozed', async () => {
  const { options, closing, directory, logger } = await bench();
  const clock = new FakeClock();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() }, clock }));
  const started = record(mill, 'started');
  const file = join(directory, 'runs');
  const job = await mill.enqueue('work', { do: 'throwRetryAfter', delay: '30s', times: 1, file });
  expect(await logger.lines.until(isSnooze)).toMatchObject({
    level: 'info',
    message: 'Job work was snoozed: busy',
    fields: { jobId: job.id, attempt: 1, snoozes: 1, error: { code: 'MILLRACE_RETRY_AFTER' } },
  });
  const waiting = await job.snapshot();
  expect(waiting).toMatchObject({ state: 'scheduled', attempt: 0, snoozes: 1, runAt: clock.now() + WAIT_MS });
  expect(waiting).toMatchObject({
    snoozeError: { code: 'MILLRACE_RETRY_AFTER', message: 'busy' },
    errors: [],
  });
  expect(await job.explain()).toMatchObject({
    summary: expect.stringMatching(/was put off until .*, in 30 s \(busy\)/),
    reasons: [{ reason: 'scheduled', snoozed: true, error: 'busy' }],
  });
  expect(waiting).not.toHaveProperty('startedAt');
  expect(await mill.counts()).toMatchObject({ scheduled: 1, running: 0, retryable: 0 });
  await mill.drain();
  await clock.armed(WAIT_MS);
  await clock.advance(WAIT_MS - 1);
  expect(started.all).toHaveLength(1);
  await clock.advance(1);
  expect(await job.result()).toBe('done');
});

test('why a job was put off last is kept, exported, and gone when it is put off for nothing', async () => {
  const { options, closing, directory } = await bench();
  const jobs = { both: inlineJob(putOff) };
  let runs = 0;
  function putOff(_payload: undefined, job: JobContext): string {
    if (++runs === 1) throw new RetryAfterError('1h', 'later');
    return runs === 2 ? job.snooze('1h') : 'done';
  }
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const { id } = await mill.enqueue('both');
  await mill.drain();
  const told = { code: 'MILLRACE_RETRY_AFTER', message: 'later' };
  expect(await mill.job(id)).toMatchObject({ snoozes: 1, snoozeError: told });
  const lines = await collect(mill.export());
  await mill.close();
  const again = closing(await Millrace.open({ ...options, jobs }));
  expect(await again.job(id)).toMatchObject({ snoozes: 1, snoozeError: told });
  const copy = closing(await Millrace.open({ ...options, jobs, directory: join(directory, 'copy') }));
  expect(await copy.import(lines)).toEqual({ imported: 1, skipped: 0 });
  expect(await copy.job(id)).toMatchObject({ snoozes: 1, snoozeError: told });
  await again.promote(id);
  await again.drain();
  expect(await again.job(id)).toMatchObject({ state: 'scheduled', snoozes: 2 });
  expect(await again.job(id)).not.toHaveProperty('snoozeError');
});

test('a job that is snoozed after it has errored keeps what was counted', async () => {
  const { options, closing } = await bench();
  let runs = 0;
  const work = inlineJob(
    (_payload: undefined, job): string => {
      runs++;
      if (runs === 1) throw new Error('no luck');
      return runs === 2 ? job.snooze(1) : `attempt ${job.attempt}`;
    },
    { backoff: atOnce },
  );
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const job = await mill.enqueue('work', undefined);
  expect(await job.result()).toBe('attempt 2');
  expect(await job.snapshot()).toMatchObject({ attempt: 2, snoozes: 1, errors: [{ attempt: 1 }] });
});

test.each([
  ['in a thread', scriptedThread({ maxSnoozes: 2, maxAttempts: 2, backoff: atOnce })],
  ['inline', scriptedInline({ maxSnoozes: 2, maxAttempts: 2, backoff: atOnce })],
])('a job %s that is snoozed too often runs out of attempts, and fails', async (_where, work) => {
  const { options, closing, directory } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const events = record(mill, 'started', 'errored');
  const file = join(directory, 'runs');
  const job = await mill.enqueue('work', { do: 'snooze', delay: 1, times: 100, file });
  await expect(job.result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
    attempt: 2,
    cause: { code: 'MILLRACE_SNOOZED_TOO_OFTEN', message: expect.stringContaining('`maxSnoozes`') },
  });
  const told = events.all.map(([event, value]) => `${event} ${'attempt' in value ? value.attempt : ''}`);
  expect(told.join(', ')).toBe('started 1, started 1, started 1, errored 1, started 2, errored 2');
  expect(await job.snapshot()).toMatchObject({ state: 'failed', attempt: 2, snoozes: 2 });
});

test('beyond the bound a RetryAfterError is the error, and the next attempt waits as long as it says', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const work = inlineJob(
    () => {
      throw new RetryAfterError('30s', 'busy');
    },
    { maxSnoozes: 0, maxAttempts: 2, backoff: atOnce },
  );
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, clock }));
  const events = record(mill, 'retrying');
  const job = await mill.enqueue('work');
  await events.reached(1);
  expect(events.all).toMatchObject([
    ['retrying', { attempt: 1, runAt: clock.now() + WAIT_MS, error: { code: 'MILLRACE_RETRY_AFTER' } }],
  ]);
  expect(await job.snapshot()).toMatchObject({ state: 'retryable', snoozes: 0 });
  await clock.armed(WAIT_MS);
  await clock.advance(WAIT_MS);
  await expect(job.result()).rejects.toMatchObject({ attempt: 2, cause: { message: 'busy' } });
});

test('a handler that catches what snooze() throws, and goes on, goes on', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedThread() } }));
  const job = await mill.enqueue('work', { do: 'catchSnooze' });
  expect(await job.result()).toBe('MILLRACE_SNOOZED');
  expect(await job.snapshot()).toMatchObject({ state: 'completed', snoozes: 0 });
});

test('a delay that is none is an error like any other', async () => {
  const { options, closing, directory } = await bench();
  const work = scriptedThread({ backoff: atOnce, maxAttempts: 2 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  for (const act of ['snooze', 'throwRetryAfter'] as const) {
    // Not what the type allows, as it comes from plain JavaScript.
    const script = { do: act, delay: 'soon' as never, times: 9, file: join(directory, act) };
    await expect((await mill.enqueue('work', script)).result()).rejects.toMatchObject({
      attempt: 2,
      cause: { code: 'MILLRACE_OPTION_INVALID', message: expect.stringContaining('"soon"') },
    });
  }
});

test('a job that was snoozed can be cancelled while it waits', async () => {
  const { options, closing, directory, logger } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedThread() } }));
  const job = await mill.enqueue('work', {
    do: 'snooze',
    delay: '1h',
    times: 1,
    file: join(directory, 'runs'),
  });
  await logger.lines.until(isSnooze);
  expect(await job.cancel()).toBe('cancelled');
  expect(await job.snapshot()).toMatchObject({ state: 'cancelled', attempt: 0, snoozes: 1 });
});

test.each([
  ['in a thread', scriptedThread()],
  ['inline', scriptedInline()],
])(
  'a job %s that is cancelled while it runs is cancelled, although it would be snoozed',
  async (_where, work) => {
    const { options, closing } = await bench();
    const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
    const progress = record(mill, 'progress');
    const job = await mill.enqueue('work', { do: 'snoozeWhenAborted', delay: '1h' });
    await progress.reached(1);
    expect(await job.cancel()).toBe('cancelled');
  },
);

test('a handler that is told that the engine closes can put its job off, and that outlasts a restart', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const jobs = { work: scriptedInline() };
  const first = closing(await Millrace.open({ ...options, jobs, clock }));
  const progress = record(first, 'progress');
  const { id } = await first.enqueue('work', { do: 'snoozeWhenAborted', delay: '30s' });
  await progress.reached(1);
  await first.close({ timeout: 0 });
  const second = closing(await Millrace.open({ ...options, jobs, clock }));
  const started = record(second, 'started');
  const runAt = clock.now() + WAIT_MS;
  expect(await second.job(id)).toMatchObject({ state: 'scheduled', attempt: 0, snoozes: 1, runAt });
  await clock.armed(WAIT_MS);
  await clock.advance(WAIT_MS);
  await started.reached(1);
  expect(started.all).toMatchObject([['started', { id, attempt: 1 }]]);
});

test('a job that was snoozed waits on when its process is killed, and runs when it is due', async () => {
  const { options, closing, directory } = await bench();
  const program = startProgram('snoozed', directory);
  await program.lines.until((line) => line === 'snoozed');
  program.kill('SIGKILL');
  await program.exit;
  const clock = new FakeClock();
  clock.jump(Date.now() - clock.now());
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedThread() }, clock }));
  const events = record(mill, 'rescued', 'started');
  const job = mill.handle('work', 'the one');
  const snapshot = await job.snapshot();
  expect(snapshot).toMatchObject({ state: 'scheduled', attempt: 0, snoozes: 1 });
  expect(snapshot.runAt).toBeGreaterThan(clock.now());
  await clock.armed();
  await clock.advance(3_600_000);
  expect(await job.result()).toBe('done');
  expect(events.all).toMatchObject([['started', { attempt: 1 }]]);
});

test('an export tells how often a job was snoozed, and an import keeps it', async () => {
  const { options, closing, directory, logger } = await bench();
  const jobs = { work: scriptedInline() };
  const source = closing(await Millrace.open({ ...options, jobs }));
  const file = join(directory, 'runs');
  const { id } = await source.enqueue('work', { do: 'snooze', delay: '1h', times: 1, file });
  await logger.lines.until(isSnooze);
  const lines = await collect(source.export());
  expect(lines[1]).toContain('"snoozes":1');
  const target = closing(await Millrace.open({ ...options, directory: join(directory, 'other'), jobs }));
  await target.import(lines);
  expect(await target.job(id)).toEqual(await source.job(id));
  const wrong = lines.map((line) => line.replace('"snoozes":1', '"snoozes":-1'));
  const third = closing(await Millrace.open({ ...options, directory: join(directory, 'third'), jobs }));
  await expect(third.import(wrong)).rejects.toMatchObject({ message: expect.stringContaining('snoozes') });
});
