/** The job types and queues of the workload: small enough times that whatever is to happen happens within a cycle. */
import {
  defineJobs,
  inlineJob,
  Millrace,
  threadJob,
  type Durability,
  type Logger,
  type Selection,
} from '../../src/index.js';
import type { JobTypeOptions, RateLimit, Retention } from '../../src/index.js';
import type { RatePolicy } from '../../src/job/rate-limit.js';
import type { Terms } from './evidence.js';
import handle from './handler.js';
import type { Schedule } from './schedules.js';

/** So few that jobs come to be snoozed too often. */
const MAX_SNOOZES = 2;
const backoff = { type: 'exponential', delay: 10, max: 40 } as const;
/** Processes are killed from outside, again and again, and no job is ever to blame. */
const maxCrashes = 1_000_000;
/** A thread that was told to stop is ended soon after. */
const common = { backoff, maxCrashes, grace: 15, maxSnoozes: MAX_SNOOZES } as const;

/**
 * How many attempts of a type, of a queue, and of a type with the same key may begin in a while, which is so long that
 * several processes have it.
 */
const RATES = {
  type: { max: 3, perMs: 10_000 },
  queue: { max: 4, perMs: 8_000 },
  key: { max: 2, perMs: 9_000 },
} as const;
/** Of jobs whose rate is limited: so they do not pile up. */
export const PACED_EXPIRE_MS = 2_000;
const rateLimit = ({ max, perMs }: RatePolicy): RateLimit => ({ max, per: perMs });

/**
 * Job types whose jobs have ids that every process uses. They are kept: of a new job with the id of one that was removed
 * the facts could not tell that it is another, where its process died before it was heard of.
 */
export const NAMED = ['work', 'narrow', 'mail'] as const;

/**
 * The type whose jobs are handled all at once. They are kept, and have no parents, schedules or unique keys: so what
 * becomes of each then is known.
 */
export const BATCH = 'batch';

/** @param retention Of all but {@link NAMED}; absent where they are kept for as long as it goes by default. */
function catalogueOf(retention: Retention | undefined) {
  const kept = retention && { retention };
  const thread = (options: JobTypeOptions) =>
    threadJob<typeof import('./handler.js')>(new URL('./handler.js', import.meta.url), {
      ...common,
      ...options,
    });
  return defineJobs({
    tiny: thread({ ...kept }),
    work: thread({ queue: 'low', maxAttempts: 4, concurrencyPerKey: 1 }),
    narrow: thread({ queue: 'narrow', concurrency: 1 }),
    batch: thread({ maxAttempts: 2 }),
    paced: thread({ rateLimit: rateLimit(RATES.type), expiresIn: PACED_EXPIRE_MS }),
    tenant: thread({ rateLimitPerKey: rateLimit(RATES.key), expiresIn: PACED_EXPIRE_MS }),
    stuck: thread({ ...kept, timeout: 30, maxAttempts: 2 }),
    greedy: thread({ ...kept, maxAttempts: 2 }),
    mail: inlineJob(handle, { backoff, maxCrashes, maxSnoozes: MAX_SNOOZES, concurrency: 4 }),
    // An inline handler that is given up after its grace goes on; here less long than an engine takes to open again.
    call: inlineJob(handle, {
      backoff,
      maxCrashes,
      ...kept,
      grace: 2,
      timeout: 20,
      maxAttempts: 2,
      queue: 'low',
    }),
  });
}

export const jobs = catalogueOf(undefined);

export type Name = keyof typeof jobs;

export const queues = {
  default: { weight: 3 },
  low: { weight: 1 },
  narrow: { weight: 2, concurrency: 1 },
  metered: { weight: 1, rateLimit: rateLimit(RATES.queue) },
  short: { weight: 1, concurrency: 1, maxSize: 4 },
  patient: { weight: 1, concurrency: 2, maxSize: 3, onFull: 'wait' },
} as const;

/** Queues with a bound. */
export const BOUNDED = ['short', 'patient'] as const;

/** Whether a job may have to wait for long, or takes the room of others: so it is run once. */
export const isHeldUp = (name: Name, queue?: string): boolean =>
  name === 'paced' || name === 'tenant' || (queue !== undefined && HOLDING.has(queue));

const HOLDING: ReadonlySet<string> = new Set(['metered', ...BOUNDED]);

/** What can be paused: a queue, or with an empty name all of them. */
export const HALTABLE = [
  '',
  'default',
  'low',
  'narrow',
  'metered',
  'short',
  'patient',
] as const satisfies readonly ('' | keyof typeof queues)[];
export type Haltable = (typeof HALTABLE)[number];

export const TERMS: Terms = {
  limits: {
    name: new Map([
      ['narrow', 1],
      ['mail', 4],
    ]),
    queue: new Map([
      ['narrow', 1],
      ['short', 1],
      ['patient', 2],
    ]),
  },
  limitsPerKey: new Map([['work', 1]]),
  rates: {
    name: new Map([['paced', RATES.type]]),
    queue: new Map([['metered', RATES.queue]]),
    key: new Map([['tenant', RATES.key]]),
    // A claim that is written with what is synced waits for that, on a slow disk for long.
    toldLateMs: 1_000,
  },
  // What runs may come back when others have taken its place.
  sizes: new Map(BOUNDED.map((name) => [name, queues[name].maxSize + queues[name].concurrency])),
  // The engine ends their attempts, or they end their thread.
  endedByForce: new Set<Name>(['stuck', 'greedy', 'call']),
  maxSnoozes: MAX_SNOOZES,
  // A machine that is short of processors, and handlers that end their thread, bring these about.
  // So does a journal that nobody has open for a while.
  tolerated: new Set([
    'MILLRACE_THREAD_STUCK',
    'MILLRACE_INLINE_STUCK',
    'MILLRACE_JOB_SUSPECT',
    'MILLRACE_TICKS_MISSED',
  ]),
};

export const maxAttemptsOf = (name: string): number =>
  // Safe: the names in the journal are the catalogue's.
  jobs[name as Name].options.maxAttempts ?? 3;

export type Engine = Millrace<typeof jobs, keyof typeof queues>;

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/** Options that may differ from one start of an app to the next. */
export interface Tuning {
  readonly threads: { readonly count: number; readonly batchSize: number; readonly maxHeapMb: number };
  readonly selection: Selection;
  readonly retention?: Retention;
}

export function openEngine(
  directory: string,
  durability: Durability,
  { retention, ...tuning }: Tuning,
  schedules: Readonly<Record<string, Schedule>>,
): Promise<Engine> {
  const jobs = catalogueOf(retention);
  return Millrace.open({ directory, jobs, queues, durability, logger: silent, schedules, ...tuning });
}
