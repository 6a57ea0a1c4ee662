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
