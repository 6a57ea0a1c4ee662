/** Jobs of a type that the code no longer knows: wherever they are, they stay and can be seen, and go on once it does again. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { bench, record } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';

const HOUR = 3_600_000;

test('what was scheduled, waited for its next attempt or had ended when its type went is there when it comes back', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const isBroken = { now: true };
  const gone = inlineJob(
    (payload: string) => {
      if (payload === 'fails' && isBroken.now) throw new Error('not yet');
      return `${payload} is done`;
    },
    { backoff: { type: 'exponential', delay: HOUR, jitter: 'none' } },
  );
  const kept = inlineJob(() => 'kept');
  const first = closing(await Millrace.open({ ...options, clock, jobs: { gone, kept } }));
  const retried = record(first, 'retrying');
  await first.enqueue('gone', 'later', { id: 'scheduled', delay: HOUR });
  await first.enqueue('gone', 'later still', { id: 'cancelled', delay: HOUR });
  await first.enqueue('gone', 'fails', { id: 'retryable' });
  await (await first.enqueue('gone', 'ended', { id: 'ended' })).result();
  await retried.reached(1);
  await first.close();

  const second = closing(await Millrace.open({ ...options, clock, jobs: { kept } }));
  const states = () =>
    Promise.all(['scheduled', 'retryable', 'ended'].map(async (id) => (await second.job(id))?.state));
  expect(await states()).toEqual(['scheduled', 'retryable', 'completed']);
  expect(await second.job('scheduled')).toMatchObject({ name: 'gone', payload: 'later' });
  expect(await second.cancel('cancelled')).toBe('cancelled');
  // They are due, and available; what ended is kept for longer than a type that is known would keep it.
  const dueLast = await second.enqueue('kept', undefined, { delay: 2 * HOUR });
  await clock.advance(48 * HOUR);
  await expect(dueLast.result()).resolves.toBe('kept');
  expect(await states()).toEqual(['available', 'available', 'completed']);
  expect(await second.counts()).toMatchObject({ available: 2, completed: 1 + 1, cancelled: 1 });
  await second.close();

  isBroken.now = false;
  const third = closing(await Millrace.open({ ...options, clock, jobs: { gone, kept } }));
  await expect(third.handle('gone', 'scheduled').result()).resolves.toBe('later is done');
  await expect(third.handle('gone', 'retryable').result()).resolves.toBe('fails is done');
  expect(await third.job('retryable')).toMatchObject({ attempt: 2, errors: [{ attempt: 1 }] });
});

test('each type that is gone is told of at the start, wherever its jobs wait', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const isBroken = inlineJob(
    () => {
      throw new Error('not yet');
    },
    { backoff: { type: 'exponential', delay: HOUR, jitter: 'none' } },
  );
  const [late, child, other] = [inlineJob(() => 1), inlineJob(() => 2), inlineJob(() => 3)];
  const jobs = { late, child, other, isBroken };
  const queues = { default: {}, side: {} };
  const first = closing(await Millrace.open({ ...options, clock, jobs, queues }));
  const retried = record(first, 'retrying');
  await first.enqueue('late', undefined, { delay: HOUR });
  await first.enqueue('isBroken');
  await retried.reached(1);
  await first.enqueueFlow({
    parent: { name: 'other', options: { delay: 9 * HOUR } },
    child: { name: 'child', parents: ['parent'] },
    beside: { name: 'other', parents: ['parent'], options: { queue: 'side' } },
  });
  await first.close();

  const second = closing(await Millrace.open({ ...options, clock, jobs: { other } }));
  const warnings = record(second, 'warning');
  const told = () => warnings.all.map(([, error]) => (error as Error).message).toSorted();
  await warnings.reached(4);
  const expected = [
    '1 job waits in queue side, and `queues` does not name it; they stay until it does',
    ...['child', 'isBroken', 'late'].map(
      (name) =>
        `Jobs named ${name} wait in queue default, and no such job type is defined; they stay until one is`,
    ),
  ];
  expect(told()).toEqual(expected);
  // They are told of once, and not again as they become available.
  const dueLast = await second.enqueue('other', undefined, { delay: 2 * HOUR });
  await clock.advance(3 * HOUR);
  await dueLast.result();
  expect(await second.counts('default')).toMatchObject({ available: 2, scheduled: 1, waiting: 1 });
  expect(told()).toEqual(expected);
});

test('of many that wait, those behind the first ones are told of when they are due', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const [many, gone] = [inlineJob(() => 1), inlineJob(() => 2)];
  const first = closing(await Millrace.open({ ...options, clock, jobs: { many, gone } }));
  const delayed = { name: 'many', options: { delay: HOUR } } as const;
  await first.enqueueMany(Array.from({ length: 1_000 }, () => delayed));
  await first.enqueue('gone', undefined, { delay: 2 * HOUR });
  await first.close();

  const second = closing(await Millrace.open({ ...options, clock, jobs: { many } }));
  const warnings = record(second, 'warning');
  await clock.advance(HOUR);
  expect(warnings.all).toEqual([]);
  await clock.advance(HOUR);
  await warnings.reached(1);
  expect(warnings.all).toEqual([['warning', expect.objectContaining({ code: 'MILLRACE_JOB_UNKNOWN' })]]);
});
