/** Tiny jobs share messages and threads; nobody else should notice. */
import { Level } from 'level';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, threadJob } from '../../src/index.js';
import { cancelled, claimed, enqueued } from '../../src/job/transitions.js';
import { encodeStatus } from '../../src/job/record-format.js';
import { seal, sealText } from '../../src/journal/integrity.js';
import { readyKey, statusKey } from '../../src/journal/keys.js';
import { bench, record } from '../fixtures/engine.js';
import { jobOf } from '../fixtures/jobs.js';

const tiny = threadJob<typeof import('../fixtures/tiny.js')>(
  new URL('../fixtures/tiny.js', import.meta.url),
  {
    maxAttempts: 1,
  },
);
const threads = { count: 1 };

test('tiny jobs complete once each, with its own result', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { tiny }, threads, durability: 'os' }));
  const completed: number[] = [];
  mill.on('completed', ({ result }) => completed.push(result));
  const numbers = Array.from({ length: 3_000 }, (_, i) => i);
  const handles = await mill.enqueueMany(numbers.map((payload) => ({ name: 'tiny', payload }) as const));
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(numbers);
  // Mostly in order; what was taken back from a thread that was held up for a moment may be overtaken.
  expect(completed.toSorted((x, y) => x - y)).toEqual(numbers);
  expect(await mill.counts()).toMatchObject({ completed: 3_000, running: 0, available: 0 });
});

test.each(['weighted', 'strict'] as const)(
  'a job that needs a thread for itself gets one, however many tiny ones there are: %s',
  async (selection) => {
    const { options, closing } = await bench();
    const mill = closing(
      await Millrace.open({
        ...options,
        // A type that is limited shares no thread.
        jobs: { tiny, alone: { ...tiny, options: { concurrency: 1, queue: 'high' } } },
        queues: { default: { weight: 1 }, high: { weight: 100 } },
        selection,
        threads,
        durability: 'os',
      }),
    );
    const started = record(mill, 'started');
    const many = Array.from({ length: 10_000 }, (_, i) => ({ name: 'tiny', payload: i }) as const);
    await mill.enqueueMany(many);
    await started.reached(2_000);
    const alone = await mill.enqueue('alone', 1);
    const before = started.all.length;
    await started.until(([, value]) => 'id' in value && value.id === alone.id);
    // What its thread had, and what was claimed while the job was on its way.
    expect(started.all.length - before).toBeLessThan(1_000);
  },
);

test('a job that ends its thread again and again costs its neighbours a few runs, and no attempt', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { tiny }, threads, durability: 'os' }));
  const warmUp = Array.from({ length: 300 }, (_, i) => ({ name: 'tiny', payload: i }) as const);
  await Promise.all((await mill.enqueueMany(warmUp)).map((handle) => handle.result()));
  const started = record(mill, 'started');
  const mixed = Array.from({ length: 30 }, (_, i) => i % 2 === 0).map(
    (isGood) => ({ name: 'tiny', payload: isGood ? 1 : 'exit' }) as const,
  );
  const handles = await mill.enqueueMany(mixed);
  const results = await Promise.allSettled(handles.map((handle) => handle.result()));
  expect(results.map(({ status }) => status === 'fulfilled')).toEqual(
    mixed.map(({ payload }) => payload === 1),
  );
  for (const { id } of handles) {
    const runs = started.all.filter(([, value]) => 'id' in value && value.id === id);
    expect(runs.length).toBeLessThan(5);
    expect(new Set(runs.map(([, value]) => 'attempt' in value && value.attempt))).toEqual(new Set([1]));
  }
}, 120_000);

test('a cancel that was acknowledged holds, although a power cut has taken the claim before it', async () => {
  const { options, closing } = await bench();
  const echo = inlineJob((payload: number) => payload);
  const first = closing(await Millrace.open({ ...options, jobs: { echo } }));
  const scheduled = await first.enqueue('echo', 1, { delay: '1h' });
  await first.close();

  // What is left of: available, claimed (lost), asked to cancel (synced).
  const { spec } = jobOf(1, { id: scheduled.id });
  const asked = cancelled(claimed(enqueued(spec), 5, 1), 2);
  const level = new Level<string, Uint8Array>(options.directory, { valueEncoding: 'view' });
  const ready = readyKey({ queue: 'default', name: 'echo', priority: 0, sequence: 1 });
  await level.put(ready, sealText(ready, scheduled.id));
  const status = statusKey(scheduled.id);
  await level.put(status, seal(status, encodeStatus(asked)));
  await level.close();

  const second = closing(await Millrace.open({ ...options, jobs: { echo } }));
  await record(second, 'cancelled').until(([, value]) => 'id' in value && value.id === scheduled.id);
  expect(await second.job(scheduled.id)).toMatchObject({ state: 'cancelled' });
});
