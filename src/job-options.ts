/**
 * The options of a job type and of one job: checked here, once, against what was declared. What comes out is settings:
 * defaults filled in, durations in milliseconds.
 */
import {
  abortSignal,
  checkConcurrency,
  checkDurability,
  checkFunction,
  checkText,
  checkInstant,
  checkKnown,
  checkPriority,
  checkQueueName,
  integer,
  isName,
  isRecord,
  NAME_RULE,
  positiveMs,
  instantAfter,
} from './checks.js';
import { namesOf } from './job/names.js';
import type { JobOverrides, JobType, JobTypeOptions, SchemaOption } from './define.js';
import { invalidOption, type StoredError } from './errors.js';
import type { JobSnapshot } from './job-handle.js';
import { backoffPolicy, DEFAULT_BACKOFF, type BackoffPolicy } from './job/backoff.js';
import { DEFAULT_MAX_BYTES } from './job/codec.js';
import { toMs, type Duration } from './job/duration.js';
import type { PayloadRules } from './job/payload.js';
import { ratePolicy, type RatePolicy } from './job/rate-limit.js';
import type { Draft, JobOwn } from './job/record.js';
import { retentionPolicy, type Retention, type RetentionPolicy } from './job/retention.js';
import { checkUnique, type UniqueKeyOptions } from './unique-options.js';

/** Options of one job. */
export interface EnqueueOptions<Queue extends string = string> extends JobOverrides<Queue> {
  /** Makes the enqueue idempotent: while a job of this id is kept, it is returned and no new one is made. */
  id?: string;
  /** Not before so long from now. */
  delay?: Duration;
  /** Not before this instant (epoch milliseconds or a Date); instead of `delay`. */
  runAt?: number | Date;
  /**
   * Ends the waiting for room in a queue that is full, with its reason; one that is aborted already refuses the job. In
   * `enqueueMany()` the signal of any job does so for all. What is on its way into the journal stays enqueued.
   */
  signal?: AbortSignal;
  /**
   * Its deadline as an instant (epoch milliseconds or a Date), instead of `expiresIn`: what has not started by then fails,
   * and what runs is stopped. One that has passed is no mistake: the job is taken, and fails at once.
   */
  deadline?: number | Date;
  /**
   * At most one job of its type has the key at a time. Given as a string, the key is held until the job has ended, and
   * while it is, `enqueue()` returns the job that holds it. 1 to 512 characters. Refused in flows and follow-ups, whose
   * jobs no other job can take the place of.
   */
  uniqueKey?: string | UniqueKeyOptions;
  /**
   * Runs so long after the last enqueue with its `uniqueKey`, with the payload of that: each takes the place of the one
   * before, as long as that has not been claimed. Instead of `delay`, and of `while` and `onConflict`.
   */
  debounce?: Duration;
  /**
   * So long after an enqueue with its `uniqueKey`, others with it make no job and return that one. Instead of `while` and
   * `onConflict`.
   */
  throttle?: Duration;
}

export interface JobTypeSettings extends PayloadRules {
  readonly kind: JobType['kind'];
  readonly queue: string;
  readonly priority: number;
  readonly maxAttempts: number;
  readonly maxCrashes: number;
  readonly backoff: BackoffPolicy;
  readonly maxSnoozes: number;
  readonly isRetryable?: (error: StoredError) => boolean;
  readonly onFailed?: (job: JobSnapshot, error: StoredError) => unknown;
  readonly timeoutMs?: number;
  readonly expiresInMs?: number;
  readonly graceMs: number;
  /** Infinity where there is no limit. */
  readonly concurrency: number;
  /** Absent where there is no limit. */
  readonly rateLimit?: RatePolicy;
  /** Infinity where there is no limit. */
  readonly concurrencyPerKey: number;
  /** Absent where there is no limit. */
  readonly rateLimitPerKey?: RatePolicy;
  readonly retention: RetentionPolicy;
  readonly maxResultBytes: number;
  /** How many are kept of each job. */
  readonly logLines: number;
}

const TYPE_FIELDS = namesOf<JobTypeOptions & SchemaOption>({
  queue: true,
  priority: true,
  maxAttempts: true,
  maxCrashes: true,
  backoff: true,
  maxSnoozes: true,
  isRetryable: true,
  onFailed: true,
  timeout: true,
  expiresIn: true,
  grace: true,
  concurrency: true,
  rateLimit: true,
  concurrencyPerKey: true,
  rateLimitPerKey: true,
  retention: true,
  schema: true,
  version: true,
  upgrade: true,
  maxPayloadBytes: true,
  maxResultBytes: true,
  logLines: true,
});

