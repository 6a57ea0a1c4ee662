/** How an app describes a schedule: declared and documented here, and checked here, once. */
import { types as nodeTypes } from 'node:util';
import {
  checkInstant,
  checkJobName,
  checkKnown,
  integer,
  isName,
  NAME_RULE,
  oneOf,
  positiveMs,
} from './checks.js';
import type { JobCatalogue, JobOverrides, JobPayload } from './define.js';
import { invalidOption } from './errors.js';
import { checkOverrides } from './job-options.js';
import { decode } from './job/codec.js';
import { toMs, type Duration } from './job/duration.js';
import { checkPayload, encodePayload, type PayloadRules } from './job/payload.js';
import { MISFIRES, OVERLAPS, type Definition, type Misfire, type Overlap } from './schedule/record.js';
import { checkInterval, checkPattern, checkTimezone, localTimezone, type Timing } from './schedule/rhythm.js';

/** When a schedule ticks. */
export type ScheduleTiming =
  | {
      /**
       * A cron pattern: `minute hour day-of-month month day-of-week`, with a field for seconds before them where there
       * are six. Lists, ranges, steps, names (`JAN`, `MON`), `L` (the last day of the month; `5L`: its last Friday), `#`
       * (`5#2`: its second Friday) and `W` (`15W`: the weekday nearest the 15th); where both day fields are given, either
       * is enough. Or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`; or `@every 15m`, which is `every: '15m'`.
       */
      pattern: string;
      /** The zone whose clocks the pattern speaks of, such as `'Europe/Berlin'`. Default: this machine's. */
      timezone?: string;
      every?: never;
    }
  | {
      /** Ticks so long after the schedule was first stored, or at `startAt` where that is given, and then again and again. */
      every: Duration;
      pattern?: never;
      timezone?: never;
    };

/** How long a schedule goes on, and what becomes of ticks that cannot be as they should. */
export interface ScheduleLimits {
  /** No tick before this instant (epoch milliseconds or a Date). */
  startAt?: number | Date;
  /** No tick at this instant or later. */
  endAt?: number | Date;
  /** The schedule is over after so many ticks that enqueued a job; integer ≥ 1. Default: no limit. */
  maxRuns?: number;
  /**
   * Its jobs are due up to so long after their ticks, so that not all apps do the same thing in the same second. How
   * long follows from the schedule's name and the tick. Default 0.
   */
  jitter?: Duration;
  /**
   * What becomes of ticks that were missed while the app was down, or because the clock was set forward: those that are
   * over a minute late, and all but the last of those that are due at once. `'once'` (default): one job makes up for all of
   * them, that of the last tick. `'all'`: each has its job, the oldest first. `'skip'`: none has.
   */
  misfire?: Misfire;
  /** How many ticks `misfire: 'all'` makes up for at most, the last ones; integer from 1 to 10,000. Default 100. */
  maxCatchUp?: number;
  /** Ticks that are older than this are not made up for. Default: no limit; with `misfire: 'skip'`, which it weakens, a minute. */
  maxAge?: Duration;
  /**
   * What becomes of a tick while a job of an earlier one has not ended (it may still wait). `'allow'` (default): it has its
   * job. `'skip'`: it has none. `'queue'`: it has its job when that one has ended; of several that wait so, the last
   * does. `'cancelPrevious'`: that one is cancelled, and when it has ended the tick has its job.
   */
  overlap?: Overlap;
}

/**
 * The payload, or a function that makes it for a tick (epoch milliseconds). A function is not stored: its schedule ticks
 * while the code gives it, at `open()` or by `upsert()`. It must not be async, and may be called again for the same tick.
 */
type ScheduledPayload<Payload> = Payload | ((scheduledFor: number) => Payload);

/** When it ticks, which job is enqueued then, and how it copes with what gets in its way. */
type Scheduled<Name extends string, Queue extends string> = ScheduleTiming &
  ScheduleLimits & {
    /** The job type. */
    job: Name;
    /** What its jobs have instead of their type's settings. */
    options?: JobOverrides<Queue>;
  };

/** What `upsert()` takes behind the name: a schedule, with a payload where the job's handler takes one. */
export type UpsertArguments<Name extends string, Payload, Queue extends string> = undefined extends Payload
  ? [schedule: Scheduled<Name, Queue> & { payload?: ScheduledPayload<Payload> }]
  : [schedule: Scheduled<Name, Queue> & { payload: ScheduledPayload<Payload> }];

/** A schedule of any of an app's job types; `Queue` are the names of its queues, where it has others than `default`. */
export type Schedule<Jobs extends JobCatalogue = JobCatalogue, Queue extends string = 'default'> = {
  [Name in keyof Jobs & string]: UpsertArguments<Name, JobPayload<Jobs[Name]>, Queue>[0];
}[keyof Jobs & string];

export interface ScheduleSettings {
  readonly name: string;
  readonly definition: Definition;
  /** Where code makes the payload of each tick. */
  readonly makePayload?: MakePayload;
}

export type MakePayload = (scheduledFor: number) => unknown;

/** What a schedule can name. */
export interface Known {
  readonly types: ReadonlyMap<string, PayloadRules>;
  readonly queues: ReadonlyMap<string, unknown>;
}

/** Any schedule, whatever its types say: JavaScript may have passed it. */
export type AnySchedule = Schedule<JobCatalogue, string>;

const MAX_CATCH_UP = 10_000;
const MAX_JITTER_MS = 366 * 86_400_000;
/** From then on croner finds no tick any more. */
const YEAR_10000 = Date.UTC(10_000, 0);
const FIELDS =
  'job payload options pattern timezone every startAt endAt maxRuns jitter misfire maxCatchUp maxAge overlap'.split(
    ' ',
  );

