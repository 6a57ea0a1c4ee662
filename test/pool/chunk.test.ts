/** The tasks that a thread was sent together, seen from the engine's side: without a thread, on a clock that stands. */
import { expect, test } from 'vitest';
import { MillraceError } from '../../src/errors.js';
import { encode } from '../../src/job/codec.js';
import type { Outcome } from '../../src/job/outcome.js';
import { Chunk } from '../../src/pool/chunk.js';
import type { Task } from '../../src/pool/contract.js';
import { Slot } from '../../src/pool/slot.js';
import type { Timed } from '../../src/pool/wire.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { errorOf, task } from './news.js';

function chunkOf(...tasks: Task[]) {
  const clock = new FakeClock();
  const slot = new Slot();
  const told: number[] = [];
  const outcomes = new Map<Task, Outcome>();
  let ended = 0;
  let stalled = 0;
  const chunk = new Chunk(tasks, slot, clock, {
    settled: (ends) => {
      for (const { task, outcome } of ends) outcomes.set(task, outcome);
    },
    took: () => {},
    stalled: () => void stalled++,
    stopping: (_task, index) => told.push(index),
    mustEnd: () => void ended++,
  });
  chunk.begin();
  return { chunk, clock, slot, told, outcomes, ended: () => ended, stalled: () => stalled };
}

const done: Timed = [['completed', encode('done')], 1];
const withheld: Timed = [['stopped'], 0];
const died = (): MillraceError => new MillraceError('MILLRACE_HANDLER_EXITED', 'it exited');

/** The time that a handler takes is real, for it is the thread that measures its start. */
function spin(ms: number): void {
  const startedAt = performance.now();
  while (performance.now() - startedAt < ms);
}

/** The thread's turn to a task, and its handler's start. */
function start(slot: Slot, index: number): void {
  slot.take(index);
  slot.begin(index);
}

test('the thread is told of each stop, and once', () => {
  const { chunk, slot, told } = chunkOf(task({ do: 'return' }), task({ do: 'return' }));
  slot.take(1);
  chunk.stop(1, 'cancelled');
  chunk.stop(1, 'timedOut');
  expect(told).toEqual([1]);
  expect(slot.stopped(1)).toBe('cancelled');
});

test.each([
  ['cancelled', 'cancelled'],
  ['shutdown', 'released'],
] as const)('a task that is told %s before its turn is over at once, and never gets one', (reason, kind) => {
  const tasks = [task({ do: 'loop' }), task({ do: 'return' })] as const;
  const { chunk, slot, told, outcomes } = chunkOf(...tasks);
  start(slot, 0);
  chunk.stop(1, reason);
  expect(outcomes.get(tasks[1])).toEqual({ kind });
  expect(told).toEqual([]);
  expect(slot.take(1)).toBe(false);
});

test('tasks that wait are taken back when the one before them does not come to its end', async () => {
  const tasks = [task({ do: 'loop' }), task({ do: 'return' }), task({ do: 'return' })] as const;
  const { chunk, clock, slot, outcomes, stalled } = chunkOf(...tasks);
  start(slot, 0);
  await clock.advance(9);
  expect(stalled()).toBe(0);
  spin(11);
  await clock.advance(1);
  expect(stalled()).toBe(1);
  expect(chunk.withdraw()).toBe(true);
  expect(tasks.map((one) => outcomes.get(one)?.kind)).toEqual([undefined, 'released', 'released']);
  expect(chunk.withdraw()).toBe(false);
  chunk.answered(0, [done, withheld, withheld]);
  expect(outcomes.get(tasks[0])?.kind).toBe('completed');
  expect(outcomes.size).toBe(3);
});

test('an answer of another task does not lift the grace of the one that should stop', async () => {
  const [first, second] = [task({ do: 'return' }), task({ do: 'loop' }, { graceMs: 100 })];
  const { chunk, clock, slot, ended } = chunkOf(first, second);
  start(slot, 0);
  start(slot, 1);
  chunk.stop(1, 'cancelled');
  chunk.answered(0, [done]);
  await clock.advance(100);
  expect(ended()).toBe(1);
});

test('a task whose answer is still held back is not what the thread is ended for', async () => {
  const [first, second] = [task({ do: 'return' }, { graceMs: 100 }), task({ do: 'return' })];
  const { chunk, clock, slot, ended } = chunkOf(first, second);
  start(slot, 0);
  chunk.stop(0, 'cancelled');
  start(slot, 1);
  await clock.advance(100);
  expect(ended()).toBe(0);
});

