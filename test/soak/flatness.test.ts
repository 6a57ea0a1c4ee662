/** What the soak calls flat, and what it finds. */
import { expect, test } from 'vitest';
import { Random } from '../crash/random.js';
import { growth, median, slopePerMinute, type Point } from './flatness.js';

const TOLERANCE = { share: 0.05, constant: 1 };

/** One point a second for so many minutes. */
function points(minutes: number, valueAt: (minute: number, random: Random) => number): Point[] {
  const random = new Random(1);
  return Array.from({ length: minutes * 60 }, (_, second) => {
    const minute = second / 60;
    return { minute, value: valueAt(minute, random) };
  });
}

test('noise, a single peak and what falls are flat', () => {
  expect(
    growth(
      'heap',
      points(5, (_minute, random) => 50 + 20 * random.next()),
      TOLERANCE,
    ),
  ).toEqual([]);
  expect(
    growth(
      'heap',
      points(5, (minute) => (minute === 4.5 ? 9_000 : 50)),
      TOLERANCE,
    ),
  ).toEqual([]);
  expect(
    growth(
      'heap',
      points(5, (minute) => 50 - minute),
      TOLERANCE,
    ),
  ).toEqual([]);
  expect(
    growth(
      'heap',
      points(5, (minute) => 50 + 10 * Math.sin(40 * minute)),
      TOLERANCE,
    ),
  ).toEqual([]);
});

test('what grows steadily is found, in noise as well, and by both views', () => {
  const leak = points(5, (minute, random) => 50 + 4 * minute + 10 * random.next());
  expect(growth('heap', leak, TOLERANCE)).toHaveLength(2);
  expect(growth('heap', leak, { share: 0, constant: 100 })).toEqual([]);
});

test('a smaller leak is found where it has more time', () => {
  const leaking = (minute: number): number => 50 + 0.3 * minute;
  expect(growth('heap', points(5, leaking), TOLERANCE)).toEqual([]);
  expect(growth('heap', points(60, leaking), TOLERANCE)).not.toEqual([]);
});

test('a step up in the second half is found', () => {
  const found = growth(
    'threads',
    points(6, (minute) => (minute > 4 ? 20 : 14)),
    { share: 0, constant: 2 },
  );
  expect(found).toEqual([expect.stringMatching(/^threads grew from 14 to 20/)]);
});

test('the slope is the one that most pairs of points have', () => {
  expect(slopePerMinute(points(10, (minute) => 3 * minute + (minute === 2 ? 1_000 : 0)))).toBeCloseTo(3);
  expect(slopePerMinute([])).toBe(0);
  expect(median([3, 1, 2, 10])).toBe(2.5);
});
