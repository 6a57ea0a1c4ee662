/**
 * The options of `Millrace.open()`: declared and documented here, and checked here, once. What
 * comes out is settings: defaults filled in, durations in milliseconds.
 */
import { availableParallelism } from 'node:os';
import {
  boolean,
  checkConcurrency,
  checkDurability,
  checkKnown,
  checkMethods,
  integer,
  isName,
  isRecord,
  NAME_RULE,
  oneOf,
} from './checks.js';
import { namesOf } from './job/names.js';
import { systemClock, type Clock } from './clock.js';
import type { JobCatalogue } from './define.js';
import { invalidOption } from './errors.js';
import { checkJobType, type JobTypeSettings } from './job-options.js';
import { toMs, type Duration } from './job/duration.js';
import { ratePolicy, type RateLimit, type RatePolicy } from './job/rate-limit.js';
import type { Durability } from './job/record.js';
import type { Bound, OnFull } from './queue/admission.js';
import type { Selection } from './queue/selector.js';
import {
  checkSchedule,
  checkScheduledPayload,
  type Schedule,
  type ScheduleSettings,
} from './schedule-options.js';
import type { Timing } from './schedule/rhythm.js';
import { checkCloseOnSignals, type CloseOnSignals, type SignalSettings } from './signals.js';

/**
 * What the engine logs to, fields first; pino's loggers, `console` and most others fit. (A handler's `job.log` takes the message
 * first.)
 */
export interface Logger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A queue: its share, and how many of its jobs run at once. */
export interface QueueOptions {
  /** Its share of the dispatches while all queues have jobs; integer ≥ 1. Default 1. */
  weight?: number;
  /** How many of its jobs may run at once; integer ≥ 1. Default: no limit. */
  concurrency?: number;
  /** How many of its attempts may start in a time. Default: no limit. */
  rateLimit?: RateLimit;
  /**
   * How many jobs may wait in it, in whatever state, for `enqueue()` to add one; integer ≥ 1. Those that run do not count.
   * What flows, schedules, retries and `import()` bring in is not refused, and may exceed it. Default: no limit.
   */
  maxSize?: number;
  /**
   * What `enqueue()` does where there is no room: `'reject'` (default) with `MILLRACE_QUEUE_FULL`; `'wait'` until there
   * is, behind those who wait already; with an `id` of its own once that has been looked up.
   */
  onFull?: OnFull;
}

/** The worker threads. */
export interface ThreadOptions {
  /** How many worker threads; integer ≥ 1. Default: one less than the cores, which leaves one to the event loop. */
  count?: number;
  /** The heap limit of each thread in megabytes; does not count `ArrayBuffer`s. Default: Node's own. */
  maxHeapMb?: number;
  /**
   * After how many jobs a thread is replaced by a new one, for handlers that leak; integer ≥ 1. It finishes what it has
   * while the new one starts, which takes next to nothing from the others, but some 0.1 s and, for so long, the memory of
   * one thread more. Default: never.
   */
  maxJobs?: number;
  /** Lowers the threads' priority, from 0 to 19, so that the event loop wins where cores are short. Default 0. */
  nice?: number;
  /**
   * How many jobs a thread is sent in one message at most; integer from 1 to 256. Only jobs of types that were
   * measured to take next to no time share a message. 1 sends each alone, and only to a thread that is free. Default
   * 100.
   */
  batchSize?: number;
  /** Node options of the threads, such as a loader: `['--import', 'tsx']`. Default: those of the process. */
  execArgv?: readonly string[];
}

/** The queues of an app: those that `queues` names, or `default` alone. */
export type QueueNames<Queue extends string> = [Queue] extends [never] ? 'default' : Queue;

