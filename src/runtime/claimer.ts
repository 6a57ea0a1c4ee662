/** Claims jobs for their attempts: what was chosen together in one commit, and a new job with its enqueue. */
import type { Clock } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import { notesOf } from '../job/notes.js';
import type { Job } from '../job/record.js';
import { claimed } from '../job/transitions.js';
import type { Journal, JobRead } from '../journal/journal.js';
import { checkpointKey, notesKey } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import type { Announcer } from './announcer.js';
import { attemptOf, type Attempt, type Start } from './attempt.js';
import type { Attempts } from './attempts.js';
import type { Backlog } from './backlog.js';
import { claimOne } from './claim.js';
import type { RateLimits } from './rate-limits.js';

export interface ClaimerLinks {
  readonly journal: Journal;
  readonly backlog: Backlog;
  readonly announcer: Announcer;
  readonly clock: Clock;
  readonly attempts: Attempts;
  /** Absent where no rate is limited. */
  readonly rates: RateLimits | undefined;
  /** Their jobs are claimed. */
  readonly run: (attempts: readonly Attempt[]) => void;
  /** Its job ended where it was to be claimed. */
  readonly end: (attempt: Attempt, before: Job, job: Job) => void;
  /** Its job is as it was. */
  readonly abandon: (attempt: Attempt, thrown: unknown) => void;
}

export class Claimer {
  readonly #links: ClaimerLinks;
  /** What is on its way. */
  readonly #claiming = new Set<Promise<void>>();

  constructor(links: ClaimerLinks) {
    this.#links = links;
  }

  claim(starts: readonly Start[]): void {
    const claiming = this.#claim(starts).finally(() => this.#claiming.delete(claiming));
    this.#claiming.add(claiming);
  }

  /** Claims a job that is not in the journal yet, in the transaction that brings it there. */
  claimNew(start: Start, { spec, status }: Job, record: Uint8Array, change: Transaction): Attempt {
    const { journal, clock, attempts, rates } = this.#links;
    const claim = journal.nextSequence();
    const job = { spec, status: claimed(status, claim, clock.now()) };
    change.enqueue(spec, job.status, undefined, record);
    if (start.choice.permit) rates?.addTo(change, [start.choice]);
    const attempt = attemptOf(start);
    attempt.job = job;
    attempts.add(attempt);
    attempts.claims.open(claim, 1);
    return attempt;
  }

  /** Resolves once nothing is on its way. */
  async whenIdle(): Promise<void> {
    await Promise.all(this.#claiming);
  }

  async #claim(starts: readonly Start[]): Promise<void> {
    const attempts = starts.map(attemptOf);
    for (const attempt of attempts) this.#links.attempts.add(attempt);
    try {
      const reads = await this.#load(attempts);
      const left = attempts.filter((attempt) => hasLeft(reads ? reads.get(attempt) : attempt.choice.job));
      if (left.length > 0) await this.#recall(left);
      await this.#commit(attempts, reads);
    } catch (thrown) {
      this.#unclaimed(attempts, asError(thrown));
      return;
    }
    this.#links.run(attempts.filter(({ job }) => job));
  }

  /** @returns nothing where all jobs are at hand. */
  async #load(attempts: readonly Attempt[]): Promise<ReadonlyMap<Attempt, JobRead> | undefined> {
    const missing = attempts.filter((attempt) => !attempt.choice.job);
    if (missing.length === 0) return undefined;
    const reads = new Map<Attempt, JobRead>(attempts.map((attempt) => [attempt, attempt.choice.job]));
    const jobs = await this.#links.journal.jobs(missing.map(({ choice }) => choice.id));
    for (const [i, attempt] of missing.entries()) reads.set(attempt, jobs[i]);
    return reads;
  }

  /** What earlier attempts have left for these. */
  async #recall(attempts: readonly Attempt[]): Promise<void> {
    const { journal, announcer } = this.#links;
    const keys = attempts.flatMap(({ choice: { id } }) => [checkpointKey(id), notesKey(id)]);
    const records = await journal.records(keys);
    for (const [i, attempt] of attempts.entries()) {
      const [checkpoint, notes] = [records[2 * i], records[2 * i + 1]];
      // It begins anew, as it would without them.
      for (const record of [checkpoint, notes])
        if (record instanceof MillraceError) announcer.warning(record);
      if (checkpoint instanceof Uint8Array) attempt.resumeFrom = checkpoint;
      if (notes instanceof Uint8Array) attempt.notes = notesOf(notes);
    }
  }

  /** Not synced: a claim that a power cut takes back leaves the job available, which is what it then should be. */
  async #commit(
    attempts: readonly Attempt[],
    reads: ReadonlyMap<Attempt, JobRead> | undefined,
  ): Promise<void> {
    const { journal, backlog, clock, announcer, end, abandon, rates } = this.#links;
    const limited = rates ? attempts.flatMap(({ choice }) => (choice.permit ? [choice] : [])) : [];
    const onClose = limited.length > 0 ? (): void => rates?.addTo(change, limited) : undefined;
    const change = new Transaction(onClose).asUrgent();
    const now = clock.now();
    const number = journal.nextSequence();
    const claims = attempts.map((attempt) => {
      const read = reads ? reads.get(attempt) : attempt.choice.job;
      const claim = claimOne(change, attempt.choice, read, number, now);
      if (claim.kind === 'claimed') attempt.job = claim.job;
      else attempt.choice.permit?.giveBack();
      return { attempt, claim };
    });
    this.#links.attempts.claims.open(number, claims.filter(({ claim }) => claim.kind === 'claimed').length);
    await journal.commit(change);
    for (const { attempt, claim } of claims) {
      backlog.settle(attempt.choice, attempt.choice.key);
      if (claim.kind === 'claimed') {
        attempt.isClaimed = true;
        continue;
      }
      if (claim.kind !== 'expired') announcer.warning(claim.error);
      if (claim.kind === 'stale') {
        abandon(attempt, claim.error);
        continue;
      }
      attempt.seat.release();
      end(attempt, claim.before, claim.job);
    }
  }

  /** In the journal the jobs are as they were; where it takes no more writes, it has said so itself. */
  #unclaimed(attempts: readonly Attempt[], cause: Error): void {
    const { journal, backlog, announcer, abandon } = this.#links;
    for (const attempt of attempts) {
      // Whoever cancels it goes on with the job as it was.
      if (!journal.failure) for (const resolve of attempt.onEnd) resolve('available');
      abandon(attempt, cause);
      if (!journal.failure) backlog.giveBack(attempt.choice);
    }
    if (journal.failure) return;
    const message = `${attempts.length} jobs could not be read to be claimed, and are tried again: ${cause.message}`;
    announcer.warning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
  }
}

function hasLeft(read: JobRead): boolean {
  if (read === undefined || read instanceof MillraceError) return false;
  return read.status.hasCheckpoint === true || read.status.hasNotes === true;
}
