/** Durations as users write them: milliseconds as a number, or a string such as `'90s'`. */
import ms from 'ms';
import { invalidOption } from '../errors.js';

type Unit = 'ms' | 's' | 'm' | 'h' | 'd' | 'w';

/** Milliseconds, or a number with a unit: `500`, `'90s'`, `'10m'`, `'1.5h'`, `'7d'`. */
export type Duration = number | `${number}${Unit}`;

/** As many as there are from 1970 to the last day that a `Date` knows; a later instant is none that a job can be due at. */
const LONGEST_MS = 8.64e15;

/**
 * Milliseconds, at most {@link LONGEST_MS}.
 * @param option The name that a refusal speaks of.
 */
export function toMs(duration: Duration, option: string, leastMs: 0 | 1 = 0): number {
  const value = typeof duration === 'string' ? parse(duration) : duration;
  if (typeof value === 'number' && value >= 0 && value <= LONGEST_MS) {
    const rounded = Math.round(value);
    if (rounded >= leastMs) return rounded;
  }
  throw invalidOption(
    option,
    `milliseconds of at least ${leastMs}, or a string like '90s', '10m', '2h' or '7d'`,
    duration,
  );
}

/** What the type says: `ms` itself knows many more words, and takes `'1M'` for a minute. */
const DURATION = /^\d+(\.\d+)?(ms|s|m|h|d|w)$/;

function parse(text: string): number | undefined {
  return DURATION.test(text) && text.length <= 100 ? ms(text as ms.StringValue) : undefined;
}
