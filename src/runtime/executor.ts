/**
 * One attempt, step by step:
 *
 *   load → claim → run → settle → announce
 *
 * The claim is in the journal before the handler starts; the outcome is in the journal before anybody hears of
 * it. An attempt is known from the moment its job is chosen, so that a cancel always finds it.
 */
import type { Clock } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import type { Job, JobState } from '../job/record.js';
import { cancelled, claimed, settled } from '../job/transitions.js';
import type { Journal, JobRead } from '../journal/journal.js';
import { RUNNING_SPAN, runningKey } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import type { Pool, Ride, Settled, Task } from '../pool/contract.js';
import type { Announcer } from './announcer.js';
import { attemptOf, taskOf, type Attempt, type Ending, type Start } from './attempt.js';
import type { Backlog } from './backlog.js';
import { claimOne } from './claim.js';
import { OpenClaims } from './open-claims.js';
import { reconcile } from './reconciliation.js';
import type { OpenClaim } from './recovery.js';

/** How many attempts end before the low-water mark of running jobs is raised. */
const RAISE_MARK_EVERY = 1_000;

export interface ExecutorLinks {
  readonly journal: Journal;
  readonly backlog: Backlog;
  readonly announcer: Announcer;
  readonly clock: Clock;
  /** In [0, 1), for the backoff's jitter. */
  readonly random: () => number;
  /** An attempt is over, and the job is now this. */
  readonly onSettled: (job: Job) => void;
}

/** A job that was claimed on its way into the journal. */
export interface NewClaim {
  readonly job: Job;
  /** It is there. */
  readonly start: () => void;
  /** It never gets there. */
  readonly abandon: (error: Error) => void;
}

export class Executor {
  readonly #links: ExecutorLinks;
  readonly #attempts = new Map<string, Attempt>();
  #claims = new OpenClaims();
  /** Jobs that are being claimed. */
  readonly #claiming = new Set<Promise<void>>();
  /** The journal takes nothing at the moment: outcomes are kept. */
  #isSuspended = false;
  #onIdle: (() => void)[] = [];
  #forgotten = 0;

  constructor(links: ExecutorLinks) {
    this.#links = links;
  }

  /** How many jobs are claimed, running or settling. */
  get size(): number {
    return this.#attempts.size;
  }

  has(id: string): boolean {
    return this.#attempts.has(id);
  }

  /** The job as it runs, and whether it should stop and its handler goes on. */
  running(id: string): { job: Job; stopping: boolean } | undefined {
    const attempt = this.#attempts.get(id);
    if (!attempt?.job) return undefined;
    return { job: attempt.job, stopping: attempt.isStopping || attempt.stopReason !== undefined };
  }

  /** Claims the jobs and starts them. */
  start(starts: readonly Start[]): void {
    const started = this.#start(starts).finally(() => this.#claiming.delete(started));
    this.#claiming.add(started);
  }

