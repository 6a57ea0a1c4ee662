/** Medians, percentiles and ratios. */
import type { Ratio } from '../report/report.js';

/** The value below which the share `q` of the values lies; NaN of none. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** To three significant digits, or whole where that is more. */
export function round(value: number): number {
  return Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(3));
}

/**
 * The median of `a / b` over the rounds: the two of one round met the same state of the machine.
 * @returns undefined where no round has both.
 */
export function ratioOf(a: readonly number[], b: readonly number[]): Ratio | undefined {
  const ratios = a.slice(0, b.length).flatMap((value, i) => {
    const ratio = value / (b[i] ?? Number.NaN);
    return Number.isFinite(ratio) ? [ratio] : [];
  });
  if (ratios.length === 0) return undefined;
  const [mid, low, high] = [median(ratios), quantile(ratios, 0.25), quantile(ratios, 0.75)];
  return { median: round(mid), low: round(low), high: round(high), rounds: ratios.length };
}
