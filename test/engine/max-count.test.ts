/** How many ended jobs of a type are kept at most. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type JobFilter, type Retention } from '../../src/index.js';
import { bench } from '../fixtures/engine.js';
import { collect } from '../fixtures/collect.js';
import { FakeClock } from '../fixtures/fake-clock.js';

async function bounded(retention: Retention) {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const handler = (payload: string): void => {
    if (payload === 'fail') throw new Error('as it was told to');
  };
  const open = async (kept = retention) => {
    const jobs = {
      work: inlineJob(handler, { retention: kept, maxAttempts: 1, concurrency: 10 }),
      other: inlineJob(handler, { concurrency: 10 }),
    };
    return closing(await Millrace.open({ ...options, jobs, clock, durability: 'os' }));
  };
  type Engine = Awaited<ReturnType<typeof open>>;
  let number = 0;
  const run = async (mill: Engine, name: 'work' | 'other', payload: string, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      await mill.enqueue(name, payload, { id: `${name}-${String(number++).padStart(4, '0')}` });
      // In some tens of writes each, so that they share rosters.
      if (i % 25 === 24) {
        await mill.drain();
        await clock.advance(1);
      }
    }
    await mill.drain();
  };
  /** Time passes, until that many are kept. */
  const until = async (mill: Engine, filter: JobFilter, count: number): Promise<string[]> => {
    for (;;) {
      const ids = (await collect(mill.jobs(filter))).map(({ id }) => id).sort();
      if (ids.length <= count) return ids;
      await clock.advance(1_000);
      await turn();
    }
  };
  return { open, run, until, clock };
}

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from }, (_, i) => `work-${String(from + i).padStart(4, '0')}`);

test('of more jobs than that, those that ended first go: of each state by itself, and of no other type', async () => {
  const { open, run, until } = await bounded({ completed: 'forever', failed: 'forever', maxCount: 60 });
  const mill = await open();
  await run(mill, 'work', 'do', 200);
  await run(mill, 'work', 'fail', 70);
  await run(mill, 'other', 'do', 80);
  expect(await until(mill, { name: 'work', state: 'completed' }, 60)).toEqual(numbers(140, 200));
  expect(await until(mill, { name: 'work', state: 'failed' }, 60)).toEqual(numbers(210, 270));
  expect(await mill.counts()).toMatchObject({ completed: 140, failed: 60 });
});

test('after a restart, and with a bound that is new or lower, the number is right', async () => {
  const { open, run, until, clock } = await bounded({ maxCount: 1_000 });
  const first = await open();
  await run(first, 'work', 'do', 300);
  await first.close();
  const second = await open({ maxCount: 250 });
  expect(await until(second, { name: 'work' }, 250)).toEqual(numbers(50, 300));
  await run(second, 'work', 'do', 30);
  expect(await until(second, { name: 'work' }, 250)).toEqual(numbers(80, 330));
  await second.close();
  const third = await open({ maxCount: 250 });
  for (let i = 0; i < 20; i++) await clock.advance(1_000);
  expect(await until(third, { name: 'work' }, 250)).toEqual(numbers(80, 330));
  await run(third, 'work', 'do', 1);
  expect(await until(third, { name: 'work' }, 250)).toEqual(numbers(81, 331));
});

test('jobs that an open flow holds drive no other out, and go as soon as all of it has ended', async () => {
  const { open, run, until, clock } = await bounded({ completed: 'forever', maxCount: 10 });
  const mill = await open();
  const parents = Array.from({ length: 12 }, (_, i) => `step-${i}`);
  const steps = Object.fromEntries(
    parents.map((id) => [id, { name: 'work' as const, payload: 'do', options: { id } }]),
  );
  const gate = { name: 'other' as const, payload: 'do', options: { id: 'gate', delay: '1h' } } as const;
  await mill.enqueueFlow({ ...steps, gate });
  await mill.drain();
  await clock.advance(1);
  await run(mill, 'work', 'do', 5);
  for (let i = 0; i < 20; i++) await clock.advance(1_000);
  expect(await until(mill, { name: 'work' }, 17)).toHaveLength(17);
  await mill.cancel('gate');
  expect((await until(mill, { name: 'work' }, 10)).filter((id) => id.startsWith('work'))).toEqual(
    numbers(0, 5),
  );
});

test('what is retried or removed makes room, and no other goes for it', async () => {
  const { open, run, until, clock } = await bounded({ maxCount: 50 });
  const mill = await open();
  await run(mill, 'work', 'fail', 50);
  for (const id of numbers(40, 50)) expect(await mill.remove(id)).toBe(true);
  // They fail again, and are as many as before.
  expect(await mill.retry({ state: 'failed', name: 'work' })).toBe(40);
  await mill.drain();
  await run(mill, 'work', 'fail', 10);
  for (let i = 0; i < 20; i++) await clock.advance(1_000);
  expect(await until(mill, { state: 'failed' }, 50)).toEqual([...numbers(0, 40), ...numbers(50, 60)]);
  await mill.close();
  const again = await open();
  for (let i = 0; i < 20; i++) await clock.advance(1_000);
  expect(await until(again, { state: 'failed' }, 50)).toHaveLength(50);
});

test('none are kept where that is said, whatever their time is', async () => {
  const { open, run, until } = await bounded({ completed: 'forever', maxCount: 0 });
  const mill = await open();
  await run(mill, 'work', 'do', 30);
  expect(await until(mill, {}, 0)).toEqual([]);
});

test.each([-1, 1.5, Number.NaN, '10', null])('a maxCount of %j is refused', async (maxCount) => {
  const { open } = await bounded({});
  // What no type lets pass.
  await expect(open({ maxCount: maxCount as number })).rejects.toThrow('`jobs.work.retention.maxCount`');
});

test('a misspelt field of a retention is refused', async () => {
  const { open } = await bounded({});
  await expect(open({ maxcount: 3 } as Retention)).rejects.toThrow('`jobs.work.retention.maxcount`');
});

test('jobs that are imported count, and go like others', async () => {
  const { options, closing, directory } = await bench();
  const jobs = { work: inlineJob((payload: number) => payload, { retention: { maxCount: 5 } }) };
  const unbound = { work: inlineJob((payload: number) => payload) };
  const from = await Millrace.open({ ...options, jobs: unbound });
  await from.enqueueMany(Array.from({ length: 50 }, (_, payload) => ({ name: 'work' as const, payload })));
  await from.drain();
  const lines = await collect(from.export());
  await from.close();
  const mill = closing(await Millrace.open({ ...options, directory: `${directory}/other`, jobs }));
  await (await mill.enqueue('work', 1)).result();
  await mill.import(lines);
  while ((await mill.counts()).completed > 5) await turn();
});
