/** How long a job waits before its next attempt. Pure: randomness comes in as a parameter. */
import { invalidOption } from '../errors.js';
import { toMs, type Duration } from './duration.js';

/** The wait before the next attempt: `delay · 2^(attempt - 1)`, at most `max`, then jittered. */
export interface Backoff {
  type: 'exponential';
  /** The wait after the first errored attempt. Default `'1s'`. */
  delay?: Duration;
  /** No wait is longer. Default `'1h'`. */
  max?: Duration;
  /**
   * `'full'` (default): a random wait between 0 and the computed one, so that jobs that failed together do not
   * come back together (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
   * `'none'`: exactly the computed wait.
   */
  jitter?: 'full' | 'none';
}

/** A {@link Backoff} whose options were checked. */
export interface BackoffPolicy {
  readonly delayMs: number;
  readonly maxMs: number;
  readonly jitter: 'full' | 'none';
}

export function backoffPolicy(backoff: Backoff, option: string): BackoffPolicy {
  if (backoff?.type !== 'exponential') throw invalidOption(`${option}.type`, "'exponential'", backoff?.type);
  const { delay = '1s', max = '1h', jitter = 'full' } = backoff;
  if (jitter !== 'full' && jitter !== 'none')
    throw invalidOption(`${option}.jitter`, "'full' or 'none'", jitter);
  return { delayMs: toMs(delay, `${option}.delay`), maxMs: toMs(max, `${option}.max`), jitter };
}

/**
 * @param attempt The attempt that errored, counted from 1.
 * @param random In [0, 1), as `Math.random()`.
 * @returns milliseconds
 */
export function backoffMs(policy: BackoffPolicy, attempt: number, random: number): number {
  // 2 ** 1024 would be Infinity, and a delay of 0 times that not a number.
  const computed = Math.min(policy.maxMs, policy.delayMs * 2 ** Math.min(attempt - 1, 1_023));
  return policy.jitter === 'none' ? computed : Math.round(computed * random);
}
