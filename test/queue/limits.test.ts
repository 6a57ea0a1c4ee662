import { expect, test } from 'vitest';
import { Limits } from '../../src/queue/limits.js';

test('as many run as the limit says, and one more when one has ended', () => {
  const limits = new Limits(new Map([['a', 2]]));
  limits.start('a');
  expect(limits.allows('a')).toBe(true);
  limits.start('a');
  expect(limits.allows('a')).toBe(false);
  limits.end('a');
  expect(limits.allows('a')).toBe(true);
});

test('each name has a limit of its own', () => {
  const limits = new Limits(new Map(['a', 'b'].map((name) => [name, 1])));
  limits.start('a');
  expect([limits.allows('a'), limits.allows('b')]).toStrictEqual([false, true]);
});

test('without a limit any number runs', () => {
  const limits = new Limits(new Map([['a', Infinity]]));
  for (let i = 0; i < 1_000; i++) for (const name of ['a', 'other']) limits.start(name);
  expect([limits.allows('a'), limits.allows('other')]).toStrictEqual([true, true]);
});
