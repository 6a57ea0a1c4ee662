/** The ticks of a rhythm, as texts that can be compared with those worked out by hand. */
import { expect } from 'vitest';
import { rhythmOf, type Rhythm } from '../../src/schedule/rhythm.js';

export const DAY_MS = 86_400_000;

export const at = (iso: string): number => Date.parse(iso);

/** Without seconds where there are none. */
export const isoOf = (instant: number): string => new Date(instant).toISOString().replace(/:00\.000Z$/, 'Z');

export const cron = (pattern: string, timezone = 'UTC'): Rhythm => rhythmOf({ pattern, timezone }, 0);

/** All ticks from an instant until before another: those that are found one by one are also found on the way back. */
export function ticksOf(rhythm: Rhythm, from: string, to: string): string[] {
  const ticks: number[] = [];
  let tick = rhythm.after(at(from) - 1);
  for (; tick !== undefined && tick < at(to); tick = rhythm.after(tick)) ticks.push(tick);
  const back = rhythm.upTo(at(to) - 1, ticks.length + 1).filter((tick) => tick >= at(from));
  expect(back.toReversed().map(isoOf)).toStrictEqual(ticks.map(isoOf));
  return ticks.map(isoOf);
}

/** The same time of UTC on each day, the last one included. */
export function daily(first: string, last = first): string[] {
  const length = (at(last) - at(first)) / DAY_MS + 1;
  return Array.from({ length }, (_, n) => isoOf(at(first) + n * DAY_MS));
}