const RETENTION_FIELDS = namesOf<Retention>({
  completed: true,
  failed: true,
  cancelled: true,
  maxCount: true,
});

/** @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_QUEUE_UNKNOWN` */
export function checkJobType(
  name: string,
  type: JobType,
  queues: ReadonlyMap<string, unknown>,
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
  const { options } = type;
  if (!isRecord(options))
    throw invalidOption(`jobs.${name}`, `${type.kind}Job() with an object of options`, options);
  checkKnown(options, TYPE_FIELDS, `jobs.${name}`);
  const { queue = 'default', backoff, timeout, expiresIn, isRetryable, onFailed, retention = {} } = options;
  checkKnown(retention, RETENTION_FIELDS, `jobs.${name}.retention`);
  return {
    name,
    kind: type.kind,
    queue: checkQueueName(queue, queues, `jobs.${name}.queue`),
    priority: checkPriority(options.priority ?? 0, `jobs.${name}.priority`),
    maxAttempts: integer(options.maxAttempts ?? 3, `jobs.${name}.maxAttempts`, 1),
    maxCrashes: integer(options.maxCrashes ?? 3, `jobs.${name}.maxCrashes`, 1),
    backoff: backoff === undefined ? DEFAULT_BACKOFF : backoffPolicy(backoff, `jobs.${name}.backoff`),
    maxSnoozes: integer(options.maxSnoozes ?? 100, `jobs.${name}.maxSnoozes`, 0),
    ...(isRetryable !== undefined && { isRetryable: checkFunction(isRetryable, `jobs.${name}.isRetryable`) }),
    ...(onFailed !== undefined && { onFailed: checkFunction(onFailed, `jobs.${name}.onFailed`) }),
    graceMs: toMs(options.grace ?? '5s', `jobs.${name}.grace`),
    concurrency: checkConcurrency(options.concurrency, `jobs.${name}.concurrency`),
    logLines: integer(options.logLines ?? 50, `jobs.${name}.logLines`, 0, 1_000),
    ...(options.rateLimit !== undefined && {
      rateLimit: ratePolicy(options.rateLimit, `jobs.${name}.rateLimit`),
    }),
    concurrencyPerKey: checkConcurrency(options.concurrencyPerKey, `jobs.${name}.concurrencyPerKey`),
    ...(options.rateLimitPerKey !== undefined && {
      rateLimitPerKey: ratePolicy(options.rateLimitPerKey, `jobs.${name}.rateLimitPerKey`),
    }),
    retention: retentionPolicy(retention, `jobs.${name}.retention`),
    ...checkPayloadRules(options, `jobs.${name}`),
    ...(timeout !== undefined && { timeoutMs: positiveMs(timeout, `jobs.${name}.timeout`) }),
    ...(expiresIn !== undefined && { expiresInMs: positiveMs(expiresIn, `jobs.${name}.expiresIn`) }),
  };
}

function checkPayloadRules(
  { schema, version = 1, upgrade, maxPayloadBytes, maxResultBytes }: JobTypeOptions & SchemaOption,
  option: string,
): Omit<PayloadRules, 'name'> & Pick<JobTypeSettings, 'maxResultBytes'> {
  // Some validators' schemas are functions.
  if (schema !== undefined && typeof schema?.['~standard']?.validate !== 'function')
    throw invalidOption(`${option}.schema`, "a Standard Schema, with '~standard'.validate()", schema);
  integer(version, `${option}.version`, 1);
  if (version > 1 && typeof upgrade !== 'function')
    throw invalidOption(`${option}.upgrade`, `a function, for \`version\` is ${version}`, upgrade);
  if (version === 1 && upgrade !== undefined)
    throw invalidOption(`${option}.upgrade`, 'absent where `version` is 1: nothing is older', upgrade);
  return {
    version,
    maxPayloadBytes: integer(maxPayloadBytes ?? DEFAULT_MAX_BYTES, `${option}.maxPayloadBytes`, 1),
    maxResultBytes: integer(maxResultBytes ?? DEFAULT_MAX_BYTES, `${option}.maxResultBytes`, 1),
    ...(schema !== undefined && { schema }),
    ...(upgrade !== undefined && { upgrade }),
  };
}

