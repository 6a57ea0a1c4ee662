/** A queue whose jobs are of several types: none holds up the others, and none that is unknown is lost. */
import { Level } from 'level';
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { sealText } from '../../src/journal/integrity.js';
import { readyKey } from '../../src/journal/keys.js';
import type { MillraceError } from '../../src/index.js';
import { bench } from '../fixtures/engine.js';
import { Recorder } from '../fixtures/recorder.js';

const warningsOf = (mill: Pick<Millrace, 'on'>): Recorder<MillraceError> => {
  const warnings = new Recorder<MillraceError>();
  mill.on('warning', warnings.push);
  return warnings;
};

const echo = inlineJob((payload: number) => payload);
/** Goes on until it is told to stop. */
const endless = inlineJob(
  (_payload: number, job) =>
    new Promise<never>((_, reject) => job.signal.addEventListener('abort', () => reject(job.signal.reason))),
  { concurrency: 1, grace: 1 },
);

test('a type whose limit is reached does not keep others of its queue from running, however many jobs it has', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { endless, echo }, durability: 'os' }));
  await Promise.all(Array.from({ length: 1_500 }, (_, i) => mill.enqueue('endless', i)));
  const job = await mill.enqueue('echo', 7);
  await expect(job.result()).resolves.toBe(7);
});

test('jobs of a type that the code does not know are told of, stay through restarts, and run once it is known', async () => {
  const { options, closing } = await bench();
  const first = closing(await Millrace.open({ ...options, jobs: { gone: endless, echo } }));
  const ids = await Promise.all([0, 1].map(async (i) => (await first.enqueue('gone', i)).id));
  await first.close({ timeout: 0 });

  const second = closing(await Millrace.open({ ...options, jobs: { echo } }));
  const warned = warningsOf(second);
  expect((await warned.until(({ code }) => code === 'MILLRACE_JOB_UNKNOWN')).message).toContain('gone');
  // More than it takes to raise the low-water mark.
  await Promise.all(
    Array.from({ length: 1_100 }, async (_, i) =>
      (await second.enqueue('echo', i, { durability: 'os' })).result(),
    ),
  );
  expect((await second.job(ids[0] ?? ''))?.state).toBe('available');
  await second.close();

  const third = closing(await Millrace.open({ ...options, jobs: { gone: echo, echo } }));
  await expect(Promise.all(ids.map((id) => third.handle('gone', id).result()))).resolves.toEqual([0, 1]);
});

test('an entry of a job that is not available any more is dropped with a warning, and those behind it run', async () => {
  const { options, closing } = await bench();
  const first = closing(await Millrace.open({ ...options, jobs: { echo } }));
  const done = await first.enqueue('echo', 1);
  await done.result();
  await first.close();

  // As a power cut can leave it: the claim that removed the entry is lost, the outcome is not.
  const key = readyKey({ queue: 'default', name: 'echo', priority: 0, sequence: 1 });
  const level = new Level<string, Uint8Array>(options.directory, { valueEncoding: 'view' });
  await level.put(key, sealText(key, done.id));
  await level.close();

  const second = closing(await Millrace.open({ ...options, jobs: { echo } }));
  const warned = warningsOf(second);
  await expect((await second.enqueue('echo', 2)).result()).resolves.toBe(2);
  expect((await warned.until(({ code }) => code === 'MILLRACE_JOURNAL_CORRUPT')).message).toContain(done.id);
  expect(await second.job(done.id)).toMatchObject({ state: 'completed', attempt: 1 });
});

test('nothing starts before open() has resolved, and strict order holds from the first job on', async () => {
  const { options, closing } = await bench();
  const queues = { high: { weight: 2 }, low: { weight: 1 }, default: {} };
  const first = closing(
    await Millrace.open({ ...options, jobs: { work: endless }, queues, durability: 'os' }),
  );
  await first.enqueue('work', 0, { queue: 'low' });
  await Promise.all(Array.from({ length: 1_200 }, (_, i) => first.enqueue('work', i, { queue: 'high' })));
  await first.close({ timeout: 0 });

  const jobs = { work: inlineJob((payload: number) => payload, { concurrency: 1 }) };
  const second = closing(
    await Millrace.open({ ...options, jobs, queues, selection: 'strict', durability: 'os' }),
  );
  const order: string[] = [];
  second.on('started', ({ queue }) => order.push(queue));
  await second.drain();
  expect(order).toHaveLength(1_201);
  expect(order.indexOf('low')).toBe(1_200);
});
