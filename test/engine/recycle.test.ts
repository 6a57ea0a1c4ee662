/** Threads that are replaced after so many jobs, under a load that never lets them rest. */
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { bench, record, scriptedThread } from '../fixtures/engine.js';

test('no job is lost or counted twice where threads come and go, and no thread has more than its share', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread() };
  const threads = { count: 2, maxJobs: 25 };
  const mill = closing(await Millrace.open({ ...options, jobs, threads, durability: 'os' }));
  const events = record(mill, 'warning', 'errored');
  const items = Array.from({ length: 300 }, () => ({ name: 'work', payload: { do: 'tellThread' } }) as const);
  const handles = await mill.enqueueMany(items);
  const numbers = await Promise.all(handles.map((job) => job.result()));
  const shares = new Map<unknown, number>();
  for (const number of numbers) shares.set(number, (shares.get(number) ?? 0) + 1);
  expect(Math.max(...shares.values())).toBeLessThanOrEqual(25);
  for (const { id } of handles)
    expect(await mill.job(id)).toMatchObject({ state: 'completed', attempt: 1, errors: [] });
  expect(events.all).toEqual([]);
});
