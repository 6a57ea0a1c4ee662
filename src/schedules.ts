/** What can be asked of an engine's schedules, and what is told of one. */
import type { JobCatalogue, JobPayload } from './define.js';
import type { JobHandle } from './job-handle.js';
import type { Definition, Progress, Run } from './schedule/record.js';
import type { UpsertArguments } from './schedule-options.js';

/** A schedule as it was at one moment. Instants are epoch milliseconds. */
export interface ScheduleSnapshot
  extends Omit<Definition, 'payload' | 'timing' | 'isDeclared'>, Pick<Progress, 'runCount' | 'skipCount'> {
  readonly name: string;
  /** Absent where a function makes it. */
  readonly payload?: unknown;
  /** `blocked`: it is due and cannot tick; {@link blockedBecause} says why. `over`: no tick is left. */
  readonly state: 'active' | 'paused' | 'blocked' | 'over';
  readonly blockedBecause?: string;
  readonly pattern?: string;
  readonly timezone?: string;
  readonly everyMs?: number;
  /** Its next ticks, the first one first; none while it is paused. */
  readonly upcoming: readonly number[];
  readonly lastRun?: Run;
  /** The tick that waits for the job before it. */
  readonly queuedFor?: number;
  /** Whether `open()` was given it. */
  readonly declared: boolean;
}

/** What can be done with schedules. They are stored, and go on after a restart whether or not the code names them. */
export interface Schedules<Jobs extends JobCatalogue = JobCatalogue, Queue extends string = string> {
  /**
   * Adds a schedule, or describes the one of this name anew; resolves once that is stored. Its past stays: runs are
   * counted on, and unless pattern, zone, interval or `startAt` are others, it ticks when it would have.
   * @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_JOB_UNKNOWN`, `MILLRACE_QUEUE_UNKNOWN`,
   *   `MILLRACE_PAYLOAD_INVALID`, `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_WRITE_FAILED`
   */
  upsert<Name extends keyof Jobs & string>(
    name: string,
    ...rest: UpsertArguments<Name, JobPayload<Jobs[Name]>, Queue>
  ): Promise<void>;

  /** All schedules by name. @param options `upcoming`: how many ticks to tell of each; integer from 0 to 1,000. Default 1. */
  list(options?: { upcoming?: number }): Promise<ScheduleSnapshot[]>;

  /** No tick until `resume()`; also after a restart. @throws MillraceError `MILLRACE_SCHEDULE_NOT_FOUND` */
  pause(name: string): Promise<void>;

  /** Goes on with the next tick; those meanwhile are past. @throws MillraceError `MILLRACE_SCHEDULE_NOT_FOUND` */
  resume(name: string): Promise<void>;

  /** Its jobs stay. @returns whether there was one. */
  remove(name: string): Promise<boolean>;

  /**
   * Enqueues a job now, also while the schedule is paused or a job of it has not ended. It is no tick: none is left out
   * for it, and `maxRuns` does not count it. Later ticks regard it as one that may overlap.
   * @throws MillraceError `MILLRACE_SCHEDULE_NOT_FOUND`; `MILLRACE_SCHEDULE_BLOCKED`, where the code has not given its
   *   payload function; what `enqueue()` throws, and what a payload function throws
   */
  runNow(name: string): Promise<JobHandle>;
}