test('a stop of a task that waits does not put off the look at the one that runs', async () => {
  const [first, second] = [task({ do: 'loop' }, { timeoutMs: 1 }), task({ do: 'return' })];
  const { chunk, clock, slot, told } = chunkOf(first, second);
  start(slot, 0);
  spin(2);
  await clock.advance(0.6);
  chunk.stop(1, 'cancelled');
  await clock.advance(0.4);
  expect(told).toEqual([0]);
});

test('each task has its own time, from the start of its handler', async () => {
  const tasks = [1, 2].map(() => task({ do: 'loop' }, { timeoutMs: 100 }));
  const { chunk, clock, slot, told } = chunkOf(...tasks);
  start(slot, 0);
  spin(110);
  await clock.advance(100);
  expect(told).toEqual([0]);
  chunk.answered(0, [done]);
  start(slot, 1);
  await clock.advance(100);
  expect(told).toEqual([0]);
  spin(110);
  await clock.advance(100);
  expect(told).toEqual([0, 1]);
});

test('a thread that begins nothing for half a minute is ended', async () => {
  const { clock, ended } = chunkOf(task({ do: 'return' }));
  await clock.advance(29_999);
  expect(ended()).toBe(0);
  await clock.advance(1);
  expect(ended()).toBe(1);
});

test('a thread’s own end is blamed on the task whose turn it was, and on no other', () => {
  const tasks = [task({ do: 'return' }), task({ do: 'exit', code: 1 }), task({ do: 'return' })] as const;
  const { chunk, slot, outcomes } = chunkOf(...tasks);
  slot.take(0);
  slot.take(1);
  chunk.answered(0, [done]);
  expect(chunk.lost(died())).toBe(true);
  expect([...outcomes.values()].map(({ kind }) => kind)).toEqual(['completed', 'crashed', 'released']);
});

test('a thread that dies before it has begun is nobody’s fault, and says so', () => {
  const one = task({ do: 'return' });
  const { chunk, outcomes } = chunkOf(one);
  expect(chunk.lost(died())).toBe(false);
  expect(outcomes.get(one)).toEqual({ kind: 'released' });
});

test('what strayed from a task is its outcome, whatever its handler answers', () => {
  const one = task({ do: 'strayDuring' });
  const { chunk, slot, outcomes } = chunkOf(one);
  slot.take(0);
  chunk.strayed(0, encode({ name: 'Error', message: 'stray' }));
  chunk.answered(0, [done]);
  expect(outcomes.size).toBe(0);
  chunk.lost(undefined);
  const outcome = outcomes.get(one);
  expect(outcome?.kind).toBe('crashed');
  expect(outcome && errorOf(outcome).message).toBe('stray');
});

test('a task that was told to stop has that outcome, whatever ends its thread', () => {
  const tasks = [task({ do: 'loop' }), task({ do: 'loop' }), task({ do: 'loop' })] as const;
  const { chunk, slot, outcomes } = chunkOf(...tasks);
  for (const index of tasks.keys()) slot.take(index);
  chunk.stop(0, 'shutdown');
  chunk.stop(1, 'cancelled');
  chunk.stop(2, 'timedOut');
  expect(outcomes.size).toBe(0);
  chunk.lost(died());
  expect(tasks.map((one) => outcomes.get(one)?.kind)).toEqual(['released', 'cancelled', 'timedOut']);
});

test('a task whose deadline comes before its turn counts for nothing, and one that is taken is stopped', () => {
  const tasks = [task({ do: 'loop' }), task({ do: 'loop' }), task({ do: 'loop' })] as const;
  const { chunk, slot, outcomes, told } = chunkOf(...tasks);
  slot.take(0);
  slot.take(1);
  for (const index of tasks.keys()) chunk.stop(index, 'overdue');
  expect(told).toEqual([0, 1]);
  expect(slot.stopped(0)).toBe('overdue');
  // The thread has seen the stop of the second before it began with it.
  chunk.answered(0, [done, withheld, withheld]);
  expect(tasks.map((one) => outcomes.get(one)?.kind)).toEqual(['overdue', 'released', 'released']);
});

test('a chunk that something waits behind is looked at closely, also when that came before it had begun', async () => {
  const { chunk, clock, slot, stalled } = chunkOf(task({ do: 'loop' }));
  chunk.hurry();
  await clock.advance(10);
  start(slot, 0);
  spin(11);
  await clock.advance(10);
  expect(stalled()).toBe(1);
  await clock.advance(29_000);
  expect(stalled()).toBe(1);
});
