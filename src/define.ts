/**
 * How an app describes its job types: `threadJob`, `inlineJob`, `defineJobs`. Payload and result types are
 * taken from the handler itself, so that no type is written twice.
 */
import type { StandardSchemaV1 } from '@standard-schema/spec';
import type { StoredError } from './errors.js';
import type { JobSnapshot } from './job-handle.js';
import type { Backoff } from './job/backoff.js';
import type { Duration } from './job/duration.js';
import type { RateLimit } from './job/rate-limit.js';
import type { Durability } from './job/record.js';
import type { Retention } from './job/retention.js';
import type { JobContext } from './job-context.js';

/** Settings of one job type; `enqueue()` can override some of them for one job. */
export interface JobTypeOptions<Queue extends string = string> {
  /** The queue its jobs go to. Default `'default'`. */
  queue?: Queue;
  /** Higher runs first inside a queue; integer from -32,768 to 32,767. Default 0. */
  priority?: number;
  /** After how many errored attempts a job fails; integer ≥ 1. Default 3. */
  maxAttempts?: number;
  /**
   * A job that was in flight both times that its process crashed last runs alone; after how many further crashes while
   * it does it fails, with `MILLRACE_JOB_CRASHED`; integer ≥ 1. Default 3.
   */
  maxCrashes?: number;
  /** How long to wait before the next attempt. Default exponential from 1 s to 1 h with full jitter. */
  backoff?: Backoff;
  /**
   * How often a job may come back without an attempt counted, by `job.snooze()` or a `RetryAfterError`; integer ≥ 0.
   * Beyond it each counts as an errored attempt. Default 100.
   */
  maxSnoozes?: number;
  /**
   * Whether trying again can help; `false` fails the job at once. It is asked after each attempt that errored, timed out
   * or crashed while there are attempts left, on the main thread, with the error rebuilt from what was stored of it:
   * compare its `code`, for its class is gone. It must be synchronous, and may be asked more than once about an attempt.
   * Where it throws, or returns neither `true` nor `false`, there is a `warning` `MILLRACE_IS_RETRYABLE_INVALID`, and the
   * job is tried again. Default: always.
   */
  isRetryable?: (error: StoredError) => boolean;
  /**
   * Called when a job has failed, for whatever reason, once that is committed and told: on the main thread, with the job
   * (of one whose record is damaged, what is left of that) and the error that it failed with, rebuilt from what was
   * stored of it. It may be asynchronous; what it throws or
   * rejects with becomes a `warning` `MILLRACE_ON_FAILED_THREW`. It is a hook and no job: it is called at most once, and
   * not at all where the process dies first; `close()` does not wait for it, and nothing tries it again. What must
   * happen belongs into a job of its own.
   */
  onFailed?: (job: JobSnapshot, error: StoredError) => unknown;
  /** How long an attempt may take, from the handler's start. Default: no limit. */
  timeout?: Duration;
  /**
   * How long after its enqueue a job's deadline is. One that has not started by then, in whatever state it waits, fails
   * with `MILLRACE_EXPIRED`; one that runs is stopped, and fails with `MILLRACE_DEADLINE`, whatever attempts it has left.
   * Default: no deadline.
   */
  expiresIn?: Duration;
  /**
   * How long an attempt that was told to stop (timeout, deadline, cancel, close) may still take before its thread is
   * ended. Default `'5s'`.
   */
  grace?: Duration;
  /** How many of this type may run at once; integer ≥ 1. Default: no limit. */
  concurrency?: number;
  /** How many attempts of this type may start in a time. Default: no limit. */
  rateLimit?: RateLimit;
  /** How many of the last lines of `job.log` are kept of each job, for `logs()`; integer from 0 to 1,000. Default 50. */
  logLines?: number;
  /**
   * How many of this type may run at once that have the same `concurrencyKey`; integer ≥ 1. Those of a key that is at its
   * limit wait, and hold up no others. Default: no limit; keys take turns all the same.
   */
  concurrencyPerKey?: number;
  /**
   * How many attempts of this type that have the same `concurrencyKey` may start in a time, in all queues together; those
   * of a key that has to wait hold up no others. Each key of which something started within the time takes some hundred
   * bytes of memory, and a record in the journal. Default: no limit.
   */
  rateLimitPerKey?: RateLimit;
  /** How long its jobs are kept once they have ended. Default a day; those that failed a week. */
  retention?: Retention;
  /** Which version of its payloads this code knows; integer ≥ 1, to be raised where stored ones would not do. Default 1. */
  version?: number;
  /**
   * Makes a payload of this `version` from one that was enqueued for an older one: called before each attempt of such a
   * job, on the event loop, so it must be free of side effects. May be async. What it returns is checked by `schema`.
   * Where it throws, the job fails. Required where `version` is above 1, and only there.
   */
  upgrade?(this: void, payload: unknown, fromVersion: number): unknown;
  /**
   * How many bytes a payload may take, encoded; integer ≥ 1. So many values and keys may it hold, what is referred to
   * several times counted each time, and so many places may an array in it have. One that takes more than 65,536 bytes
   * lies in a file beside the journal. Default 1,048,576.
   */
  maxPayloadBytes?: number;
  /**
   * How many bytes a result may take, encoded; where it takes more, the job fails. So many may each checkpoint take, and
   * each progress value; one that takes more is refused with `MILLRACE_PAYLOAD_INVALID`. Integer ≥ 1. Default 1,048,576.
   */
  maxResultBytes?: number;
}

