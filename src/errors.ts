/**
 * Every error that Millrace makes, each with a stable `code`. Messages say what was expected, what came and
 * what to do, and may change between versions; codes do not.
 */

import type { StandardSchemaV1 } from '@standard-schema/spec';

/** The codes, by what they speak about. */
export type MillraceErrorCode =
  // What a caller passed in.
  | 'MILLRACE_OPTION_INVALID'
  | 'MILLRACE_JOB_UNKNOWN'
  | 'MILLRACE_QUEUE_UNKNOWN'
  | 'MILLRACE_QUEUE_FULL'
  | 'MILLRACE_ID_CONFLICT'
  | 'MILLRACE_UNIQUE_CONFLICT'
  | 'MILLRACE_PAYLOAD_INVALID'
  | 'MILLRACE_STREAM_FAILED'
  | 'MILLRACE_PAYLOAD_NEWER'
  | 'MILLRACE_CLOSED'
  // Schedules.
  | 'MILLRACE_SCHEDULE_NOT_FOUND'
  | 'MILLRACE_SCHEDULE_UNDECLARED'
  | 'MILLRACE_SCHEDULE_BLOCKED'
  | 'MILLRACE_TICKS_MISSED'
  | 'MILLRACE_CLOCK_SET_BACK'
  // The journal.
  | 'MILLRACE_JOURNAL_LOCKED'
  | 'MILLRACE_JOURNAL_OPEN_FAILED'
  | 'MILLRACE_JOURNAL_FORMAT'
  | 'MILLRACE_JOURNAL_WRITE_FAILED'
  | 'MILLRACE_JOURNAL_REOPENED'
  | 'MILLRACE_JOURNAL_READ_FAILED'
  | 'MILLRACE_JOURNAL_CORRUPT'
  | 'MILLRACE_JOURNAL_TORN'
  | 'MILLRACE_JOURNAL_WITNESS'
  | 'MILLRACE_BACKUP_FAILED'
  | 'MILLRACE_IMPORT_INVALID'
  // The handler's module.
  | 'MILLRACE_HANDLER_LOAD_FAILED'
  | 'MILLRACE_HANDLER_NO_DEFAULT_EXPORT'
  // What one attempt came to.
  | 'MILLRACE_HANDLER_EXITED'
  | 'MILLRACE_HANDLER_THREW_NON_ERROR'
  | 'MILLRACE_HANDLER_STRAY_ERROR'
  | 'MILLRACE_HANDLER_OUT_OF_MEMORY'
  | 'MILLRACE_HANDLER_DIED'
  | 'MILLRACE_RESULT_INVALID'
  | 'MILLRACE_TIMEOUT'
  | 'MILLRACE_DEADLINE'
  | 'MILLRACE_UNRECOVERABLE'
  | 'MILLRACE_RETRY_AFTER'
  | 'MILLRACE_SNOOZED'
  | 'MILLRACE_SNOOZED_TOO_OFTEN'
  | 'MILLRACE_ATTEMPT_OVER'
  | 'MILLRACE_FOLLOW_UPS_TOO_MANY'
  // What a job came to.
  | 'MILLRACE_PARENT_FAILED'
  | 'MILLRACE_EXPIRED'
  | 'MILLRACE_JOB_FAILED'
  | 'MILLRACE_JOB_CANCELLED'
  | 'MILLRACE_JOB_CRASHED'
  | 'MILLRACE_JOB_NOT_FOUND'
  | 'MILLRACE_JOB_RUNNING'
  | 'MILLRACE_JOB_AWAITED'
  | 'MILLRACE_SHUTTING_DOWN'
  // Warnings about the engine itself.
  | 'MILLRACE_THREADS_UNAVAILABLE'
  | 'MILLRACE_THREAD_STUCK'
  | 'MILLRACE_INLINE_STUCK'
  | 'MILLRACE_JOB_SUSPECT'
  | 'MILLRACE_LISTENER_THREW'
  // Warnings about functions of a job type's.
  | 'MILLRACE_BACKOFF_INVALID'
  | 'MILLRACE_IS_RETRYABLE_INVALID'
  | 'MILLRACE_ON_FAILED_THREW'
  // A ready-made worker's own.
  | 'MILLRACE_WORKER_DEPENDENCY_MISSING';

/** The base of every error that Millrace throws or rejects with. */
export class MillraceError extends Error {
  readonly code: MillraceErrorCode;

