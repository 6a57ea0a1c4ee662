/**
 * What is kept of a job. The spec is fixed by `enqueue()` and written once, payload included; the status is
 * written anew by each transition.
 */
import type { PayloadFile } from './payload-file.js';

/** Where a job is in its life; the README's words. */
export type JobState =
  'waiting' | 'scheduled' | 'available' | 'running' | 'retryable' | 'completed' | 'failed' | 'cancelled';

/** Stored by their positions here, so a new one goes to the end. */
export const JOB_STATES: readonly JobState[] = [
  'waiting',
  'scheduled',
  'available',
  'running',
  'retryable',
  'completed',
  'failed',
  'cancelled',
];

export type EndedState = 'completed' | 'failed' | 'cancelled';
export const ENDED_STATES: readonly EndedState[] = ['completed', 'failed', 'cancelled'];

/** `'fsync'` survives a power cut, `'os'` the death of the process. */
export type Durability = 'fsync' | 'os';

/**
 * A key is held by its job until that is claimed for the first time (`'queued'`), until it has ended (`'active'`), until
 * it is removed (`'retained'`), or for so many milliseconds after the enqueue, whatever becomes of the job.
 */
export type UniqueWhile = 'queued' | 'active' | 'retained' | number;

export interface JobSpec {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  /** Higher runs first. */
  readonly priority: number;
  /** Order of enqueue: persisted, monotonic. */
  readonly sequence: number;
  readonly enqueuedAt: number;
  /** When to run first, if not at once. */
  readonly runAt?: number;
  readonly durability: Durability;
  /** What `enqueue()` gave instead of the job type's own setting. */
  readonly maxAttempts?: number;
  readonly timeoutMs?: number;
  /** It fails where it has not started by then, and is stopped where it runs. */
  readonly deadlineAt?: number;
  /** The version of its type that its payload was made for; absent: 1. */
  readonly payloadVersion?: number;
  /** Only one job of its type holds the key at a time; see uniqueness.ts. */
  readonly uniqueKey?: string;
  readonly uniqueWhile?: UniqueWhile;
  /** Which jobs of its type it takes turns with others for, such as a tenant's. */
  readonly concurrencyKey?: string;
  /** The schedule whose tick, or `runNow()`, enqueued it, and the instant that it was for. */
  readonly schedule?: string;
  readonly scheduledFor?: number;
  /** The flow that it is a job of, and whether others of that wait for it. */
  readonly flow?: string;
  readonly isParent?: boolean;
  /** The ids of the jobs that it waits for first, by the keys that the flow has for them. */
  readonly parents?: Readonly<Record<string, string>>;
  /** `'fail'` where it is absent. */
  readonly onParentFailure?: OnParentFailure;
  /** Empty where it has a file. */
  readonly payload: Uint8Array;
  /** Where its payload is, if that is too large for the record. */
  readonly payloadFile?: PayloadFile;
}

/** What becomes of a job when one that it waits for does not complete. */
export const ON_PARENT_FAILURE = ['fail', 'cancel', 'ignore'] as const;
export type OnParentFailure = (typeof ON_PARENT_FAILURE)[number];

/** What a job is asked to have instead of what its type, or the engine, says. */
export type JobOwn = Partial<
  Pick<
    JobSpec,
    | 'queue'
    | 'priority'
    | 'runAt'
    | 'durability'
    | 'maxAttempts'
    | 'timeoutMs'
    | 'deadlineAt'
    | 'uniqueKey'
    | 'uniqueWhile'
    | 'concurrencyKey'
  >
> & {
  /** Its deadline is so long after the enqueue. */
  readonly expiresInMs?: number;
};

/** One attempt that counted. */
export interface AttemptRecord {
  readonly attempt: number;
  readonly startedAt: number;
  readonly endedAt: number;
  /** The thread that it ran in, as Node numbers them; absent where it ran inline. */
  readonly thread?: number;
  readonly error: Uint8Array;
}

export interface JobStatus {
  readonly state: JobState;
  /** The running or last attempt, counted from 1; 0 before the first. */
  readonly attempt: number;
  /** When a scheduled or retryable job is due. */
  readonly runAt?: number;
  readonly startedAt?: number;
  readonly finishedAt?: number;
  /** A cancel that was acknowledged while the job ran. */
  readonly cancelRequestedAt?: number;
  /** What the caller who cancelled it said of that. */
  readonly cancelReason?: string;
  /** How often it was taken out of an end again. */
  readonly retries?: number;
  /** How many attempts it had used up by then: they count no more. */
  readonly attemptsBefore?: number;
  /** How many of its attempts were snoozed; absent where none was. */
  readonly snoozes?: number;
  /** The error that the last of them threw for that; absent where it threw none. */
  readonly snoozeError?: Uint8Array;
  /** A checkpoint is kept beside it. */
  readonly hasCheckpoint?: true;
  /** Its progress, or lines of its log, are kept beside it. */
  readonly hasNotes?: true;
  /** The number of the claim that the running or last attempt began with. */
  readonly claim?: number;
  /** It does not hold its unique key, though its state would let it. */
  readonly keyFreed?: boolean;
  readonly result?: Uint8Array;
  /** How often its process crashed while it was in flight, since it last ended an attempt; up to {@link ALONE_FROM}. */
  readonly suspicions?: number;
  /** How often its process crashed while it ran alone. */
  readonly crashes?: number;
  /** The attempts that errored, the newest last; at most {@link MAX_ERRORS}. */
  readonly errors?: readonly AttemptRecord[];
  /** Why it failed, where that was no attempt's error: it expired, or could not be run. */
  readonly failure?: Uint8Array;
}

export interface Job {
  readonly spec: JobSpec;
  readonly status: JobStatus;
}

/** A spec or status that is still being put together, field by field. */
export type Draft<Value> = { -readonly [Field in keyof Value]: Value[Field] };

/** How many jobs there are in each state. */
export type JobCounts = Record<JobState, number>;

/** The bounds of a priority; higher runs first. */
export const MAX_PRIORITY = 0x7fff;
export const MIN_PRIORITY = -0x8000;

/** How many errored attempts a job keeps. */
export const MAX_ERRORS = 10;

/** A job under so many suspicions runs alone. */
export const ALONE_FROM = 2;

export function isSuspect({ suspicions }: JobStatus): boolean {
  return suspicions !== undefined && suspicions >= ALONE_FROM;
}

export function isEnd(state: JobState): state is EndedState {
  return state === 'completed' || state === 'failed' || state === 'cancelled';
}

/** Why a job failed, or erred last; encoded. */
export const lastErrorOf = ({ failure, errors }: JobStatus): Uint8Array | undefined =>
  failure ?? errors?.at(-1)?.error;

/** Whether its deadline has come: no attempt of it starts any more. */
export function isOverdue(job: Job, now: number): boolean {
  const deadlineAt = deadlineOf(job);
  return deadlineAt !== undefined && deadlineAt <= now;
}

/** A job that is retried has as long as it takes. */
export const deadlineOf = ({ spec, status }: Job): number | undefined =>
  status.retries === undefined ? spec.deadlineAt : undefined;

export function hasEnded(status: JobStatus): status is JobStatus & { state: EndedState } {
  return isEnd(status.state);
}
