/**
 * What is kept of a schedule: what its owner described, and how far it has come. A tick is an instant at which it
 * enqueues a job; a run is a job that it enqueued. Instants are epoch milliseconds.
 */
import { hasEnded, type EndedState, type Job, type JobOwn } from '../job/record.js';
import type { Timing } from './rhythm.js';

/** What becomes of ticks that nobody was there for. */
export const MISFIRES = ['skip', 'once', 'all'] as const;
export type Misfire = (typeof MISFIRES)[number];

/** What becomes of a tick whose predecessor's job has not ended. */
export const OVERLAPS = ['allow', 'skip', 'queue', 'cancelPrevious'] as const;
export type Overlap = (typeof OVERLAPS)[number];

export interface Definition {
  /** The type of its jobs. */
  readonly job: string;
  /** Encoded; absent where code makes one for each tick. */
  readonly payload?: Uint8Array;
  /** The version of its job type that the payload was made for; absent: 1. */
  readonly payloadVersion?: number;
  readonly timing: Timing;
  /** No tick before it. */
  readonly startAt?: number;
  /** No tick at it, or after it. */
  readonly endAt?: number;
  /** After so many ticks that enqueued a job it is over. */
  readonly maxRuns?: number;
  /** Its jobs are due up to so long after their ticks. */
  readonly jitterMs: number;
  readonly misfire: Misfire;
  /** How many ticks `all` makes up for. */
  readonly maxCatchUp: number;
  /** Older ticks are not made up for. */
  readonly maxAgeMs?: number;
  readonly overlap: Overlap;
  /** What its jobs have instead of their type's settings. */
  readonly options: JobOwn;
  /** Whether `Millrace.open()` was given it, and not `upsert()`. */
  readonly isDeclared: boolean;
}

/** `unknown`: its job was no longer kept when somebody looked. */
export type RunOutcome = EndedState | 'unknown';

export interface Run {
  readonly jobId: string;
  /** The tick; of `runNow()` the moment of the call. */
  readonly scheduledFor: number;
  /** What the job came to; absent until it has ended. */
  readonly outcome?: RunOutcome;
  readonly finishedAt?: number;
}

/** A job of a schedule that has ended. */
export type EndedRun = Omit<Run, 'scheduledFor'>;

export interface Progress {
  /** Where an interval begins. */
  readonly anchorAt: number;
  /** When {@link nextAt} was decided: a clock that is behind it was set back. */
  readonly decidedAt: number;
  /** The next tick; absent where there is none any more. */
  readonly nextAt?: number;
  /** How many ticks have enqueued a job. */
  readonly runCount: number;
  /** How many had none, because a job of an earlier one had not ended (`overlap`), or `maxRuns` had come. */
  readonly skipCount: number;
  readonly pausedAt?: number;
  readonly lastRun?: Run;
  /** Those that have not ended; none where overlapping does not matter. */
  readonly going: readonly Run[];
  /** The tick that waits for them. */
  readonly queuedFor?: number;
  /** Where the clock was set far back: up to here times come again, and what they enqueue is no second job of the same. */
  readonly repeatsUntil?: number;
}

export interface Schedule {
  readonly name: string;
  readonly definition: Definition;
  readonly progress: Progress;
}

/** What a job that has ended means to its schedule. */
export function endedRunOf({ spec, status }: Job): EndedRun | undefined {
  if (!hasEnded(status)) return undefined;
  const { state, finishedAt } = status;
  return { jobId: spec.id, outcome: state, ...(finishedAt !== undefined && { finishedAt }) };
}

/** The id of a tick's job: of a schedule and an instant there is one. */
export const tickId = (name: string, scheduledFor: number): string =>
  `${name}@${new Date(scheduledFor).toISOString()}`;
