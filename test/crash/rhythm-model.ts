/**
 * When a schedule ticks, by another way of reckoning than the engine's: whatever the workloads ask for comes at equal
 * distances, patterns included. Instants are epoch milliseconds.
 */
import type { Misfire, Overlap } from '../../src/schedule/record.js';

/** A schedule as it was asked for, as far as its ticks follow from that. */
export interface AskedSchedule {
  /** In UTC, and one of those that {@link gridOf} knows. */
  readonly pattern?: string;
  /** In milliseconds. */
  readonly every?: number;
  readonly startAt?: number;
  readonly endAt?: number;
  readonly maxRuns?: number;
  readonly misfire?: Misfire;
  readonly maxCatchUp?: number;
  /** In milliseconds. */
  readonly maxAge?: number;
  readonly overlap?: Overlap;
}

/** The instants at whole multiples of `everyMs` from `anchorAt`. */
export interface Grid {
  readonly everyMs: number;
  readonly anchorAt: number;
}

const SECONDS = /^\*\/(\d+) \* \* \* \* \*$/;
const MINUTES = /^0 \*\/(\d+) \* \* \* \*$/;
const EVERY = /^@every (\d+)ms$/;

/** @param storedAt When it was first stored, where that is known. @returns nothing where that would have to be known. */
export function gridOf(
  { pattern = '', every, startAt }: AskedSchedule,
  storedAt: number | undefined,
): Grid | undefined {
  const seconds = SECONDS.exec(pattern)?.[1];
  if (seconds !== undefined) return { everyMs: Number(seconds) * 1_000, anchorAt: 0 };
  const minutes = MINUTES.exec(pattern)?.[1];
  if (minutes !== undefined) return { everyMs: Number(minutes) * 60_000, anchorAt: 0 };
  const anchorAt = startAt ?? storedAt;
  return anchorAt === undefined
    ? undefined
    : { everyMs: every ?? Number(EVERY.exec(pattern)?.[1]), anchorAt };
}

/** Whether it ticks at equal distances from where it began, and not at certain times of the day. */
export const isInterval = ({ pattern }: AskedSchedule): boolean =>
  pattern === undefined || EVERY.test(pattern);

export const isSameRhythm = (one: AskedSchedule, other: AskedSchedule): boolean =>
  one.pattern === other.pattern && one.every === other.every && one.startAt === other.startAt;

/** The ticks behind an instant, up to another one. */
export function ticksBetween(grid: Grid, asked: AskedSchedule, after: number, until: number): number[] {
  const { first, count } = span(grid, asked, after, until);
  return Array.from({ length: count }, (_, n) => first + n * grid.everyMs);
}

/** How many they are. */
export const countBetween = (grid: Grid, asked: AskedSchedule, after: number, until: number): number =>
  span(grid, asked, after, until).count;

function span(
  { everyMs, anchorAt }: Grid,
  { startAt = -Infinity, endAt = Infinity }: AskedSchedule,
  after: number,
  until: number,
): { first: number; count: number } {
  const from = Math.max(after + 1, startAt, anchorAt);
  const first = anchorAt + Math.ceil((from - anchorAt) / everyMs) * everyMs;
  const last = Math.min(until, endAt - 1);
  return { first, count: last < first ? 0 : Math.floor((last - first) / everyMs) + 1 };
}
