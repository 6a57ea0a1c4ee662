/** What a handler is given beside its payload. */
import type { Duration } from './duration.js';

/**
 * Structured log lines of a handler; they reach the engine's `logger` with the job's id, name and attempt. The message comes
 * first here; the `logger` is called as pino is, with the fields first. An error as the message, or as the fields, is the
 * field `err`, and its message that of the line where there is no other.
 *
 * No line is lost, and none fails a job: a field that cannot be read, or cannot cross to the event loop, is told as a text
 * that says so. Of one thread at most 64 lines and progress values are taken in per turn of the event loop; a handler that
 * logs faster than that waits within the call, also for a `logger` that is slow.
 */
export interface JobLog {
  debug(message: string | Error, fields?: Record<string, unknown> | Error): void;
  info(message: string | Error, fields?: Record<string, unknown> | Error): void;
  warn(message: string | Error, fields?: Record<string, unknown> | Error): void;
  error(message: string | Error, fields?: Record<string, unknown> | Error): void;
}

/**
 * The second argument of every handler, in a thread or inline. What `checkpoint()`, `parentResults()` and `enqueue()`
 * return should be awaited. One of them that is not is awaited when the handler has returned, and where it is refused and
 * nobody listens to it the attempt errors with that. What they, and `progress()`, are refused with says which call it was;
 * an attempt that ends with a refusal of what cannot be stored, is too large or is no option fails its job at once, for the
 * next one would be refused, too.
 *
 * It may be taken apart, and is to be handed on as it is: a copy, `{ ...job }`, lacks `signal`, `log` and `resumeFrom`.
 */
export interface JobContext {
  /** The job's id: a UUIDv7, or what the caller gave. */
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  /** Of a job that a schedule enqueued: the tick that it is for, in epoch milliseconds. It may run much later. */
  readonly scheduledFor?: number;
  /** Which attempt this is, counted from 1. */
  readonly attempt: number;
  /** The attempt with which the job fails if it errs, too; after a `retry()` greater by the attempts before that. */
  readonly maxAttempts: number;
  /**
   * Aborted when the attempt timed out, was cancelled, or the engine is closing; `reason` says which, and inline also
   * what was said of a cancel. In a thread `aborted` is up to date even inside synchronous code; the `abort` event needs the handler to await.
   */
  readonly signal: AbortSignal;
  readonly log: JobLog;
  /**
   * Tells listeners of `progress` and `JobHandle.progress()` how far the job is. In a thread it never waits: of values that
   * come faster than the event loop takes them in, 64 of one thread per turn, only the last of about 10 ms is told. That one
   * is told before what the handler does next (a line of the log, a request, its end), and in code that neither calls any
   * of these nor awaits, not before it does.
   * @param value Anything that a payload may be; of at most `maxResultBytes` of the job's type, as for a result.
   * @throws MillraceError `MILLRACE_PAYLOAD_INVALID`
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
  /** The value of the last {@link checkpoint} of an earlier attempt; `undefined` where there is none. */
  readonly resumeFrom: unknown;
  /**
   * Keeps how far the job has come: from when this resolves it is as durable as the job itself, and the next attempt
   * gets it as `resumeFrom`, whatever this one comes to: an error, a timeout, `close()`, a `kill -9`. It is kept until
   * the job has completed or is removed. Of several the last call counts.
   *
   * While the journal cannot be written it rejects, and the checkpoint before it may be the one that is kept; whether
   * to go on is the handler's to decide.
   * @param value Anything that a payload may be; of at most `maxResultBytes` of the job's type, as for a result.
   * @throws MillraceError `MILLRACE_PAYLOAD_INVALID`, `MILLRACE_JOURNAL_WRITE_FAILED`, `MILLRACE_ATTEMPT_OVER`
   * @throws the signal's reason, where the attempt was timed out or cancelled; while the engine closes it still works.
   */
  checkpoint(value: unknown): Promise<void>;
  /**
   * What the jobs that this one waited for came to: the results of those that completed, by the keys that their flow has
   * for them. `{}` where it waited for none. Only of a job with `onParentFailure: 'ignore'` can a key be absent: of a
   * parent that did not complete, cannot be read, or is not kept any more.
   *
   * They are brought a page at a time, and all of them are in the handler's memory together: where many are large, let the
   * parents store them elsewhere and return where that is.
   * @throws MillraceError `MILLRACE_JOB_NOT_FOUND`, `MILLRACE_JOURNAL_CORRUPT`: the result of a parent is not there any
   *   more, or cannot be read, as can be after a repair, or an import of a part; `MILLRACE_JOURNAL_READ_FAILED`, `MILLRACE_ATTEMPT_OVER`
   * @throws the signal's reason, where the attempt was timed out or cancelled.
   */
  parentResults(): Promise<Record<string, unknown>>;
  /**
   * Enqueues a job together with this one's completion, in the same write: an attempt that comes to anything else
   * leaves none behind, and a retry does not double it. Resolves once it is checked. Up to 10,000 per attempt; a queue
   * takes them although it is full. `delay` counts from the call.
   *
   * With `id` no new job is made where there is one of that id by then; should the id belong to a job of another name,
   * and that show only then, it is left out with a `warning`.
   * @returns the id that the job will have.
   * @throws MillraceError what `Millrace.enqueue()` throws for a job that is refused; `MILLRACE_FOLLOW_UPS_TOO_MANY`,
   *   `MILLRACE_ATTEMPT_OVER`
   * @throws the signal's reason, where the attempt was timed out or cancelled.
   */
  enqueue(name: string, payload?: unknown, options?: object): Promise<{ readonly id: string }>;
}
