/**
 * Every change of a job's state, and the only place that assigns one. Pure: each takes a status and gives the
 * next; the caller journals it. An impossible change is a bug of the engine and throws.
 */
import { ExpiredError } from '../errors.js';
import { encodeError } from './error-data.js';
import type { Outcome } from './outcome.js';
import {
  ALONE_FROM,
  hasEnded,
  MAX_ERRORS,
  type AttemptRecord,
  type Draft,
  type EndedState,
  type Job,
  type JobSpec,
  type JobState,
  type JobStatus,
} from './record.js';

/** That a job gets another attempt after one that errored, and how long it waits until then. */
export interface Retry {
  readonly delayMs: number;
}

/** A job's first status; the journal need not store it, for it follows from the spec. */
export function enqueued(spec: JobSpec): JobStatus {
  if (spec.parents !== undefined) return { state: 'waiting', attempt: 0 };
  return spec.runAt === undefined
    ? { state: 'available', attempt: 0 }
    : { state: 'scheduled', attempt: 0, runAt: spec.runAt };
}

/** A job whose parents have all ended. */
export function unblocked(status: JobStatus, { runAt }: JobSpec, now: number): JobStatus {
  expect(status, 'waiting');
  if (runAt === undefined || runAt <= now) return next(status, 'available');
  const scheduled = next(status, 'scheduled');
  scheduled.runAt = runAt;
  return scheduled;
}

/** A job that is due. */
export function promoted(status: JobStatus): JobStatus {
  expect(status, 'scheduled', 'retryable');
  return next(status, 'available');
}

/** @param claim The number of the claim, which it may share with other jobs. */
export function claimed(status: JobStatus, claim: number, now: number): JobStatus {
  expect(status, 'available');
  const running = next(status, 'running');
  running.attempt++;
  running.claim = claim;
  running.startedAt = now;
  return running;
}

/**
 * A cancel: at once, or, where the job is running, once its attempt has ended.
 * @param reason What the caller says of it.
 */
export function cancelled(status: JobStatus, now: number, reason?: string): JobStatus {
  expect(status, 'waiting', 'scheduled', 'available', 'retryable', 'running');
  if (status.state === 'running') {
    const cancelling = next(status, 'running');
    cancelling.cancelRequestedAt = now;
    return withReason(cancelling, reason);
  }
  return withReason(ended(status, 'cancelled', now), reason);
}

/**
 * A job that had ended is to be run again: with all the attempts that it had at first, and with its history. Its attempts
 * go on being counted from where they were.
 * @param hasParents Whether it waits for other jobs again, which may be run again, too.
 */
export function retried(status: JobStatus, hasParents = false): JobStatus {
  expect(status, 'failed', 'cancelled');
  const again = next(status, hasParents ? 'waiting' : 'available');
  delete again.startedAt;
  delete again.finishedAt;
  delete again.cancelRequestedAt;
  delete again.cancelReason;
  delete again.snoozes;
  delete again.snoozeError;
  delete again.crashes;
  again.retries = (status.retries ?? 0) + 1;
  again.attemptsBefore = status.attempt;
  return again;
}

/**
 * Whether a job that was claimed is still running as far as its stored status tells. A claim does not write one: it
 * shows in an older claim's number, or none. Claims and jobs are numbered together, so a job with a number greater than
 * the claim's was enqueued after it, under the id of one that is no longer kept.
 */
export function isOrphanOf({ spec, status }: Job, claim: number): boolean {
  if (status.state === 'running') return status.claim === claim;
  return status.state === 'available' && (status.claim ?? 0) < claim && spec.sequence < claim;
}

/** A running job whose process died: no attempt is counted, for the job cannot be blamed. */
export function orphaned(status: JobStatus, now: number): JobStatus {
  // A claim does not rewrite the status, so what the journal holds is mostly the status before it.
  expect(status, 'available', 'running');
  if (status.cancelRequestedAt !== undefined) return ended(status, 'cancelled', now);
  return status.state === 'running' ? released(status) : status;
}

