import { expect, test } from 'vitest';
import { toMs, type Duration } from '../../src/job/duration.js';

test.each<[Duration, number]>([
  [0, 0],
  [1_500, 1_500],
  [0.6, 1],
  ['500ms', 500],
  ['90s', 90_000],
  ['10m', 600_000],
  ['1.5h', 5_400_000],
  ['7d', 604_800_000],
  ['2w', 1_209_600_000],
  [8.64e15, 8.64e15],
])('%j is %d milliseconds', (duration, expected) => {
  expect(toMs(duration, 'delay')).toBe(expected);
});

test.each([
  [-1],
  ['-1s'],
  [Number.NaN],
  [Infinity],
  [8.64e15 + 2],
  ['1e300ms'],
  ['99999999999999w'],
  ['soon'],
  [''],
  [' '],
  ['1e3s'],
  ['5'],
  ['1M'],
  ['2 days'],
  ['10 s'],
  [`${'9'.repeat(200)}s`],
  [null],
  [undefined],
  [true],
  [[]],
  [{}],
  [5n],
])('%s is refused by the name of the option', (duration) => {
  // Not what the type allows, as it comes from plain JavaScript.
  expect(() => toMs(duration as Duration, 'timeout')).toThrow(
    expect.objectContaining({
      code: 'MILLRACE_OPTION_INVALID',
      message: expect.stringContaining('Expected `timeout` to be milliseconds') as string,
    }),
  );
});
