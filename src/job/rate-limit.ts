/** How many attempts may start in a time. */
import { invalidOption } from '../errors.js';
import { toMs, type Duration } from './duration.js';

/**
 * No more than `max` attempts start in any time of the length `per`, whenever that begins: a job waits until it is
 * allowed, and those of other types, or queues, go on meanwhile. To keep that cheap it is counted in steps of 1/32 of the
 * time, so a start may come so much later than it could.
 *
 * An attempt counts whose handler is called, from its claim on. One that is over before that does not: its payload was
 * refused, or is of newer code, its deadline had come, it was cancelled, or the engine closed. Where the process died in
 * between, it counts all the same.
 *
 * It is kept across restarts, between which the wall clock says how long that was, and nothing where that was set back.
 * While the process lives, no setting of the clock makes room for more, then or after a restart; only where the process is
 * killed within ten seconds after the clock was set forward, and nothing started meanwhile, that is taken for time that has
 * passed. A limit that is changed holds from the next `open()` on, and counts what the old one still counted.
 */
export interface RateLimit {
  /** Integer ≥ 1. */
  max: number;
  /** At least 1 ms. */
  per: Duration;
}

/** A {@link RateLimit} whose options were checked. */
export interface RatePolicy {
  readonly max: number;
  readonly perMs: number;
}

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function ratePolicy(limit: RateLimit, option: string): RatePolicy {
  if (typeof limit !== 'object' || limit === null)
    throw invalidOption(option, "{ max, per }, such as { max: 100, per: '1m' }", limit);
  const { max, per, ...others } = limit;
  const [unknown] = Object.entries(others);
  if (unknown) throw invalidOption(`${option}.${unknown[0]}`, 'absent: there are max, per', unknown[1]);
  if (!Number.isSafeInteger(max) || max < 1) throw invalidOption(`${option}.max`, 'an integer ≥ 1', max);
  const perMs = toMs(per, `${option}.per`);
  if (perMs < 1) throw invalidOption(`${option}.per`, 'at least 1 millisecond', per);
  return { max, perMs };
}
