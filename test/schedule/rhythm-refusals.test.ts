/** What is refused of patterns, intervals and zones, and what it is said to be. */
import { expect, test } from 'vitest';
import { MillraceError } from '../../src/errors.js';
import type { Duration } from '../../src/job/duration.js';
import { checkInterval, checkPattern, checkTimezone } from '../../src/schedule/rhythm.js';

const NOW = Date.parse('2024-05-15T10:30:00Z');
const PATTERN =
  "Expected `pattern` to be a cron pattern of five fields, or six with seconds, such as '30 2 * * *' (at 02:30 every day), '@daily', or '@every 15m', got: ";

function refusalOf(check: () => unknown): string {
  try {
    return `nothing, for it was accepted as ${JSON.stringify(check())}`;
  } catch (error) {
    if (!(error instanceof MillraceError) || error.code !== 'MILLRACE_OPTION_INVALID') throw error;
    return error.message;
  }
}

/** Not what the type allows, where it comes from plain JavaScript. */
const refusalOfPattern = (pattern: unknown): string =>
  refusalOf(() => checkPattern(pattern as string, 'Europe/Berlin', 'pattern', NOW));

test.each([
  ['60 * * * *', '"60" is no minute (0-59)'],
  ['5-2 * * * *', '"5-2" is no minute (0-59)'],
  ['1, * * * *', '"1," is no minute (0-59)'],
  ['*/0 * * * *', '"*/0" is no minute (0-59)'],
  ['*/61 * * * *', '"*/61" is no minute (0-59)'],
  ['5/15 * * * *', '"5/15" is no minute (0-59)'],
  ['half 2 * * *', '"half" is no minute (0-59)'],
  ['Tue Jan 01 2030 00:00:00', '"Tue" is no minute (0-59)'],
  ['0:30 2 * * *', '"0:30" is no minute (0-59)'],
  ['-1 * * * *', '"-1" is no minute (0-59)'],
  ['1.5 * * * *', '"1.5" is no minute (0-59)'],
  ['* 24 * * *', '"24" is no hour (0-23)'],
  ['* * 0 * *', '"0" is no day of the month (1-31, L, 15W)'],
  ['* * 32 * *', '"32" is no day of the month (1-31, L, 15W)'],
  ['* * 1-L * *', '"1-L" is no day of the month (1-31, L, 15W)'],
  ['* * * 13 *', '"13" is no month (1-12, JAN-DEC)'],
  ['* * * 0 *', '"0" is no month (1-12, JAN-DEC)'],
  ['* * * MAI *', '"MAI" is no month (1-12, JAN-DEC)'],
  ['* * * * 8', '"8" is no day of the week (0-7, SUN-SAT, 5L, 5#2)'],
  ['* * * * 5#6', '"5#6" is no day of the week (0-7, SUN-SAT, 5L, 5#2)'],
  ['* * * * FRIDAY', '"FRIDAY" is no day of the week (0-7, SUN-SAT, 5L, 5#2)'],
  ['60 * * * * *', '"60" is no second (0-59)'],
  ['* 60 * * * *', '"60" is no minute (0-59)'],
  ['60 24 32 13 8', '"60" is no minute (0-59)'],
  // As others write a year.
  ['0 0 1 1 * 2030', '"2030" is no day of the week (0-7, SUN-SAT, 5L, 5#2)'],
])('%s is refused by the field that is wrong', (pattern, problem) => {
  expect(refusalOfPattern(pattern)).toBe(`${PATTERN}"${pattern}", and ${problem}`);
});

test.each([
  ['', 'it has 0 fields'],
  [' \t', 'it has 0 fields'],
  ['daily', 'it has 1 field'],
  ['* * * *', 'it has 4 fields'],
  ['0 0 0 1 1 * 2030', 'it has 7 fields'],
  ['2030-01-01T00:00:00', 'it has 1 field'],
  ['2030-01-01 00:00:00', 'it has 2 fields'],
])('%j is refused by the number of its fields', (pattern, problem) => {
  expect(refusalOfPattern(pattern)).toBe(`${PATTERN}${JSON.stringify(pattern)}, and ${problem}`);
});

test.each([['@reboot'], ['@fortnightly'], ['@every'], ['@daily @hourly']])(
  '%s is refused, for there is no such name',
  (pattern) => {
    expect(refusalOfPattern(pattern)).toBe(`${PATTERN}"${pattern}", and there is no such name`);
  },
);

