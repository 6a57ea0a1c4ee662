/**
 * `Millrace.open()` and what an open engine offers, with its types. The engine itself (runtime/assembly.ts) is loaded when
 * one is opened: a handler's module that imports this package, for an error or a type, keeps its thread from loading it.
 */
import { checkAskedId, checkKnown, checkSignal, checkText } from './checks.js';
import { systemClock, type Clock } from './clock.js';
import type { JobCatalogue, JobPayload, JobQueue, JobResult } from './define.js';
import type { ImportCounts, JobEngine, StreamCounts } from './engine.js';
import { asError, MillraceError } from './errors.js';
import type { Explanation } from './explanation.js';
import type { AnyFlow, AnyItem, FlowHandles, NamedFlow } from './flow.js';
import type { Listener, MillraceEvents } from './events.js';
import type {
  EnqueueArguments,
  EnqueueItem,
  HandleOfAny,
  JobHandles,
  JobSnapshots,
  Named,
  NamedItem,
} from './items.js';
import { toMs, type Duration } from './job/duration.js';
import type { JobFilter, NamedFilter } from './job-filter.js';
import type { CancelOptions, JobHandle, JobLogLine, JobSnapshot } from './job-handle.js';
import type { JobCounts, JobState } from './job/record.js';
import type { BackupReport } from './journal/backup.js';
import type { JournalReport, RepairReport } from './journal/report.js';
import { checkIterable, checkMany } from './job-options.js';
import {
  checkDirectory,
  checkOptions,
  checkScheduledPayloads,
  type MillraceOptions,
  type QueueNames,
} from './options.js';
import type { Announcer } from './runtime/announcer.js';
import type { Assembly } from './runtime/assembly.js';
import type { EmbeddedEngine } from './runtime/embedded-engine.js';
import type { Transfer } from './runtime/transfer.js';
import type { Schedules } from './schedules.js';
import { closeOnSignals, type SignalSettings } from './signals.js';
import { stayWhile } from './stay.js';

/** The engine's handles know no types: a job's result was encoded by the handler of its name, whose result this is. */
type HandleOf<Jobs extends JobCatalogue, Name extends keyof Jobs & string> = JobHandle<
  Name,
  JobResult<Jobs[Name]>
>;

/** An open engine. Keep one per app, and `close()` it before the process ends. */
export class Millrace<
  Jobs extends JobCatalogue = JobCatalogue,
  Queue extends string = string,
