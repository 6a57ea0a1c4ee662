/**
 * The options of `Millrace.open()` and `enqueue()`: declared and documented here, and checked here, once. What
 * comes out is settings: defaults filled in, durations in milliseconds.
 */
import { availableParallelism } from 'node:os';
import { systemClock, type Clock } from './clock.js';
import type { JobCatalogue, JobOverrides, JobType, JobTypeOptions } from './define.js';
import {
  checkConcurrency,
  checkDurability,
  checkId,
  checkInstant,
  checkPriority,
  checkQueueName,
  integer,
  isName,
  NAME_RULE,
  oneOf,
  positiveMs,
  boolean,
} from './checks.js';
import { invalidOption } from './errors.js';
import { backoffPolicy, type BackoffPolicy } from './job/backoff.js';
import { toMs, type Duration } from './job/duration.js';
import type { Durability } from './job/record.js';
import { retentionPolicy, type RetentionPolicy } from './job/retention.js';
import type { Selection } from './queue/selector.js';
import { checkSchedule, type Schedule, type ScheduleSettings } from './schedule-options.js';
import type { Timing } from './schedule/rhythm.js';
import { checkCloseOnSignals, type CloseOnSignals, type SignalSettings } from './signals.js';

/** What the engine logs to; pino's loggers, `console` and most others fit. */
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
}

