/**
 * After an outage of the journal: what the attempts that go on in this process know of their jobs, and what the journal,
 * opened again, really holds, are brought together. A write that failed may be there or not, and where the disk itself
 * erred, so may what was written before it and not synced.
 */
import { MillraceError } from '../errors.js';
import { hasEnded, type Job, type JobStatus } from '../job/record.js';
import { promoted } from '../job/transitions.js';
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
  if (!read) {
    const claimed = { ...status, claim: reclaim(draft) };
    draft.change.enqueue(spec, claimed);
    draft.jobs.set(attempt, { spec, status: claimed });
    return;
  }
  if (hasOutcome(read.status, status.claim)) {
    draft.written.push({ attempt, before: job, job: read });
    return;
  }
  if (read.status.state === 'running') {
    draft.jobs.set(attempt, read);
    draft.cancelled.push(attempt);
    return;
  }
  const running = uncancelled(status);
  if (running !== status) draft.uncancelled.push(attempt);
  if (isListed) {
    draft.jobs.set(attempt, { spec, status: running });
    return;
  }
  const claimed = { ...running, claim: reclaim(draft) };
  // A claim leaves the stored status alone, and recovery knows an orphan by its being available.
  const available = read.status.state === 'available' ? read.status : promoted(read.status);
  if (available !== read.status) draft.change.move(spec, read.status, available);
  draft.change.move(spec, available, claimed);
  draft.jobs.set(attempt, { spec, status: claimed });
}

/** What is stored is of this claim, and not only a request to cancel it: an older status may be of any state. */
function hasOutcome(stored: JobStatus, claim: number | undefined): boolean {
  return hasEnded(stored) || (stored.claim === claim && stored.state !== 'running');
}

function reclaim(draft: Draft): number {
  draft.reclaimed++;
  return draft.claim;
}

function uncancelled(status: JobStatus): JobStatus {
  if (status.cancelRequestedAt === undefined) return status;
  const { cancelRequestedAt: _, ...running } = status;
  return running;
}