  constructor(code: MillraceErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  override get name(): string {
    return this.constructor.name;
  }
}

/**
 * Thrown by a handler: the job fails at once, whatever attempts it has left. Use it where trying again cannot
 * help (a card that was declined, a file that is not an image). While the engine closes it counts, too, unless its
 * `cause` is the abort of `job.signal`: then the job was interrupted, and runs again after the next start.
 */
export class UnrecoverableError extends MillraceError {
  constructor(message: string, options?: ErrorOptions) {
    super('MILLRACE_UNRECOVERABLE', message, options);
  }
}

/**
 * A payload that was refused: it cannot be stored, is too large, or the schema of its job type does not accept it. Where
 * a schema, or an `upgrade()`, threw, `cause` is what it threw.
 */
export class PayloadInvalidError extends MillraceError {
  /** What the schema found, in its own words, each with its path; empty where it was not the schema that refused. */
  readonly issues: readonly StandardSchemaV1.Issue[];

  constructor(message: string, issues: readonly StandardSchemaV1.Issue[] = [], options?: ErrorOptions) {
    super('MILLRACE_PAYLOAD_INVALID', message, options);
    this.issues = issues;
  }
}

/** The attempt took longer than its `timeout`; also the reason of `job.signal` then. */
export class TimeoutError extends MillraceError {
  constructor(job: { id: string; name: string }, timeoutMs: number) {
    super('MILLRACE_TIMEOUT', `Job ${job.name} ${job.id} took longer than its timeout of ${timeoutMs} ms`);
  }
}

/** The attempt was still running at its job's deadline, and was stopped; also the reason of `job.signal` then. */
export class DeadlineError extends MillraceError {
  constructor(job: { id: string; name: string }) {
    super('MILLRACE_DEADLINE', `Job ${job.name} ${job.id} was still running at its deadline`);
  }
}

/** The job's next attempt had not started by its deadline, so it never does. */
export class ExpiredError extends MillraceError {
  /** @param job `attempt`: the one that did not start. */
  constructor(job: { id: string; name: string; attempt: number }, deadlineAt: number) {
    const deadline = new Date(deadlineAt).toISOString();
    super(
      'MILLRACE_EXPIRED',
      `Job ${job.name} ${job.id} had not started its attempt ${job.attempt} by its deadline of ${deadline}`,
    );
  }
}

/** An error as it was stored and rebuilt: its class is gone, and its `code`, where it had one, is there. */
export interface StoredError extends Error {
  readonly code?: string | number;
}

/** The job gave up. `cause` is why, rebuilt from the journal: the error of its last attempt, or that it expired. */
export class JobFailedError extends MillraceError {
  declare readonly cause: StoredError;
  readonly jobId: string;
  readonly jobName: string;
  /** The last attempt, counted from 1; 0 where none began. */
  readonly attempt: number;

  constructor(job: { id: string; name: string; attempt: number }, cause: Error) {
    super(
      'MILLRACE_JOB_FAILED',
      `Job ${job.name} ${job.id} failed ${job.attempt === 0 ? 'before its first attempt' : `at attempt ${job.attempt}`}: ${ofIt(job, cause.message)}`,
      { cause },
    );
    this.jobId = job.id;
    this.jobName = job.name;
    this.attempt = job.attempt;
  }
}

/** The job was cancelled before it completed. */
export class JobCancelledError extends MillraceError {
  readonly jobId: string;
  readonly jobName: string;
  /** What was said by whoever cancelled it. */
  readonly reason: string | undefined;

  constructor(job: { id: string; name: string }, reason?: string) {
    const said = reason === undefined ? '' : `: ${reason}`;
    super('MILLRACE_JOB_CANCELLED', `Job ${job.name} ${job.id} was cancelled${said}`);
    this.jobId = job.id;
    this.jobName = job.name;
    this.reason = reason;
  }
}

/** A job was refused because its unique key is held by another one. */
export class UniqueConflictError extends MillraceError {
  /** Of the job that holds the key. */
  readonly jobId: string;
  readonly uniqueKey: string;

  /** @param item What the job is called where it is one of several. */
  constructor(holder: { id: string; name: string; isRunning: boolean }, uniqueKey: string, item?: string) {
    const where = item === undefined ? '' : `${item}: `;
    const why = holder.isRunning ? ', which runs and cannot be replaced' : '';
    super(
      'MILLRACE_UNIQUE_CONFLICT',
      `${where}Expected no job of ${holder.name} to hold the unique key ${show(uniqueKey)}, but it is held by ${holder.id}${why}`,
    );
    this.jobId = holder.id;
    this.uniqueKey = uniqueKey;
  }
}

/** Another owner has the journal: another process, or another engine of this one. */
export class JournalLockedError extends MillraceError {
  /** The holder's process id, where it is known. */
  readonly pid: number | undefined;