const OVERRIDE_FIELDS = namesOf<JobOverrides>({
  queue: true,
  priority: true,
  maxAttempts: true,
  timeout: true,
  expiresIn: true,
  durability: true,
  concurrencyKey: true,
});
const ENQUEUE_FIELDS = [
  ...OVERRIDE_FIELDS,
  ...namesOf<Omit<EnqueueOptions, keyof JobOverrides>>({
    id: true,
    delay: true,
    runAt: true,
    signal: true,
    deadline: true,
    uniqueKey: true,
    debounce: true,
    throttle: true,
  }),
];

const NOTHING: JobOwn = {};

/**
 * What `enqueue()` was given.
 * @returns what the job has instead of its type's settings.
 * @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_QUEUE_UNKNOWN`
 */
export function checkEnqueue(
  options: EnqueueOptions | undefined,
  queues: ReadonlyMap<string, unknown>,
  now: number,
): JobOwn {
  if (options === undefined) return NOTHING;
  checkKnown(options, ENQUEUE_FIELDS, 'options', '');
  if (options.id !== undefined) checkText(options.id, 'id');
  abortSignal(options.signal);
  const own: Draft<JobOwn> = ownOf(options, queues, '');
  const runAt = checkRunAt(options, now);
  if (runAt !== undefined) own.runAt = runAt;
  if (options.deadline !== undefined) own.deadlineAt = checkDeadline(options.deadline, options.expiresIn);
  const unique = checkUnique(options);
  if (!unique) return own;
  own.uniqueKey = unique.key;
  own.uniqueWhile = unique.while;
  if (unique.delayMs !== undefined) own.runAt = instantAfter(now, unique.delayMs);
  return own;
}

/**
 * What a schedule's jobs have instead of their type's settings.
 * @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_QUEUE_UNKNOWN`
 */
export function checkOverrides(
  overrides: JobOverrides,
  queues: ReadonlyMap<string, unknown>,
  option: string,
): JobOwn {
  checkKnown(overrides, OVERRIDE_FIELDS, option);
  return ownOf(overrides, queues, `${option}.`);
}

/** @param prefix What stands before an option's name in a refusal. */
function ownOf(
  { queue, priority, maxAttempts, timeout, expiresIn, durability, concurrencyKey }: JobOverrides,
  queues: ReadonlyMap<string, unknown>,
  prefix: string,
): JobOwn {
  const own: Draft<JobOwn> = {};
  if (queue !== undefined) own.queue = checkQueueName(queue, queues, `${prefix}queue`);
  if (priority !== undefined) own.priority = checkPriority(priority, `${prefix}priority`);
  if (maxAttempts !== undefined) own.maxAttempts = integer(maxAttempts, `${prefix}maxAttempts`, 1);
  if (timeout !== undefined) own.timeoutMs = positiveMs(timeout, `${prefix}timeout`);
  if (expiresIn !== undefined) own.expiresInMs = positiveMs(expiresIn, `${prefix}expiresIn`);
  if (durability !== undefined) own.durability = checkDurability(durability, `${prefix}durability`);
  if (concurrencyKey !== undefined) own.concurrencyKey = checkText(concurrencyKey, `${prefix}concurrencyKey`);
  return own;
}

/** How many jobs one `enqueueMany()` takes: they are one write. */
const MAX_MANY = 10_000;

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkMany(items: readonly unknown[]): void {
  if (!Array.isArray(items) || items.length > MAX_MANY)
    throw invalidOption('items', `an array of at most ${MAX_MANY} jobs`, items);
}

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkIterable<Items extends object>(items: Items): Items {
  if (
    typeof items === 'object' &&
    items !== null &&
    (Symbol.asyncIterator in items || Symbol.iterator in items)
  )
    return items;
  throw invalidOption('items', 'an iterable of { name, payload, options }', items);
}

const ITEM_FIELDS = ['name', 'payload', 'options'];

/** @param what What a refusal calls it. @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkItem(item: object, what: string): void {
  checkKnown(item, ITEM_FIELDS, what);
}

function checkDeadline(deadline: number | Date, expiresIn: Duration | undefined): number {
  if (expiresIn !== undefined)
    throw invalidOption('expiresIn', 'absent where `deadline` is given', expiresIn);
  return checkInstant(deadline, 'deadline');
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
