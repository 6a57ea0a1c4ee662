/** Who waits until nothing is left hears of it, and the event tells only of what there was. */
import { expect, test } from 'vitest';
import { Drain } from '../../src/runtime/drain.js';

function drainOf() {
  const state = { isActive: true, told: 0 };
  const drain = new Drain({ isActive: () => state.isActive, onDrained: () => state.told++ });
  return { state, drain };
}

test('whoever waits for what turns out to be nothing is not kept waiting', async () => {
  const { state, drain } = drainOf();
  const waiting = drain.wait();
  state.isActive = false;
  drain.check(true);
  await waiting;
  expect(state.told).toBe(0);
});

test('what there was is told of once, when all is over', async () => {
  const { state, drain } = drainOf();
  drain.notice();
  const waiting = drain.wait();
  drain.check(true);
  state.isActive = false;
  drain.check(false);
  expect(state.told).toBe(0);
  drain.check(true);
  drain.check(true);
  await waiting;
  expect(state.told).toBe(1);
});