/** A running job whose process crashed, be it for this job or another one: it comes under suspicion. */
export function suspected(status: JobStatus, now: number): JobStatus {
  const orphan = orphaned(status, now);
  if (hasEnded(orphan)) return orphan;
  const suspect = next(orphan, 'available');
  suspect.suspicions = Math.min((orphan.suspicions ?? 0) + 1, ALONE_FROM);
  return suspect;
}

/**
 * A job whose process crashed while it ran alone: nobody else can be to blame. No attempt is counted, but at `maxCrashes`
 * it fails.
 * @param error What it fails with then.
 */
export function blamed(status: JobStatus, maxCrashes: number, error: Uint8Array, now: number): JobStatus {
  const orphan = orphaned(status, now);
  if (hasEnded(orphan)) return orphan;
  const culprit = next(orphan, 'available');
  culprit.crashes = (orphan.crashes ?? 0) + 1;
  return culprit.crashes < maxCrashes ? culprit : gaveUp(culprit, error, now);
}

/**
 * @param retry What was decided of an attempt that errored, timed out or crashed; absent where its job fails.
 * @param thread Where the attempt ran.
 */
export function settled(
  running: JobStatus,
  outcome: Outcome,
  retry: Retry | undefined,
  now: number,
  thread?: number,
): JobStatus {
  expect(running, 'running');
  if (running.cancelRequestedAt !== undefined) return ended(running, 'cancelled', now);
  // Whoever ends an attempt takes nobody down.
  const hasRun = outcome.kind !== 'released' && outcome.kind !== 'postponed';
  const status = hasRun ? unsuspected(running) : running;
  switch (outcome.kind) {
    case 'completed':
      return completed(status, outcome.result, now);
    case 'cancelled':
      return withReason(ended(status, 'cancelled', now), outcome.reason);
    case 'released':
      return released(status);
    case 'snoozed':
      return snoozed(status, outcome, now);
    case 'overdue':
      return ended(withError(status, outcome.error, now), 'failed', now);
    case 'refused': {
      const failed = uncounted(withError(status, outcome.error, now), 'failed');
      failed.finishedAt = now;
      return failed;
    }
    case 'postponed': {
      const later = uncounted(status, 'scheduled');
      later.runAt = outcome.runAt;
      return later;
    }
    case 'errored':
    case 'timedOut':
    case 'crashed': {
      const erred = withError(status, outcome.error, now, thread);
      if (!retry) return ended(erred, 'failed', now);
      const retryable = next(erred, 'retryable');
      retryable.runAt = now + retry.delayMs;
      return retryable;
    }
    default:
      return outcome satisfies never;
  }
}

/** A running job of which something is kept beside its records from here on. */
export function keeping(status: JobStatus, what: 'hasCheckpoint' | 'hasNotes'): JobStatus {
  expect(status, 'running');
  if (status[what]) return status;
  const noted = next(status, 'running');
  noted[what] = true;
  return noted;
}

/**
 * A job that can never be run again for a reason that is no attempt's, such as corruption: none is added to those that
 * errored.
 */
export function gaveUp(status: JobStatus, error: Uint8Array, now: number): JobStatus {
  expect(status, 'waiting', 'scheduled', 'available', 'retryable', 'running');
  const failed = ended(status, 'failed', now);
  failed.failure = error;
  return failed;
}

/** A job whose deadline has come before its next attempt has started. */
export function expired({ spec, status }: Job, now: number): JobStatus {
  expect(status, 'waiting', 'scheduled', 'available', 'retryable');
  const { id, name, deadlineAt = now } = spec;
  const error = new ExpiredError({ id, name, attempt: status.attempt + 1 }, deadlineAt);
  return gaveUp(status, encodeError(error), now);
}

