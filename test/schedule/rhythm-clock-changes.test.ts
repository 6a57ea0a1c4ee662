/** Patterns where clocks are set forward and back, by instants that were worked out by hand. */
import { expect, test } from 'vitest';
import { at, cron, daily, DAY_MS, isoOf, ticksOf } from './ticks.js';

interface Zone {
  readonly timezone: string;
  /** The year is between them. */
  readonly newYears: readonly [string, string];
  readonly days: number;
  /** When it is 02:30 there. */
  readonly at0230: readonly string[];
  readonly at1430: readonly string[];
}

const ZONES: readonly Zone[] = [
  {
    timezone: 'Europe/Berlin',
    newYears: ['2023-12-31T23:00Z', '2024-12-31T23:00Z'],
    days: 366,
    at0230: [
      ...daily('2024-01-01T01:30Z', '2024-03-30T01:30Z'),
      // 02:00 is followed by 03:00.
      '2024-03-31T01:00Z',
      // 03:00 is followed by 02:00 on the last of these days: the first 02:30.
      ...daily('2024-04-01T00:30Z', '2024-10-27T00:30Z'),
      ...daily('2024-10-28T01:30Z', '2024-12-31T01:30Z'),
    ],
    at1430: [
      ...daily('2024-01-01T13:30Z', '2024-03-30T13:30Z'),
      ...daily('2024-03-31T12:30Z', '2024-10-26T12:30Z'),
      ...daily('2024-10-27T13:30Z', '2024-12-31T13:30Z'),
    ],
  },
  {
    timezone: 'America/New_York',
    newYears: ['2025-01-01T05:00Z', '2026-01-01T05:00Z'],
    days: 365,
    at0230: [
      ...daily('2025-01-01T07:30Z', '2025-03-08T07:30Z'),
      // 02:00 is followed by 03:00.
      '2025-03-09T07:00Z',
      ...daily('2025-03-10T06:30Z', '2025-11-01T06:30Z'),
      // 02:00 is followed by 01:00 on the first of these days, and 02:30 comes once.
      ...daily('2025-11-02T07:30Z', '2025-12-31T07:30Z'),
    ],
    at1430: [
      ...daily('2025-01-01T19:30Z', '2025-03-08T19:30Z'),
      ...daily('2025-03-09T18:30Z', '2025-11-01T18:30Z'),
      ...daily('2025-11-02T19:30Z', '2025-12-31T19:30Z'),
    ],
  },
  {
    timezone: 'Australia/Lord_Howe',
    newYears: ['2024-12-31T13:00Z', '2025-12-31T13:00Z'],
    days: 365,
    at0230: [
      ...daily('2024-12-31T15:30Z', '2025-04-04T15:30Z'),
      // 02:00 is followed by 01:30 on the first of these days, and 02:30 comes once.
      ...daily('2025-04-05T16:00Z', '2025-10-03T16:00Z'),
      // 02:00 is followed by 02:30 on the first of these days.
      ...daily('2025-10-04T15:30Z', '2025-12-30T15:30Z'),
    ],
    at1430: [
      ...daily('2025-01-01T03:30Z', '2025-04-05T03:30Z'),
      ...daily('2025-04-06T04:00Z', '2025-10-04T04:00Z'),
      ...daily('2025-10-05T03:30Z', '2025-12-31T03:30Z'),
    ],
  },
];

test.each(ZONES)('a year of 30 2 * * * in $timezone', ({ timezone, newYears, days, at0230 }) => {
  const ticks = ticksOf(cron('30 2 * * *', timezone), ...newYears);
  expect(ticks).toStrictEqual(at0230);
  expect(ticks).toHaveLength(days);
});

test.each(ZONES)('a year of 30 2,14 * * * in $timezone', ({ timezone, newYears, days, at0230, at1430 }) => {
  const ticks = ticksOf(cron('30 2,14 * * *', timezone), ...newYears);
  expect(ticks).toStrictEqual([...at0230, ...at1430].sort());
  expect(ticks).toHaveLength(2 * days);
});

test.each(ZONES)('30 2 * * * ticks on each day in $timezone', ({ timezone, newYears, days }) => {
  // Sweden writes dates as ISO does.
  const inZone = new Intl.DateTimeFormat('sv', { timeZone: timezone, dateStyle: 'short' });
  const ticks = ticksOf(cron('30 2 * * *', timezone), ...newYears);
  const first = inZone.format(at(newYears[0]));
  expect(first).toMatch(/-01-01$/);
  const calendar = Array.from({ length: days }, (_, n) => isoOf(at(first) + n * DAY_MS).slice(0, 10));
  expect(ticks.map((tick) => inZone.format(at(tick)))).toStrictEqual(calendar);
});