/** The worker threads. */
export interface ThreadOptions {
  /** How many worker threads; integer ≥ 1. Default: one less than the cores, which leaves one to the event loop. */
  count?: number;
  /** The heap limit of each thread in megabytes; does not count `ArrayBuffer`s. Default: Node's own. */
  maxHeapMb?: number;
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

/** Options of one job. */
export interface EnqueueOptions<Queue extends string = string> extends JobOverrides<Queue> {
  /** Makes the enqueue idempotent: while a job of this id is kept, it is returned and no new one is made. */
  id?: string;
  /** Not before so long from now. */
  delay?: Duration;
  /** Not before this instant (epoch milliseconds or a Date); instead of `delay`. */
  runAt?: number | Date;
}

export interface JobTypeSettings {
  readonly name: string;
  readonly kind: JobType['kind'];
  readonly queue: string;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly backoff: BackoffPolicy;
  readonly timeoutMs?: number;
  readonly graceMs: number;
  /** Infinity where there is no limit. */
  readonly concurrency: number;
  readonly retention: RetentionPolicy;
}

export interface QueueSettings {
  readonly name: string;
  readonly weight: number;
  /** Infinity where there is no limit. */
  readonly concurrency: number;
}

export interface ThreadsSettings {
  readonly count: number;
  readonly nice: number;
  readonly batchSize: number;
  readonly maxHeapMb?: number;
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

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkDirectory(directory: string): string {
  if (typeof directory === 'string' && directory !== '') return directory;
  throw invalidOption('directory', 'a path', directory);
}

/** @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_QUEUE_UNKNOWN` */
export function checkOptions(options: MillraceOptions<JobCatalogue, string>): Settings {
  if (typeof options !== 'object' || options === null) throw invalidOption('options', 'an object', options);
  const { directory, jobs, queues = { default: {} }, selection = 'weighted', threads = {} } = options;
  if (typeof jobs !== 'object' || jobs === null)
    throw invalidOption('jobs', 'what defineJobs() returned', jobs);
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

function checkSchedules(
  { schedules = {}, clock = systemClock }: MillraceOptions<JobCatalogue, string>,
  known: Pick<Settings, 'types' | 'queues'>,
): Settings['schedules'] {
  if (typeof schedules !== 'object' || schedules === null)
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
  if (typeof queue !== 'object' || queue === null) throw invalidOption(`queues.${name}`, 'an object', queue);
  return {
    name,
    weight: integer(queue.weight ?? 1, `queues.${name}.weight`, 1, 1_000_000),
    concurrency: checkConcurrency(queue.concurrency, `queues.${name}.concurrency`),
  };
}

function checkJobType(
  name: string,
  type: JobType,
  queues: ReadonlyMap<string, QueueSettings>,
): JobTypeSettings {
  if (!isName(name)) throw invalidOption('jobs', `${NAME_RULE} for each key`, name);
  if (type?.kind !== 'thread' && type?.kind !== 'inline') {
    throw invalidOption(`jobs.${name}`, 'what threadJob() or inlineJob() returned', type);
  }
  if (type.kind === 'thread' && !(type.url instanceof URL)) {
    throw invalidOption(`jobs.${name}`, "threadJob(new URL('./workers/name.js', import.meta.url))", type.url);
  }
  if (type.kind === 'inline' && typeof type.handler !== 'function') {
    throw invalidOption(`jobs.${name}`, 'inlineJob(handler) with a function', type.handler);
  }
  const options: JobTypeOptions = type.options;
  const { queue = 'default', backoff = { type: 'exponential' }, timeout } = options;
  return {
    name,
    kind: type.kind,
    queue: checkQueueName(queue, queues, `jobs.${name}.queue`),
    priority: checkPriority(options.priority ?? 0, `jobs.${name}.priority`),
    maxAttempts: integer(options.maxAttempts ?? 3, `jobs.${name}.maxAttempts`, 1),
    backoff: backoffPolicy(backoff, `jobs.${name}.backoff`),
    graceMs: toMs(options.grace ?? '5s', `jobs.${name}.grace`),
    concurrency: checkConcurrency(options.concurrency, `jobs.${name}.concurrency`),
    retention: retentionPolicy(options.retention ?? {}, `jobs.${name}.retention`),
    ...(timeout !== undefined && { timeoutMs: positiveMs(timeout, `jobs.${name}.timeout`) }),
  };
}

function checkThreads({
  count,
  maxHeapMb,
  nice = 0,
  batchSize = 100,
  execArgv,
}: ThreadOptions): ThreadsSettings {
  if (execArgv !== undefined && !Array.isArray(execArgv))
    throw invalidOption('threads.execArgv', 'an array of strings', execArgv);
  return {
    count: integer(count ?? Math.max(1, availableParallelism() - 1), 'threads.count', 1, 1_024),
    nice: integer(nice, 'threads.nice', 0, 19),
    batchSize: integer(batchSize, 'threads.batchSize', 1, 256),
    ...(maxHeapMb !== undefined && { maxHeapMb: integer(maxHeapMb, 'threads.maxHeapMb', 8) }),
    ...(execArgv && { execArgv }),
  };
}

/** What `enqueue()` was given, checked against what was declared. */
export interface CheckedEnqueue {
  readonly queue: string;
  readonly priority: number;
  readonly runAt?: number;
  readonly maxAttempts?: number;
  readonly timeoutMs?: number;
  readonly durability: Durability;
}

/** @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_QUEUE_UNKNOWN` */
export function checkEnqueue(
  options: EnqueueOptions,
  type: JobTypeSettings,
  settings: Settings,
  now: number,
): CheckedEnqueue {
  if (typeof options !== 'object' || options === null) throw invalidOption('options', 'an object', options);
  const { id, queue, maxAttempts, timeout } = options;
  if (id !== undefined) checkId(id);
  const runAt = checkRunAt(options, now);
  return {
    queue: queue === undefined ? type.queue : checkQueueName(queue, settings.queues, 'queue'),
    priority: options.priority === undefined ? type.priority : checkPriority(options.priority, 'priority'),
    durability: options.durability === undefined ? settings.durability : checkDurability(options.durability),
    ...(runAt !== undefined && { runAt }),
    ...(maxAttempts !== undefined && { maxAttempts: integer(maxAttempts, 'maxAttempts', 1) }),
    ...(timeout !== undefined && { timeoutMs: positiveMs(timeout, 'timeout') }),
  };
}

/** How many jobs one `enqueueMany()` takes: they are one write. */
const MAX_MANY = 10_000;

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkMany(items: readonly unknown[]): void {
  if (!Array.isArray(items) || items.length > MAX_MANY)
    throw invalidOption('items', `an array of at most ${MAX_MANY} jobs`, items);
  const wrong = items.findIndex((item) => typeof item !== 'object' || item === null);
  if (wrong >= 0) throw invalidOption(`items[${wrong}]`, '{ name, payload, options }', items[wrong]);
}

function checkRunAt({ delay, runAt }: EnqueueOptions, now: number): number | undefined {
  if (delay !== undefined && runAt !== undefined)
    throw invalidOption('delay', 'absent where `runAt` is given', delay);
  if (delay !== undefined) {
    const delayMs = toMs(delay, 'delay');
    return delayMs === 0 ? undefined : now + delayMs;
  }
  if (runAt === undefined) return undefined;
  const at = checkInstant(runAt, 'runAt');
  return at <= now ? undefined : at;
}
