/**
 * The contract of a job engine: what the embedded one keeps, and what a distributed one would keep, too. It
 * speaks of jobs and says nothing of storage, threads or dispatch.
 */
import type { JobCatalogue, JobPayload, JobResult } from './define.js';
import type { Listener, MillraceEvents } from './events.js';
import type { Explanation } from './explanation.js';
import type { FlowHandles, NamedFlow } from './flow.js';
import type {
  EnqueueArguments,
  EnqueueItem,
  HandleOfAny,
  JobHandles,
  JobSnapshots,
  Named,
  NamedItem,
} from './items.js';
import type { Duration } from './job/duration.js';
import type { JobFilter, NamedFilter } from './job-filter.js';
import type { CancelOptions, JobHandle, JobLogLine, JobSnapshot } from './job-handle.js';
import type { JobCounts, JobState } from './job/record.js';
import type { Schedules } from './schedules.js';

/** What `enqueueStream()` came to. */
export interface StreamCounts {
  /** How many jobs there are of it now; one whose `id` or `uniqueKey` an earlier one had counts, too. */
  readonly enqueued: number;
}

/** What an import came to. */
export interface ImportCounts {
  /** How many jobs are new. */
  readonly imported: number;
  /** How many were there already, and stay as they are. */
  readonly skipped: number;
}

/**
 * What can be done with jobs, whatever engine runs them.
 *
 * Of an id that no job has, or has any more, `job()` tells by `undefined`, and `remove()` by `false`, for then it is as it
 * was to be. Whatever else is asked of one job rejects with `MILLRACE_JOB_NOT_FOUND`; filters just mean no such job. What is
 * no id at all is refused with `MILLRACE_OPTION_INVALID`.
 */
export interface JobEngine<Jobs extends JobCatalogue = JobCatalogue, Queue extends string = string> {
  /** Jobs that are enqueued by the clock. */
  readonly schedules: Schedules<Jobs, Queue>;

  /**
   * Adds a job; resolves once it is journaled with its durability, and from then on it is never lost.
   * @throws MillraceError `MILLRACE_JOB_UNKNOWN`, `MILLRACE_QUEUE_UNKNOWN`, `MILLRACE_OPTION_INVALID`,
   *   `MILLRACE_PAYLOAD_INVALID`, `MILLRACE_ID_CONFLICT` (the id belongs to a job of another name),
   *   `MILLRACE_UNIQUE_CONFLICT` (another job holds the unique key; {@link UniqueConflictError} tells which),
   *   `MILLRACE_QUEUE_FULL`, `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_WRITE_FAILED`
   * @throws the signal's reason
   */
  enqueue<Name extends keyof Jobs & string>(
    name: Name,
    ...rest: EnqueueArguments<JobPayload<Jobs[Name]>, Queue>
  ): Promise<JobHandle<Name, JobResult<Jobs[Name]>>>;

  /**
   * Adds up to 10,000 jobs, all or none; resolves once they are journaled. Where a queue has a `maxSize`, there must be room
   * for all of them, and more at once than that are refused; while they wait for it, whoever wants to get into one of these
   * queues waits behind them. The array is yours again at once; payloads are yours again when it resolves, for thousands
   * are built in slices.
   * @returns their handles, in the order of the array.
   * @throws MillraceError what `enqueue()` throws, for the first job that is refused; then none is added.
   */
  enqueueMany<const Names extends readonly (keyof Jobs & string)[]>(items: {
    readonly [I in keyof Names]: NamedItem<Jobs, Queue, Names[I]>;
  }): Promise<JobHandles<Jobs, Named<Names>>>;
  /** The same for an array that can be one or another. */
  enqueueMany<const Name extends keyof Jobs & string>(
    items: readonly NamedItem<Jobs, Queue, Name>[],
  ): Promise<HandleOfAny<Jobs, Name>[]>;

  /**
   * Adds as many jobs as an iterable gives, in bounded memory: a thousand at a time, or 4 MiB of payloads, or what has come
   * within a second; of each such chunk all or none. An item is read, and its payload encoded, when it is given, and the
   * next one is asked for when there is room for it. Where a queue has a `maxSize`, they are fewer at a time, at most half
   * of that; with `onFull: 'wait'` it waits until there is room for them, and with `'reject'` it ends there.
   * @param options.signal Ends it, as `close()` does, whatever the iterable waits for: what is in the journal by then stays.
   * @throws StreamError `MILLRACE_STREAM_FAILED` with the number of jobs that are in the journal, and the `cause`: what
   *   `enqueue()` throws for the first job that is refused, what the iterable throws, or the signal's reason.
   */
  enqueueStream(
    items: AsyncIterable<EnqueueItem<Jobs, Queue>> | Iterable<EnqueueItem<Jobs, Queue>>,
    options?: { signal?: AbortSignal },
  ): Promise<StreamCounts>;

