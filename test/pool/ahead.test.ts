/** The next job is sent to a thread that is about to be through, and taken back if it is not. */
import { expect, test } from 'vitest';
import { Pace } from '../../src/pool/pace.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { needOf, resultOf, run, task } from './news.js';
import { threads } from './threads.js';

/** Expects every job to take a tenth of a second. */
class Steady extends Pace {
  override expectedMs(): number {
    return 100;
  }
}

/** A thread whose job waits at a gate. */
async function busy(batchSize = 100) {
  const clock = new FakeClock();
  const { pool, news } = await threads({ batchSize }, clock, new Steady());
  const gate = await Gate.in(await temporaryDirectory());
  const first = task({ do: 'passGate', gate: gate.path, label: 'first' });
  run(pool, first);
  await gate.arrived('first');
  return { clock, pool, news, gate, first };
}

test('there is room for one job more a moment before the thread is expected to be through', async () => {
  const { clock, pool, news, gate, first } = await busy();
  await clock.advance(96);
  expect(pool.hasRoom(needOf('scripted', false))).toBe(false);
  await clock.advance(1);
  const second = task({ do: 'return', value: 2 });
  expect(pool.hasRoom(needOf('scripted', false))).toBe(true);
  run(pool, second);
  expect(pool.hasRoom(needOf('scripted', false))).toBe(false);
  gate.open('first');
  expect(resultOf(await news.outcome(second))).toBe(2);
  expect((await news.outcome(first)).kind).toBe('completed');
});

test('a job that was sent too early is taken back, and there is no room before the thread is through', async () => {
  const { clock, pool, news, gate, first } = await busy();
  await clock.advance(97);
  const second = task({ do: 'report' });
  run(pool, second);
  const startedAt = performance.now();
  // The time that a handler takes is real, for it is the thread that measures its start.
  while (performance.now() - startedAt < 11);
  await clock.advance(10);
  expect(await news.outcome(second)).toEqual({ kind: 'released' });
  expect(pool.hasRoom(needOf('scripted', false))).toBe(false);
  gate.open('first');
  expect((await news.outcome(first)).kind).toBe('completed');
  await news.room(pool);
  expect(news.story().some((line) => line.startsWith(`${second.id} progress`))).toBe(false);
});

test('a job that is limited never waits behind another', async () => {
  const { clock, pool, gate } = await busy();
  await clock.advance(100);
  expect(pool.hasRoom(needOf('scripted', true))).toBe(false);
  gate.open('first');
});

test('where each job is sent alone, none is sent ahead', async () => {
  const { clock, pool, gate } = await busy(1);
  await clock.advance(100);
  expect(pool.hasRoom(needOf('scripted', false))).toBe(false);
  gate.open('first');
});
