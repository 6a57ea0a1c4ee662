/** Functions of a user's that throw what throws when it is looked at: the engine goes on, and closes. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type JobTypeOptions } from '../../src/index.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { HOSTILE, hostile, revoked } from '../fixtures/hostile.js';

const jobFailed = { code: 'MILLRACE_JOB_FAILED' };

test.each([
  ['a thread', scriptedThread({ maxAttempts: 1 })],
  ['an inline job', scriptedInline({ maxAttempts: 1 })],
])('whatever a handler throws in %s, its job fails, and the next one runs', async (_where, work) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, threads: { count: 1 } }));
  const warnings = record(mill, 'warning');
  for (const what of HOSTILE) {
    const job = await mill.enqueue('work', { do: 'throwHostile', what });
    await expect(job.result(), what).rejects.toMatchObject(jobFailed);
    expect((await job.snapshot()).error?.message, what).toEqual(expect.any(String));
  }
  expect(await (await mill.enqueue('work', { do: 'return', value: 'works' })).result()).toBe('works');
  expect(warnings.all).toEqual([]);
});

const thrower = (): never => {
  throw revoked();
};
const later = async (): Promise<never> => thrower();

test.each<[string, JobTypeOptions, string]>([
  ['backoff', { backoff: thrower }, 'MILLRACE_BACKOFF_INVALID'],
  ['isRetryable', { isRetryable: thrower }, 'MILLRACE_IS_RETRYABLE_INVALID'],
  ['isRetryable (an answer)', { isRetryable: () => revoked() as never }, 'MILLRACE_IS_RETRYABLE_INVALID'],
  ['onFailed', { maxAttempts: 1, onFailed: thrower }, 'MILLRACE_ON_FAILED_THREW'],
  ['onFailed (later)', { maxAttempts: 1, onFailed: later }, 'MILLRACE_ON_FAILED_THREW'],
])('a revoked proxy from %s is warned of, and close() comes to its end', async (_what, own, code) => {
  const { options, closing } = await bench();
  const work = inlineJob(() => Promise.reject(new Error('no luck')), own);
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const warnings = record(mill, 'warning');
  const job = await mill.enqueue('work');
  await warnings.until(([, value]) => 'code' in value && value.code === code);
  await mill.close({ timeout: 0 });
  const again = closing(await Millrace.open({ ...options, jobs: { work: inlineJob(() => 'done') } }));
  expect((await again.job(job.id))?.errors).toMatchObject([{ error: { message: 'no luck' } }]);
});

test('a revoked proxy from a listener or the logger is warned of', async () => {
  const { options, closing } = await bench();
  const logger = { debug: thrower, info: thrower, warn: thrower, error: thrower };
  const mill = closing(await Millrace.open({ ...options, logger, jobs: { work: inlineJob(() => 'done') } }));
  const warnings = record(mill, 'warning');
  mill.on('completed', later);
  mill.on('started', thrower);
  expect(await (await mill.enqueue('work')).result()).toBe('done');
  await warnings.until(([, value]) => 'message' in value && value.message.includes('completed threw'));
  expect(warnings.all.map(([, value]) => 'code' in value && value.code)).toContain('MILLRACE_LISTENER_THREW');
});

test('whatever an iterable throws ends the stream, and the engine goes on', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: inlineJob(() => 'done') } }));
  for (const what of HOSTILE) {
    const items = function* () {
      yield { name: 'work' as const };
      throw hostile[what]();
    };
    await expect(mill.enqueueStream(items()), what).rejects.toMatchObject({
      code: 'MILLRACE_STREAM_FAILED',
      enqueued: 0,
    });
  }
  expect(await (await mill.enqueue('work')).result()).toBe('done');
});

test('a job name, options and items that were revoked are refused, and harm nobody', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: inlineJob(() => 'done') } }));
  const odd = revoked() as never; // That is the fault.
  await expect(mill.enqueue(odd, odd)).rejects.toMatchObject({ code: 'MILLRACE_JOB_UNKNOWN' });
  await expect(mill.enqueue('work', undefined, odd)).rejects.toThrow();
  await expect(mill.enqueueMany([odd])).rejects.toThrow();
  await expect(mill.enqueueStream([odd])).rejects.toMatchObject({
    code: 'MILLRACE_STREAM_FAILED',
    enqueued: 0,
  });
  expect(await (await mill.enqueue('work')).result()).toBe('done');
});

test('what a handler logs, asks for, or leaves behind may be anything', async () => {
  const { options, closing } = await bench();
  const codes: unknown[] = [];
  const work = inlineJob(async (_nothing: undefined, job) => {
    job.log.info('odd', revoked() as Record<string, unknown>);
    for (const ask of [
      () => job.checkpoint(revoked()),
      () => job.enqueue('work', { item: revoked() }),
      () => job.enqueue('work', undefined, revoked()),
    ])
      await ask().catch(({ code }: { code: unknown }) => codes.push(code));
    await job.checkpoint({ item: revoked() });
  });
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const job = await mill.enqueue('work');
  await expect(job.result()).rejects.toMatchObject({
    attempt: 1,
    cause: { code: 'MILLRACE_PAYLOAD_INVALID', message: expect.stringContaining('at checkpoint.item') },
  });
  expect(codes).toEqual(['MILLRACE_PAYLOAD_INVALID', 'MILLRACE_PAYLOAD_INVALID', 'MILLRACE_OPTION_INVALID']);
});
