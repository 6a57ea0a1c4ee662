/**
 * One attempt, step by step:
 *
 *   load → claim → prepare → run → settle → announce
 *
 * The claimer, the starter and the settler take the steps; here is what joins them, and what can come between: a cancel, a
 * deadline, an outage of the journal, the engine's end.
 *
 * The claim is in the journal before the handler starts; the outcome is in the journal before anybody hears of
 * it. An attempt is known from the moment its job is chosen, so that a cancel always finds it.
 */
import { asError, MillraceError } from '../errors.js';
import type { JobNotes } from '../job/notes.js';
import type { Job, JobState } from '../job/record.js';
import { cancelled } from '../job/transitions.js';
import { Transaction } from '../journal/transaction.js';
import type { Settled, StopReason, Task } from '../pool/contract.js';
import type { Alarm } from './alarm.js';
import type { Announcer } from './announcer.js';
import type { Attempt, Ending, NewClaim, Start } from './attempt.js';
import { Attempts } from './attempts.js';
import type { Backlog } from './backlog.js';
import { Claimer } from './claimer.js';
import { Deadlines } from './deadlines.js';
import type { Preparation } from './preparation.js';
import { reconcile } from './reconciliation.js';
import type { OpenClaim } from './recovery.js';
import { Settler, type SettlerLinks } from './settler.js';
import { Starter } from './starter.js';

export interface ExecutorLinks extends Omit<SettlerLinks, 'attempts' | 'end' | 'abandon'> {
  readonly backlog: Backlog;
  readonly alarm: Alarm;
  readonly announcer: Announcer;
  readonly preparation: Preparation;
  /** An attempt is over, and the job is now this. */
  readonly onSettled: (job: Job) => void;
  /** Follow-ups were committed, although nobody was told so. */
  readonly onFollowUps: (attempt: Attempt) => void;
}

export class Executor {
  readonly #links: ExecutorLinks;
  readonly #attempts: Attempts;
  readonly #deadlines: Deadlines;
  readonly #claimer: Claimer;
  readonly #starter: Starter;
  readonly #settler: Settler;

