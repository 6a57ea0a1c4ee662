/** The job types and queues of a simulated app: one of each kind without a limit and one with, and little room. */
import { defineJobs, inlineJob, threadJob, type JobContext, type JobTypeOptions } from '../../src/index.js';
import type { RatePolicy } from '../../src/job/rate-limit.js';
import type { Done, Upgrade } from '../crash/facts.js';
import type { Terms } from '../crash/evidence.js';
import type { Heavy } from '../crash/payload.js';

/** What a job carries. */
export interface Work extends Heavy {
  /** The job's concurrency key. */
  readonly key?: string;
  /** Of a type whose payloads have versions: which one it was enqueued for. */
  readonly version?: number;
  /** From which to which it was upgraded. */
  readonly upgrades?: readonly Upgrade[];
}

const backoff = { type: 'exponential', delay: 10, max: 40 } as const;
/** Processes are killed from outside, again and again, and no job is ever to blame. */
const maxCrashes = 1_000_000;
/** Time passes by the hour, and whatever ended is to be found in the end. */
const retention = { completed: 'forever', failed: 'forever', cancelled: 'forever' } as const;

/** Nothing loads the module: a simulated thread has no handlers but those that a history ends. */
const thread = (options: JobTypeOptions) =>
  threadJob<{ default: (work: Work, job: JobContext) => Promise<Done> }>(new URL('file:///simulated.js'), {
    backoff,
    retention,
    maxCrashes,
    grace: 5,
    ...options,
  });

/** Whoever composes an engine gives inline jobs their handlers. */
const inline = (options: JobTypeOptions) =>
  inlineJob(
    (_work: Work): Promise<Done> => Promise.reject(new Error('A simulated process has handlers of its own')),
    { backoff, retention, maxCrashes, grace: 5, ...options },
  );

/** How many may start in so many milliseconds: within a step of a history, and across the time that a machine is down. */
const METERED = { max: 2, per: 64 } as const;
const METERED_PER_KEY = { max: 1, per: 96 } as const;
const DRIBBLE = { max: 1, per: 1_600 } as const;

/** How many may wait in a queue with a bound. */
const MAX_SIZE = 2;

/** Payloads of that version, made from older ones; every other version takes its time for that. */
const versioned = (version: number): JobTypeOptions => ({
  version,
  upgrade(payload, from) {
    // Safe: only histories wrote to the journal.
    const work = payload as Work;
    const upgraded = { ...work, upgrades: [...(work.upgrades ?? []), [from, version]] };
    return version % 2 === 0 ? upgraded : Promise.resolve(upgraded);
  },
});

/** @param version Of the app's code. */
export const jobsOf = (version: number) =>
  defineJobs({
    aged: thread(version > 1 ? versioned(version) : {}),
    work: thread({}),
    tenant: thread({ concurrencyPerKey: 1 }),
    metered: thread({ rateLimit: METERED, rateLimitPerKey: METERED_PER_KEY }),
    narrow: thread({ queue: 'low', concurrency: 1, timeout: 10 }),
    // A queue's limit does not count a handler that goes on after its attempt, so inline jobs stay out of `low`.
    mail: inline({ concurrency: 2, concurrencyPerKey: 1 }),
    call: inline({ concurrency: 2, timeout: 10, maxAttempts: 2 }),
  });

export const jobs = jobsOf(1);

export type Name = keyof typeof jobs;

export const queues = {
  default: { weight: 2 },
  low: { weight: 1, concurrency: 2 },
  dribble: { weight: 1, rateLimit: DRIBBLE },
  small: { weight: 1, maxSize: MAX_SIZE },
  patient: { weight: 1, maxSize: MAX_SIZE, onFull: 'wait' },
} as const;

export type Queue = keyof typeof queues;

/** How many may run at once of an inline type. */
export const INLINE_PLACES = 2;

export const maxAttemptsOf = (name: string): number =>
  // Safe: the names in the journal are the catalogue's.
  jobs[name as Name].options.maxAttempts ?? 3;

const rate = ({ max, per }: { max: number; per: number }): RatePolicy => ({ max, perMs: per });

export const TERMS: Terms = {
  limits: {
    name: new Map([
      ['narrow', 1],
      ['mail', INLINE_PLACES],
      ['call', INLINE_PLACES],
    ]),
    queue: new Map([['low', 2]]),
  },
  limitsPerKey: new Map([
    ['tenant', 1],
    ['mail', 1],
  ]),
  bounds: new Map([
    ['small', MAX_SIZE],
    ['patient', MAX_SIZE],
  ]),
  rates: {
    name: new Map([['metered', rate(METERED)]]),
    key: new Map([['metered', rate(METERED_PER_KEY)]]),
    queue: new Map([['dribble', rate(DRIBBLE)]]),
    toldLateMs: 0,
  },
  // An inline handler goes on when its attempt has timed out.
  endedByForce: new Set<Name>(['call']),
  keptMs: Infinity,
  // As by default: no history is so long.
  maxSnoozes: 100,
  // Clocks are set, and machines are down for an hour.
  tolerated: new Set([
    'MILLRACE_INLINE_STUCK',
    'MILLRACE_JOB_SUSPECT',
    'MILLRACE_TICKS_MISSED',
    'MILLRACE_CLOCK_SET_BACK',
  ]),
};

/** Of a history in which writes fail. */
export const TERMS_WITH_FAILURES: Terms = {
  ...TERMS,
  tolerated: new Set([
    ...TERMS.tolerated,
    'MILLRACE_JOURNAL_WRITE_FAILED',
    'MILLRACE_JOURNAL_OPEN_FAILED',
    'MILLRACE_JOURNAL_REOPENED',
  ]),
};
