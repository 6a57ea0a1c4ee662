/** How news reach those who wait for them: in order, and never all of a great many in one turn. */
import { expect, test } from 'vitest';
import { Deliveries } from '../../src/runtime/deliveries.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

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
  for (let before = 0; delivered.length < 1_100; before = delivered.length) {
    if (delivered.length > 0 && delivered.length < 200)
      for (let n = 0; n < 50; n++) deliveries.add(() => delivered.push(1_000 + n));
    await turn();
    most = Math.max(most, delivered.length - before);
  }
  expect(most).toBeLessThan(200);
  expect(delivered.slice(0, 1_000)).toEqual(Array.from({ length: 1_000 }, (_, n) => n));
});

test('whenIdle() waits for the last of them', async () => {
  const deliveries = new Deliveries();
  await deliveries.whenIdle();
  let delivered = 0;
  for (let n = 0; n < 500; n++) deliveries.add(() => delivered++);
  await deliveries.whenIdle();
  expect(delivered).toBe(500);
});