  async #start(starts: readonly Start[]): Promise<void> {
    const attempts = starts.map(attemptOf);
    for (const attempt of attempts) this.#attempts.set(attempt.choice.id, attempt);
    try {
      const reads = await this.#load(attempts);
      await this.#claim(attempts, reads);
    } catch (thrown) {
      this.#unclaimed(attempts, asError(thrown));
      return;
    }
    this.#run(attempts);
  }

  /**
   * Claims a job that is not in the journal yet, in the transaction that brings it there: should the process die, it is
   * an orphan like any other.
   * @param record The job's spec, encoded.
   */
  claimNew(start: Start, { spec, status }: Job, record: Uint8Array, change: Transaction): NewClaim {
    const { journal, clock } = this.#links;
    const claim = journal.nextSequence();
    const job = { spec, status: claimed(status, claim, clock.now()) };
    change.enqueue(spec, job.status, undefined, record);
    const attempt = attemptOf(start);
    attempt.job = job;
    this.#attempts.set(spec.id, attempt);
    this.#claims.open(claim, 1);
    return {
      job,
      start: () => this.#run([attempt]),
      abandon: (error) => this.#abandon(attempt, error),
    };
  }

  /** A pool's word that a task was told to stop. */
  stopping(task: Task): void {
    const attempt = this.#byTask(task);
    if (attempt) attempt.isStopping = true;
  }

  #byTask(task: Task): Attempt | undefined {
    const attempt = this.#attempts.get(task.id);
    return attempt?.task === task ? attempt : undefined;
  }

  /** A pool's word on what tasks came to. */
  settle(ends: readonly Settled[]): void {
    const running: Ending[] = [];
    for (const { task, outcome } of ends) {
      const attempt = this.#byTask(task);
      if (attempt?.job) running.push({ attempt, before: attempt.job, outcome });
    }
    this.#settle(running);
  }

  /** Cancels a chosen or running job; between it and an outcome the order of the commits decides. */
  async cancel(id: string): Promise<JobState> {
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
      if (attempt.job && !attempt.outcome) await this.#requestCancel(attempt, attempt.job);
    }
    return ended;
  }

  /** Tells everything that runs to stop, because the engine closes. */
  shutDown(): void {
    for (const attempt of this.#attempts.values()) {
      if (attempt.task) attempt.pool.stop(attempt.task, 'shutdown');
      attempt.stopReason ??= 'shutdown';
    }
  }

  /** The journal has failed: from now on outcomes are kept. Resolves once nothing is on its way to be claimed. */
  async suspend(): Promise<void> {
    this.#isSuspended = true;
    await Promise.all(this.#claiming);
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
    const attempts = [...this.#attempts.values()];
    const { written, cancelled, uncancelled, claims } = await reconcile(this.#links.journal, attempts, kept);
    this.#claims = claims;
    this.#isSuspended = false;
    for (const attempt of uncancelled) takeBackCancel(attempt, error);
    for (const attempt of cancelled) {
      attempt.stopReason = 'cancelled';
      if (attempt.task && !attempt.outcome) attempt.pool.stop(attempt.task, 'cancelled');
    }
    for (const { attempt, before, job } of written) this.#end(attempt, before, job);
    this.#settle([...this.#attempts.values()].flatMap(endingOf));
  }

  /** The journal is not opened again: what was kept is lost, and its jobs run again after the next start. */
  giveUp(error: MillraceError): void {
    this.#isSuspended = false;
    for (const attempt of this.#attempts.values()) if (attempt.outcome) this.#abandon(attempt, error);
  }

  /** Resolves once nothing is claimed, running or settling. */
  whenIdle(): Promise<void> {
    return this.#attempts.size === 0
      ? Promise.resolve()
      : new Promise((resolve) => this.#onIdle.push(resolve));
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

  /** Not synced: a claim that a power cut takes back leaves the job available, which is what it then should be. */
  async #claim(
    attempts: readonly Attempt[],
    reads: ReadonlyMap<Attempt, JobRead> | undefined,
  ): Promise<void> {
    const { journal, backlog, clock } = this.#links;
    const change = new Transaction().asUrgent();
    const now = clock.now();
    const number = journal.nextSequence();
    const claims = attempts.map((attempt) => {
      const read = reads ? reads.get(attempt) : attempt.choice.job;
      const claim = claimOne(change, attempt.choice, read, number, now);
      if (claim.kind === 'claimed') attempt.job = claim.job;
      return { attempt, claim };
    });
    this.#claims.open(number, claims.filter(({ claim }) => claim.kind === 'claimed').length);
    await journal.commit(change);
    for (const { attempt, claim } of claims) {
      backlog.settle(attempt.choice, attempt.choice.key);
      if (claim.kind === 'claimed') continue;
      this.#links.announcer.warning(claim.error);
      if (claim.kind === 'stale') {
        this.#abandon(attempt, claim.error);
        continue;
      }
      attempt.seat.release();
      this.#end(attempt, claim.before, claim.job);
    }
  }

  /** In the journal the jobs are as they were; where it takes no more writes, it has said so itself. */
  #unclaimed(attempts: readonly Attempt[], cause: Error): void {
    const { journal, backlog, announcer } = this.#links;
    for (const attempt of attempts) {
      // Whoever cancels it goes on with the job as it was.
      if (!journal.failure) for (const resolve of attempt.onEnd) resolve('available');
      this.#abandon(attempt, cause);
      if (!journal.failure) backlog.giveBack(attempt.choice);
    }
    if (journal.failure) return;
    const message = `${attempts.length} jobs could not be read to be claimed, and are tried again: ${cause.message}`;
    announcer.warning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
  }

  #run(attempts: readonly Attempt[]): void {
    const rides = new Map<Pool, Ride[]>();
    const unstarted: Ending[] = [];
    for (const attempt of attempts) {
      const { job, type, pool, seat, stopReason } = attempt;
      // One whose record was damaged has ended already.
      if (!job || !this.#attempts.has(job.spec.id)) continue;
      if (stopReason) {
        seat.release();
        const kind = stopReason === 'cancelled' ? 'cancelled' : 'released';
        unstarted.push({ attempt, before: job, outcome: { kind } });
        continue;
      }
      const task = taskOf(job, type);
      attempt.task = task;
      this.#links.announcer.started(job);
      const own = rides.get(pool);
      if (own) own.push({ seat, task });
      else rides.set(pool, [{ seat, task }]);
    }
    for (const [pool, own] of rides) pool.run(own);
    this.#settle(unstarted);
  }

  /** All in one commit: those that end together. */
  #settle(ends: readonly Ending[]): void {
    for (const { attempt, outcome } of ends) attempt.outcome = outcome;
    if (ends.length === 0 || this.#isSuspended) return;
    const { journal, clock, random } = this.#links;
    const now = clock.now();
    const change = new Transaction();
    const jobs = ends.map(({ attempt, before: { spec, status }, outcome }): Job => {
      const { type } = attempt;
      const policy = { maxAttempts: spec.maxAttempts ?? type.maxAttempts, backoff: type.backoff };
      const next = settled(status, outcome, policy, now, random());
      change.move(spec, status, next);
      // A release that a power cut takes back is made again by recovery.
      if (spec.durability === 'fsync' && next.state !== 'available') change.withSync();
      if (this.#claims.leave(status.claim)) change.endClaim(status.claim);
      return { spec, status: next };
    });
    journal.commit(change).then(
      () => {
        let i = 0;
        for (const { attempt, before } of ends) {
          // Safe: there is one job for each.
          this.#end(attempt, before, jobs[i++] as Job);
        }
      },
      (thrown: unknown) => {
        // Suspended: the journal has failed, and they are kept until it takes them.
        if (!this.#isSuspended) for (const { attempt } of ends) this.#abandon(attempt, thrown);
      },
    );
  }

  /** Journaled first, so that a crash from here on leaves the job cancelled. */
  async #requestCancel(attempt: Attempt, { spec, status }: Job): Promise<void> {
    const { journal, clock } = this.#links;
    const next = cancelled(status, clock.now());
    attempt.job = { spec, status: next };
    const change = new Transaction().move(spec, status, next);
    if (spec.durability === 'fsync') change.withSync();
    await journal.commit(change);
    if (attempt.task && !attempt.outcome) attempt.pool.stop(attempt.task, 'cancelled');
  }

  #end(attempt: Attempt, before: Job, job: Job): void {
    this.#forget(attempt);
    for (const resolve of attempt.onEnd) resolve(job.status.state);
    this.#links.announcer.settled(before, job);
    this.#links.onSettled(job);
  }

  /** The journal took no outcome: the job is in it as it was, and is rescued when it opens again. */
  #abandon(attempt: Attempt, thrown: unknown): void {
    if (this.#attempts.get(attempt.choice.id) !== attempt) return;
    if (!attempt.task && !attempt.outcome) attempt.seat.release();
    this.#forget(attempt);
    for (const reject of attempt.onAbandon) reject(asError(thrown));
  }

  #forget(attempt: Attempt): void {
    this.#attempts.delete(attempt.choice.id);
    this.#links.backlog.end(attempt.choice);
    if (++this.#forgotten % RAISE_MARK_EVERY === 0) this.#raiseMark();
    if (this.#attempts.size === 0) for (const idle of this.#onIdle.splice(0)) idle();
  }

  /** Claims are numbered in order: below the lowest that is left there is nothing, and what comes is higher. */
  #raiseMark(): void {
    const { journal } = this.#links;
    let lowest = Math.min(journal.nextSequence(), this.#claims.lowest);
    // The key of a claim whose last outcome is being written goes with it.
    for (const { job } of this.#attempts.values()) lowest = Math.min(lowest, job?.status.claim ?? lowest);
    journal.raiseMark(RUNNING_SPAN.from, runningKey(lowest));
  }
}

/** The request to cancel it never reached the disk. */
function takeBackCancel(attempt: Attempt, error: MillraceError): void {
  for (const reject of attempt.onAbandon) reject(error);
  attempt.onEnd = [];
  attempt.onAbandon = [];
  attempt.stopReason = undefined;
}

function endingOf(attempt: Attempt): Ending[] {
  const { job: before, outcome } = attempt;
  return before && outcome ? [{ attempt, before, outcome }] : [];
}
