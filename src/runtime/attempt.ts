/** One attempt of a job, as the executor carries it from step to step. */
import type { AttemptNotes } from '../job/notes.js';
import type { Outcome } from '../job/outcome.js';
import type { Draft, Job, JobOwn, JobSpec, JobState } from '../job/record.js';
import type { JobTypeSettings } from '../job-options.js';
import type { PayloadFiles } from '../journal/payload-files.js';
import type { Pool, Seat, StopReason, Task } from '../pool/contract.js';
import type { Choice } from './backlog.js';

/** A job that was chosen, how it runs and where. */
export interface Start {
  readonly choice: Choice;
  readonly type: JobTypeSettings;
  readonly pool: Pool;
  readonly seat: Seat;
}

/** A job that its handler enqueues. */
export interface FollowUp {
  readonly id: string;
  /** The handler chose the id, so that a job of it may be there already. */
  readonly isNamed: boolean;
  readonly type: JobTypeSettings;
  readonly payload: Uint8Array;
  readonly own: JobOwn;
}

/** Those of one attempt. */
export interface HeldFollowUps {
  readonly all: FollowUp[];
  /** As they were last given to the journal. */
  specs: readonly JobSpec[];
}

/** A chosen job until its outcome is committed. */
export interface Attempt extends Start {
  /** The job as it runs; absent until its claim is on its way. */
  job: Job | undefined;
  /** Its claim is in the journal. */
  isClaimed: boolean;
  task: Task | undefined;
  /** What its handler gets, where that is not what is stored; and whether that is still being made. */
  payload: Uint8Array | undefined;
  isPreparing: boolean;
  /** Resolved with the state that resulted, for whoever cancels it. */
  onEnd: readonly ((state: JobState) => void)[];
  onAbandon: readonly ((error: unknown) => void)[];
  /** Its handler was told to stop. */
  isStopping: boolean;
  /** What it came to, on its way into the journal. */
  outcome: Outcome | undefined;
  /** The thread that it ran in, once it has its outcome; absent inline. */
  thread: number | undefined;
  /** Why it must stop; one that has not started does not start any more. */
  stopReason: StopReason | undefined;
  /** What was said by whoever cancelled it. */
  cancelReason: string | undefined;
  /** The last checkpoint of an earlier one, encoded. */
  resumeFrom: Uint8Array | undefined;
  /** What it has told of itself; absent where that is nothing. */
  notes: AttemptNotes | undefined;
  /** What is to be enqueued with the job's completion. */
  followUps: HeldFollowUps | undefined;
}

/** A job that was claimed on its way into the journal. */
export interface NewClaim {
  readonly job: Job;
  /** It is there. */
  readonly start: () => void;
  /** It never gets there. */
  readonly abandon: (error: Error) => void;
}

/** An attempt whose outcome is known. */
export interface Ending {
  readonly attempt: Attempt;
  /** The job as it ran. */
  readonly before: Job;
  readonly outcome: Outcome;
}

const NOBODY: readonly never[] = [];

export function attemptOf({ choice, type, pool, seat }: Start): Attempt {
  return {
    choice,
    type,
    pool,
    seat,
    job: undefined,
    isClaimed: false,
    task: undefined,
    payload: undefined,
    isPreparing: false,
    onEnd: NOBODY,
    onAbandon: NOBODY,
    isStopping: false,
    outcome: undefined,
    thread: undefined,
    stopReason: undefined,
    cancelReason: undefined,
    resumeFrom: undefined,
    notes: undefined,
    followUps: undefined,
  };
}

/** What a pool gets of it. */
export function taskOf(
  { spec, status }: Job,
  { type, resumeFrom }: Pick<Attempt, 'type' | 'resumeFrom'>,
  payload: Uint8Array,
  files: PayloadFiles | undefined,
): Task {
  const task: Draft<Task> = {
    id: spec.id,
    name: spec.name,
    queue: spec.queue,
    attempt: status.attempt,
    maxAttempts: (status.attemptsBefore ?? 0) + (spec.maxAttempts ?? type.maxAttempts),
    payload,
    graceMs: type.graceMs,
  };
  const timeoutMs = spec.timeoutMs ?? type.timeoutMs;
  if (timeoutMs !== undefined) task.timeoutMs = timeoutMs;
  // Not where the handler gets something else than what is stored.
  if (spec.payloadFile && files && payload === spec.payload)
    task.payloadFile = files.locate(spec.payloadFile);
  if (spec.scheduledFor !== undefined) task.scheduledFor = spec.scheduledFor;
  if (resumeFrom !== undefined) task.resumeFrom = resumeFrom;
  return task;
}