/**
 * The status before, in another state, to be filled in. A due time and a failure belong to their state alone. Field by field, for
 * this is done several times per job, and a spread that overrides a field takes V8 a microsecond and more.
 */
function next(status: JobStatus, state: JobState): Draft<JobStatus> {
  const draft: Draft<JobStatus> = { state, attempt: status.attempt };
  if (status.claim !== undefined) draft.claim = status.claim;
  if (status.startedAt !== undefined) draft.startedAt = status.startedAt;
  if (status.finishedAt !== undefined) draft.finishedAt = status.finishedAt;
  if (status.result !== undefined) draft.result = status.result;
  if (status.cancelRequestedAt !== undefined) draft.cancelRequestedAt = status.cancelRequestedAt;
  if (status.cancelReason !== undefined) draft.cancelReason = status.cancelReason;
  if (status.retries !== undefined) draft.retries = status.retries;
  if (status.attemptsBefore !== undefined) draft.attemptsBefore = status.attemptsBefore;
  if (status.suspicions !== undefined) draft.suspicions = status.suspicions;
  if (status.crashes !== undefined) draft.crashes = status.crashes;
  if (status.keyFreed !== undefined) draft.keyFreed = status.keyFreed;
  if (status.errors !== undefined) draft.errors = status.errors;
  if (status.snoozes !== undefined) {
    draft.snoozes = status.snoozes;
    if (status.snoozeError !== undefined) draft.snoozeError = status.snoozeError;
  }
  if (status.hasCheckpoint) draft.hasCheckpoint = true;
  if (status.hasNotes) draft.hasNotes = true;
  return draft;
}

function ended(status: JobStatus, state: EndedState, now: number): Draft<JobStatus> {
  const end = next(status, state);
  end.finishedAt = now;
  if (end.suspicions !== undefined) delete end.suspicions;
  return end;
}

function unsuspected(status: JobStatus): JobStatus {
  if (status.suspicions === undefined) return status;
  const { suspicions: _, ...cleared } = status;
  return cleared;
}

function completed(status: JobStatus, result: Uint8Array, now: number): JobStatus {
  const end = ended(status, 'completed', now);
  end.result = result;
  // There is nothing to resume any more.
  if (end.hasCheckpoint) delete end.hasCheckpoint;
  return end;
}

function released(status: JobStatus): JobStatus {
  return uncounted(status, 'available');
}

function snoozed(
  status: JobStatus,
  { delayMs, error }: Extract<Outcome, { kind: 'snoozed' }>,
  now: number,
): JobStatus {
  const later = uncounted(status, 'scheduled');
  later.runAt = now + delayMs;
  later.snoozes = (status.snoozes ?? 0) + 1;
  if (error !== undefined) later.snoozeError = error;
  else delete later.snoozeError;
  return later;
}

/** As if the attempt had not been. */
function uncounted(status: JobStatus, state: JobState): Draft<JobStatus> {
  const before = next(status, state);
  delete before.startedAt;
  before.attempt--;
  return before;
}

function withReason(status: Draft<JobStatus>, reason: string | undefined): JobStatus {
  if (reason !== undefined) status.cancelReason = reason;
  return status;
}

function withError(status: JobStatus, error: Uint8Array, now: number, thread?: number): JobStatus {
  const { attempt, startedAt = now } = status;
  const record: Draft<AttemptRecord> = { attempt, startedAt, endedAt: now, error };
  if (thread !== undefined) record.thread = thread;
  const erred = next(status, status.state);
  if (status.runAt !== undefined) erred.runAt = status.runAt;
  erred.errors = [...(status.errors ?? []), record].slice(-MAX_ERRORS);
  return erred;
}

function expect(status: JobStatus, ...states: JobState[]): void {
  if (!states.includes(status.state)) {
    throw new Error(
      `A job that is ${status.state} cannot make this transition; expected ${states.join(' or ')}`,
    );
  }
}