  /**
   * Adds jobs that wait for each other, up to 20,000 with up to 1,000,000 parents in all, all or none. Those without parents can run at once; every other is
   * `waiting` until its parents have ended, and can ask for their results ({@link JobContext.parentResults}), which are
   * kept, whatever their `retention`, until all jobs of the flow have ended. None has a `uniqueKey`, for another job cannot
   * take the place of one of a flow.
   * @param flow The jobs, each under a key by which others name it as one of their `parents`.
   * @param options.id Makes the enqueue idempotent: a job without an `id` of its own gets `id/key`, and while the jobs of
   *   these ids are kept, their handles are returned and no new ones are made. Their names and parents must be the same,
   *   and whether any job waits for them; payloads and options are not compared.
   * @returns the handles, under the same keys.
   * @throws MillraceError what `enqueue()` throws, for the first job that is refused; `MILLRACE_OPTION_INVALID` also where
   *   jobs wait for each other in a circle, `MILLRACE_ID_CONFLICT` where only some of the ids are taken, or by other jobs.
   */
  enqueueFlow<const Names extends Readonly<Record<string, keyof Jobs & string>>, const Parent extends string>(
    flow: NamedFlow<Jobs, Queue, Names, Parent>,
    options?: { id?: string },
  ): Promise<FlowHandles<Jobs, Named<Names>>>;

  /**
   * A job of this or an earlier process, by its id; whether it exists shows when it is asked something. Where the id is that
   * of a job of another name, whatever is asked of it rejects with `MILLRACE_ID_CONFLICT`.
   */
  handle<Name extends keyof Jobs & string>(name: Name, id: string): JobHandle<Name, JobResult<Jobs[Name]>>;

  /** The job as it is now, or `undefined`. @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
  job(id: string): Promise<JobSnapshot | undefined>;

  /**
   * The last lines of a job's log, the oldest first, over all its attempts: as many as its type's `logLines` says. Of a
   * job whose process died, those of its last second may be missing.
   * @throws MillraceError `MILLRACE_JOB_NOT_FOUND`, `MILLRACE_JOURNAL_CORRUPT`, `MILLRACE_CLOSED`
   */
  logs(id: string): Promise<JobLogLine[]>;

  /**
   * Why a job is not running, in data and in one sentence: as of this moment, and without changing anything. Where many
   * jobs are before it they are counted, up to 10,000, which takes some tens of milliseconds, in small pieces.
   * @throws MillraceError `MILLRACE_JOB_NOT_FOUND`; `MILLRACE_JOURNAL_CORRUPT`: its record is damaged, and that is why;
   *   `MILLRACE_JOURNAL_WRITE_FAILED`, where a journal that has failed cannot be read either; `MILLRACE_CLOSED`, once the
   *   engine is closed, but not while it is closing
   */
  explain(id: string): Promise<Explanation>;

  /**
   * How many jobs there are in each state, in a queue or altogether. Exact, whatever happened before.
   * @throws MillraceError `MILLRACE_QUEUE_UNKNOWN`; `MILLRACE_CLOSED`, once the engine is closed, but not while it is closing
   */
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
   * All jobs that a filter means, or all there are; paged afresh, so that it holds nothing back, and in bounded memory. A
   * job that is there all the while is met once, as it is when its page is read; one that changes meanwhile may be met as
   * it was, or not at all. A filter by ended states alone, or by `available`, `running` or `scheduled` and `retryable`,
   * reads an index, the oldest ends, the next to run or the first due first; any other goes through all jobs, by their
   * ids. A job that cannot be read is a `warning`, and left out.
   * @throws MillraceError `MILLRACE_OPTION_INVALID`, at once; `MILLRACE_CLOSED`, also where the engine closes first;
   *   `MILLRACE_JOURNAL_CORRUPT`, `MILLRACE_JOURNAL_READ_FAILED`, and while the journal cannot be opened
   *   `MILLRACE_JOURNAL_WRITE_FAILED`
   */
  jobs<Name extends keyof Jobs & string>(
    filter: NamedFilter<Name>,
  ): AsyncGenerator<JobSnapshots<Jobs, Name>, undefined>;
  jobs(filter?: JobFilter): AsyncGenerator<JobSnapshot, undefined>;