/** What `Millrace.open()` takes. */
export interface MillraceOptions<Jobs extends JobCatalogue, Queue extends string> {
  /** The journal's directory; made with mode 0700 where it does not exist. A local disk, one engine at a time. */
  directory: string;
  /** Every job type of the app: what `defineJobs` returned. */
  jobs: Jobs;
  /** The queues by name. Default: one, named `default`. */
  queues?: { readonly [Name in Queue]: QueueOptions };
  /**
   * How a queue is chosen: `'weighted'` (default) by the queues' shares; `'strict'`: a queue is served only
   * while all of greater weight have nothing to run.
   */
  selection?: Selection;
  threads?: ThreadOptions;
  /** What an acknowledged job survives: `'fsync'` (default) a power cut, `'os'` the death of the process. */
  durability?: Durability;
  /**
   * Schedules by name, stored when the engine is opened. What they were before goes on: see {@link Schedules.upsert}.
   */
  schedules?: { readonly [name: string]: Schedule<NoInfer<Jobs>, QueueNames<NoInfer<Queue>>> };
  /**
   * Removes schedules that an earlier `open()` was given and this one is not. Default false: they go on, with a `warning`.
   */
  pruneSchedules?: boolean;
  /** How long `open()` waits for a previous owner of the directory. Default 0: it fails at once. */
  lockTimeout?: Duration;
  /**
   * Closes the engine when the process is told to end; when all engines of the process that listen have closed, the
   * process ends as the signal would have ended it, unless somebody else listens for the signal, too: then that is
   * theirs to do. A second signal ends it at once. `true`: on `SIGTERM` and `SIGINT`, with the timeout of `close()`.
   * Default false: what a signal does is the app's affair. Windows knows Ctrl-C as `SIGINT`, and lets no process hear
   * of a `SIGTERM`.
   */
  closeOnSignals?: boolean | CloseOnSignals;
  /** Default: pino, warnings and errors, on standard error. */
  logger?: Logger;
  /** For tests: the engine's only source of time. */
  clock?: Clock;
}

export interface QueueSettings {
  readonly name: string;
  readonly weight: number;
  /** Infinity where there is no limit. */
  readonly concurrency: number;
  /** Absent where there is no limit. */
  readonly rateLimit?: RatePolicy;
  /** Absent where any number may wait. */
  readonly bound?: Bound;
}

export interface ThreadsSettings {
  readonly count: number;
  readonly nice: number;
  readonly batchSize: number;
  readonly maxHeapMb?: number;
  readonly maxJobs?: number;
  readonly execArgv?: readonly string[];
}

export interface Settings {
  readonly directory: string;
  readonly types: ReadonlyMap<string, JobTypeSettings>;
  readonly queues: ReadonlyMap<string, QueueSettings>;
  readonly selection: Selection;
  readonly threads: ThreadsSettings;
  readonly durability: Durability;
  readonly lockTimeoutMs: number;
  readonly schedules: ReadonlyMap<string, ScheduleSettings>;
  readonly pruneSchedules: boolean;
  /** Absent where signals are the app's affair. */
  readonly closeOnSignals?: SignalSettings;
}

const FIELDS = namesOf<MillraceOptions<JobCatalogue, string>>({
  directory: true,
  jobs: true,
  queues: true,
  selection: true,
  threads: true,
  durability: true,
  schedules: true,
  pruneSchedules: true,
  lockTimeout: true,
  closeOnSignals: true,
  logger: true,
  clock: true,
});
const LOGGER_METHODS = namesOf<Logger>({ debug: true, info: true, warn: true, error: true });
const CLOCK_METHODS = namesOf<Clock>({ now: true, monotonic: true, setTimer: true });
const QUEUE_FIELDS = namesOf<QueueOptions>({
  weight: true,
  concurrency: true,
  rateLimit: true,
  maxSize: true,
  onFull: true,
});
const THREAD_FIELDS = namesOf<ThreadOptions>({
  count: true,
  maxHeapMb: true,
  maxJobs: true,
  nice: true,
  batchSize: true,
  execArgv: true,
});

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkDirectory(directory: string): string {
  if (typeof directory === 'string' && directory !== '') return directory;
  throw invalidOption('directory', 'a path', directory);
}

