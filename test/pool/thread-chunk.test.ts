/** Several tasks sent to a thread together, and stops that reach it wherever it is. */
import { expect, test } from 'vitest';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { errorOf, resultOf, run, task } from './news.js';
import { threads } from './threads.js';

/** A thread on a clock that stands still: nothing is taken back for waiting too long, on however slow a machine. */
const standing = () => threads({}, new FakeClock());

test('the tasks of a chunk run one after another, each with its own news before its outcome', async () => {
  const { pool, news } = await standing();
  const tasks = ['a', 'b'].map((id) => task({ do: 'report' }, { id }));
  run(pool, ...tasks);
  for (const one of tasks) await news.outcome(one);
  const story = ['progress {"percent":10}', 'info halfway', 'progress {"percent":90}'];
  const told = news.story();
  for (const id of ['a', 'b']) {
    const own = told.filter((line) => line.startsWith(`${id} `));
    expect(own).toEqual([...story, 'completed'].map((line) => `${id} ${line}`));
  }
  expect(told.indexOf('b progress {"percent":10}')).toBeGreaterThan(
    told.indexOf('a progress {"percent":90}'),
  );
});

test('a handler that throws does not stop the tasks behind it', async () => {
  const { pool, news } = await standing();
  const tasks = [task({ do: 'throw' }), task({ do: 'return', value: 2 })] as const;
  run(pool, ...tasks);
  expect((await news.outcome(tasks[0])).kind).toBe('errored');
  expect(resultOf(await news.outcome(tasks[1]))).toBe(2);
});

test('when a thread is ended, answered neighbours keep their outcome and waiting ones are released', async () => {
  const { pool, news } = await standing();
  const answered = task({ do: 'spinFor', ms: 3 });
  const stuck = task({ do: 'loop' }, { graceMs: 0 });
  const waiting = task({ do: 'report' });
  run(pool, answered, stuck, waiting);
  await news.begun(stuck);
  expect((await news.outcome(answered)).kind).toBe('completed');
  pool.stop(stuck, 'cancelled');
  expect(await news.outcome(stuck)).toEqual({ kind: 'cancelled' });
  expect(await news.outcome(waiting)).toEqual({ kind: 'released' });
  expect(news.story().some((line) => line.startsWith(`${waiting.id} progress`))).toBe(false);
});

test.each([
  ['cancelled', 'cancelled'],
  ['shutdown', 'released'],
] as const)('a task that is told %s before it began never runs', async (reason, outcome) => {
  const { pool, news } = await standing();
  const gate = await Gate.in(await temporaryDirectory());
  const first = task({ do: 'passGate', gate: gate.path, label: 'first' });
  const second = task({ do: 'report' });
  run(pool, first, second);
  await gate.arrived('first');
  pool.stop(second, reason);
  gate.open('first');
  expect(await news.outcome(second)).toEqual({ kind: outcome });
  expect((await news.outcome(first)).kind).toBe('completed');
  expect(news.story().some((line) => line.startsWith(`${second.id} progress`))).toBe(false);
});

test('a task that waits behind one that does not end is given back, and never runs', async () => {
  const { pool, news } = await threads();
  const gate = await Gate.in(await temporaryDirectory());
  const first = task({ do: 'passGate', gate: gate.path, label: 'first' });
  // Its own time has not begun, so it cannot be over.
  const second = task({ do: 'report' }, { timeoutMs: 1 });
  run(pool, first, second);
  await gate.arrived('first');
  expect(await news.outcome(second)).toEqual({ kind: 'released' });
  gate.open('first');
  expect((await news.outcome(first)).kind).toBe('completed');
  expect(news.story().some((line) => line.startsWith(`${second.id} progress`))).toBe(false);
});

test('a second message waits in the thread, and is given back when the first does not end', async () => {
  const { pool, news } = await threads();
  const gate = await Gate.in(await temporaryDirectory());
  const first = task({ do: 'passGate', gate: gate.path, label: 'first' });
  run(pool, first);
  await gate.arrived('first');
  const second = task({ do: 'report' });
  run(pool, second);
  expect(await news.outcome(second)).toEqual({ kind: 'released' });
  gate.open('first');
  expect((await news.outcome(first)).kind).toBe('completed');
  await news.room(pool);
  const third = task({ do: 'return', value: 3 });
  run(pool, third);
  expect(resultOf(await news.outcome(third))).toBe(3);
});

test('messages run one after the other, also when handlers await', async () => {
  const { pool, news } = await standing();
  const tasks = ['a', 'b'].map((id) => task({ do: 'report' }, { id }));
  for (const one of tasks) {
    run(pool, one);
    await Promise.resolve();
  }
  for (const one of tasks) await news.outcome(one);
  const told = news.story();
  expect(told.indexOf('b progress {"percent":10}')).toBeGreaterThan(
    told.indexOf('a progress {"percent":90}'),
  );
});

test.each(['aborted', 'throwIfAborted', 'progress'] as const)(
  'synchronous code sees the stop through %s',
  async (sees) => {
    const { pool, news } = await threads();
    const one = task({ do: 'spinUntil', sees });
    run(pool, one);
    await news.begun(one);
    pool.stop(one, 'cancelled');
    expect(await news.outcome(one)).toEqual({ kind: 'cancelled' });
  },
);

test('synchronous code sees its timeout', async () => {
  const { pool, news } = await threads();
  const one = task({ do: 'spinUntil', sees: 'throwIfAborted' }, { timeoutMs: 20 });
  run(pool, one);
  const outcome = await news.outcome(one);
  expect(outcome.kind).toBe('timedOut');
  expect(errorOf(outcome).code).toBe('MILLRACE_TIMEOUT');
});

test('a handler that loops for ever is ended after its grace, and its thread replaced', async () => {
  const { pool, news } = await threads();
  const one = task({ do: 'loop' }, { timeoutMs: 20, graceMs: 20 });
  run(pool, one);
  expect((await news.outcome(one)).kind).toBe('timedOut');
  await news.room(pool);
  const next = task({ do: 'return', value: 'next' });
  run(pool, next);
  expect(resultOf(await news.outcome(next))).toBe('next');
});

test('the signal of a job that has ended does not stop the next one', async () => {
  const { pool, news } = await threads();
  const gate = await Gate.in(await temporaryDirectory());
  const first = task({ do: 'spinUntil', sees: 'aborted' });
  run(pool, first);
  await news.begun(first);
  pool.stop(first, 'shutdown');
  expect(resultOf(await news.outcome(first))).toBe('seen');
  await news.room(pool);
  const second = task({ do: 'passGate', gate: gate.path, label: 'second', value: 'unharmed' });
  run(pool, second);
  await gate.arrived('second');
  pool.stop(first, 'cancelled');
  gate.open('second');
  expect(resultOf(await news.outcome(second))).toBe('unharmed');
});

test('what is finished is told while a neighbour goes on', async () => {
  const { pool, news } = await standing();
  const gate = await Gate.in(await temporaryDirectory());
  const quick = [1, 2, 3].map((value) => task({ do: 'return', value }));
  const waits = task({ do: 'passGate', gate: gate.path, label: 'waits' });
  run(pool, ...quick, waits);
  for (const [i, one] of quick.entries()) expect(resultOf(await news.outcome(one))).toBe(i + 1);
  expect(news.story()).not.toContain(`${waits.id} completed`);
  gate.open('waits');
  expect((await news.outcome(waits)).kind).toBe('completed');
});
