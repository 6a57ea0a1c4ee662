/** Timeouts, seen from the engine: signal first, then the end; counted from the handler's start. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';

test.each([
  ['in a thread', scriptedThread({ timeout: 30, grace: '1m' })],
  ['inline', scriptedInline({ timeout: 30, grace: '1m' })],
])('a job %s that is over its time is told, and its attempt errs', async (_where, work) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const job = await mill.enqueue('work', { do: 'untilAborted', ends: 'return' }, { maxAttempts: 1 });
  await expect(job.result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
    message: `Job work ${job.id} failed at attempt 1: it took longer than its timeout of 30 ms`,
    cause: { name: 'TimeoutError', code: 'MILLRACE_TIMEOUT', message: expect.stringContaining('30 ms') },
  });
  expect(await job.snapshot()).toMatchObject({ state: 'failed', error: { code: 'MILLRACE_TIMEOUT' } });
});

test('a job that is over its time and has not gone is `stopping`', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const jobs = { work: scriptedInline({ timeout: '10s', grace: '5s', maxAttempts: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  const events = record(mill, 'progress', 'warning');
  const job = await mill.enqueue('work', { do: 'hang' });
  await events.reached(1);
  await clock.advance(9_999);
  expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: false });
  await clock.advance(1);
  expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: true });
  await clock.advance(5_000);
  await expect(job.result()).rejects.toMatchObject({ cause: { code: 'MILLRACE_TIMEOUT' } });
  expect(events.all.at(-1)).toMatchObject(['warning', { code: 'MILLRACE_INLINE_STUCK' }]);
});

test('an inline job gets its next attempt only when its old promise has settled', async () => {
  const { options, closing } = await bench();
  const gates: (() => void)[] = [];
  let running = 0;
  let most = 0;
  const work = inlineJob(
    async () => {
      most = Math.max(most, ++running);
      await new Promise<void>((resolve) => gates.push(resolve));
      running--;
      return 'late, or in time';
    },
    { timeout: 20, grace: 0, backoff: { type: 'exponential', delay: 0 } },
  );
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const events = record(mill, 'retrying', 'started', 'completed');
  await mill.enqueue('work', undefined, { maxAttempts: 1_000 });
  await events.until(([event]) => event === 'retrying');
  // Another job runs through, so that this one would have been started if it could be.
  const other = await mill.enqueue('work', undefined, { timeout: '1h' });
  await events.until(([event, value]) => event === 'started' && value.id === other.id);
  expect(gates).toHaveLength(2);
  gates[0]?.();
  await events.until(([event, value]) => event === 'started' && value.id !== other.id && value.attempt === 2);
  gates[1]?.();
  expect(await other.result()).toBe('late, or in time');
  expect(most).toBe(2);
});

test('the time that a job waits does not count', async () => {
  const { options, closing, directory } = await bench();
  const clock = new FakeClock();
  const gate = await Gate.in(directory);
  const jobs = { work: scriptedThread({ timeout: '30s' }) };
  const mill = closing(await Millrace.open({ ...options, jobs, clock, threads: { count: 1 } }));
  const pass = { do: 'passGate', gate: gate.path, label: 'first' } as const;
  const first = await mill.enqueue('work', pass, { timeout: '10d' });
  await gate.arrived('first');
  const second = await mill.enqueue('work', { do: 'return', value: 'in time' });
  await clock.advance(3_600_000);
  gate.open('first');
  expect(await second.result()).toBe('in time');
  await first.result();
});

test('enqueue() can give one job less time than its type has', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread({ timeout: '1h', grace: 1, maxAttempts: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const job = await mill.enqueue('work', { do: 'loop' }, { timeout: 20 });
  await expect(job.result()).rejects.toMatchObject({ cause: { code: 'MILLRACE_TIMEOUT' } });
});