/** @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_QUEUE_UNKNOWN` */
export function checkOptions(options: MillraceOptions<JobCatalogue, string>): Settings {
  checkKnown(options, FIELDS, 'options', '');
  const { directory, jobs, queues = { default: {} }, selection = 'weighted', threads = {} } = options;
  if (!isRecord(jobs)) throw invalidOption('jobs', 'what defineJobs() returned', jobs);
  if (!isRecord(queues))
    throw invalidOption(
      'queues',
      'an object with the options of each queue, such as { default: {} }',
      queues,
    );
  if (options.logger !== undefined) checkMethods(options.logger, LOGGER_METHODS, 'logger');
  if (options.clock !== undefined) checkMethods(options.clock, CLOCK_METHODS, 'clock');
  const queueSettings = new Map(
    Object.entries(queues).map(([name, queue]) => [name, checkQueue(name, queue)]),
  );
  if (queueSettings.size === 0) throw invalidOption('queues', 'at least one queue', queues);
  const signals = checkCloseOnSignals(options.closeOnSignals ?? false);
  const types = new Map(
    Object.entries(jobs).map(([name, type]) => [name, checkJobType(name, type, queueSettings)]),
  );
  return {
    directory: checkDirectory(directory),
    types,
    queues: queueSettings,
    selection: oneOf(selection, 'selection', ['weighted', 'strict']),
    threads: checkThreads(threads),
    durability: checkDurability(options.durability ?? 'fsync'),
    lockTimeoutMs: toMs(options.lockTimeout ?? 0, 'lockTimeout'),
    schedules: checkSchedules(options, { types, queues: queueSettings }),
    pruneSchedules: boolean(options.pruneSchedules ?? false, 'pruneSchedules'),
    ...(signals && { closeOnSignals: signals }),
  };
}

/** What of the options may take a moment, for a schema may be async. @throws PayloadInvalidError */
export async function checkScheduledPayloads({ schedules, types }: Settings): Promise<void> {
  for (const schedule of schedules.values())
    await checkScheduledPayload(schedule, types, `schedules.${schedule.name}`);
}

function checkSchedules(
  { schedules = {}, clock = systemClock }: MillraceOptions<JobCatalogue, string>,
  known: Pick<Settings, 'types' | 'queues'>,
): Settings['schedules'] {
  if (!isRecord(schedules))
    throw invalidOption('schedules', 'an object with a schedule for each name', schedules);
  const own = { isDeclared: true, now: clock.now(), timings: new Map<string, Timing>() };
  return new Map(
    Object.entries(schedules).map(([name, schedule]) => [
      name,
      checkSchedule(name, schedule, known, { option: `schedules.${name}`, ...own }),
    ]),
  );
}

function checkQueue(name: string, queue: QueueOptions): QueueSettings {
  if (!isName(name)) throw invalidOption('queues', `${NAME_RULE} for each key`, name);
  checkKnown(queue, QUEUE_FIELDS, `queues.${name}`);
  const bound = checkBound(queue, `queues.${name}`);
  return {
    name,
    weight: integer(queue.weight ?? 1, `queues.${name}.weight`, 1, 1_000_000),
    concurrency: checkConcurrency(queue.concurrency, `queues.${name}.concurrency`),
    ...(queue.rateLimit !== undefined && {
      rateLimit: ratePolicy(queue.rateLimit, `queues.${name}.rateLimit`),
    }),
    ...(bound && { bound }),
  };
}

function checkBound({ maxSize, onFull }: QueueOptions, option: string): Bound | undefined {
  if (maxSize === undefined) {
    if (onFull === undefined) return undefined;
    throw invalidOption(`${option}.onFull`, 'absent where there is no `maxSize`', onFull);
  }
  return {
    maxSize: integer(maxSize, `${option}.maxSize`, 1),
    onFull: oneOf(onFull ?? 'reject', `${option}.onFull`, ['reject', 'wait']),
  };
}

function checkThreads(threads: ThreadOptions): ThreadsSettings {
  checkKnown(threads, THREAD_FIELDS, 'threads');
  const { count, maxHeapMb, maxJobs, nice = 0, batchSize = 100, execArgv } = threads;
  if (execArgv !== undefined && !Array.isArray(execArgv))
    throw invalidOption('threads.execArgv', 'an array of strings', execArgv);
  return {
    count: integer(count ?? Math.max(1, availableParallelism() - 1), 'threads.count', 1, 1_024),
    nice: integer(nice, 'threads.nice', 0, 19),
    batchSize: integer(batchSize, 'threads.batchSize', 1, 256),
    ...(maxHeapMb !== undefined && { maxHeapMb: integer(maxHeapMb, 'threads.maxHeapMb', 8) }),
    ...(maxJobs !== undefined && { maxJobs: integer(maxJobs, 'threads.maxJobs', 1) }),
    ...(execArgv && { execArgv }),
  };
}
