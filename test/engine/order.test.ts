/** Which job is next: priorities, order of enqueue, limits, and the queues' shares. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';
import type { Recorder } from '../fixtures/recorder.js';
import type { Emitted } from '../fixtures/engine.js';

/** The queues of the jobs that were started, in order. */
const startedIn = (events: Recorder<Emitted>): string[] =>
  events.all.flatMap(([event, value]) => (event === 'started' ? [value.queue] : []));

const share = (queues: readonly string[], queue: string): number =>
  queues.filter((name) => name === queue).length;

test('a higher priority runs first, and equals run in the order of enqueue', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const jobs = { work: scriptedInline({ concurrency: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const order: string[] = [];
  mill.on('started', ({ id }) => order.push(id));
  await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'first' }, { id: 'first' });
  await gate.arrived('first');
  const waiting = { low: -1, a: 0, b: 0, high: 5, c: 0, highest: 32_767, lowest: -32_768, alsoHigh: 5 };
  for (const [id, priority] of Object.entries(waiting)) {
    await mill.enqueue('work', { do: 'return' }, { id, priority });
  }
  gate.open('first');
  await mill.drain();
  expect(order).toEqual(['first', 'highest', 'high', 'alsoHigh', 'a', 'b', 'c', 'low', 'lowest']);
});

test('the concurrency of a queue is never exceeded, seen from the handlers', async () => {
  const { options, closing } = await bench();
  let running = 0;
  let most = 0;
  const jobs = {
    count: inlineJob(async () => {
      most = Math.max(most, ++running);
      for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
      running--;
    }),
  };
  const mill = closing(await Millrace.open({ ...options, jobs, queues: { default: { concurrency: 3 } } }));
  await Promise.all(Array.from({ length: 60 }, () => mill.enqueue('count')));
  await mill.drain();
  expect(most).toBe(3);
});

test('threads that are free do not exceed the concurrency of a queue', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const mill = closing(
    await Millrace.open({
      ...options,
      jobs: { work: scriptedThread() },
      queues: { default: {}, narrow: { concurrency: 1 } },
      threads: { count: 2 },
    }),
  );
  for (const label of ['narrow', 'narrow']) {
    await mill.enqueue('work', { do: 'passGate', gate: gate.path, label }, { queue: 'narrow' });
  }
  await gate.arrived('narrow');
  // A job of the other queue finds a thread, and so the second narrow one would have, too.
  await (await mill.enqueue('work', { do: 'return' })).result();
  expect(gate.arrivals('narrow')).toBe(1);
  gate.open('narrow');
  await mill.drain();
  expect(gate.arrivals('narrow')).toBe(2);
});

test('a job type’s own concurrency does not hold up the others behind it', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const jobs = { single: scriptedInline({ concurrency: 1 }), free: scriptedInline() };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const pass = { do: 'passGate', gate: gate.path, label: 'single' } as const;
  await mill.enqueue('single', pass);
  await mill.enqueue('single', pass);
  await gate.arrived('single');
  await (await mill.enqueue('free', { do: 'return' })).result();
  expect(gate.arrivals('single')).toBe(1);
  gate.open('single');
  await mill.drain();
});

test('weights 6/3/1 split each ten dispatches of one thread 6/3/1', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const queues = { high: { weight: 6 }, middle: { weight: 3 }, low: { weight: 1 }, default: {} };
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: scriptedThread() }, queues, threads: { count: 1 } }),
  );
  const events = record(mill, 'started');
  await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'first' });
  await gate.arrived('first');
  for (const queue of ['low', 'middle', 'high'] as const) {
    await Promise.all(Array.from({ length: 60 }, () => mill.enqueue('work', { do: 'return' }, { queue })));
  }
  gate.open('first');
  await mill.drain();
  const order = startedIn(events).slice(1);
  for (let from = 0; from < 100; from += 10) {
    const ten = order.slice(from, from + 10);
    expect([share(ten, 'high'), share(ten, 'middle'), share(ten, 'low')]).toEqual([6, 3, 1]);
  }
  expect(order).toHaveLength(180);
});

test('strict: the lower queue gets nothing until the upper is empty', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const queues = { low: { weight: 1 }, high: { weight: 2 } };
  const jobs = { work: scriptedThread({ queue: 'high' }) };
  const mill = closing(
    await Millrace.open({ ...options, jobs, queues, selection: 'strict', threads: { count: 1 } }),
  );
  const events = record(mill, 'started');
  await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'first' }, { queue: 'high' });
  await gate.arrived('first');
  for (const queue of ['low', 'high'] as const) {
    await Promise.all(Array.from({ length: 20 }, () => mill.enqueue('work', { do: 'return' }, { queue })));
  }
  gate.open('first');
  await mill.drain();
  const order = startedIn(events);
  expect(order).toEqual([...Array(21).fill('high'), ...Array(20).fill('low')]);
});

test('a queue of weight 1 is served within one round, however heavy and full the other', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const jobs = { work: scriptedInline({ concurrency: 1, queue: 'busy' }) };
  const queues = { busy: { weight: 50 }, quiet: { weight: 1 } };
  const mill = closing(await Millrace.open({ ...options, jobs, queues }));
  const events = record(mill, 'started');
  await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'first' }, { queue: 'busy' });
  await gate.arrived('first');
  await Promise.all(
    Array.from({ length: 120 }, () => mill.enqueue('work', { do: 'return' }, { queue: 'busy' })),
  );
  await mill.enqueue('work', { do: 'return' }, { queue: 'quiet' });
  gate.open('first');
  await mill.drain();
  expect(startedIn(events).indexOf('quiet')).toBeLessThanOrEqual(51);
});
