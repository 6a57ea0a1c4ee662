/** How long jobs are kept once they have ended. */
import { invalidOption, MillraceError } from '../errors.js';
import { toMs, type Duration } from './duration.js';
import type { EndedState } from './record.js';

/**
 * How long a job is kept once it has ended: its record with its result or error, and its id, which is taken until then.
 * It is removed within about a second after that time; with 0 as soon as it has ended, with `'forever'` never.
 */
export interface Retention {
  /** Default `'24h'`. */
  completed?: Duration | 'forever';
  /** Default `'7d'`. */
  failed?: Duration | 'forever';
  /** Default `'24h'`. */
  cancelled?: Duration | 'forever';
  /**
   * How many of its jobs are kept in each of these states at most, whatever the times above say: of more, those go that
   * ended first. Those of a flow that has jobs that have not ended are kept beside them, and count from when all of it has
   * ended: what is too many then goes within about a second, or up to a minute where flows keep thousands. Integer ≥ 0.
   * Default: no limit.
   */
  maxCount?: number;
}

/** A {@link Retention} whose options were checked: milliseconds and a number, Infinity where there is no bound. */
export interface RetentionPolicy extends Readonly<Record<EndedState, number>> {
  readonly maxCount: number;
}

export function retentionPolicy(retention: Retention, option: string): RetentionPolicy {
  if (typeof retention !== 'object' || retention === null)
    throw invalidOption(option, 'an object', retention);
  const { completed = '24h', failed = '7d', cancelled = '24h', maxCount } = retention;
  return {
    completed: keptMs(completed, `${option}.completed`),
    failed: keptMs(failed, `${option}.failed`),
    cancelled: keptMs(cancelled, `${option}.cancelled`),
    maxCount: maxCount === undefined ? Infinity : checkCount(maxCount, `${option}.maxCount`),
  };
}

function checkCount(count: number, option: string): number {
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw invalidOption(option, 'an integer ≥ 0', count);
}

function keptMs(duration: Duration | 'forever', option: string): number {
  if (duration === 'forever') return Infinity;
  try {
    return toMs(duration, option);
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    throw invalidOption(
      option,
      "'forever', milliseconds of at least 0, or a string like '90s' or '7d'",
      duration,
    );
  }
}

/** What holds for jobs of a type that the code does not know: how long they are to be kept only that would say. */
export const KEPT_FOR_EVER: RetentionPolicy = retentionPolicy(
  { completed: 'forever', failed: 'forever', cancelled: 'forever' },
  'retention',
);
