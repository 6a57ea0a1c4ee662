/**
 * The contract of a job engine: what the embedded one keeps, and what a distributed one would keep, too. It
 * speaks of jobs and says nothing of storage, threads or dispatch.
 */
import type { JobCatalogue, JobPayload, JobResult } from './define.js';
import type { Listener, MillraceEvents } from './events.js';
import type { FlowHandles, FlowJob } from './flow.js';
import type { Duration } from './job/duration.js';
import type { JobHandle, JobSnapshot } from './job-handle.js';
import type { EnqueueOptions } from './job-options.js';
import type { JobCounts, JobState } from './job/record.js';
import type { Schedules } from './schedules.js';

/** What `enqueue()` takes behind the name: a payload where the handler takes one. */
export type EnqueueArguments<Payload, Queue extends string> = undefined extends Payload
  ? [payload?: Payload, options?: EnqueueOptions<Queue>]
  : [payload: Payload, options?: EnqueueOptions<Queue>];

/** One job of `enqueueMany()`; the payload may be left out where the handler takes none. */
export type EnqueueItem<Jobs extends JobCatalogue, Queue extends string> = {
  [Name in keyof Jobs & string]: {
    readonly name: Name;
    readonly options?: EnqueueOptions<Queue>;
  } & (undefined extends JobPayload<Jobs[Name]>
    ? { readonly payload?: JobPayload<Jobs[Name]> }
    : { readonly payload: JobPayload<Jobs[Name]> });
}[keyof Jobs & string];

/** The handles of an array's jobs, in its order. */
export type JobHandles<Jobs extends JobCatalogue, Items extends readonly { readonly name: string }[]> = {
  -readonly [I in keyof Items]: JobHandle<Items[I]['name'], JobResult<Jobs[Items[I]['name']]>>;
};

/** What `enqueueStream()` came to. */
export interface StreamCounts {
  /** How many jobs there are of it now; one whose `id` was there already counts like any other. */
  readonly enqueued: number;
}

/** What an import came to. */
export interface ImportCounts {
  /** How many jobs are new. */
  readonly imported: number;
  /** How many were there already, and stay as they are. */
  readonly skipped: number;
}

/** What can be done with jobs, whatever engine runs them. */
export interface JobEngine<Jobs extends JobCatalogue = JobCatalogue, Queue extends string = string> {
  /** Jobs that are enqueued by the clock. */
  readonly schedules: Schedules<Jobs, Queue>;

  /**
   * Adds a job; resolves once it is journaled with its durability, and from then on it is never lost.
   * @throws MillraceError `MILLRACE_JOB_UNKNOWN`, `MILLRACE_QUEUE_UNKNOWN`, `MILLRACE_OPTION_INVALID`,
   *   `MILLRACE_PAYLOAD_INVALID`, `MILLRACE_ID_CONFLICT` (the id belongs to a job of another name),
   *   `MILLRACE_QUEUE_FULL`, `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_WRITE_FAILED`
   * @throws the signal's reason
   */
  enqueue<Name extends keyof Jobs & string>(
    name: Name,
    ...rest: EnqueueArguments<JobPayload<Jobs[Name]>, Queue>
  ): Promise<JobHandle<Name, JobResult<Jobs[Name]>>>;

  /**
   * Adds up to 10,000 jobs, all or none; resolves once they are journaled. Where a queue has a `maxSize`, there must be room
   * for all of them, and more at once than that are refused.
   * @returns their handles, in the order of the array.
   * @throws MillraceError what `enqueue()` throws, for the first job that is refused; then none is added.
   */
  enqueueMany<const Items extends readonly EnqueueItem<Jobs, Queue>[]>(
    items: Items,
  ): Promise<JobHandles<Jobs, Items>>;

  /**
   * Adds as many jobs as an iterable gives, in bounded memory: a thousand at a time, each thousand all or none. The
   * next item is asked for when there is room for it. Where a queue has a `maxSize`, they are fewer at a time.
   * @param options.signal Ends it: what is in the journal by then stays.
   * @throws StreamError `MILLRACE_STREAM_FAILED` with the number of jobs that are in the journal, and the `cause`: what
   *   `enqueue()` throws for the first job that is refused, what the iterable throws, or the signal's reason.
   */
  enqueueStream(
    items: AsyncIterable<EnqueueItem<Jobs, Queue>> | Iterable<EnqueueItem<Jobs, Queue>>,
    options?: { signal?: AbortSignal },
  ): Promise<StreamCounts>;

