/** The random patterns have all the forms that are documented. */
import { expect, test } from 'vitest';
import { Random } from '../crash/random.js';
import { randomPattern } from './patterns.js';

const patterns = Array.from({ length: 1_000 }, (_, n) => randomPattern(new Random(n), [2]));

test.each([
  ['six fields', /^\S+( \S+){5}$/],
  ['five fields', /^\S+( \S+){4}$/],
  ['?', /\?/],
  ['*/n', /\*\/\d/],
  ['a-b', /\d-\d+( |$)/],
  ['a-b/n', /\d-\d+\/\d/],
  ['a,b', /\d,\d/],
  ['a list with a range', /,\d+-\d/],
  ['names of months', /\b(JAN|DEC|jul)\b/],
  ['names of weekdays', /\b(SUN|MON|fri)\b/],
  ['ranges of names', /\b(JAN|MON|tue)-\w/],
  ['L', /\bL /],
  ['L in a list', /\d,L /],
  ['15W', /\dW /],
  ['LW', / LW /],
  ['5L', /\dL$/],
  ['FRIL', /\b[a-z]{3}L$/i],
  ['5#2', /\d#\d/],
  ['FRI#2', /[a-z]#\d/i],
  ['both days', / [^\s*?]+ \S+ [^\s*?]+$/],
  ['several times of each day', /^[^*?/]*[,-][^*?/]* \* \* \*$/],
])('%s', (_, form) => {
  expect(patterns.filter((pattern) => form.test(pattern)).length).toBeGreaterThanOrEqual(10);
});
