/**
 * How an attempt says that its job is to come back later, without having been counted. These errors check a duration, so
 * they are not in errors.ts, which imports nothing.
 */
import { MillraceError } from '../errors.js';
import { toMs, type Duration } from './duration.js';

/**
 * Thrown by a handler that cannot do its work yet (a service that asks to be left alone for ten minutes): the job comes
 * back after `delay`, and the attempt is not counted. This is bounded by the job type's `maxSnoozes`: beyond it the
 * attempt errors with this error, and the next one waits for at least `delay`.
 */
export class RetryAfterError extends MillraceError {
  readonly delayMs: number;

  /** @throws MillraceError `MILLRACE_OPTION_INVALID` for what is no duration; thrown by a handler, an ordinary error. */
  constructor(delay: Duration, message?: string, options?: ErrorOptions) {
    const delayMs = toMs(delay, 'delay');
    super('MILLRACE_RETRY_AFTER', message ?? `The job is to be tried again after ${delayMs} ms`, options);
    this.delayMs = delayMs;
  }
}

/** What `job.snooze()` throws. It is no error of anybody's, but what ends the handler. */
export class SnoozeError extends MillraceError {
  readonly delayMs: number;

  constructor(delay: Duration) {
    const delayMs = toMs(delay, 'delay');
    const message = `job.snooze() ends the handler with this error; it is not to be caught. The job comes back after ${delayMs} ms`;
    super('MILLRACE_SNOOZED', message);
    this.delayMs = delayMs;
  }
}

/** What an attempt that was snoozed too often errors with. */
export function snoozedTooOften(maxSnoozes: number): MillraceError {
  const message = `The handler called job.snooze() once more after the ${maxSnoozes} times that \`maxSnoozes\` of its job type allows, so this attempt counts`;
  return new MillraceError('MILLRACE_SNOOZED_TOO_OFTEN', message);
}
