/**
 * What is kept of a job. The spec is fixed by `enqueue()` and written once, payload included; the status is
 * written anew by each transition. Both are encoded here, and nowhere else.
 */
import { pack, unpack } from './packer.js';

/** Where a job is in its life; the README's words. */
export type JobState =
  'waiting' | 'scheduled' | 'available' | 'running' | 'retryable' | 'completed' | 'failed' | 'cancelled';

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

/** `'fsync'` survives a power cut, `'os'` the death of the process. */
export type Durability = 'fsync' | 'os';

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
  readonly payload: Uint8Array;
}

/** One attempt that counted. */
export interface AttemptRecord {
  readonly attempt: number;
  readonly startedAt: number;
  readonly endedAt: number;
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
  /** The claim's own sequence number, while running. */
  readonly claim?: number;
  readonly result?: Uint8Array;
  /** The attempts that errored, the newest last; at most {@link MAX_ERRORS}. */
  readonly errors?: readonly AttemptRecord[];
}

export interface Job {
  readonly spec: JobSpec;
  readonly status: JobStatus;
}

/** How many jobs there are in each state. */
export type JobCounts = Record<JobState, number>;

/** The bounds of a priority; higher runs first. */
export const MAX_PRIORITY = 0x7fff;
export const MIN_PRIORITY = -0x8000;

/** How many errored attempts a job keeps. */
export const MAX_ERRORS = 10;

/** The id is the record's key and is not repeated in it. */
export function encodeSpec({ id: _id, ...rest }: JobSpec): Uint8Array {
  return pack(rest);
}

/** The cast is safe for bytes whose checksum held: {@link encodeSpec} made them. */
export function decodeSpec(id: string, bytes: Uint8Array): JobSpec {
  return { id, ...(unpack(bytes) as Omit<JobSpec, 'id'>) };
}

export const encodeStatus = (status: JobStatus): Uint8Array => pack(status);
/** The cast is safe for bytes whose checksum held: {@link encodeStatus} made them. */
export const decodeStatus = (bytes: Uint8Array): JobStatus => unpack(bytes) as JobStatus;

export function isEnd(state: JobState): state is EndedState {
  return state === 'completed' || state === 'failed' || state === 'cancelled';
}

export function hasEnded(status: JobStatus): status is JobStatus & { state: EndedState } {
  return isEnd(status.state);
}