test.each([['0 0 30 2 *'], ['0 0 31 2,4,6,9,11 *'], ['* * * 31 NOV ?'], ['0 0 31W 6 *']])(
  '%s is refused, for there is no such day',
  (pattern) => {
    expect(refusalOfPattern(pattern)).toBe(`${PATTERN}"${pattern}", and there is no such day`);
  },
);

test.each([
  [undefined, 'undefined'],
  [null, 'null'],
  [5, '5'],
  [new Date(NOW), 'an instance of Date'],
  [['* * * * *'], 'an array of 1'],
])('%s is no pattern', (pattern, shown) => {
  expect(refusalOfPattern(pattern)).toBe(PATTERN + shown);
});

test.each([
  ['30 2 * * *', '30 2 * * *'],
  ['  0  30 2 *\t* \n * ', '0 30 2 * * *'],
  [' @daily ', '@daily'],
  // Every 28 years.
  ['0 0 * 2 5#5', '0 0 * 2 5#5'],
])('%j is accepted', (pattern, stored) => {
  expect(checkPattern(pattern, 'Europe/Berlin', 'pattern', NOW)).toStrictEqual({
    pattern: stored,
    timezone: 'Europe/Berlin',
  });
});

const MILLISECONDS = "milliseconds of at least 0, or a string like '90s', '10m', '2h' or '7d'";
const INTERVAL = "an interval such as '15m', from a millisecond to a hundred years";

test.each<[unknown, string, string]>([
  [0, INTERVAL, '0'],
  [0.4, INTERVAL, '0.4'],
  ['0s', INTERVAL, '"0s"'],
  [-1, MILLISECONDS, '-1'],
  ['-1s', MILLISECONDS, '"-1s"'],
  ['soon', MILLISECONDS, '"soon"'],
  ['', MILLISECONDS, '""'],
  [Number.NaN, MILLISECONDS, 'NaN'],
  [Infinity, MILLISECONDS, 'Infinity'],
  [undefined, MILLISECONDS, 'undefined'],
  [null, MILLISECONDS, 'null'],
  [['1s'], MILLISECONDS, 'an array of 1'],
])('%s is no interval', (every, expected, shown) => {
  expect(refusalOf(() => checkInterval(every as Duration, 'every'))).toBe(
    `Expected \`every\` to be ${expected}, got: ${shown}`,
  );
});

test.each([
  ['@every 0s', INTERVAL, '"0s"'],
  ['@every 36526d', INTERVAL, '"36526d"'],
  ['@EVERY 0s', INTERVAL, '"0s"'],
  ['@every soon', MILLISECONDS, '"soon"'],
  ['@every 1h30m', MILLISECONDS, '"1h30m"'],
  ['@every -5m', MILLISECONDS, '"-5m"'],
])('%s is no interval', (pattern, expected, shown) => {
  expect(refusalOfPattern(pattern)).toBe(`Expected \`pattern\` to be ${expected}, got: ${shown}`);
});

test.each<[Duration, number]>([
  [1, 1],
  [1.6, 2],
  ['90s', 90_000],
  ['7d', 604_800_000],
])('%s is an interval of %d milliseconds', (every, everyMs) => {
  expect(checkInterval(every, 'every')).toStrictEqual({ everyMs });
});

test.each([
  ['Mars/Olympus', '"Mars/Olympus"'],
  ['+02:00', '"+02:00"'],
  ['-0500', '"-0500"'],
  ['GMT+2', '"GMT+2"'],
  ['local', '"local"'],
  ['', '""'],
  [undefined, 'undefined'],
  [null, 'null'],
  [2, '2'],
  [{ toString: () => 'UTC' }, 'an instance of Object'],
])('%s is no time zone', (timezone, shown) => {
  expect(refusalOf(() => checkTimezone(timezone as string, 'timezone'))).toBe(
    `Expected \`timezone\` to be a time zone such as 'Europe/Berlin' or 'UTC', got: ${shown}`,
  );
});

test.each([['Europe/Berlin'], ['UTC'], ['America/Argentina/Buenos_Aires'], ['Etc/GMT-2'], ['asia/kolkata']])(
  '%s is a time zone',
  (timezone) => {
    expect(checkTimezone(timezone, 'timezone')).toBe(timezone);
  },
);
