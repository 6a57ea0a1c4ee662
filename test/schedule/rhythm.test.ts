/** When patterns and intervals tick, by instants that were worked out by hand. */
import { expect, test } from 'vitest';
import { checkPattern, rhythmOf } from '../../src/schedule/rhythm.js';
import { at, cron, isoOf, ticksOf } from './ticks.js';

const YEAR_2024 = ['2024-01-01T00:00Z', '2025-01-01T00:00Z'] as const;
/** Fridays are the 3rd, 10th, 17th, 24th and 31st of May. */
const MAY_2024 = ['2024-05-01T00:00Z', '2024-06-01T00:00Z'] as const;

/** Days of 2024 such as `1-31`, at midnight. */
const in2024 = (days: string): string[] =>
  days.split(' ').map((day) => {
    const [month = '', date = ''] = day.split('-');
    return `2024-${month.padStart(2, '0')}-${date.padStart(2, '0')}T00:00Z`;
  });
const inMay = (days: string): string[] =>
  in2024(
    days
      .split(' ')
      .map((day) => `5-${day}`)
      .join(' '),
  );

test.each([
  [
    'the last day of the month',
    '0 0 L * *',
    '1-31 2-29 3-31 4-30 5-31 6-30 7-31 8-31 9-30 10-31 11-30 12-31',
  ],
  ['the 31st', '0 0 31 * *', '1-31 3-31 5-31 7-31 8-31 10-31 12-31'],
  ['the 30th, and the last day', '0 0 30,L 1-4 *', '1-30 1-31 2-29 3-30 3-31 4-30'],
  ['leap day', '0 0 29 2 *', '2-29'],
  ['the last Friday', '0 0 * * 5L', '1-26 2-23 3-29 4-26 5-31 6-28 7-26 8-30 9-27 10-25 11-29 12-27'],
  ['the second Friday', '0 0 * * 5#2', '1-12 2-9 3-8 4-12 5-10 6-14 7-12 8-9 9-13 10-11 11-8 12-13'],
  ['the fifth Friday', '0 0 * * FRI#5', '3-29 5-31 8-30 11-29'],
  ['the first Monday and the last Sunday', '0 0 * 1-3 MON#1,SUNL', '1-1 1-28 2-5 2-25 3-4 3-31'],
  [
    'the weekday nearest the 15th',
    '0 0 15W * *',
    '1-15 2-15 3-15 4-15 5-15 6-14 7-15 8-15 9-16 10-15 11-15 12-16',
  ],
  ['the weekday nearest the 1st, in the same month', '0 0 1W 6-9 *', '6-3 7-1 8-1 9-2'],
  ['the last weekday', '0 0 LW 3-6 *', '3-29 4-30 5-31 6-28'],
  ['months by name', '0 0 1 JAN,mar-May,Dec *', '1-1 3-1 4-1 5-1 12-1'],
  ['every fifth month', '0 0 1 */5 *', '1-1 6-1 11-1'],
])('%s of 2024: %s', (_, pattern, days) => {
  expect(ticksOf(cron(pattern), ...YEAR_2024)).toStrictEqual(in2024(days));
});

test.each([
  ['weekdays by name', '0 0 * * FRI', '3 10 17 24 31'],
  ['a range', '0 0 1-12 * *', '1 2 3 4 5 6 7 8 9 10 11 12'],
  ['from Saturday to Sunday', '0 0 * * SAT-SUN', '4 5 11 12 18 19 25 26'],
  ['Sunday as 0', '0 0 * * 0', '5 12 19 26'],
  ['Sunday as 7', '0 0 * * 7', '5 12 19 26'],
  ['a list', '0 0 24,3,9 * *', '3 9 24'],
  ['every tenth day of a range', '0 0 4-28/10 * *', '4 14 24'],
  ['every ninth day', '0 0 */9 * *', '1 10 19 28'],
  ['either day is enough', '0 0 13 * FRI', '3 10 13 17 24 31'],
  ['the last day, or a Friday', '0 0 L * fri', '3 10 17 24 31'],
  ['every third weekday', '0 0 * * MON-SAT/3', '2 6 9 13 16 20 23 27 30'],
])('%s, in May: %s', (_, pattern, days) => {
  expect(ticksOf(cron(pattern), ...MAY_2024)).toStrictEqual(inMay(days));
});

test.each([
  ['*/20 9-17/4 * * *', '09:00 09:20 09:40 13:00 13:20 13:40 17:00 17:20 17:40'],
  ['0 */7 * * *', '00:00 07:00 14:00 21:00'],
  ['5,50-52 6 * * *', '06:05 06:50 06:51 06:52'],
  ['*/25 59 23 * * *', '23:59 23:59:25.000 23:59:50.000'],
  ['30 0 8,20 ? * ?', '08:00:30.000 20:00:30.000'],
])('a day of %s', (pattern, times) => {
  const expected = times.split(' ').map((time) => `2024-05-15T${time}Z`);
  expect(ticksOf(cron(pattern), '2024-05-15T00:00Z', '2024-05-16T00:00Z')).toStrictEqual(expected);
});

