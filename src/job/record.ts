/**
 * What is kept of a job. The spec is fixed by `enqueue()` and written once, payload included; the status is
 * written anew by each transition. Both are encoded here, and nowhere else.
 */
import { MillraceError } from '../errors.js';
import { pack, unpack } from './packer.js';

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
  /** The number of the claim that the running or last attempt began with. */
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

/**
 * Records are tuples: names of fields would take longer to write than their values. `null` is what is absent; a new
 * field goes to the end, and is absent in older records.
 */
type Absent<Value> = Value | null | undefined;

type SpecTuple = [
  name: string,
  queue: string,
  priority: number,
  sequence: number,
  enqueuedAt: number,
  isSynced: boolean,
  payload: Uint8Array,
  runAt: Absent<number>,
  maxAttempts: Absent<number>,
  timeoutMs: Absent<number>,
];

type StatusTuple = [
  state: number,
  attempt: number,
  claim: Absent<number>,
  startedAt: Absent<number>,
  finishedAt: Absent<number>,
  result: Absent<Uint8Array>,
  runAt: Absent<number>,
  cancelRequestedAt: Absent<number>,
  errors: Absent<AttemptTuple[]>,
];

type AttemptTuple = [attempt: number, startedAt: number, endedAt: number, error: Uint8Array];

/** The id is the record's key and is not repeated in it. */
export function encodeSpec(spec: JobSpec): Uint8Array {
  const { name, queue, priority, sequence, enqueuedAt, durability, payload } = spec;
  const { runAt = null, maxAttempts = null, timeoutMs = null } = spec;
  const isSynced = durability === 'fsync';
  return pack([
    name,
    queue,
    priority,
    sequence,
    enqueuedAt,
    isSynced,
    payload,
    runAt,
    maxAttempts,
    timeoutMs,
  ] satisfies SpecTuple);
}

/** The cast is safe for bytes whose checksum held: {@link encodeSpec} made them. */
export function decodeSpec(id: string, bytes: Uint8Array): JobSpec {
  const [name, queue, priority, sequence, enqueuedAt, isSynced, payload, runAt, maxAttempts, timeoutMs] =
    unpack(bytes) as SpecTuple;
  return {
    id,
    name,
    queue,
    priority,
    sequence,
    enqueuedAt,
    durability: isSynced ? 'fsync' : 'os',
    payload,
    ...(isPresent(runAt) && { runAt }),
    ...(isPresent(maxAttempts) && { maxAttempts }),
    ...(isPresent(timeoutMs) && { timeoutMs }),
  };
}

export function encodeStatus(status: JobStatus): Uint8Array {
  const { state, attempt, claim = null, startedAt = null, finishedAt = null, result = null } = status;
  const { runAt = null, cancelRequestedAt = null, errors } = status;
  const attempts = errors
    ? errors.map((one): AttemptTuple => [one.attempt, one.startedAt, one.endedAt, one.error])
    : null;
  return pack([
    JOB_STATES.indexOf(state),
    attempt,
    claim,
    startedAt,
    finishedAt,
    result,
    runAt,
    cancelRequestedAt,
    attempts,
  ] satisfies StatusTuple);
}

/** The cast is safe for bytes whose checksum held: {@link encodeStatus} made them. */
export function decodeStatus(bytes: Uint8Array): JobStatus {
  const [number, attempt, claim, startedAt, finishedAt, result, runAt, cancelRequestedAt, errors] = unpack(
    bytes,
  ) as StatusTuple;
  const state = JOB_STATES[number];
  if (!state) throw new MillraceError('MILLRACE_JOURNAL_CORRUPT', `There is no job state ${number}`);
  return {
    state,
    attempt,
    ...(isPresent(claim) && { claim }),
    ...(isPresent(startedAt) && { startedAt }),
    ...(isPresent(finishedAt) && { finishedAt }),
    ...(isPresent(result) && { result }),
    ...(isPresent(runAt) && { runAt }),
    ...(isPresent(cancelRequestedAt) && { cancelRequestedAt }),
    ...(isPresent(errors) && { errors: errors.map(attemptOf) }),
  };
}

function attemptOf([attempt, startedAt, endedAt, error]: AttemptTuple): AttemptRecord {
  return { attempt, startedAt, endedAt, error };
}

function isPresent<Value>(value: Absent<Value>): value is Value {
  return value !== null && value !== undefined;
}

export function isEnd(state: JobState): state is EndedState {
  return state === 'completed' || state === 'failed' || state === 'cancelled';
}

export function hasEnded(status: JobStatus): status is JobStatus & { state: EndedState } {
  return isEnd(status.state);
}