  constructor(directory: string, pid: number | undefined, options?: ErrorOptions) {
    const holder =
      pid === undefined
        ? 'another process'
        : pid === process.pid
          ? `this very process (pid ${pid})`
          : `process ${pid}`;
    const advice = 'Close it there, wait for it with `lockTimeout`, or use another directory';
    super('MILLRACE_JOURNAL_LOCKED', `The journal in ${directory} is open in ${holder}. ${advice}`, options);
    this.pid = pid;
  }
}

/** `enqueueStream()` came to an end before its iterable did. `cause` says why: what the iterable threw, or a refused job. */
export class StreamError extends MillraceError {
  /** How many jobs are in the journal: the first ones of the iterable, and no other. */
  readonly enqueued: number;

  constructor(reason: string, enqueued: number, options?: ErrorOptions) {
    super(
      'MILLRACE_STREAM_FAILED',
      `${sentence(reason)} ${enqueued} jobs were enqueued before that`,
      options,
    );
    this.enqueued = enqueued;
  }
}

/** A line that `import()` refused. Nothing from it on was imported; what stands before it was. */
export class ImportError extends MillraceError {
  /** Counted from 1. */
  readonly line: number;
  /** How many jobs were imported before it. */
  readonly imported: number;
  /** How many of the jobs before it were there already. */
  readonly skipped: number;

  constructor(
    reason: string,
    { line, imported, skipped }: { line: number; imported: number; skipped: number },
    options?: ErrorOptions,
  ) {
    const before = `Of the lines before it, ${imported} jobs were imported, and ${skipped} were there already`;
    super('MILLRACE_IMPORT_INVALID', `Line ${line}: ${sentence(reason)} ${before}`, options);
    this.line = line;
    this.imported = imported;
    this.skipped = skipped;
  }
}

/** A message of anybody's, as a sentence that others can follow. */
export const sentence = (message: string): string => (/[.!?…]$/.test(message) ? message : `${message}.`);

/** What a message says of a job, behind others that have named it. */
function ofIt({ id, name }: { id: string; name: string }, message: string): string {
  const named = `Job ${name} ${id} `;
  return message.startsWith(named) ? `it ${message.slice(named.length)}` : message;
}

/** An option that was refused: "expected `weight` to be a positive integer, got: 0". */
export function invalidOption(option: string, expected: string, got: unknown): MillraceError {
  return new MillraceError(
    'MILLRACE_OPTION_INVALID',
    `Expected \`${option}\` to be ${expected}, got: ${show(got)}`,
  );
}

const MAX_SHOWN = 80;

/** A value as an error message shows it: short, and never throwing itself. */
export function show(value: unknown): string {
  try {
    return typeof value === 'string' ? JSON.stringify(shortened(value)) : shortened(describe(value));
  } catch {
    return `${typeof value === 'function' ? 'a function' : 'an object'} that cannot be looked into`;
  }
}

function describe(value: unknown): string {
  if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
  if (typeof value === 'object' && value !== null) {
    const kind = (Object.getPrototypeOf(value) as { constructor?: { name?: string } } | null)?.constructor
      ?.name;
    return Array.isArray(value) ? `an array of ${value.length}` : `an instance of ${kind ?? 'Object'}`;
  }
  // The decimal digits of a huge one take seconds.
  if (typeof value === 'bigint' && BigInt.asIntN(256, value) !== value)
    return 'a bigint of more than 256 bits';
  return String(value);
}

const shortened = (text: string): string =>
  text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN - 3)}…` : text;

/**
 * Whatever was thrown, as an `Error` that has a message. It never throws itself: what cannot be looked at becomes an error
 * that says so.
 */
export function asError(thrown: unknown): Error {
  try {
    if (!(thrown instanceof Error)) return new Error(show(thrown), { cause: thrown });
    if (typeof thrown.message === 'string') return thrown;
  } catch {
    // Not kept as the cause: whoever logs that would throw, too.
    return new Error(messageOf(thrown));
  }
  return new Error(messageOf(thrown), { cause: thrown });
}

/** What anything that was thrown says of itself; it never throws. */
export function messageOf(thrown: unknown): string {
  const message = isInstance(thrown, Error) ? read(thrown, 'message') : undefined;
  return typeof message === 'string' ? message : show(message ?? thrown);
}

/** `instanceof`, for what may be a proxy that refuses to be looked at. */
export function isInstance<Type>(
  value: unknown,
  type: abstract new (...args: never[]) => Type,
): value is Type {
  try {
    return value instanceof type;
  } catch {
    return false;
  }
}

/** What lies under a name: nothing, where a getter or a proxy throws instead. */
export function read(value: object, key: string | symbol): unknown {
  try {
    // The cast says no more than that anything may be there.
    return (value as Record<string | symbol, unknown>)[key];
  } catch {
    return undefined;
  }
}
