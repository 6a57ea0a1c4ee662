/** How news reach those who wait for them: in order, and never all of a great many in one turn. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Deliveries } from '../../src/runtime/deliveries.js';

test('a few are delivered in the turn in which they come', async () => {
  const deliveries = new Deliveries();
  const delivered: number[] = [];
  for (let n = 0; n < 10; n++) deliveries.add(() => delivered.push(n));
  expect(delivered).toEqual([]);
  await Promise.resolve();
  expect(delivered).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('many are delivered over several turns, in order, with what comes meanwhile behind them', async () => {
  const deliveries = new Deliveries();
  const delivered: number[] = [];
  for (let n = 0; n < 1_000; n++) deliveries.add(() => delivered.push(n));
  let most = 0;
  for (let turns = 0; delivered.length < 1_100; turns++) {
    const before = delivered.length;
    await turn();
    most = Math.max(most, delivered.length - before);
    if (turns === 1) for (let n = 0; n < 100; n++) deliveries.add(() => delivered.push(1_000 + n));
  }
  expect(most).toBeLessThan(300);
  expect(delivered).toEqual(Array.from({ length: 1_100 }, (_, n) => n));
});

test('whenIdle() waits for the last of them', async () => {
  const deliveries = new Deliveries();
  await deliveries.whenIdle();
  let delivered = 0;
  for (let n = 0; n < 500; n++) deliveries.add(() => delivered++);
  await deliveries.whenIdle();
  expect(delivered).toBe(500);
});

test('one that throws keeps nothing from the others', async () => {
  const deliveries = new Deliveries();
  const delivered: number[] = [];
  const thrown: unknown[] = [];
  const listener = (error: unknown): void => void thrown.push(error);
  // It is for the process to hear of; the test runner's own listeners would fail the test.
  const others = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException').on('uncaughtException', listener);
  for (let n = 0; n < 100; n++)
    deliveries.add(() => {
      if (n === 10) throw new Error('ten');
      delivered.push(n);
    });
  await deliveries.whenIdle();
  process.off('uncaughtException', listener);
  for (const other of others) process.on('uncaughtException', other);
  expect(delivered).toHaveLength(99);
  expect(thrown).toMatchObject([{ message: 'ten' }]);
});

test('however many wait, they are through after a number of turns that grows slowly', async () => {
  const deliveries = new Deliveries();
  let delivered = 0;
  for (let n = 0; n < 100_000; n++) deliveries.add(() => delivered++);
  for (let n = 0; n < 100; n++) await turn();
  expect(delivered).toBe(100_000);
});