export interface CheckContext {
  /** What a refusal calls the schedule. */
  readonly option: string;
  readonly isDeclared: boolean;
  /** Epoch milliseconds. */
  readonly now: number;
  /** Timings that are known to be right: to check one takes longer than all the rest, and thousands may share one. */
  readonly timings?: Map<string, Timing>;
}

/**
 * @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_JOB_UNKNOWN`, `MILLRACE_QUEUE_UNKNOWN`,
 *   `MILLRACE_PAYLOAD_INVALID`
 */
export function checkSchedule(
  name: string,
  schedule: AnySchedule,
  { types, queues }: Known,
  context: CheckContext,
): ScheduleSettings {
  const { option, isDeclared } = context;
  if (!isName(name))
    throw isDeclared
      ? invalidOption('schedules', `${NAME_RULE} for each key`, name)
      : invalidOption('name', NAME_RULE, name);
  checkKnown(schedule, FIELDS, option);
  const {
    job,
    options = {},
    misfire = 'once',
    maxCatchUp = 100,
    overlap = 'allow',
    jitter = 0,
    maxRuns,
    maxAge,
  } = schedule;
  const type = checkJobName(job, types, `\`${option}.job\` to be the name of a job type`);
  const bounds = checkBounds(schedule, option);
  // Safe: a payload that is a function could not be stored.
  const payload = schedule.payload;
  const isMade = typeof payload === 'function';
  if (nodeTypes.isAsyncFunction(payload))
    throw invalidOption(
      `${option}.payload`,
      'a payload or a function that is not async: a tick does not wait',
      payload,
    );
  const definition: Definition = {
    job,
    ...(!isMade && { payload: encodePayload(type, payload, `${option}.payload`) }),
    ...(!isMade && type.version > 1 && { payloadVersion: type.version }),
    timing: checkTimingOnce(schedule, context),
    ...bounds,
    ...(maxRuns !== undefined && { maxRuns: integer(maxRuns, `${option}.maxRuns`, 1) }),
    jitterMs: checkJitter(jitter, `${option}.jitter`),
    misfire: oneOf(misfire, `${option}.misfire`, MISFIRES),
    maxCatchUp: integer(maxCatchUp, `${option}.maxCatchUp`, 1, MAX_CATCH_UP),
    ...(maxAge !== undefined && { maxAgeMs: positiveMs(maxAge, `${option}.maxAge`) }),
    overlap: oneOf(overlap, `${option}.overlap`, OVERLAPS),
    options: checkOverrides(options, queues, `${option}.options`),
    isDeclared,
  };
  return { name, definition, ...(isMade && { makePayload: payload as MakePayload }) };
}

/**
 * Asks the schema of its job type about its payload, if it has one.
 * @returns a promise where the schema gave one.
 * @throws PayloadInvalidError
 */
export function checkScheduledPayload(
  { definition }: ScheduleSettings,
  types: Known['types'],
  option: string,
): void | Promise<void> {
  const { job, payload } = definition;
  const type = types.get(job);
  if (type?.schema && payload) return checkPayload(type, decode(payload), `${option}.payload`);
}

function checkJitter(jitter: Duration, option: string): number {
  const jitterMs = toMs(jitter, option);
  if (jitterMs <= MAX_JITTER_MS) return jitterMs;
  throw invalidOption(option, 'at most a year', jitter);
}

function checkTimingOnce(schedule: ScheduleTiming, { option, now, timings }: CheckContext): Timing {
  const { pattern, timezone, every } = schedule;
  const isPlain = every === undefined && (timezone === undefined || typeof timezone === 'string');
  if (!timings || !isPlain || typeof pattern !== 'string') return checkTiming(schedule, option, now);
  const key = timezone === undefined ? pattern : `${timezone}\n${pattern}`;
  const timing = timings.get(key) ?? checkTiming(schedule, option, now);
  timings.set(key, timing);
  return timing;
}

function checkTiming({ pattern, timezone, every }: ScheduleTiming, option: string, now: number): Timing {
  if (every !== undefined) {
    if (pattern !== undefined)
      throw invalidOption(`${option}.pattern`, 'absent where `every` is given', pattern);
    assertNoZone(timezone, option);
    return checkInterval(every, `${option}.every`);
  }
  if (pattern === undefined)
    throw invalidOption(option, "a schedule with a `pattern` such as '30 2 * * *', or `every`", pattern);
  const zone = timezone === undefined ? localTimezone() : checkTimezone(timezone, `${option}.timezone`);
  const timing = checkPattern(pattern, zone, `${option}.pattern`, now);
  if ('everyMs' in timing) assertNoZone(timezone, option);
  return timing;
}

function assertNoZone(timezone: unknown, option: string): void {
  if (timezone === undefined) return;
  throw invalidOption(`${option}.timezone`, 'absent: an interval has none', timezone);
}

function checkBounds(
  { startAt, endAt }: ScheduleLimits,
  option: string,
): Pick<Definition, 'startAt' | 'endAt'> {
  const from = startAt === undefined ? undefined : checkInstant(startAt, `${option}.startAt`);
  if (from !== undefined && from >= YEAR_10000)
    throw invalidOption(`${option}.startAt`, 'before the year 10000', startAt);
  const to = endAt === undefined ? undefined : checkInstant(endAt, `${option}.endAt`);
  if (from !== undefined && to !== undefined && to <= from)
    throw invalidOption(`${option}.endAt`, 'later than `startAt`', endAt);
  return { ...(from !== undefined && { startAt: from }), ...(to !== undefined && { endAt: to }) };
}
