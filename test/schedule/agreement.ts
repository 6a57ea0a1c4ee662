/** Compares what a rhythm says of a pattern with the oracle. */
import { rhythmOf, type Rhythm } from '../../src/schedule/rhythm.js';
import type { Random } from '../crash/random.js';
import { ticksOf, type LocalClock } from './oracle.js';

/** How many ticks of a pattern are compared at most. */
const MAX_TICKS = 5_000;
/** How many ticks are asked for at once on the way back. */
const CHUNK = 50;
/** How many instants between ticks a pattern is asked about. */
const PROBES = 12;
const NEAR_MS = 3 * 3_600_000;
const DAY_MS = 86_400_000;

/** All ticks of a span of time. */
interface Stretch {
  readonly from: number;
  /** Not included. */
  readonly to: number;
  readonly ticks: readonly number[];
}

/** @returns how many ticks were compared, and the first difference, in a sentence. */
export function compare(
  pattern: string,
  clock: LocalClock,
  random: Random,
): { ticks: number; difference: string | undefined } {
  const rhythm = rhythmOf({ pattern, timezone: clock.timezone }, 0);
  let ticks = 0;
  let difference: string | undefined;
  for (const stretch of stretchesOf(pattern, clock)) {
    ticks += stretch.ticks.length;
    difference ??=
      differenceForward(stretch, rhythm) ??
      differenceBackward(stretch, rhythm) ??
      differenceBetween(stretch, rhythm, probesOf(stretch, clock.changesAt, random));
  }
  return { ticks, difference: difference && `${pattern} in ${clock.timezone}: ${difference}` };
}

/** The year, or where that has too many ticks its beginning and those around each change of the clocks. */
function stretchesOf(pattern: string, clock: LocalClock): Stretch[] {
  const { startAt, endAt, changesAt } = clock;
  const ticks = take(ticksOf(pattern, clock), MAX_TICKS + 1);
  if (ticks.length <= MAX_TICKS) return [{ from: startAt, to: endAt, ticks }];
  const middles = [startAt, ...changesAt];
  const half = Math.floor(MAX_TICKS / middles.length / 2);
  return middles.map((middle) => {
    const first = Math.max(startAt, middle - DAY_MS);
    const before = take(ticksOf(pattern, clock, first), Infinity, middle);
    const after = take(ticksOf(pattern, clock, middle), half);
    const [from = first, to = endAt] = [before.at(-half), after[half - 1]];
    return { from, to: to === endAt ? to : to + 1, ticks: [...before.slice(-half), ...after] };
  });
}

function take(ticks: Iterable<number>, count: number, before = Infinity): number[] {
  const taken: number[] = [];
  for (const tick of ticks) {
    if (taken.length >= count || tick >= before) break;
    taken.push(tick);
  }
  return taken;
}

function differenceForward({ from, to, ticks }: Stretch, rhythm: Rhythm): string | undefined {
  let instant = from - 1;
  for (const tick of [...ticks, undefined]) {
    const next = rhythm.after(instant);
    const found = next !== undefined && next < to ? next : undefined;
    if (found !== tick) return `after ${iso(instant)} comes ${iso(tick)}, not ${iso(found)}`;
    if (tick !== undefined) instant = tick;
  }
  return undefined;
}

function differenceBackward({ from, to, ticks }: Stretch, rhythm: Rhythm): string | undefined {
  let instant = to - 1;
  for (let left = ticks.length; left >= 0; left -= CHUNK) {
    const expected = ticks.slice(Math.max(0, left - CHUNK), left).toReversed();
    const found = rhythm.upTo(instant, Math.min(CHUNK, left + 1)).filter((tick) => tick >= from);
    const at = Array.from({ length: CHUNK }, (_, n) => n).find((n) => expected[n] !== found[n]);
    if (at !== undefined)
      return `up to ${iso(expected[at - 1] ?? instant)} comes ${iso(expected[at])}, not ${iso(found[at])}`;
    instant = (expected.at(-1) ?? from) - 1;
  }
  return undefined;
}

function differenceBetween(
  { from, ticks }: Stretch,
  rhythm: Rhythm,
  probes: readonly number[],
): string | undefined {
  for (const instant of probes) {
    const next = ticks.find((tick) => tick > instant);
    const found = rhythm.after(instant);
    if (next !== undefined && found !== next)
      return `after ${iso(instant)} comes ${iso(next)}, not ${iso(found)}`;
    const last = ticks.findLast((tick) => tick <= instant);
    const foundLast = rhythm.upTo(instant, 1).find((tick) => tick >= from);
    if (foundLast !== last) return `up to ${iso(instant)} comes ${iso(last)}, not ${iso(foundLast)}`;
  }
  return undefined;
}

/** Instants to the millisecond; half of them are near a change of the clocks. */
function probesOf({ from, to }: Stretch, changesAt: readonly number[], random: Random): number[] {
  return Array.from({ length: PROBES }, (_, n) => {
    const change = n % 2 === 0 ? undefined : changesAt[random.integer(0, changesAt.length - 1)];
    const near = change === undefined ? Number.NaN : random.integer(change - NEAR_MS, change + NEAR_MS);
    return near >= from && near < to ? near : random.integer(from, to - 1);
  });
}

const iso = (instant: number | undefined): string =>
  instant === undefined ? 'nothing' : new Date(instant).toISOString();
