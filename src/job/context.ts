/** What a handler is given beside its payload. */

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
   * Aborted when the attempt timed out, was cancelled, or the engine is closing; `reason` says which. In a
   * thread `aborted` is up to date even inside synchronous code; the `abort` event needs the handler to await.
   */
  readonly signal: AbortSignal;
  readonly log: JobLog;
  /**
   * Tells listeners of `progress` and `JobHandle.progress()` how far the job is.
   * @param value Anything that a payload may be.
   * @throws the signal's reason, when the attempt has been aborted.
   */
  progress(value: unknown): void;
  /** @throws the signal's reason, when the attempt has been aborted. Cheap enough for an inner loop. */
  throwIfAborted(): void;
}