/** What the payloads of a job type must be. */
export interface SchemaOption<Schema extends StandardSchemaV1 = StandardSchemaV1> {
  /**
   * A Standard Schema, such as one of zod, valibot or arktype. Checks a payload in `enqueue()`, and once more before each
   * attempt, on the event loop. Stored is the payload as it was enqueued; the handler gets what the schema makes of it,
   * such as defaults filled in, and that must be something that can be stored. A payload that is refused before an
   * attempt fails the job, without an attempt counted. A schema must be free of side effects; it may be async, and
   * before an attempt has 30 s to answer. Default: any payload that can be stored.
   */
  schema?: Schema;
}

/** What one job can have instead of its type's settings. */
export interface JobOverrides<Queue extends string = string> {
  /** Default: the job type's. */
  queue?: Queue;
  /** Higher runs first; integer from -32,768 to 32,767. Default: the job type's. */
  priority?: number;
  /** Default: the job type's. */
  maxAttempts?: number;
  /** Default: the job type's. */
  timeout?: Duration;
  /** How long after its enqueue its deadline is: see {@link JobTypeOptions.expiresIn}. Default: the job type's. */
  expiresIn?: Duration;
  /** Default: the engine's. */
  durability?: Durability;
  /**
   * Whose job it is, such as a tenant's: a string of 1 to 512 characters. In a queue, the jobs of a type that have the
   * same key are a line of their own, and the lines take turns: however many jobs one of them has, another's first waits
   * for no more than what runs already and one turn of each other line. So do all jobs without a key, as one line, and
   * each type that has jobs with keys, in turn with the others of the queue. `priority` orders the jobs of a line.
   * `concurrencyPerKey` of the job type says how many of a key run at once, and `rateLimitPerKey` how many start in a
   * time. Default: none.
   */
  concurrencyKey?: string;
}

/** The shape of a handler module: a default export that takes the payload and the job's context. */
export interface HandlerModule {
  default: (payload: never, job: JobContext) => unknown;
  /**
   * `true` where the handler's work is done on libuv's pool (sharp, zlib, crypto): all such job types together run
   * on one thread less than that pool has (`UV_THREADPOOL_SIZE`, 4 by default), so that file access and the journal
   * always find one free.
   */
  usesNativePool?: boolean;
}

declare const types: unique symbol;

/** A job type whose handler runs in a worker thread. Made by {@link threadJob}. */
export interface ThreadJob<Payload = unknown, Result = unknown, Queue extends string = string> {
  readonly kind: 'thread';
  readonly url: URL;
  readonly options: JobTypeOptions<Queue> & SchemaOption;
  /** Carries types only; absent at run time. */
  readonly [types]?: { payload: Payload; result: Result };
}

