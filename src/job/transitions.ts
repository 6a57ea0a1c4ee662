/**
 * Every change of a job's state, and the only place that assigns one. Pure: each takes a status and gives the
 * next; the caller journals it. An impossible change is a bug of the engine and throws.
 */
import { backoffMs, type BackoffPolicy } from './backoff.js';
import type { Outcome } from './outcome.js';
import { MAX_ERRORS, type AttemptRecord, type JobSpec, type JobState, type JobStatus } from './record.js';

/** What decides whether and when a job gets another attempt. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly backoff: BackoffPolicy;
}

/** A job's first status; the journal need not store it, for it follows from the spec. */
export function enqueued(spec: JobSpec): JobStatus {
  return spec.runAt === undefined
    ? { state: 'available', attempt: 0 }
    : { state: 'scheduled', attempt: 0, runAt: spec.runAt };
}

/** A job that is due. */
export function promoted(status: JobStatus): JobStatus {
  expect(status, 'scheduled', 'retryable');
  const { runAt: _due, ...rest } = status;
  return { ...rest, state: 'available' };
}

/** @param claim The claim's own sequence number. */
export function claimed(status: JobStatus, claim: number, now: number): JobStatus {
  expect(status, 'available');
  return { ...status, state: 'running', attempt: status.attempt + 1, claim, startedAt: now };
}

/** A cancel: at once, or, where the job is running, once its attempt has ended. */
export function cancelled(status: JobStatus, now: number): JobStatus {
  expect(status, 'waiting', 'scheduled', 'available', 'retryable', 'running');
  if (status.state === 'running') return { ...status, cancelRequestedAt: now };
  return ended(status, 'cancelled', now);
}

/** A running job whose process died: no attempt is counted, for the job cannot be blamed. */
export function orphaned(status: JobStatus, now: number): JobStatus {
  // A claim does not rewrite the status, so what the journal holds is mostly the status before it.
  expect(status, 'available', 'running');
  if (status.cancelRequestedAt !== undefined) return ended(status, 'cancelled', now);
  return status.state === 'running' ? released(status) : status;
}

/** @param random In [0, 1), for the backoff's jitter. */
export function settled(
  status: JobStatus,
  outcome: Outcome,
  policy: RetryPolicy,
  now: number,
  random: number,
): JobStatus {
  expect(status, 'running');
  if (status.cancelRequestedAt !== undefined) return ended(status, 'cancelled', now);
  switch (outcome.kind) {
    case 'completed':
      return { ...ended(status, 'completed', now), result: outcome.result };
    case 'cancelled':
      return ended(status, 'cancelled', now);
    case 'released':
      return released(status);
    case 'errored':
    case 'timedOut':
    case 'crashed': {
      const next = withError(status, outcome.error, now);
      const givesUp = outcome.kind === 'errored' && outcome.unrecoverable;
      if (givesUp || status.attempt >= policy.maxAttempts) return ended(next, 'failed', now);
      const { claim: _gone, ...rest } = next;
      return { ...rest, state: 'retryable', runAt: now + backoffMs(policy.backoff, status.attempt, random) };
    }
    default:
      return outcome satisfies never;
  }
}

/** A job whose record or attempt can never be run again for a reason of the engine's own, such as corruption. */
export function gaveUp(status: JobStatus, error: Uint8Array, now: number): JobStatus {
  expect(status, 'waiting', 'scheduled', 'available', 'retryable', 'running');
  return ended(withError(status, error, now), 'failed', now);
}

function ended(status: JobStatus, state: 'completed' | 'failed' | 'cancelled', now: number): JobStatus {
  const { claim: _gone, runAt: _due, ...rest } = status;
  return { ...rest, state, finishedAt: now };
}

function released(status: JobStatus): JobStatus {
  const { claim: _gone, startedAt: _never, ...rest } = status;
  return { ...rest, state: 'available', attempt: status.attempt - 1 };
}

function withError(status: JobStatus, error: Uint8Array, now: number): JobStatus {
  const record: AttemptRecord = {
    attempt: status.attempt,
    startedAt: status.startedAt ?? now,
    endedAt: now,
    error,
  };
  return { ...status, errors: [...(status.errors ?? []), record].slice(-MAX_ERRORS) };
}

function expect(status: JobStatus, ...states: JobState[]): void {
  if (!states.includes(status.state)) {
    throw new Error(
      `A job that is ${status.state} cannot make this transition; expected ${states.join(' or ')}`,
    );
  }
}
