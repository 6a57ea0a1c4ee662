/** What a handler is given beside its payload. */
import type { Duration } from './duration.js';

/** Structured log lines of a handler; they reach the engine's `logger` with the job's id, name and attempt. */
export interface JobLog {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

/** The second argument of every handler, in a thread or inline. */
export interface JobContext {
  /** The job's id: a UUIDv7, or what the caller gave. */
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  /** Of a job that a schedule enqueued: the tick that it is for, in epoch milliseconds. It may run much later. */
  readonly scheduledFor?: number;
  /** Which attempt this is, counted from 1. */
  readonly attempt: number;
  /** After how many errored attempts the job fails. */
  readonly maxAttempts: number;
  /**
   * Aborted when the attempt timed out, was cancelled, or the engine is closing; `reason` says which, and inline also
   * what was said of a cancel. In a thread `aborted` is up to date even inside synchronous code; the `abort` event needs the handler to await.
   */
  readonly signal: AbortSignal;
  readonly log: JobLog;
  /**
   * Tells listeners of `progress` and `JobHandle.progress()` how far the job is.
   * @param value Anything that a payload may be.
   * @throws the signal's reason, when the attempt has been aborted.
   */
  progress(value: unknown): void;
  /**
   * Ends the handler, by throwing; the job comes back after `delay`, and this attempt is not counted. `return
   * job.snooze('10m')` tells the compiler, too, that nothing comes behind it. What it throws has the code
   * `MILLRACE_SNOOZED`: a handler that catches it and goes on, goes on, and the job with it. Bounded by the job type's
   * `maxSnoozes`: beyond it the attempt errors with `MILLRACE_SNOOZED_TOO_OFTEN`.
   * @throws MillraceError `MILLRACE_OPTION_INVALID` for what is no duration: an ordinary error.
   */
  snooze(delay: Duration): never;
  /** @throws the signal's reason, when the attempt has been aborted. Cheap enough for an inner loop. */
  throwIfAborted(): void;
}
