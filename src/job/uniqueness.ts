/** For how long a job holds its unique key. Pure; who holds a key is in the journal, and this says for whom that counts. */
import { hasEnded, type Job, type JobSpec, type JobStatus } from './record.js';

/** What becomes of an enqueue whose key is held by another job. */
export type OnConflict = 'return' | 'replace' | 'reject';

/** Until when a job holds its key, where that is for a time. */
export function heldUntil({ enqueuedAt, uniqueWhile }: JobSpec): number | undefined {
  return typeof uniqueWhile === 'number' ? enqueuedAt + uniqueWhile : undefined;
}

/**
 * Whether a job holds its key as long as no other has taken it over, which the journal tells.
 * @param now Where it is left out, a time is not over.
 */
export function holdsKey({ spec, status }: Job, now = 0): boolean {
  if (spec.uniqueKey === undefined || status.keyFreed) return false;
  switch (spec.uniqueWhile) {
    case 'queued':
      return status.claim === undefined && status.state !== 'running' && !hasEnded(status);
    case 'retained':
      return true;
    case 'active':
    case undefined:
      return !hasEnded(status);
    default:
      return spec.enqueuedAt + spec.uniqueWhile > now;
  }
}

/**
 * A job that was claimed, and waits again as if it had not been: a key that it held until its claim is not taken again,
 * for another job may have it by now.
 */
export function orphanWithKey(spec: JobSpec, status: JobStatus): JobStatus {
  return spec.uniqueWhile === 'queued' && holdsKey({ spec, status }) ? { ...status, keyFreed: true } : status;
}
