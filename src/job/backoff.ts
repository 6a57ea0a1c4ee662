/** How long a job waits before its next attempt. Pure: randomness comes in as a parameter. */
import { invalidOption, type StoredError } from '../errors.js';
import { toMs, type Duration } from './duration.js';

/**
 * The wait before the next attempt: computed from its number, listed (`['10s', '30s', '60s']`), or what a function says.
 * Of a list the last delay repeats; what a list or a function says is waited exactly.
 */
export type Backoff = ComputedBackoff | readonly Duration[] | BackoffFunction;

/** A wait that is computed from the number of the attempt that errored, at most `max`, then jittered. */
export interface ComputedBackoff {
  /** `'exponential'`: `delay · 2^(attempt - 1)`. `'linear'`: `delay · attempt`. `'fixed'`: `delay`. */
  type: 'exponential' | 'linear' | 'fixed';
  /** The wait after the first errored attempt. Default `'1s'`. */
  delay?: Duration;
  /** No wait is longer. Default `'1h'`, or `delay` where that is longer. */
  max?: Duration;
  /**
   * How much of the computed wait is left to chance, so that jobs that failed together do not come back together
   * (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/). A fraction `f`, greater than 0 and at
   * most 1: the wait is drawn evenly from `(1 - f) · computed` to `computed`, so that jitter never makes it longer.
   * `'full'` is 1, from nothing to the computed wait; `'equal'` is 0.5, at least half of it; `'none'` is exactly the
   * computed wait. Default `'full'`; for `'fixed'` it is `'none'`.
   */
  jitter?: Jitter;
}

export type Jitter = 'none' | 'full' | 'equal' | number;

/**
 * Says how long to wait. It is called on the main thread, must be synchronous, and may be called more than once for an
 * attempt. Where it throws or returns no duration, there is a `warning` `MILLRACE_BACKOFF_INVALID`, and the default
 * backoff says how long.
 * @param attempt The attempt that errored, counted from 1.
 * @param error What it errored with, rebuilt from what was stored of it: compare its `code`, for its class is gone.
 */
export type BackoffFunction = (attempt: number, error: StoredError) => Duration;

/** A {@link Backoff} whose options were checked. */
export type BackoffPolicy = WaitPolicy | { readonly type: 'function'; readonly delayOf: BackoffFunction };

/** One that needs nobody to be asked. */
export type WaitPolicy = ComputedPolicy | { readonly type: 'list'; readonly delaysMs: readonly number[] };

interface ComputedPolicy {
  readonly type: ComputedBackoff['type'];
  readonly delayMs: number;
  readonly maxMs: number;
  /** How much of the wait is left to chance, from 0 to 1. */
  readonly jitter: number;
}

const HOUR_MS = 3_600_000;

export const DEFAULT_BACKOFF: WaitPolicy = {
  type: 'exponential',
  delayMs: 1_000,
  maxMs: HOUR_MS,
  jitter: 1,
};

const SHAPES = "{ type: 'exponential', 'linear' or 'fixed', … }, a list of delays, or a function";

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function backoffPolicy(backoff: Backoff, option: string): BackoffPolicy {
  if (typeof backoff === 'function') return { type: 'function', delayOf: backoff };
  if (isList(backoff)) {
    if (backoff.length === 0) throw invalidOption(option, 'a list of at least one delay', backoff);
    return { type: 'list', delaysMs: Array.from(backoff, (delay, i) => toMs(delay, `${option}[${i}]`)) };
  }
  if (typeof backoff !== 'object' || backoff === null) throw invalidOption(option, SHAPES, backoff);
  return computedPolicy(backoff, option);
}

function computedPolicy(
  { type, delay = '1s', max, jitter, ...others }: ComputedBackoff,
  option: string,
): ComputedPolicy {
  if (type !== 'exponential' && type !== 'linear' && type !== 'fixed')
    throw invalidOption(`${option}.type`, "'exponential', 'linear' or 'fixed'", type);
  for (const [field, value] of Object.entries(others))
    if (value !== undefined)
      throw invalidOption(`${option}.${field}`, 'absent: there are type, delay, max, jitter', value);
  const delayMs = toMs(delay, `${option}.delay`);
  return {
    type,
    delayMs,
    maxMs: max === undefined ? Math.max(HOUR_MS, delayMs) : toMs(max, `${option}.max`),
    jitter: jitterOf(jitter ?? (type === 'fixed' ? 'none' : 'full'), `${option}.jitter`),
  };
}

function jitterOf(jitter: Jitter, option: string): number {
  if (jitter === 'none') return 0;
  if (jitter === 'full') return 1;
  if (jitter === 'equal') return 0.5;
  if (typeof jitter === 'number' && jitter > 0 && jitter <= 1) return jitter;
  throw invalidOption(option, "'none', 'full', 'equal', or a fraction greater than 0 and at most 1", jitter);
}

/**
 * @param attempt The attempt that errored, counted from 1.
 * @param random In [0, 1), as `Math.random()`.
 * @returns milliseconds
 */
export function backoffMs(policy: WaitPolicy, attempt: number, random: number): number {
  if (policy.type === 'list') return policy.delaysMs[attempt - 1] ?? policy.delaysMs.at(-1) ?? 0;
  const { jitter } = policy;
  const computed = Math.min(policy.maxMs, policy.delayMs * growth(policy.type, attempt));
  return Math.min(computed, Math.round(computed * (1 - jitter) + computed * jitter * random));
}

function growth(type: ComputedBackoff['type'], attempt: number): number {
  switch (type) {
    case 'exponential':
      // 2 ** 1024 would be Infinity, and a delay of 0 times that not a number.
      return 2 ** Math.min(attempt - 1, 1_023);
    case 'linear':
      return attempt;
    case 'fixed':
      return 1;
    default:
      return type satisfies never;
  }
}

/** `Array.isArray` does not know of arrays that are only read. */
const isList = (backoff: Backoff): backoff is readonly Duration[] => Array.isArray(backoff);