  /**
   * Adds jobs that wait for each other, up to 20,000, all or none. Those without parents can run at once; every other is
   * `waiting` until its parents have ended, and can ask for their results ({@link JobContext.parentResults}), which are
   * kept, whatever their `retention`, until all jobs of the flow have ended.
   * @param flow The jobs, each under a key by which others name it as one of their `parents`.
   * @param options.id Makes the enqueue idempotent: a job without an `id` of its own gets `id/key`, and while the jobs of
   *   these ids are kept, their handles are returned and no new ones are made.
   * @returns the handles, under the same keys.
   * @throws MillraceError what `enqueue()` throws, for the first job that is refused; `MILLRACE_OPTION_INVALID` also where
   *   jobs wait for each other in a circle, `MILLRACE_ID_CONFLICT` where only some of the ids are taken.
   */
  enqueueFlow<const Items extends Readonly<Record<string, FlowJob<Jobs, Queue>>>>(
    flow: Items,
    options?: { id?: string },
  ): Promise<FlowHandles<Jobs, Items>>;

  /** A job of this or an earlier process, by its id; whether it exists shows when it is asked something. */
  handle<Name extends keyof Jobs & string>(name: Name, id: string): JobHandle<Name, JobResult<Jobs[Name]>>;

  /** The job as it is now, or `undefined`. @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
  job(id: string): Promise<JobSnapshot | undefined>;

  /** How many jobs there are in each state, in a queue or altogether. Exact, whatever happened before. */
  counts(queue?: Queue): Promise<JobCounts>;

  /**
   * From here on nothing of the queue is started, or nothing at all, until it is resumed: also after a restart, or a
   * `kill -9`. What runs goes on; jobs are enqueued and become due, and schedules tick, as ever. It resolves once that
   * is journaled, with the engine's durability, and from then on no attempt starts that was not claimed before. The two
   * kinds are independent: the engine that is resumed leaves queues paused that were paused by their names.
   * @throws MillraceError `MILLRACE_QUEUE_UNKNOWN`, `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_WRITE_FAILED`
   */
  pause(queue?: Queue): Promise<void>;

  /**
   * Ends a pause of the same kind, if there is one.
   * @throws MillraceError what `pause()` throws
   */
  resume(queue?: Queue): Promise<void>;

  /**
   * Whether the queue was paused by its name; without one, whether the whole engine was.
   * @throws MillraceError `MILLRACE_QUEUE_UNKNOWN`, `MILLRACE_CLOSED`
   */
  isPaused(queue?: Queue): Promise<boolean>;

  /**
   * Cancels a job in any state. A running one is asked to stop, and ended after its `grace`.
   * @returns the state that resulted: `cancelled`, or what the job had come to before.
   * @throws MillraceError `MILLRACE_JOB_NOT_FOUND`, `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_WRITE_FAILED`
   */
  cancel(id: string): Promise<JobState>;

  /**
   * Every job as a line of JSON, line feed included, with a line before and a line after them: as all were at the
   * moment in which the first is asked for. In bounded memory; until the last is taken, or the iteration ended, what
   * changes meanwhile is kept on disk as it was, too. Jobs that run are exported as waiting, for in a copy they run
   * again. They come queue by queue in the order of claiming, then those for later as they are due, then all others. A
   * job that cannot be read is a `warning`, and a line that says `damaged`.
   * @throws MillraceError `MILLRACE_CLOSED`, also where the engine closes first; `MILLRACE_JOURNAL_CORRUPT`,
   *   `MILLRACE_JOURNAL_READ_FAILED`
   */
  export(): AsyncGenerator<string, undefined>;

  /**
   * Adds the jobs of an export. Those that wait line up behind all that wait here, in the order of the lines; those
   * that have ended stay so, with results and errors. A job whose id exists is skipped, so an import that was
   * interrupted is made again with the same lines. Each commit takes some hundred lines, all or none, and reaches the
   * disk. A job that waits is told as `enqueued`. Jobs of types or queues that the code does not know are kept, with a
   * `warning`.
   * @param lines Lines, with or without their line feed, or pieces of text that are cut anywhere, such as the chunks of
   *   a file.
   * @throws ImportError `MILLRACE_IMPORT_INVALID`, at the first line that cannot be taken, or where the last is missing
   * @throws MillraceError `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_WRITE_FAILED`
   * @throws what the iterable throws; of the lines before, some may not have been imported.
   */
  import(lines: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>): Promise<ImportCounts>;

  /** Calls back until the returned function is called. A listener that throws harms nobody. */
  on<Event extends keyof MillraceEvents>(event: Event, listener: Listener<MillraceEvents[Event]>): () => void;

  /** Resolves when no job is `available` or `running`; it waits for those of queues that are paused, too. */
  drain(): Promise<void>;

  /**
   * Stops taking jobs, lets running ones finish for `timeout` (default `'10s'`), asks the rest to stop, ends them
   * after their `grace`, and returns them to `available` without an attempt counted. Leaves nothing behind.
   */
  close(options?: { timeout?: Duration }): Promise<void>;

  [Symbol.asyncDispose](): Promise<void>;
}