> implements JobEngine<Jobs, Queue> {
  readonly #engine: EmbeddedEngine;
  readonly #announcer: Announcer;
  readonly #transfer: Transfer;
  readonly schedules: Schedules<Jobs, Queue>;
  /** Once closed, it has no use for signals. */
  #stopListening = (): void => {};
  readonly #stopStaying: () => void;

  private constructor({ engine, announcer, transfer }: Assembly, clock: Clock) {
    this.#engine = engine;
    this.#stopStaying = stayWhile(() => engine.isAwaited, clock);
    // The engine's schedules know no types: what they enqueue was checked against the catalogue.
    this.schedules = engine.schedules;
    this.#announcer = announcer;
    this.#transfer = transfer;
  }

  /**
   * Opens the journal, makes the jobs of a process that died available again, starts the threads and loads every
   * handler's module once.
   * @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_QUEUE_UNKNOWN`, `MILLRACE_JOB_UNKNOWN`,
   *   `MILLRACE_PAYLOAD_INVALID`; `MILLRACE_HANDLER_LOAD_FAILED`,
   *   `MILLRACE_HANDLER_NO_DEFAULT_EXPORT`, `MILLRACE_THREADS_UNAVAILABLE`; `MILLRACE_JOURNAL_LOCKED`,
   *   `MILLRACE_JOURNAL_OPEN_FAILED`, `MILLRACE_JOURNAL_CORRUPT`, `MILLRACE_JOURNAL_FORMAT`
   */
  static async open<const Jobs extends JobCatalogue, const Queue extends string = never>(
    options: MillraceOptions<Jobs, Queue> & QueuesOfJobs<Jobs, QueueNames<Queue>>,
  ): Promise<Millrace<Jobs, QueueNames<Queue>>> {
    const settings = checkOptions(options);
    await checkScheduledPayloads(settings);
    const { assemble } = await import('./runtime/assembly.js');
    const mill = new Millrace<Jobs, QueueNames<Queue>>(
      await assemble({ ...options, settings }),
      options.clock ?? systemClock,
    );
    if (settings.closeOnSignals) mill.#closeOn(settings.closeOnSignals);
    return mill;
  }

  /**
   * Reads all of a journal that nobody has open: every file and every record, with their checksums, and whether they
   * agree with each other. It changes nothing in the directory. Takes about ten seconds per million jobs, and room in the
   * system's temporary directory.
   * @throws MillraceError `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`, `MILLRACE_JOURNAL_FORMAT`
   */
  static async verify(directory: string): Promise<JournalReport> {
    const path = checkDirectory(directory);
    const { verifyJournal } = await import('./journal/verify.js');
    return verifyJournal(path, systemClock.now());
  }

  /**
   * Makes a journal that nobody has open sound again, of all that can be read of it. Its files are kept aside, in a
   * directory below it, so it takes as much room again. Jobs that have ended stay ended, also where only a list of ended
   * jobs tells so; jobs of which nothing tells whether they have, fail. A journal that is sound is left as it is. A repair
   * that is interrupted can be run again, and until then the journal does not open.
   * @throws MillraceError `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`, `MILLRACE_JOURNAL_FORMAT`
   */
  static async repair(directory: string): Promise<RepairReport> {
    const path = checkDirectory(directory);
    const { repairJournal } = await import('./journal/repair.js');
    return repairJournal(path, systemClock.now());
  }

  enqueue<Name extends keyof Jobs & string>(
    name: Name,
    ...[payload, options]: EnqueueArguments<JobPayload<Jobs[Name]>, Queue>
  ): Promise<HandleOf<Jobs, Name>> {
    return this.#engine.enqueue(name, payload, options) as unknown as Promise<HandleOf<Jobs, Name>>;
  }

  enqueueMany<const Names extends readonly (keyof Jobs & string)[]>(items: {
    readonly [I in keyof Names]: NamedItem<Jobs, Queue, Names[I]>;
  }): Promise<JobHandles<Jobs, Named<Names>>>;
  enqueueMany<const Name extends keyof Jobs & string>(
    items: readonly NamedItem<Jobs, Queue, Name>[],
  ): Promise<HandleOfAny<Jobs, Name>[]>;
  /** What comes of it is of the types that its signatures say, as for {@link HandleOf}. */
  async enqueueMany(items: readonly AnyItem[]): Promise<never> {
    checkMany(items);
    return (await this.#engine.enqueueMany(items)) as never;
  }

  async enqueueStream(
    items: AsyncIterable<EnqueueItem<Jobs, Queue>> | Iterable<EnqueueItem<Jobs, Queue>>,
    options?: { signal?: AbortSignal },
  ): Promise<StreamCounts> {
    const signal = checkSignal(options);
    return { enqueued: await this.#engine.enqueueStream(checkIterable(items), signal) };
  }

  async enqueueFlow<
    const Names extends Readonly<Record<string, keyof Jobs & string>>,
    const Parent extends string,
  >(
    flow: NamedFlow<Jobs, Queue, Names, Parent>,
    options: { id?: string } = {},
  ): Promise<FlowHandles<Jobs, Named<Names>>> {
    // What its type says it is may be otherwise in JavaScript, and is checked behind it.
    const given: AnyFlow = flow;
    checkKnown(options, ['id'], 'options', '');
    const { id } = options;
    if (id !== undefined) checkText(id, 'id');
    return (await this.#engine.enqueueFlow(given, id)) as unknown as FlowHandles<Jobs, Named<Names>>;
  }

  handle<Name extends keyof Jobs & string>(name: Name, id: string): HandleOf<Jobs, Name> {
    return this.#engine.handle(name, checkAskedId(id)) as unknown as HandleOf<Jobs, Name>;
  }

  async job(id: string): Promise<JobSnapshot | undefined> {
    return this.#engine.snapshot(checkAskedId(id));
  }

  async logs(id: string): Promise<JobLogLine[]> {
    return this.#engine.logs(checkAskedId(id));
  }

  async explain(id: string): Promise<Explanation> {
    return this.#engine.explain(checkAskedId(id));
  }

  counts(queue?: Queue): Promise<JobCounts> {
    return this.#engine.counts(queue);
  }

  pause(queue?: Queue): Promise<void> {
    return this.#engine.pauses.pause(queue);
  }

  resume(queue?: Queue): Promise<void> {
    return this.#engine.pauses.resume(queue);
  }

  isPaused(queue?: Queue): Promise<boolean> {
    return this.#engine.isPaused(queue);
  }

  jobs<Name extends keyof Jobs & string>(
    filter: NamedFilter<Name>,
  ): AsyncGenerator<JobSnapshots<Jobs, Name>, undefined>;
  jobs(filter?: JobFilter): AsyncGenerator<JobSnapshot, undefined>;
  jobs(filter?: JobFilter): AsyncGenerator<JobSnapshot, undefined> {
    return this.#engine.jobs(filter);
  }

  cancel(id: string, options?: CancelOptions): Promise<JobState>;
  cancel(filter: JobFilter, options?: CancelOptions): Promise<number>;
  cancel(job: string | JobFilter, options?: CancelOptions): Promise<JobState | number> {
    return this.#engine.cancel(job, options);
  }

  retry(id: string): Promise<JobState>;
  retry(filter: JobFilter): Promise<number>;
  retry(job: string | JobFilter): Promise<JobState | number> {
    return this.#engine.retry(job);
  }

  promote(id: string): Promise<JobState>;
  promote(filter: JobFilter): Promise<number>;
  promote(job: string | JobFilter): Promise<JobState | number> {
    return this.#engine.promote(job);
  }

  remove(id: string): Promise<boolean>;
  remove(filter: JobFilter): Promise<number>;
  remove(job: string | JobFilter): Promise<boolean | number> {
    return this.#engine.remove(job);
  }

  /**
   * Copies all jobs, as they are at this moment, into a new journal, while the engine goes on. The copy is opened like
   * any journal; jobs that run at this moment run again there. It has reached the disk when the promise resolves; until
   * then, and where it does not, the directory is not taken for a journal. Closing the engine ends it.
   * @param directory Made, with mode 0700, where it does not exist; otherwise an empty directory, not within the journal's own.
   * @returns what was copied. Records that are damaged are copied as they are, and reported.
   * @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`: the
   *   directory does not do; `MILLRACE_BACKUP_FAILED`: it could not be written, and what was is removed;
   *   `MILLRACE_JOURNAL_CORRUPT`, `MILLRACE_JOURNAL_READ_FAILED`; `MILLRACE_CLOSED`
   * @throws the signal's reason
   */
  backup(directory: string, { signal }: { signal?: AbortSignal } = {}): Promise<BackupReport> {
    return this.#transfer.backUp(directory, signal);
  }

  export(): AsyncGenerator<string, undefined> {
    return this.#transfer.export();
  }

  import(lines: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>): Promise<ImportCounts> {
    return this.#transfer.import(lines);
  }

  on<Event extends keyof MillraceEvents>(
    event: Event,
    listener: Listener<MillraceEvents<Jobs>[Event]>,
  ): () => void {
    // Safe: what completes, or runs at all, is of the catalogue, and so is its result.
    return this.#announcer.emitter.on(event, listener as Listener<MillraceEvents[Event]>);
  }

  async drain(): Promise<void> {
    await this.#engine.drain();
  }

  async close(options: { timeout?: Duration } = {}): Promise<void> {
    checkKnown(options, ['timeout'], 'options', '');
    const { timeout = '10s' } = options;
    await this.#close(toMs(timeout, 'timeout'));
  }

  /** @param isEnd The process ends with it: nobody is told that there is no result yet, and nothing fails of that. */
  async #close(timeoutMs: number, isEnd = false): Promise<void> {
    try {
      await Promise.all([this.#engine.close(timeoutMs, isEnd), this.#transfer.close()]);
    } finally {
      this.#stopListening();
      this.#stopStaying();
    }
  }

  #closeOn(settings: SignalSettings): void {
    this.#stopListening = closeOnSignals(settings, async (isEnd) => {
      try {
        await this.#close(settings.timeoutMs, isEnd);
      } catch (thrown) {
        const cause = asError(thrown);
        const message = `The engine could not be closed: ${cause.message}`;
        this.#announcer.warning(new MillraceError('MILLRACE_JOURNAL_WRITE_FAILED', message, { cause }));
      }
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Refuses, in the type, job types whose literal queue is not one of the engine's, and says so in the compiler's words. */
type QueuesOfJobs<Jobs extends JobCatalogue, Queue extends string> = {
  jobs: {
    [Name in keyof Jobs]: string extends JobQueue<Jobs[Name]>
      ? unknown
      : [JobQueue<Jobs[Name]>] extends [Queue]
        ? unknown
        : `queue '${Exclude<JobQueue<Jobs[Name]>, Queue>}' is not one of \`queues\``;
  };
};