  constructor(links: ExecutorLinks) {
    this.#links = links;
    const { journal, backlog, clock, alarm } = links;
    this.#attempts = new Attempts(journal, backlog);
    this.#deadlines = new Deadlines({
      clock,
      alarm,
      attempts: this.#attempts,
      onOverdue: (attempt) => {
        attempt.stopReason = 'overdue';
        this.#stop(attempt, 'overdue');
      },
    });
    const ends = {
      attempts: this.#attempts,
      end: (attempt: Attempt, before: Job, job: Job) => this.#end(attempt, before, job),
      abandon: (attempt: Attempt, thrown: unknown) => this.#abandon(attempt, thrown),
    };
    this.#settler = new Settler({ ...links, ...ends });
    this.#starter = new Starter({ ...links, deadlines: this.#deadlines, settler: this.#settler });
    this.#claimer = new Claimer({
      ...links,
      ...ends,
      rates: links.rates,
      run: (attempts) => this.#starter.run(attempts),
    });
  }

  /** How many jobs are claimed, running or settling. */
  get size(): number {
    return this.#attempts.size;
  }

  /** Whether handlers go on whose attempts are over. */
  get isLingering(): boolean {
    return this.#attempts.isLingering;
  }

  has(id: string): boolean {
    return this.#attempts.get(id) !== undefined;
  }

  /** The job as it runs, once its claim is in the journal, and whether it should stop and its handler goes on. */
  running(id: string): { job: Job; stopping: boolean; notes: JobNotes | undefined } | undefined {
    const attempt = this.#attempts.get(id);
    if (!attempt?.job || !attempt.isClaimed) return undefined;
    const { job, notes, isStopping, stopReason } = attempt;
    return { job, stopping: isStopping || stopReason !== undefined, notes };
  }

  /** All jobs that run, as they do, and which of them should stop. */
  allRunning(): { job: Job; stopping: boolean }[] {
    return this.#attempts.all().flatMap(({ choice }) => this.running(choice.id) ?? []);
  }

  /** What runs a pool's task, until its outcome is committed. */
  attemptOf(task: Task): Attempt | undefined {
    return this.#attempts.byTask(task);
  }

  /** Handlers that went on after their attempts may have gone. */
  releaseGone(): void {
    this.#attempts.releaseGone();
  }

  /** Claims the jobs and starts them. */
  start(starts: readonly Start[]): void {
    this.#claimer.claim(starts);
  }

  /**
   * Claims a job that is not in the journal yet, in the transaction that brings it there: should the process die, it is
   * an orphan like any other.
   * @param record The job's spec, encoded.
   */
  claimNew(start: Start, job: Job, record: Uint8Array, change: Transaction): NewClaim {
    const attempt = this.#claimer.claimNew(start, job, record, change);
    return {
      job: attempt.job ?? job,
      start: () => {
        attempt.isClaimed = true;
        this.#starter.run([attempt]);
      },
      abandon: (error) => this.#abandon(attempt, error),
    };
  }

  /** A pool's word that a task was told to stop. */
  stopping(task: Task): void {
    const attempt = this.#attempts.byTask(task);
    if (attempt) attempt.isStopping = true;
  }

  /**
   * A pool's word on what tasks came to.
   * @param thread Where they ran; absent inline.
   */
  settle(ends: readonly Settled[], thread?: number): void {
    const running: Ending[] = [];
    for (const { task, outcome } of ends) {
      const attempt = this.#attempts.byTask(task);
      if (!attempt?.job) continue;
      attempt.thread = thread;
      running.push({ attempt, before: attempt.job, outcome });
    }
    this.#settler.settle(running);
  }

  /**
   * Cancels a chosen or running job; between it and an outcome the order of the commits decides.
   * @param reason What the caller says of it.
   */
  async cancel(id: string, reason?: string): Promise<JobState> {
    const attempt = this.#attempts.get(id);
    if (!attempt) throw new Error(`There is no attempt of job ${id}`);
    const ended = new Promise<JobState>((resolve, reject) => {
      attempt.onEnd = [...attempt.onEnd, resolve];
      attempt.onAbandon = [...attempt.onAbandon, reject];
    });
    // Where the request itself cannot be journaled, nobody gets to await it.
    ended.catch(() => {});
    if (!attempt.stopReason) {
      attempt.stopReason = 'cancelled';
      attempt.cancelReason = reason;
      if (attempt.job && !attempt.outcome) await this.#requestCancel(attempt, attempt.job);
    }
    return ended;
  }

  /** Tells everything that runs to stop, because the engine closes. */
  shutDown(): void {
    for (const attempt of this.#attempts.all()) {
      if (attempt.task) attempt.pool.stop(attempt.task, 'shutdown');
      attempt.stopReason ??= 'shutdown';
      if (attempt.isPreparing) this.#starter.unprepared(attempt);
    }
    this.#deadlines.stop();
  }

  /** Resolves once what is on its way to be claimed has been, or is not going to be. */
  whenClaimed(): Promise<void> {
    return this.#claimer.whenIdle();
  }

  /** The journal has failed: from now on outcomes are kept. Resolves once nothing is on its way to be claimed. */
  async suspend(): Promise<void> {
    this.#settler.suspend();
    await this.#claimer.whenIdle();
  }

  /** Whether the job goes on with that claim. */
  isLive(id: string, claim: number): boolean {
    return this.#attempts.get(id)?.job?.status.claim === claim;
  }

  /**
   * The journal has been opened again: what runs goes on by what it holds, and what was kept is written.
   * @param kept The claims that recovery has left.
   * @param error What callers were told whose requests are not there.
   */
  async resume(kept: ReadonlyMap<number, OpenClaim>, error: MillraceError): Promise<void> {
    const { journal } = this.#links;
    const { written, cancelled, uncancelled, claims } = await reconcile(journal, this.#attempts.all(), kept);
    this.#attempts.claims = claims;
    this.#settler.resume();
    for (const attempt of uncancelled) {
      takeBackCancel(attempt, error);
      if (attempt.job) this.#deadlines.watch(attempt.job);
    }
    for (const { attempt, before, job } of written) {
      if (job.status.state === 'completed') this.#links.onFollowUps(attempt);
      this.#end(attempt, before, job);
    }
    this.#settler.settle(this.#attempts.all().flatMap(endingOf));
    // Behind what was kept: a task that has not begun settles at once.
    for (const attempt of cancelled) {
      attempt.stopReason = 'cancelled';
      attempt.cancelReason = attempt.job?.status.cancelReason;
      this.#stop(attempt, 'cancelled');
    }
  }

  /** The journal is not opened again: what was kept is lost, and its jobs run again after the next start. */
  giveUp(error: MillraceError): void {
    this.#settler.resume();
    const kept = this.#attempts.all().filter(({ outcome }) => outcome);
    for (const attempt of kept) this.#abandon(attempt, error);
    if (kept.length === 0) return;
    const message = `The engine closes while its journal cannot be written: what ${kept.length} jobs came to is lost, and they run again after the next open() of this journal`;
    this.#links.announcer.warning(
      new MillraceError('MILLRACE_JOURNAL_WRITE_FAILED', message, { cause: error }),
    );
  }

  /** Resolves once nothing is claimed, running or settling. */
  whenIdle(): Promise<void> {
    return this.#attempts.whenIdle();
  }

  #stop(attempt: Attempt, reason: StopReason): void {
    if (attempt.isPreparing) this.#starter.unprepared(attempt);
    else if (attempt.task && !attempt.outcome) attempt.pool.stop(attempt.task, reason, attempt.cancelReason);
  }

  /** Journaled first, so that a crash from here on leaves the job cancelled. */
  async #requestCancel(attempt: Attempt, { spec, status }: Job): Promise<void> {
    const { journal, clock } = this.#links;
    const next = cancelled(status, clock.now(), attempt.cancelReason);
    attempt.job = { spec, status: next };
    const change = new Transaction().move(spec, status, next);
    if (spec.durability === 'fsync') change.withSync();
    await journal.commit(change);
    this.#stop(attempt, 'cancelled');
  }

  #end(attempt: Attempt, before: Job, job: Job): void {
    this.#attempts.remove(attempt);
    for (const resolve of attempt.onEnd) resolve(job.status.state);
    this.#links.announcer.settled(before, job, attempt.outcome);
    this.#links.onSettled(job);
  }

  /** The journal took no outcome: the job is in it as it was, and is rescued when it opens again. */
  #abandon(attempt: Attempt, thrown: unknown): void {
    if (!this.#attempts.includes(attempt)) return;
    if (!attempt.task && !attempt.outcome) attempt.seat.release();
    attempt.isPreparing = false;
    this.#attempts.remove(attempt);
    for (const reject of attempt.onAbandon) reject(asError(thrown));
  }
}

/** The request to cancel it never reached the disk. */
function takeBackCancel(attempt: Attempt, error: MillraceError): void {
  for (const reject of attempt.onAbandon) reject(error);
  attempt.onEnd = [];
  attempt.onAbandon = [];
  attempt.stopReason = undefined;
  attempt.cancelReason = undefined;
}

function endingOf(attempt: Attempt): Ending[] {
  const { job: before, outcome } = attempt;
  return before && outcome ? [{ attempt, before, outcome }] : [];
}
