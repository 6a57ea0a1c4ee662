/** The windows of concurrency keys: which there are, and when they are forgotten. */
import { expect, test } from 'vitest';
import { KeyRates } from '../../src/runtime/key-rates.js';

const POLICY = { max: 1, perMs: 32 };
/** A window, and one step. */
const OVER = 33;
const ratesOf = (): KeyRates => new KeyRates(new Map([['send', POLICY]]));

function start(rates: KeyRates, lane: string, at: number): void {
  rates.windowOf(lane)?.take();
  rates.windowOf(lane)?.begin(at);
  rates.began(lane);
}

test('only types that have the limit have windows', () => {
  const rates = ratesOf();
  expect(rates.windowOf('other~a')).toBeUndefined();
  expect(rates.delayMs('other~a', 0)).toBe(0);
  expect(rates.delayMs('send~a', 0)).toBe(0);
  start(rates, 'send~a', 0);
  expect(rates.delayMs('send~a', 0)).toBe(OVER);
  expect(rates.delayMs('send~b', 0)).toBe(0);
});

test('a key that goes on keeps no other from being forgotten', () => {
  const rates = ratesOf();
  start(rates, 'send~busy', 0);
  for (const key of ['a', 'b', 'c']) start(rates, `send~${key}`, 1);
  start(rates, 'send~busy', 40);
  expect(rates.forget(2, 41)).toEqual(['send~a', 'send~b']);
  expect(rates.forget(2, 41)).toEqual(['send~c']);
  expect(rates.forget(2, 41)).toEqual([]);
  expect(rates.delayMs('send~busy', 41)).toBeGreaterThan(0);
});

test('one that is about to start is not forgotten', () => {
  const rates = ratesOf();
  rates.windowOf('send~a')?.take();
  expect(rates.forget(5, 1_000)).toEqual([]);
  rates.windowOf('send~a')?.begin(1_000);
  rates.began('send~a');
  expect(rates.delayMs('send~a', 1_000)).toBeGreaterThan(0);
});

test('one that takes long to start keeps no other from being forgotten', () => {
  const rates = ratesOf();
  start(rates, 'send~slow', 0);
  rates.windowOf('send~slow')?.take();
  for (const key of ['a', 'b']) start(rates, `send~${key}`, 1);
  expect(rates.forget(5, 100)).toEqual(['send~a', 'send~b']);
  rates.windowOf('send~slow')?.begin(100);
  rates.began('send~slow');
  expect(rates.forget(5, 200)).toEqual(['send~slow']);
});

test('what an earlier process left counts as long as it did, and is forgotten in that order', () => {
  const before = ratesOf();
  for (const [i, key] of ['a', 'b', 'c'].entries()) start(before, `send~${key}`, 10 * i);
  const kept = ['c', 'b', 'a'].map(
    (key) => [`send~${key}`, before.windowOf(`send~${key}`)?.record(20)] as const,
  );
  const after = ratesOf();
  // 20 ms later: `a` began 40 ms ago.
  const now = 40;
  const [first, others] = [kept.slice(0, 1), kept.slice(1)];
  expect(after.restore([...first, ['gone~x', undefined], ['send~d', undefined]], 20, now)).toEqual([
    'gone~x',
  ]);
  expect(after.restore(others, 20, now)).toEqual(['send~a']);
  after.order(now);
  expect(after.delayMs('send~b', now)).toBeLessThan(after.delayMs('send~c', now));
  expect(after.delayMs('send~d', now)).toBeGreaterThanOrEqual(POLICY.perMs);
  expect(after.forget(9, 140)).toEqual(['send~b', 'send~c', 'send~d']);
});

test('where it is not known how long ago something was kept, it counts as if it had just started', () => {
  const before = ratesOf();
  start(before, 'send~a', 0);
  const after = ratesOf();
  expect(after.restore([['send~a', before.windowOf('send~a')?.record(0)]], undefined, 500)).toEqual([]);
  expect(after.delayMs('send~a', 500)).toBeGreaterThanOrEqual(POLICY.perMs);
});

test('one whose start was given back is dropped', () => {
  const rates = ratesOf();
  rates.windowOf('send~a')?.take();
  rates.windowOf('send~a')?.giveBack();
  expect(rates.delayMs('send~a', 5)).toBe(0);
  rates.drop('send~a');
  expect(rates.forget(5, 5)).toEqual([]);
});
