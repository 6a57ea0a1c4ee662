/** The random patterns of a test file, each compared with the oracle through a whole year. */
import { expect, test } from 'vitest';
import { Random } from '../crash/random.js';
import { compare } from './agreement.js';
import { LocalClock } from './oracle.js';
import { randomPattern } from './patterns.js';

/** A thousand altogether: there are four files, with five clocks each. */
const PATTERNS_PER_CLOCK = 50;

/** @param seed Of the file: each has patterns of its own. */
export function testPatterns(
  seed: number,
  clocks: readonly (readonly [timezone: string, year: number])[],
): void {
  for (const [number, [timezone, year]] of clocks.entries()) {
    test(`patterns in ${timezone} tick when they should, all through ${year}`, () => {
      const clock = new LocalClock(timezone, year);
      const hours = clock.changedHours();
      const compared = Array.from({ length: PATTERNS_PER_CLOCK }, (_, n) => {
        const random = new Random(seed, number, n);
        return compare(randomPattern(random, hours), clock, random);
      });
      expect(compared.flatMap(({ difference }) => difference ?? [])).toStrictEqual([]);
      // Most of them have many ticks.
      expect(compared.filter(({ ticks }) => ticks > 10).length).toBeGreaterThan(PATTERNS_PER_CLOCK / 2);
    });
  }
}
