/**
 * Takes what attempts came to into the journal: decides what becomes of their jobs and commits it, those that end together
 * in one commit. While the journal takes nothing, outcomes are kept with their attempts.
 */
import type { Clock } from '../clock.js';
import { encodeNotes } from '../job/notes.js';
import type { Job } from '../job/record.js';
import { keeping, settled } from '../job/transitions.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import type { Attempt, Ending } from './attempt.js';
import type { Attempts } from './attempts.js';
import type { RateLimits } from './rate-limits.js';
import type { Retries } from './retries.js';

export interface SettlerLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly retries: Retries;
  readonly attempts: Attempts;
  /** Absent where no rate is limited. */
  readonly rates?: RateLimits | undefined;
  /** Commits what completes an attempt's job, and its follow-ups with it. */
  readonly commitFollowUps: (attempt: Attempt, change: Transaction) => Promise<void>;
  /** What its job came to is in the journal. */
  readonly end: (attempt: Attempt, before: Job, job: Job) => void;
  /** It is not, and never will be. */
  readonly abandon: (attempt: Attempt, thrown: unknown) => void;
}

interface Settling {
  readonly end: Ending;
  readonly job: Job;
}

export class Settler {
  readonly #links: SettlerLinks;
  /** The journal takes nothing at the moment: outcomes are kept. */
  #isSuspended = false;
  /** How often it was suspended. */
  #outages = 0;

  constructor(links: SettlerLinks) {
    this.#links = links;
  }

  suspend(): void {
    this.#isSuspended = true;
    this.#outages++;
  }

  /** What was kept is the caller's to settle again. */
  resume(): void {
    this.#isSuspended = false;
  }

  /** All in one commit: those that end together. */
  settle(ends: readonly Ending[]): void {
    for (const { attempt, outcome } of ends) attempt.outcome = outcome;
    if (ends.length === 0 || this.#isSuspended) return;
    const now = this.#links.clock.now();
    const change = this.#changeFor(ends);
    const settling: Settling[] = [];
    for (const end of ends) {
      const job = this.#settled(end, now);
      if (end.attempt.followUps && job.status.state === 'completed') void this.#settleWithFollowUps(end, job);
      else {
        this.#move(change, end, job);
        settling.push({ end, job });
      }
    }
    if (settling.length === 0) return;
    this.#links.journal.commit(change).then(
      () => {
        for (const { end, job } of settling) this.#links.end(end.attempt, end.before, job);
      },
      (thrown: unknown) => {
        // Suspended: the journal has failed, and they are kept until it takes them.
        if (!this.#isSuspended) for (const { end } of settling) this.#links.abandon(end.attempt, thrown);
      },
    );
  }

  /** Starts that came to nothing, because no handler was called, are given back with what they came to. */
  #changeFor(ends: readonly Ending[]): Transaction {
    const { rates } = this.#links;
    if (!rates) return new Transaction();
    const unbegun = ends
      .map(({ attempt }) => attempt.choice)
      .filter(({ permit }) => permit?.hasBegun === false);
    if (unbegun.length === 0) return new Transaction();
    for (const { permit } of unbegun) permit?.giveBack();
    const change = new Transaction(() => rates.addTo(change, unbegun));
    return change;
  }

  #settled({ attempt: { type, thread, notes }, before, outcome: told }: Ending, now: number): Job {
    const { retries } = this.#links;
    const outcome = retries.bounded(told, before, type);
    const { spec, status } = before;
    const running = notes ? keeping(status, 'hasNotes') : status;
    return { spec, status: settled(running, outcome, retries.after(outcome, before, type), now, thread) };
  }

  #move(change: Transaction, end: Ending, job: Job): void {
    this.#moveOnly(change, end, job);
    this.#leaveClaim(change, end);
  }

  #leaveClaim(change: Transaction, { before: { status } }: Ending): void {
    if (this.#links.attempts.claims.leave(status.claim)) change.endClaim(status.claim);
  }

  #moveOnly(change: Transaction, { attempt, before }: Ending, { spec, status: next }: Job): void {
    const { status } = before;
    change.move(spec, status, next);
    if (attempt.notes?.isDirty) change.putNotes(spec.id, encodeNotes(attempt.notes));
    // A release that a power cut takes back is made again by recovery.
    if (spec.durability === 'fsync' && next.state !== 'available') change.withSync();
  }

  /** In a commit of its own, for it may have to wait until it is known which of them are new. */
  async #settleWithFollowUps(end: Ending, job: Job): Promise<void> {
    const { journal, commitFollowUps } = this.#links;
    const outages = this.#outages;
    // An outage that comes and goes meanwhile settles it anew, and this must not reach the journal any more.
    // Until it is written its job is on its claim's roster, whoever of that ends before: or nobody would find the orphan.
    const change = new Transaction(() => this.#leaveClaim(change, end)).readIn(journal.generation);
    this.#moveOnly(change, end, job);
    try {
      await commitFollowUps(end.attempt, change);
    } catch (thrown) {
      if (outages === this.#outages) this.#links.abandon(end.attempt, thrown);
      return;
    }
    this.#links.end(end.attempt, end.before, job);
  }
}