test('month ends are those of the zone', () => {
  expect(ticksOf(cron('0 0 L 2-4 *', 'Europe/Berlin'), ...YEAR_2024)).toStrictEqual([
    '2024-02-28T23:00Z',
    '2024-03-30T23:00Z',
    '2024-04-29T22:00Z',
  ]);
});

test('a leap day comes every four years, and not in 2100', () => {
  const rhythm = cron('0 0 29 2 *');
  expect(rhythm.after(at('2024-02-29T00:00Z'))).toBe(at('2028-02-29T00:00Z'));
  expect(rhythm.after(at('2096-02-29T00:00Z'))).toBe(at('2104-02-29T00:00Z'));
  expect(rhythm.upTo(at('2103-12-31T00:00Z'), 2).map(isoOf)).toStrictEqual([
    '2096-02-29T00:00Z',
    '2092-02-29T00:00Z',
  ]);
});

test.each([
  ['@hourly', '2024-05-15T11:00Z', '2024-05-15T10:00Z'],
  ['@daily', '2024-05-16T00:00Z', '2024-05-15T00:00Z'],
  ['@midnight', '2024-05-16T00:00Z', '2024-05-15T00:00Z'],
  ['@weekly', '2024-05-19T00:00Z', '2024-05-12T00:00Z'],
  ['@monthly', '2024-06-01T00:00Z', '2024-05-01T00:00Z'],
  ['@yearly', '2025-01-01T00:00Z', '2024-01-01T00:00Z'],
  ['@annually', '2025-01-01T00:00Z', '2024-01-01T00:00Z'],
])('%s, on a Wednesday', (pattern, next, last) => {
  const now = at('2024-05-15T10:30Z');
  const rhythm = rhythmOf(checkPattern(pattern, 'UTC', 'pattern', now), now);
  expect(isoOf(rhythm.after(now) ?? 0)).toBe(next);
  expect(rhythm.upTo(now, 1).map(isoOf)).toStrictEqual([last]);
});

test('a tick is not after itself, and is among those up to itself, to the millisecond', () => {
  const rhythm = cron('* * * * * *');
  const tick = at('2024-05-15T10:30:07.000Z');
  expect(rhythm.after(tick - 1)).toBe(tick);
  expect(rhythm.after(tick)).toBe(tick + 1_000);
  expect(rhythm.after(tick + 999)).toBe(tick + 1_000);
  expect(rhythm.upTo(tick - 1, 1)).toStrictEqual([tick - 1_000]);
  expect(rhythm.upTo(tick, 2)).toStrictEqual([tick, tick - 1_000]);
  expect(rhythm.upTo(tick + 999, 1)).toStrictEqual([tick]);
  expect(rhythm.upTo(tick, 0)).toStrictEqual([]);
});

test('an interval ticks where it is anchored, and at whole multiples from there', () => {
  const anchorAt = at('2024-05-15T10:07:00.123Z');
  const rhythm = rhythmOf({ everyMs: 900_000 }, anchorAt);
  const [first, second, third] = [anchorAt, anchorAt + 900_000, anchorAt + 1_800_000];
  expect(rhythm.after(at('2020-01-01T00:00Z'))).toBe(first);
  expect(rhythm.after(first - 1)).toBe(first);
  expect(rhythm.after(first)).toBe(second);
  expect(rhythm.after(second - 1)).toBe(second);
  expect(rhythm.after(second)).toBe(third);
  expect(rhythm.upTo(first - 1, 3)).toStrictEqual([]);
  expect(rhythm.upTo(first, 3)).toStrictEqual([first]);
  expect(rhythm.upTo(third - 1, 3)).toStrictEqual([second, first]);
  expect(rhythm.upTo(third, 3)).toStrictEqual([third, second, first]);
  expect(rhythm.upTo(third, 2)).toStrictEqual([third, second]);
  expect(rhythm.upTo(third, 0)).toStrictEqual([]);
});

test('@every is an interval: it has no zone, and is anchored', () => {
  const anchorAt = at('2024-05-15T10:07Z');
  const timing = checkPattern('@every 15m', 'Europe/Berlin', 'pattern', anchorAt);
  expect(timing).toStrictEqual({ everyMs: 900_000 });
  expect(ticksOf(rhythmOf(timing, anchorAt), '2024-05-15T10:00Z', '2024-05-15T11:00Z')).toStrictEqual([
    '2024-05-15T10:07Z',
    '2024-05-15T10:22Z',
    '2024-05-15T10:37Z',
    '2024-05-15T10:52Z',
  ]);
});

test('an interval does not drift, however long ago it was anchored', () => {
  const rhythm = rhythmOf({ everyMs: 7 }, 1);
  const tick = 1 + 7 * 250_000_000_000;
  expect(rhythm.after(tick - 1)).toBe(tick);
  expect(rhythm.after(tick)).toBe(tick + 7);
  expect(rhythm.upTo(tick, 2)).toStrictEqual([tick, tick - 7]);
});
