/** Starts claimed jobs: has their payloads ready for their handlers, and hands those that need not stop by then to their pools. */
import type { Clock } from '../clock.js';
import type { Outcome } from '../job/outcome.js';
import { isGivenAsStored } from '../job/payload.js';
import { isOverdue, type Job } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import type { Pool, Ride } from '../pool/contract.js';
import type { Announcer } from './announcer.js';
import { taskOf, type Attempt, type Ending } from './attempt.js';
import type { Deadlines } from './deadlines.js';
import type { Preparation, Prepared } from './preparation.js';
import type { Settler } from './settler.js';

export interface StarterLinks {
  readonly clock: Clock;
  readonly journal: Pick<Journal, 'payloadFiles'>;
  readonly preparation: Preparation;
  readonly announcer: Announcer;
  readonly deadlines: Deadlines;
  readonly settler: Settler;
}

export class Starter {
  readonly #links: StarterLinks;

  constructor(links: StarterLinks) {
    this.#links = links;
  }

  /** All that were claimed together. */
  run(attempts: readonly Attempt[]): void {
    const rides = new Map<Pool, Ride[]>();
    const unstarted: Ending[] = [];
    for (const attempt of attempts) {
      const { choice, job, pool, seat, stopReason } = attempt;
      if (!job) continue;
      // Its deadline may have come while the claim was written: then it expires where it waits again.
      const isOver = stopReason !== undefined || this.#isOverdue(job);
      if (!isOver) this.#links.deadlines.watch(job);
      const payload = isOver ? unstartedOutcome(attempt) : this.#payloadOf(attempt, job);
      // It goes on when its payload is there.
      if (payload === undefined) continue;
      if (!(payload instanceof Uint8Array)) {
        seat.release();
        unstarted.push({ attempt, before: job, outcome: payload });
        continue;
      }
      choice.permit?.begin();
      const task = taskOf(job, attempt, payload, this.#links.journal.payloadFiles);
      attempt.task = task;
      this.#links.announcer.started(job);
      const own = rides.get(pool);
      if (own) own.push({ seat, task });
      else rides.set(pool, [{ seat, task }]);
    }
    for (const [pool, own] of rides) pool.run(own);
    this.#links.settler.settle(unstarted);
  }

  /** One that is being prepared must stop: no handler has begun, and none will. */
  unprepared(attempt: Attempt): void {
    attempt.isPreparing = false;
    this.#links.preparation.forget(attempt.choice.id);
    this.run([attempt]);
  }

  #isOverdue(job: Job): boolean {
    return job.spec.deadlineAt !== undefined && isOverdue(job, this.#links.clock.now());
  }

  /** What its handler gets; nothing where that takes a while. */
  #payloadOf(attempt: Attempt, { spec }: Job): Prepared | undefined {
    const { type } = attempt;
    if (attempt.payload) return attempt.payload;
    if (isGivenAsStored(type, spec)) return spec.payload;
    const prepared = this.#links.preparation.prepare(type, spec);
    if (!(prepared instanceof Promise)) return prepared;
    attempt.isPreparing = true;
    // It never rejects: what a schema does becomes an outcome.
    void prepared.then((payload) => this.#prepared(attempt, payload));
    return undefined;
  }

  #prepared(attempt: Attempt, payload: Prepared): void {
    const { job: before, seat } = attempt;
    // It was stopped meanwhile, and nobody waits for this.
    if (!before || !attempt.isPreparing) return;
    attempt.isPreparing = false;
    if (payload instanceof Uint8Array) {
      attempt.payload = payload;
      this.run([attempt]);
      return;
    }
    seat.release();
    this.#links.settler.settle([{ attempt, before, outcome: payload }]);
  }
}

/** Of one that was told to stop before its handler was to start. */
function unstartedOutcome({ stopReason, cancelReason }: Attempt): Outcome {
  if (stopReason !== 'cancelled') return { kind: 'released' };
  return { kind: 'cancelled', ...(cancelReason !== undefined && { reason: cancelReason }) };
}