/** What is said, a pattern, a zone, from when until when, and the ticks. */
const NIGHTS: readonly (readonly [string, string, string, string, string, readonly string[]])[] = [
  [
    'several times that are skipped come once',
    '0,20,40 1,2 * * *',
    'Europe/Berlin',
    '2024-03-31T00:00Z',
    '2024-04-01T00:00Z',
    [
      '2024-03-31T00:00Z',
      '2024-03-31T00:20Z',
      '2024-03-31T00:40Z',
      '2024-03-31T01:00Z',
      '2024-03-31T23:00Z',
      '2024-03-31T23:20Z',
      '2024-03-31T23:40Z',
    ],
  ],
  [
    'a time that is skipped and the one after it come once',
    '30 2-4 * * *',
    'Australia/Lord_Howe',
    '2025-10-04T12:00Z',
    '2025-10-05T12:00Z',
    ['2025-10-04T15:30Z', '2025-10-04T16:30Z', '2025-10-04T17:30Z'],
  ],
  [
    'seconds that are skipped come when the clocks go on',
    '15,45 10 2 * * *',
    'Australia/Lord_Howe',
    '2025-10-04T12:00Z',
    '2025-10-05T12:00Z',
    ['2025-10-04T15:30Z'],
  ],
  [
    'all times of a range that are shown twice come once',
    '0,30 1-3 * * *',
    'Europe/Berlin',
    '2024-10-26T22:00Z',
    '2024-10-27T12:00Z',
    [
      '2024-10-26T23:00Z',
      '2024-10-26T23:30Z',
      '2024-10-27T00:00Z',
      '2024-10-27T00:30Z',
      '2024-10-27T02:00Z',
      '2024-10-27T02:30Z',
    ],
  ],
  [
    'with a step, what is skipped does not come',
    '30 */2 * * *',
    'Europe/Berlin',
    '2024-03-30T23:00Z',
    '2024-03-31T05:00Z',
    ['2024-03-30T23:30Z', '2024-03-31T02:30Z', '2024-03-31T04:30Z'],
  ],
  [
    'with a step, what is shown twice comes twice',
    '30 */2 * * *',
    'Europe/Berlin',
    '2024-10-26T22:00Z',
    '2024-10-27T05:00Z',
    ['2024-10-26T22:30Z', '2024-10-27T00:30Z', '2024-10-27T01:30Z', '2024-10-27T03:30Z'],
  ],
  [
    'with a wildcard it ticks on through both hours',
    '*/20 2 * * *',
    'Europe/Berlin',
    '2024-10-26T22:00Z',
    '2024-10-27T22:00Z',
    [
      '2024-10-27T00:00Z',
      '2024-10-27T00:20Z',
      '2024-10-27T00:40Z',
      '2024-10-27T01:00Z',
      '2024-10-27T01:20Z',
      '2024-10-27T01:40Z',
    ],
  ],
  [
    'with a wildcard it ticks on through half an hour that comes twice',
    '*/15 1 * * *',
    'Australia/Lord_Howe',
    '2025-04-05T13:00Z',
    '2025-04-05T20:00Z',
    [
      '2025-04-05T14:00Z',
      '2025-04-05T14:15Z',
      '2025-04-05T14:30Z',
      '2025-04-05T14:45Z',
      '2025-04-05T15:00Z',
      '2025-04-05T15:15Z',
    ],
  ],
  [
    'midnight is skipped',
    '0 0 * * *',
    'America/Santiago',
    '2024-09-07T00:00Z',
    '2024-09-10T00:00Z',
    ['2024-09-07T04:00Z', '2024-09-08T04:00Z', '2024-09-09T03:00Z'],
  ],
  [
    'the hour before midnight is shown twice',
    '30 23 * * *',
    'America/Santiago',
    '2024-04-06T00:00Z',
    '2024-04-09T00:00Z',
    ['2024-04-06T02:30Z', '2024-04-07T02:30Z', '2024-04-08T03:30Z'],
  ],
  [
    'a day that is skipped has no tick',
    '0 12 * * *',
    'Pacific/Apia',
    '2011-12-29T00:00Z',
    '2012-01-01T00:00Z',
    ['2011-12-29T22:00Z', '2011-12-30T22:00Z', '2011-12-31T22:00Z'],
  ],
  [
    'where the end of a day is skipped, what is in it is left out',
    '0,30 12,23 * * *',
    'America/Nuuk',
    '2024-03-30T12:00Z',
    '2024-04-01T01:00Z',
    [
      '2024-03-30T14:00Z',
      '2024-03-30T14:30Z',
      '2024-03-31T13:00Z',
      '2024-03-31T13:30Z',
      '2024-04-01T00:00Z',
      '2024-04-01T00:30Z',
    ],
  ],
];

test.each(NIGHTS)('%s: %s in %s', (_, pattern, timezone, from, to, ticks) => {
  expect(ticksOf(cron(pattern, timezone), from, to)).toStrictEqual(ticks);
});
