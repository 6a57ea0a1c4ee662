/** `Millrace.open()`: the composition root. It wires the parts and gives them their types; it decides nothing. */
import { pino } from 'pino';
import { systemClock, type Clock } from './clock.js';
import type { JobCatalogue, JobPayload, JobQueue, JobResult } from './define.js';
import type {
  EnqueueArguments,
  EnqueueItem,
  ImportCounts,
  JobEngine,
  JobHandle,
  JobHandles,
  JobSnapshot,
} from './engine.js';
import { asError, MillraceError } from './errors.js';
import type { Listener, MillraceEvents } from './events.js';
import { toMs, type Duration } from './job/duration.js';
import { decodeError, fromErrorData } from './job/error-data.js';
import type { JobCounts, JobState } from './job/record.js';
import type { BackupReport } from './journal/backup.js';
import { openJournal } from './journal/open.js';
import { repairJournal } from './journal/repair.js';
import type { JournalReport, RepairReport } from './journal/report.js';
import { verifyJournal } from './journal/verify.js';
import {
  checkDirectory,
  checkMany,
  checkOptions,
  type Logger,
  type MillraceOptions,
  type Settings,
} from './options.js';
import type { PoolEvents } from './pool/contract.js';
import { InlinePool, type InlineHandler } from './pool/inline-pool.js';
import { tsxRegistrar } from './pool/loader.js';
import { resolveModule } from './pool/module-url.js';
import { ThreadPool } from './pool/thread-pool.js';
import { Announcer } from './runtime/announcer.js';
import { EmbeddedEngine } from './runtime/embedded-engine.js';
import { Transfer } from './runtime/transfer.js';
import { closeOnSignals, type SignalSettings } from './signals.js';

