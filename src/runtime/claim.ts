/** What becomes of a chosen job when it is to be claimed: mostly a claim. Adds to the transaction what it takes. */
import { MillraceError } from '../errors.js';
import { encodeError } from '../job/error-data.js';
import { isOverdue, type Job, type JobSpec } from '../job/record.js';
import { claimed, expired, gaveUp, orphaned } from '../job/transitions.js';
import { tellChildren } from '../journal/flow-entries.js';
import type { JobRead } from '../journal/journal.js';
import { placeOf, rankOf } from '../journal/keys.js';
import type { Transaction } from '../journal/transaction.js';
import type { Choice } from './backlog.js';

export type Claim =
  | { readonly kind: 'claimed'; readonly job: Job }
  /** It ends here: its deadline has come. */
  | { readonly kind: 'expired'; readonly before: Job; readonly job: Job }
  /** It ends here, and says why: its record cannot be read, or it was being cancelled. */
  | { readonly kind: 'damaged'; readonly before: Job; readonly job: Job; readonly error: MillraceError }
  /** The entry does not belong to the job's state; only the entry goes. */
  | { readonly kind: 'stale'; readonly error: MillraceError };

/** @param claim The number of the claim, which its jobs share. */
export function claimOne(
  change: Transaction,
  choice: Choice,
  read: JobRead,
  claim: number,
  now: number,
): Claim {
  if (read === undefined || read instanceof MillraceError) {
    const message = `The record of job ${choice.id} is missing`;
    return bury(change, choice, read ?? new MillraceError('MILLRACE_JOURNAL_CORRUPT', message), now);
  }
  const { spec, status } = read;
  if (read !== choice.job && placeOf(read) !== choice.key) {
    // After a power cut an older write may be lost, and with it the removal of this entry.
    change.forget(choice.key);
    if (status.state === 'running') return cancelOrphan(change, read, now);
    const message = `Job ${choice.id} is ${status.state}, and was still listed as available; it is left as it is`;
    return { kind: 'stale', error: new MillraceError('MILLRACE_JOURNAL_CORRUPT', message) };
  }
  if (isOverdue(read, now)) return expire(change, read, choice.key, now);
  const job = { spec, status: claimed(status, claim, now) };
  change.move(spec, status, job.status, choice.key);
  return { kind: 'claimed', job };
}

function expire(change: Transaction, before: Job, key: string, now: number): Claim {
  const { spec, status } = before;
  const job = { spec, status: expired(before, now) };
  change.move(spec, status, job.status, key);
  if (spec.durability === 'fsync') change.withSync();
  return { kind: 'expired', before, job };
}

/** A power cut has taken the claim and left the request to cancel, which was acknowledged: it holds. */
function cancelOrphan(change: Transaction, before: Job, now: number): Claim {
  const { spec } = before;
  const job = { spec, status: orphaned(before.status, now) };
  change.move(spec, before.status, job.status).withSync();
  const message = `Job ${spec.id} was running, and its claim is lost; it is ${job.status.state}`;
  return { kind: 'damaged', before, job, error: new MillraceError('MILLRACE_JOURNAL_CORRUPT', message) };
}

/** What the entry tells of the job is all there is. */
function bury(change: Transaction, choice: Choice, error: MillraceError, now: number): Claim {
  const { id, name, queue, key } = choice;
  const spec: JobSpec = {
    id,
    name,
    queue,
    ...rankOf(key),
    enqueuedAt: now,
    durability: 'fsync',
    payload: new Uint8Array(),
    // Whether others wait for it cannot be told any more.
    isParent: true,
  };
  const before = { spec, status: { state: 'available', attempt: 0 } } as const;
  const status = gaveUp(before.status, encodeError(error), now);
  // The key that it has in its lane, if any, is lost: its place is not.
  change.move(spec, before.status, status, key).withSync();
  tellChildren(change, spec, status);
  return { kind: 'damaged', before, job: { spec, status }, error };
}
