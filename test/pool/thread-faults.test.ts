/** Handlers that hurt their thread: each has a code of its own, and the pool lives on. */
import { expect, test } from 'vitest';
import { FakeClock } from '../fixtures/fake-clock.js';
import { errorOf, resultOf, run, task, type PoolBench } from './news.js';
import { threads } from './threads.js';

/** The pool has a thread again, and that works. */
async function expectAlive({ pool, news }: PoolBench): Promise<void> {
  await news.room(pool);
  const next = task({ do: 'return', value: 'alive' });
  run(pool, next);
  expect(resultOf(await news.outcome(next))).toBe('alive');
}

test('a handler that exits is blamed, and its neighbours are released', async () => {
  const bench = await threads();
  const [exiting, waiting] = [task({ do: 'exit', code: 3 }), task({ do: 'return' })];
  run(bench.pool, exiting, waiting);
  const outcome = await bench.news.outcome(exiting);
  expect(outcome.kind).toBe('crashed');
  expect(errorOf(outcome)).toMatchObject({
    code: 'MILLRACE_HANDLER_EXITED',
    message: expect.stringContaining('process.exit(3)'),
  });
  expect(await bench.news.outcome(waiting)).toEqual({ kind: 'released' });
  await expectAlive(bench);
});

test('a timer that throws while its job runs is the job’s error, and ends its thread', async () => {
  const bench = await threads();
  const [stray, waiting] = [task({ do: 'strayDuring' }), task({ do: 'return' })];
  run(bench.pool, stray, waiting);
  const outcome = await bench.news.outcome(stray);
  expect(outcome.kind).toBe('crashed');
  expect(errorOf(outcome)).toMatchObject({
    code: 'MILLRACE_HANDLER_STRAY_ERROR',
    cause: { message: 'a stray timer' },
  });
  expect(await bench.news.outcome(waiting)).toEqual({ kind: 'released' });
  await expectAlive(bench);
});

test('a rejection that nobody looks at is the job’s error', async () => {
  const bench = await threads();
  const one = task({ do: 'rejectUnhandled' });
  run(bench.pool, one);
  expect(errorOf(await bench.news.outcome(one))).toMatchObject({
    code: 'MILLRACE_HANDLER_STRAY_ERROR',
    cause: { message: 'nobody looked' },
  });
  await expectAlive(bench);
});

test('a timer that throws after its job has ended is a warning, and hurts no neighbour', async () => {
  const bench = await threads();
  const [stray, next] = [task({ do: 'strayAfter' }), task({ do: 'takeTurns', turns: 20 })];
  run(bench.pool, stray, next);
  expect(resultOf(await bench.news.outcome(stray))).toBe('done');
  expect((await bench.news.outcome(next)).kind).toBe('completed');
  const warning = await bench.news.warned('MILLRACE_HANDLER_STRAY_ERROR');
  expect(warning.message).toContain(stray.id);
  expect(warning.cause).toMatchObject({ cause: { message: 'a stray timer' } });
  await expectAlive(bench);
});

test('a thread that ends between two jobs is told of, and replaced', async () => {
  const bench = await threads();
  const one = task({ do: 'exitAfter' });
  run(bench.pool, one);
  expect(resultOf(await bench.news.outcome(one))).toBe('done');
  expect((await bench.news.warned('MILLRACE_HANDLER_EXITED')).message).toContain('process.exit(7)');
  await expectAlive(bench);
});

test('a handler that runs out of memory is blamed, and the process lives on', async () => {
  const bench = await threads({ maxHeapMb: 32 });
  const one = task({ do: 'exhaust', how: 'objects' });
  run(bench.pool, one);
  const outcome = await bench.news.outcome(one);
  expect(outcome.kind).toBe('crashed');
  expect(errorOf(outcome)).toMatchObject({
    code: 'MILLRACE_HANDLER_OUT_OF_MEMORY',
    message: expect.stringContaining('threads.maxHeapMb'),
  });
  await expectAlive(bench);
});

test('a handler that breaks the thread’s own ground is blamed, and the thread replaced', async () => {
  const bench = await threads();
  const [breaking, waiting] = [task({ do: 'breakGlobals' }), task({ do: 'return' })];
  run(bench.pool, breaking, waiting);
  const outcome = await bench.news.outcome(breaking);
  expect(outcome.kind).toBe('crashed');
  expect(errorOf(outcome)).toMatchObject({
    code: 'MILLRACE_HANDLER_DIED',
    message: expect.stringContaining('broken by a handler'),
  });
  expect(await bench.news.outcome(waiting)).toEqual({ kind: 'released' });
  await expectAlive(bench);
});

test('a handler that talks to its thread’s parent disturbs nobody', async () => {
  const bench = await threads();
  const values = [null, undefined, 'hello', 7, {}, [], { 'millrace.port': 'mine' }];
  const one = task({ do: 'postToParent', values });
  run(bench.pool, one);
  expect(resultOf(await bench.news.outcome(one))).toBe('posted');
  await expectAlive(bench);
});

test('a task that was told to stop keeps that outcome when its handler exits', async () => {
  const bench = await threads();
  const one = task({ do: 'exitWhenAborted' });
  run(bench.pool, one);
  await bench.news.begun(one);
  bench.pool.stop(one, 'cancelled');
  expect(await bench.news.outcome(one)).toEqual({ kind: 'cancelled' });
  await expectAlive(bench);
});

test('a full pool of stuck handlers is replaced as a whole', async () => {
  const bench = await threads({ count: 2, batchSize: 1 });
  const stuck = [task({ do: 'loop' }, { graceMs: 0 }), task({ do: 'loop' }, { graceMs: 0 })];
  for (const one of stuck) {
    await bench.news.room(bench.pool);
    run(bench.pool, one);
    await bench.news.begun(one);
  }
  for (const one of stuck) bench.pool.stop(one, 'cancelled');
  for (const one of stuck) expect(await bench.news.outcome(one)).toEqual({ kind: 'cancelled' });
  await expectAlive(bench);
});

test('a thread that is stuck in native code is told of, and its task is not settled before it has gone', async () => {
  const clock = new FakeClock();
  const bench = await threads({}, clock);
  const one = task({ do: 'goNative' }, { graceMs: 1 });
  run(bench.pool, one);
  await bench.news.begun(one);
  bench.pool.stop(one, 'cancelled');
  await clock.advance(1);
  await clock.advance(5_000);
  expect((await bench.news.warned('MILLRACE_THREAD_STUCK')).message).toContain('native code');
  expect(bench.news.story()).not.toContain(`${one.id} cancelled`);
  expect(await bench.news.outcome(one)).toEqual({ kind: 'cancelled' });
});

test('stuck threads are replaced, but only as many as the pool has: then jobs wait', async () => {
  const clock = new FakeClock();
  const bench = await threads({}, clock);
  const stuck = [task({ do: 'goNative' }, { graceMs: 1 }), task({ do: 'goNative' }, { graceMs: 1 })] as const;
  for (const one of stuck) {
    await bench.news.room(bench.pool);
    run(bench.pool, one);
    await bench.news.begun(one);
    bench.pool.stop(one, 'cancelled');
    await clock.advance(1);
  }
  await bench.news.room(bench.pool);
  // There was no room before one of the two had gone.
  expect(bench.news.story().filter((line) => line.endsWith(' cancelled')).length).toBeGreaterThan(0);
  await expectAlive(bench);
});
