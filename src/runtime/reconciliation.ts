/**
 * After an outage of the journal: what the attempts that go on in this process know of their jobs, and what the journal,
 * opened again, really holds, are brought together. A write that failed may be there or not, and where the disk itself
 * erred, so may what was written before it and not synced.
 */
import { MillraceError } from '../errors.js';
import type { Job, JobStatus } from '../job/record.js';
import { orphaned } from '../job/transitions.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import type { Attempt } from './attempt.js';
import { OpenClaims } from './open-claims.js';
import type { OpenClaim } from './recovery.js';

export interface Reconciled {
  /** Their outcomes had reached the disk after all. */
  readonly written: readonly Written[];
  /** Nobody can tell whether their cancel was taken, but it was not. */
  readonly uncancelled: readonly Attempt[];
  /** The request to cancel them had reached the disk. */
  readonly cancelled: readonly Attempt[];
  readonly claims: OpenClaims;
}

export interface Written {
  readonly attempt: Attempt;
  readonly before: Job;
  readonly job: Job;
}

interface Draft {
  readonly change: Transaction;
  /** The jobs as they run, where they are other than their attempts say. */
  readonly jobs: Map<Attempt, Job>;
  readonly written: Written[];
  readonly uncancelled: Attempt[];
  readonly cancelled: Attempt[];
  /** The claim of those whose own is lost, and how many they are. */
  readonly claim: number;
  reclaimed: number;
}

/**
 * @param attempts Those whose jobs were claimed. They are changed only once all is committed.
 * @param kept The claims that recovery has left.
 */
export async function reconcile(
  journal: Journal,
  attempts: readonly Attempt[],
  kept: ReadonlyMap<number, OpenClaim>,
): Promise<Reconciled> {
  const listed = new Set([...kept.values()].flatMap(({ live }) => live));
  const claims = new OpenClaims();
  for (const [claim, { size }] of kept) claims.open(claim, size);
  const draft: Draft = {
    change: new Transaction(),
    jobs: new Map(),
    written: [],
    uncancelled: [],
    cancelled: [],
    claim: journal.nextSequence(),
    reclaimed: 0,
  };
  const reads = await journal.jobs(attempts.map(({ choice }) => choice.id));
  for (const [i, attempt] of attempts.entries()) {
    const { job } = attempt;
    if (job) reconcileOne(draft, attempt, job, reads[i], listed.has(job.spec.id));
  }
  claims.open(draft.claim, draft.reclaimed);
  const { change, jobs, written, uncancelled, cancelled } = draft;
  for (const { before } of written) {
    const { claim } = before.status;
    if (claims.leave(claim)) change.endClaim(claim);
  }
  if (change.keys.length > 0) await journal.commit(change.withSync());
  for (const [attempt, job] of jobs) attempt.job = job;
  return { written, uncancelled, cancelled, claims };
}

function reconcileOne(draft: Draft, attempt: Attempt, job: Job, read: JobRead, isListed: boolean): void {
  const { spec, status } = job;
  // Its outcome, when it comes, replaces what cannot be read.
  if (read instanceof MillraceError) return;
  if (read && isOutcomeOf(read.status, status)) {
    draft.written.push({ attempt, before: job, job: read });
    return;
  }
  const isAsked = read?.status.cancelRequestedAt !== undefined;
  if (isAsked && read.status.state === 'running' && read.status.claim === status.claim) {
    draft.jobs.set(attempt, read);
    draft.cancelled.push(attempt);
    return;
  }
  const running = keptBeside(uncancelled(status), read?.status);
  if (status.cancelRequestedAt !== undefined) draft.uncancelled.push(attempt);
  const claimed = read && isListed ? running : claimAgain(draft, { spec, status: running }, read?.status);
  draft.jobs.set(attempt, { spec, status: claimed });
}

/** Whether the job got an outcome of that claim. What an older claim left, or none, is what was before it. */
function isOutcomeOf(stored: JobStatus, { claim }: JobStatus): boolean {
  return stored.state !== 'running' && stored.claim === claim;
}

/**
 * The claim is lost, and with it perhaps what made the job available, or the job itself. It is written as it was before
 * the claim, so that it is an orphan like any other if the process dies.
 */
function claimAgain(draft: Draft, { spec, status }: Job, stored: JobStatus | undefined): JobStatus {
  const { claim: _, ...unclaimed } = orphaned(status, 0);
  const available = stored?.claim === undefined ? unclaimed : { ...unclaimed, claim: stored.claim };
  if (stored) draft.change.move(spec, stored, available);
  else draft.change.restore(spec, available);
  draft.reclaimed++;
  const claimed = { ...status, claim: draft.claim };
  draft.change.move(spec, available, claimed);
  return claimed;
}

/** What is kept beside a job is what its status on the disk says: the write that was to say so may be lost. */
function keptBeside(status: JobStatus, stored: JobStatus | undefined): JobStatus {
  const { hasCheckpoint: _checkpoint, hasNotes: _notes, ...running } = status;
  return {
    ...running,
    ...(stored?.hasCheckpoint && { hasCheckpoint: true }),
    ...(stored?.hasNotes && { hasNotes: true }),
  };
}

function uncancelled(status: JobStatus): JobStatus {
  if (status.cancelRequestedAt === undefined) return status;
  const { cancelRequestedAt: _at, cancelReason: _reason, ...running } = status;
  return running;
}
