/** What an app holds of one job: a handle that asks the engine, and a snapshot that does not change any more. */
import type { Explanation } from './explanation.js';
import type { ErrorData } from './job/error-data.js';
import type { JobState } from './job/record.js';

/** What a caller can say of a cancel. */
export interface CancelOptions {
  /**
   * Why, in at most 256 characters: kept with the job, and told by its snapshot, its `cancelled` event, the
   * `JobCancelledError` of `result()` and, inline, by `job.signal.reason`. Of several cancels the first counts. Default:
   * nothing is said.
   */
  reason?: string;
}

/** An attempt that errored. */
export interface AttemptError {
  /** Counted from 1. */
  readonly attempt: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly endedAt: number;
  /** The worker thread that it ran in, as Node numbers them (`threadId`); absent where it ran inline. */
  readonly thread?: number;
  readonly error: ErrorData;
}

/** A job as it was at one moment. Instants are epoch milliseconds. */
export interface JobSnapshot<Name extends string = string, Result = unknown> {
  readonly id: string;
  readonly name: Name;
  readonly queue: string;
  readonly state: JobState;
  /** While `running`: it was told to stop (timeout, deadline, cancel, close), and its handler has not gone yet. */
  readonly stopping: boolean;
  readonly priority: number;
  /** The running or last attempt, counted from 1; 0 before the first. */
  readonly attempt: number;
  /** How often it was snoozed, by `job.snooze()` or a `RetryAfterError`. */
  readonly snoozes: number;
  /** The `RetryAfterError` of the last time; absent where that was none. */
  readonly snoozeError?: ErrorData;
  readonly enqueuedAt: number;
  readonly uniqueKey?: string;
  /** The key that it was enqueued with. */
  readonly concurrencyKey?: string;
  /** The schedule that enqueued it, and the tick that it is for. */
  readonly schedule?: string;
  readonly scheduledFor?: number;
  /** The ids of the jobs of its flow that it waits for, or waited for, by their keys. */
  readonly parents?: Readonly<Record<string, string>>;
  /** When it expires where it has not started, and is stopped where it runs. A job that was retried has no such time. */
  readonly deadlineAt?: number;
  /** When a scheduled or retryable job is due. */
  readonly runAt?: number;
  /** When the last attempt started. */
  readonly startedAt?: number;
  /** When it completed, failed or was cancelled. */
  readonly finishedAt?: number;
  /** What was said by whoever cancelled it; also while it is `stopping` for that. */
  readonly cancelReason?: string;
  /** How often `retry()` took it out of an end again; absent where it never did. */
  readonly retries?: number;
  /** What its handler reported last, this attempt or one before; of a job whose process died, up to a second old. */
  readonly progress?: unknown;
  /** How often its process crashed while it ran alone; absent where it never did. See `maxCrashes` of its job type. */
  readonly crashes?: number;
  /**
   * As it was enqueued, which may have been by other code, so it has no type: what a schema or `upgrade()` makes of it is only its
   * handler's.
   */
  readonly payload: unknown;
  /** The `version` of its job type that the payload was enqueued for; absent: 1. */
  readonly payloadVersion?: number;
  /** Of a completed job. */
  readonly result?: Result;
  /**
   * Of a job that failed: why. Of any other, also a completed one, the error of its last attempt that errored; absent where
   * none did.
   */
  readonly error?: ErrorData;
  /** The attempts that errored, the newest last; at most ten. */
  readonly errors: readonly AttemptError[];
}

/** A line that a handler gave to `job.log`. */
export interface JobLogLine {
  /** Epoch milliseconds. */
  readonly at: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  /** Cut to 4,096 characters. */
  readonly message: string;
  /** Up to 4 KB of them. Text is cut to 1,024 characters; any other value of more than 1 KB, or that cannot be stored, is described. */
  readonly fields: Readonly<Record<string, unknown>>;
  /** Which attempt gave it, counted from 1. */
  readonly attempt: number;
}

/**
 * A job that was enqueued, now or by an earlier process. Everything rejects with `MILLRACE_ID_CONFLICT` where the id is that
 * of a job of another name.
 */
export interface JobHandle<Name extends string = string, Result = unknown> {
  readonly id: string;
  readonly name: Name;
  /**
   * What the handler returned, once that is committed. While the journal cannot be written, it waits until it can.
   * @throws JobFailedError `MILLRACE_JOB_FAILED` with the handler's error as its `cause`
   * @throws JobCancelledError `MILLRACE_JOB_CANCELLED`
   * @throws MillraceError `MILLRACE_JOB_NOT_FOUND`, where the job is no longer kept; `MILLRACE_CLOSED`, where the
   *   engine is closed first; while it is closing, what has ended can be asked for
   * @throws the signal's reason; the job itself goes on.
   */
  result(options?: { signal?: AbortSignal }): Promise<Result>;
  /**
   * What the handler reports from now on, until the job has ended or the engine is closed.
   * @throws the signal's reason, from what waits for the next value; the job itself goes on.
   */
  progress(options?: { signal?: AbortSignal }): AsyncIterable<unknown>;
  /** @see JobEngine.cancel */
  cancel(options?: CancelOptions): Promise<JobState>;
  /** @throws MillraceError `MILLRACE_JOB_NOT_FOUND`, where the job is no longer kept. */
  snapshot(): Promise<JobSnapshot<Name, Result>>;
  /** @see JobEngine.explain */
  explain(): Promise<Explanation>;
}
