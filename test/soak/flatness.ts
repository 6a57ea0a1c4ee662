/**
 * Whether something has stopped growing, in spite of noise. Two robust views, and both must say so: how far the median
 * of the last quarter is above that of the second one, and what the median of all slopes (Theil and Sen) makes of the
 * same time.
 */

export interface Point {
  readonly minute: number;
  readonly value: number;
}

/** How much more is still called flat: a share of what there was, and a constant for what is small. */
export interface Tolerance {
  readonly share: number;
  readonly constant: number;
}

/** Pairs of so many points are enough for a slope. */
const MAX_POINTS = 400;

/** @returns what is wrong, if anything is. */
export function growth(name: string, points: readonly Point[], { share, constant }: Tolerance): string[] {
  const [before, after] = [quarter(points, 1), quarter(points, 3)].map((some) => median(some.map(valueOf)));
  if (before === undefined || after === undefined) return [];
  const allowed = share * before + constant;
  const slope = slopePerMinute(points);
  // From the middle of the second quarter to that of the last one.
  const passed = (((points.at(-1)?.minute ?? 0) - (points[0]?.minute ?? 0)) * 2) / 4;
  const reasons: string[] = [];
  if (after - before > allowed) {
    reasons.push(
      `${name} grew from ${show(before)} to ${show(after)} between the second and the last quarter; ${show(allowed)} more would be flat`,
    );
  }
  if (slope * passed > allowed) {
    reasons.push(
      `${name} grows by ${show(slope)} a minute, ${show(slope * passed)} in half the time; ${show(allowed)} would be flat`,
    );
  }
  return reasons;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? 0;
  return sorted.length % 2 === 0 ? ((sorted[middle - 1] ?? upper) + upper) / 2 : upper;
}

/** The median of the slopes between all pairs of points. */
export function slopePerMinute(points: readonly Point[]): number {
  const every = Math.ceil(points.length / MAX_POINTS);
  const some = points.filter((_point, i) => i % every === 0);
  const slopes: number[] = [];
  for (const [i, one] of some.entries()) {
    for (const other of some.slice(i + 1)) {
      if (other.minute > one.minute) slopes.push((other.value - one.value) / (other.minute - one.minute));
    }
  }
  return median(slopes);
}

function quarter(points: readonly Point[], index: number): readonly Point[] {
  return points.slice(Math.floor((index * points.length) / 4), Math.floor(((index + 1) * points.length) / 4));
}

const valueOf = ({ value }: Point): number => value;
const show = (value: number): string => String(Math.round(value * 100) / 100);