  /**
   * Cancels a job in any state. A running one is asked to stop, and ended after its `grace`.
   * @returns the state that resulted: `cancelled`, or what the job had come to before.
   * @throws MillraceError `MILLRACE_JOB_NOT_FOUND`, `MILLRACE_OPTION_INVALID`, `MILLRACE_CLOSED`,
   *   `MILLRACE_JOURNAL_WRITE_FAILED`
   */
  cancel(id: string, options?: CancelOptions): Promise<JobState>;
  /**
   * Cancels all jobs that the filter means and that have not ended, some hundreds in a commit. One that has changed since
   * it was found is cancelled where the filter still means it; one that runs, where the filter has no `state`, or
   * `running` among them. Resolves when the last of those has ended.
   * @returns how many are cancelled by it.
   * @throws MillraceError `MILLRACE_OPTION_INVALID`; what `jobs()` throws, and `MILLRACE_JOURNAL_WRITE_FAILED`: then some may
   *   be cancelled, and it can be called again.
   */
  cancel(filter: JobFilter, options?: CancelOptions): Promise<number>;

  /**
   * Runs a job again that is failed or cancelled: it is `available` at once, with its history, without a deadline, and with all
   * attempts that it had at first, while `attempt` goes on counting. It is told as `started`, and not as `enqueued` again; a handle's
   * `result()` is what it comes to next; to its schedule it has ended.
   * One of a flow is `waiting` for its parents again, which can be retried with it: where one of them still has not
   * completed, it fares as it did.
   * @returns the state that resulted: `available`, `waiting`, or that of a job in any other state, which stays as it is.
   * @throws MillraceError `MILLRACE_JOB_NOT_FOUND`, `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_WRITE_FAILED`,
   *   `MILLRACE_UNIQUE_CONFLICT` (another job holds its unique key by now; of a filter's jobs such a one stays as it is)
   */
  retry(id: string): Promise<JobState>;
  /** The same for all jobs that the filter means. @returns how many were. @throws as the bulk form of `cancel()`. */
  retry(filter: JobFilter): Promise<number>;

  /**
   * Makes a job available that is scheduled, or waits for its next attempt.
   * @returns the state that resulted: `available`, or that of a job in any other state, which stays as it is.
   * @throws MillraceError `MILLRACE_JOB_NOT_FOUND`, `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_WRITE_FAILED`
   */
  promote(id: string): Promise<JobState>;
  /** The same for all jobs that the filter means. @returns how many were. @throws as the bulk form of `cancel()`. */
  promote(filter: JobFilter): Promise<number>;

  /**
   * Removes a job that does not run, with all that is known of it; its id is free again. Whoever waits for its result is
   * told `MILLRACE_JOB_NOT_FOUND`.
   * @returns whether there was one.
   * @throws MillraceError `MILLRACE_JOB_RUNNING`; `MILLRACE_JOB_AWAITED`: it is a parent that has completed, and jobs of its
   *   flow that have not ended may ask for its result; `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_WRITE_FAILED`
   */
  remove(id: string): Promise<boolean>;
  /**
   * The same for all jobs that the filter means; those that run, or are awaited, stay. @returns how many were removed. @throws as the bulk
   * form of `cancel()`.
   */
  remove(filter: JobFilter): Promise<number>;

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
   * `warning`. Payloads are checked by their types' schemas before the jobs run.
   * @param lines Lines, with or without their line feed, or pieces of text that are cut anywhere, such as the chunks of
   *   a file.
   * @throws ImportError `MILLRACE_IMPORT_INVALID`, at the first line that cannot be taken, or where the last is missing
   * @throws MillraceError `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_WRITE_FAILED`
   * @throws what the iterable throws; of the lines before, some may not have been imported.
   */
  import(lines: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>): Promise<ImportCounts>;

  /**
   * Calls back until the returned function is called. A listener that throws harms nobody.
   * @throws MillraceError `MILLRACE_OPTION_INVALID`: there is no such event, or what is to listen is no function.
   */
  on<Event extends keyof MillraceEvents>(
    event: Event,
    listener: Listener<MillraceEvents<Jobs>[Event]>,
  ): () => void;

  /** Resolves when no job is `available` or `running`; it waits for those of queues that are paused, too. */
  drain(): Promise<void>;

  /**
   * Stops taking jobs, lets running ones finish for `timeout` (default `'10s'`), asks the rest to stop, ends them
   * after their `grace`, and returns them to `available` without an attempt counted. Leaves nothing behind.
   */
  close(options?: { timeout?: Duration }): Promise<void>;

  [Symbol.asyncDispose](): Promise<void>;
}