/** The queues of an app: those that `queues` names, or `default` alone. */
type QueueNames<Queue extends string> = [Queue] extends [never] ? 'default' : Queue;

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
  /** Once closed, it has no use for signals. */
  #stopListening = (): void => {};

  private constructor(engine: EmbeddedEngine, announcer: Announcer, transfer: Transfer) {
    this.#engine = engine;
    this.#announcer = announcer;
    this.#transfer = transfer;
  }

  /**
   * Opens the journal, makes the jobs of a process that died available again, starts the threads and loads every
   * handler's module once.
   * @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_QUEUE_UNKNOWN`; `MILLRACE_HANDLER_LOAD_FAILED`,
   *   `MILLRACE_HANDLER_NO_DEFAULT_EXPORT`, `MILLRACE_THREADS_UNAVAILABLE`; `MILLRACE_JOURNAL_LOCKED`,
   *   `MILLRACE_JOURNAL_OPEN_FAILED`, `MILLRACE_JOURNAL_CORRUPT`, `MILLRACE_JOURNAL_FORMAT`
   */
  static async open<const Jobs extends JobCatalogue, const Queue extends string = never>(
    options: MillraceOptions<Jobs, Queue> & QueuesOfJobs<Jobs, QueueNames<Queue>>,
  ): Promise<Millrace<Jobs, QueueNames<Queue>>> {
    const settings = checkOptions(options);
    const clock = options.clock ?? systemClock;
    const announcer = new Announcer(options.logger ?? defaultLogger());
    const engine = await openEngine(settings, options.jobs, clock, announcer);
    const transfer = new Transfer({ ...engine.imports, directory: settings.directory, clock });
    const mill = new Millrace<Jobs, QueueNames<Queue>>(engine, announcer, transfer);
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
    return verifyJournal(checkDirectory(directory), systemClock.now());
  }

  /**
   * Makes a journal that nobody has open sound again, of all that can be read of it. Its files are kept aside, in a
   * directory below it, so it takes as much room again. Jobs that have ended stay ended, also where only a list of ended
   * jobs tells so; jobs of which nothing tells whether they have, fail. A journal that is sound is left as it is. A repair
   * that is interrupted can be run again, and until then the journal does not open.
   * @throws MillraceError `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`, `MILLRACE_JOURNAL_FORMAT`
   */
  static async repair(directory: string): Promise<RepairReport> {
    return repairJournal(checkDirectory(directory), systemClock.now());
  }

  enqueue<Name extends keyof Jobs & string>(
    name: Name,
    ...[payload, options]: EnqueueArguments<JobPayload<Jobs[Name]>, Queue>
  ): Promise<HandleOf<Jobs, Name>> {
    return this.#engine.enqueue(name, payload, options) as unknown as Promise<HandleOf<Jobs, Name>>;
  }

  async enqueueMany<const Items extends readonly EnqueueItem<Jobs, Queue>[]>(
    items: Items,
  ): Promise<JobHandles<Jobs, Items>> {
    checkMany(items);
    return (await this.#engine.enqueueMany(items)) as JobHandles<Jobs, Items>;
  }

  handle<Name extends keyof Jobs & string>(name: Name, id: string): HandleOf<Jobs, Name> {
    return this.#engine.handle(name, id) as unknown as HandleOf<Jobs, Name>;
  }

  job(id: string): Promise<JobSnapshot | undefined> {
    return this.#engine.snapshot(id);
  }

  counts(queue?: Queue): Promise<JobCounts> {
    return this.#engine.counts(queue);
  }

  cancel(id: string): Promise<JobState> {
    return this.#engine.cancel(id);
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
    listener: Listener<MillraceEvents[Event]>,
  ): () => void {
    return this.#announcer.emitter.on(event, listener);
  }

  async drain(): Promise<void> {
    await this.#engine.drain();
  }

  async close({ timeout = '10s' }: { timeout?: Duration } = {}): Promise<void> {
    const timeoutMs = toMs(timeout, 'timeout');
    try {
      await Promise.all([this.#engine.close(timeoutMs), this.#transfer.close()]);
    } finally {
      this.#stopListening();
    }
  }

  #closeOn(settings: SignalSettings): void {
    this.#stopListening = closeOnSignals(settings, async () => {
      try {
        await this.close({ timeout: settings.timeoutMs });
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

/** Refuses, in the type, job types whose literal queue is not one of the engine's. */
type QueuesOfJobs<Jobs extends JobCatalogue, Queue extends string> = {
  jobs: {
    [Name in keyof Jobs]: string extends JobQueue<Jobs[Name]>
      ? unknown
      : [JobQueue<Jobs[Name]>] extends [Queue]
        ? unknown
        : never;
  };
};

async function openEngine(
  settings: Settings,
  jobs: JobCatalogue,
  clock: Clock,
  announcer: Announcer,
): Promise<EmbeddedEngine> {
  // The pools exist before the engine that they report to; nothing runs in them before it does.
  let engine: EmbeddedEngine | undefined;
  const events: PoolEvents = {
    stopping: (task) => engine?.executor.stopping(task),
    settled: (ends) => engine?.executor.settle(ends),
    progress: (task, value) => announcer.progress(task, value),
    log: (task, line) => announcer.log(task, line),
    warning: (error) => announcer.warning(error),
    available: () => engine?.wake(),
  };
  const pools = {
    thread: threadPool(settings, jobs, events, clock),
    inline: inlinePool(settings, jobs, events, clock),
  };
  const hasThreadJobs = [...settings.types.values()].some(({ kind }) => kind === 'thread');
  // Threads take longer to start than most journals to open, so both go on at once.
  const [journal, threads] = await Promise.allSettled([
    openJournal({ ...settings, clock }),
    hasThreadJobs ? startThreads(pools.thread) : undefined,
  ]);
  if (journal.status === 'rejected' || threads.status === 'rejected') {
    await pools.thread.close();
    if (journal.status === 'fulfilled') await journal.value.close();
    throw journal.status === 'rejected' ? journal.reason : (threads as PromiseRejectedResult).reason;
  }
  engine = new EmbeddedEngine({
    settings,
    clock,
    announcer,
    pools,
    journal: journal.value,
    nativeTypes: new Set(threads.value),
    random: Math.random,
  });
  try {
    await engine.recover();
  } catch (thrown) {
    await engine.close(0);
    throw thrown;
  }
  // In a turn of its own, so that whoever awaits open() can subscribe before the first event, and does not wait for
  // threads that are not needed yet.
  setImmediate(() => {
    engine.begin();
    if (hasThreadJobs) pools.thread.fill();
  });
  return engine;
}

/** @returns the job types that work on libuv's pool. */
async function startThreads(pool: ThreadPool): Promise<readonly string[]> {
  const { failures, native } = await pool.start();
  const errors = failures.map(({ error }) => fromErrorData(decodeError(error)));
  if (errors.length > 1) {
    const message = `${errors.length} handlers' modules could not be loaded: ${errors.map((error) => error.message).join('; ')}`;
    throw new MillraceError('MILLRACE_HANDLER_LOAD_FAILED', message, { cause: new AggregateError(errors) });
  }
  if (errors[0]) throw errors[0];
  return native;
}

function threadPool(settings: Settings, jobs: JobCatalogue, events: PoolEvents, clock: Clock): ThreadPool {
  const execArgv = settings.threads.execArgv ?? process.execArgv;
  const handlers = Object.entries(jobs).flatMap(([name, type]) =>
    type.kind === 'thread' ? [[name, resolveModule(type.url, execArgv).href] as const] : [],
  );
  const isFromSource = handlers.some(([, href]) => /\.[cm]?ts$/.test(href));
  const registrar = isFromSource ? tsxRegistrar(execArgv) : undefined;
  const own = { handlers: Object.fromEntries(handlers), ...(registrar && { registrar }) };
  return new ThreadPool({ ...settings.threads, ...own }, events, clock);
}

function inlinePool(settings: Settings, jobs: JobCatalogue, events: PoolEvents, clock: Clock): InlinePool {
  const handlers = Object.entries(jobs).flatMap(([name, type]) => {
    const concurrency = settings.types.get(name)?.concurrency ?? Infinity;
    return type.kind === 'inline'
      ? [[name, { handler: type.handler, concurrency } satisfies InlineHandler] as const]
      : [];
  });
  return new InlinePool(Object.fromEntries(handlers), events, clock);
}

/** Standard error, so that an app's own output stays its own. */
function defaultLogger(): Logger {
  return pino({ name: 'millrace', level: 'warn' }, pino.destination({ dest: 2, sync: true }));
}
