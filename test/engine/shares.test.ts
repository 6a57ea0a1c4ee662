/** "Done means" of the queues: 10,000 dispatches from full queues, and more jobs than a window holds. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type EnqueueOptions } from '../../src/index.js';
import { deferred } from '../fixtures/deferred.js';
import { bench } from '../fixtures/engine.js';

const WINDOW = 1_000;

/** A job type whose jobs wait until they are let go, so that a journal can be filled first. */
function heldWork(concurrency: number) {
  const { promise: opened, resolve: open } = deferred();
  const ran: string[] = [];
  const work = inlineJob(
    async (_nothing: undefined, job) => {
      ran.push(job.id);
      await opened;
    },
    { concurrency },
  );
  return { work, ran, open };
}

test('10,000 dispatches from full queues of weights 6/3/1 split 60/30/10', async () => {
  const { options, closing } = await bench();
  const { work, open } = heldWork(10);
  const queues = { default: { weight: 1 }, middle: { weight: 3 }, high: { weight: 6 } };
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, queues, durability: 'os' }));
  const started = { default: 0, middle: 0, high: 0 };
  let counted = 0;
  const enough = new Promise<void>((resolve) => {
    mill.on('started', ({ queue }) => {
      // The first ten are taken before all queues are full.
      if (++counted <= 10 || counted > 10_010) return;
      started[queue as keyof typeof started]++;
      if (counted === 10_010) resolve();
    });
  });
  // Enough that none of the three is empty before the last of the 10,000.
  for (const [queue, count] of [
    ['default', 1_200],
    ['middle', 3_200],
    ['high', 6_200],
  ] as const) {
    await Promise.all(Array.from({ length: count }, () => mill.enqueue('work', undefined, { queue })));
  }
  open();
  await enough;
  expect(Math.abs(started.high - 6_000)).toBeLessThanOrEqual(100);
  expect(Math.abs(started.middle - 3_000)).toBeLessThanOrEqual(100);
  expect(Math.abs(started.default - 1_000)).toBeLessThanOrEqual(100);
});

test('3,000 jobs through a window of 1,000 run in order of priority, without those cancelled on disk', async () => {
  const { options, closing } = await bench();
  const { work, ran, open } = heldWork(1);
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, durability: 'os' }));
  await mill.enqueue('work', undefined, { id: 'first' });
  const jobs = Array.from({ length: 3 * WINDOW }, (_, i) => ({ id: `job-${i}`, priority: (i * 7_919) % 11 }));
  await Promise.all(jobs.map(({ id, priority }) => mill.enqueue('work', undefined, { id, priority })));
  const order = jobs.toSorted((a, b) => b.priority - a.priority).map(({ id }) => id);
  // Some of the head, some of the tail.
  const cancelled = new Set(order.filter((_, i) => i % 100 === 3));
  const states = await Promise.all([...cancelled].map((id) => mill.cancel(id)));
  expect(new Set(states)).toEqual(new Set(['cancelled']));
  open();
  await mill.drain();
  expect(ran).toEqual(['first', ...order.filter((id) => !cancelled.has(id))]);
});

test('jobs that come while the window is read run in their order, too', async () => {
  const { options, closing } = await bench();
  const { work, ran, open } = heldWork(1);
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, durability: 'os' }));
  const enqueue = (id: string, given: EnqueueOptions<'default'> = {}) =>
    mill.enqueue('work', undefined, { ...given, id });
  await enqueue('first');
  await Promise.all(Array.from({ length: 2 * WINDOW }, (_, i) => enqueue(`early-${i}`)));
  // From now on each job that starts brings another, of low and of high priority by turns.
  let late = 0;
  const arriving: Promise<unknown>[] = [];
  mill.on('started', () => {
    if (late < 1_000) arriving.push(enqueue(`late-${late}`, { priority: late++ % 2 === 0 ? -1 : 1 }));
  });
  open();
  await mill.drain();
  await Promise.all(arriving);
  await mill.drain();
  expect(new Set(ran).size).toBe(ran.length);
  expect(ran).toHaveLength(1 + 2 * WINDOW + 1_000);
  const early = ran.filter((id) => id.startsWith('early'));
  expect(early).toEqual(Array.from({ length: 2 * WINDOW }, (_, i) => `early-${i}`));
  const low = ran.filter((id) => id.startsWith('late') && Number(id.slice(5)) % 2 === 0);
  expect(ran.slice(-low.length)).toEqual(low);
});