/** A job type whose handler runs on the event loop. Made by {@link inlineJob}. */
export interface InlineJob<Payload = unknown, Result = unknown, Queue extends string = string> {
  readonly kind: 'inline';
  readonly handler: (payload: never, job: JobContext) => unknown;
  readonly options: JobTypeOptions<Queue> & SchemaOption;
  /** Carries types only; absent at run time. */
  readonly [types]?: { payload: Payload; result: Result };
}

/** A job type of either kind. */
export type JobType = ThreadJob | InlineJob;

/** Every job type of an app by name: what {@link defineJobs} returns. */
export type JobCatalogue = Readonly<Record<string, JobType>>;

/** The payload that a handler takes; `undefined` where it takes none. */
type PayloadOf<H> = H extends (...args: infer A) => unknown
  ? A extends []
    ? undefined
    : // A handler that says nothing of the payload that it leaves alone.
      [A[0]] extends [never]
      ? undefined
      : A[0]
  : never;
type ResultOf<H> = H extends (...args: never[]) => infer R ? Awaited<R> : never;

/**
 * A job type for CPU-heavy work: its handler is the default export of a module that each worker thread loads
 * once.
 *
 * ```ts
 * threadJob<typeof import('./workers/resize-image.js')>(new URL('./workers/resize-image.js', import.meta.url))
 * ```
 *
 * Where what a `schema` takes differs from what it gives the handler, its type is given, too, and says what `enqueue()`
 * takes: `threadJob<typeof import('./workers/resize-image.js'), typeof schema>(url, { schema })`.
 *
 * @param url The handler's module. A `.js` that does not exist finds its `.ts` sibling where the runtime can
 *   load it (Node ≥ 22.18, or a loader in `threads.execArgv`). Checked by `Millrace.open()`.
 */
export function threadJob<M extends HandlerModule = { default: (payload: unknown) => unknown }>(
  url: URL,
  options?: JobTypeOptions & SchemaOption<StandardSchemaV1<PayloadOf<M['default']>>>,
): ThreadJob<PayloadOf<M['default']>, ResultOf<M['default']>>;
export function threadJob<M extends HandlerModule, Schema extends StandardSchemaV1>(
  url: URL,
  options: JobTypeOptions & { schema: Schema & StandardSchemaV1<unknown, PayloadOf<M['default']>> },
): ThreadJob<StandardSchemaV1.InferInput<Schema>, ResultOf<M['default']>>;
export function threadJob(url: URL, options: JobTypeOptions & SchemaOption = {}): ThreadJob {
  return { kind: 'thread', url, options };
}

/**
 * A job type for I/O (sending e-mail, calling an API): its handler runs on the event loop, as durable as any.
 * It is asked to stop through `job.signal` but cannot be ended by force. Where it has a `schema`, that says what
 * `enqueue()` takes and what the handler is given.
 */
export function inlineJob<Schema extends StandardSchemaV1, Result, const Queue extends string = string>(
  handler: (payload: StandardSchemaV1.InferOutput<Schema>, job: JobContext) => Result,
  options: JobTypeOptions<Queue> & { schema: Schema },
): InlineJob<StandardSchemaV1.InferInput<Schema>, Awaited<Result>, Queue>;
export function inlineJob<Handler extends HandlerModule['default'], const Queue extends string = string>(
  handler: Handler,
  options?: JobTypeOptions<Queue>,
): InlineJob<PayloadOf<Handler>, ResultOf<Handler>, Queue>;
export function inlineJob(
  handler: HandlerModule['default'],
  options: JobTypeOptions & SchemaOption = {},
): InlineJob {
  return { kind: 'inline', handler, options };
}

/** Every job type in one place; the keys are the job names that `enqueue()` takes. */
export function defineJobs<const Jobs extends JobCatalogue>(jobs: Jobs): Jobs {
  return jobs;
}

/** The payload type of a job type. */
export type JobPayload<T> = T extends { readonly [types]?: { payload: infer P; result: unknown } }
  ? P
  : never;
/** The result type of a job type. */
export type JobResult<T> = T extends { readonly [types]?: { payload: unknown; result: infer R } } ? R : never;
/** The queue names that a catalogue's job types mention literally (`string` where a type cannot know). */
export type JobQueue<T> = T extends { readonly options: JobTypeOptions<infer Q> } ? Q : never;
