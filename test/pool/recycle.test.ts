/** A thread is replaced after so many jobs; none is lost for that, and none runs beside more than may. */
import { expect, test } from 'vitest';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { needOf, resultOf, run, task, type PoolNews } from './news.js';
import { threads } from './threads.js';
import type { Pool, Task } from '../../src/pool/contract.js';

const tellThread = (): Task => task({ do: 'tellThread' });
const threadsOf = (news: PoolNews, tasks: readonly Task[]): Promise<unknown[]> =>
  Promise.all(tasks.map(async (one) => resultOf(await news.outcome(one))));

/** Reserves as many seats as there are, up to so many, and runs jobs in them. */
function runAsMany(pool: Pool, most: number): Task[] {
  const rides = [];
  while (rides.length < most && pool.hasRoom(needOf('scripted', false)))
    rides.push({ seat: pool.reserve(needOf('scripted', false)), task: tellThread() });
  pool.run(rides);
  return rides.map((ride) => ride.task);
}

test.each([1, 3])(
  'a thread that has run %i jobs is replaced, and those behind go to another',
  async (maxJobs) => {
    const { pool, news } = await threads({ maxJobs });
    const numbers: unknown[] = [];
    for (let i = 0; i < 2 * maxJobs + 1; i++) {
      await news.room(pool);
      const one = tellThread();
      run(pool, one);
      numbers.push(...(await threadsOf(news, [one])));
    }
    const counts = [...new Set(numbers)].map((number) => numbers.filter((one) => one === number).length);
    expect(counts).toEqual([maxJobs, maxJobs, 1]);
  },
);

test('a message holds no more jobs than its thread has left', async () => {
  const { pool, news } = await threads({ maxJobs: 5 }, new FakeClock());
  const first = runAsMany(pool, 3);
  expect(first).toHaveLength(3);
  await threadsOf(news, first);
  await news.room(pool);
  const second = runAsMany(pool, 100);
  expect(second).toHaveLength(2);
  expect(new Set(await threadsOf(news, [...first, ...second])).size).toBe(1);
  await news.room(pool);
  expect(runAsMany(pool, 100)).toHaveLength(5);
});

test('jobs that are taken back before their turn do not count', async () => {
  const { pool, news } = await threads({ maxJobs: 3 }, new FakeClock());
  const [runs, never] = [tellThread(), tellThread()];
  const gate = await Gate.in(await temporaryDirectory());
  const first = task({ do: 'passGate', gate: gate.path, label: 'first' });
  run(pool, first, never);
  await gate.arrived('first');
  pool.stop(never, 'shutdown');
  gate.open('first');
  await news.outcome(first);
  await news.room(pool);
  run(pool, runs);
  const [number] = await threadsOf(news, [runs]);
  await news.room(pool);
  const last = runAsMany(pool, 100);
  expect(await threadsOf(news, last)).toEqual([number]);
});

test('the replacement is ready when the last job is over, and not used before', async () => {
  const { pool, news } = await threads({ maxJobs: 1 });
  const gate = await Gate.in(await temporaryDirectory());
  const last = task({ do: 'passGate', gate: gate.path, label: 'last' });
  const told = news.all.all.length;
  run(pool, last);
  await gate.arrived('last');
  // The pool tells when the new thread has started; the old one holds the only place.
  await news.all.until((one) => one.kind === 'available' && news.all.all.indexOf(one) >= told);
  expect(pool.hasRoom(needOf('scripted', false))).toBe(false);
  gate.open('last');
  expect((await news.outcome(last)).kind).toBe('completed');
  // In the turn in which that is told, before any other thread could have started.
  await news.room(pool);
  const next = tellThread();
  run(pool, next);
  expect((await news.outcome(next)).kind).toBe('completed');
});

test('a seat that is given back last of all lets the thread go', async () => {
  const { pool, news } = await threads({ maxJobs: 2 });
  const first = { seat: pool.reserve(needOf('scripted', false)), task: tellThread() };
  await Promise.resolve();
  const second = pool.reserve(needOf('scripted', false));
  pool.run([first]);
  const [number] = await threadsOf(news, [first.task]);
  second.release();
  await news.room(pool);
  const [other] = await threadsOf(news, runAsMany(pool, 1));
  expect(other).not.toBe(number);
});
