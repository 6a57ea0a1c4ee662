/**
 * New jobs on their way into the journal. Those that come one by one in a turn of the event loop go there together;
 * and where there is only one, and nothing stands between it and its start, the same write claims it.
 */
import type { Clock } from '../clock.js';
import { isOverdue, type Job, type JobSpec } from '../job/record.js';
import { encodeSpec } from '../job/record-format.js';
import { enqueued } from '../job/transitions.js';
import type { Journal } from '../journal/journal.js';
import { placeOf, statusKey } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import type { NewClaim } from './attempt.js';
import type { Handle } from './handle.js';
import type { Results } from './results.js';
import { Slices } from './slices.js';

export interface ArrivalsLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly results: Results;
  /** A job was committed. @param place The key of its own that it has in the journal. */
  readonly onAccepted: (job: Job, place: string | undefined) => void;
  /** Claims a job with its enqueue, where nothing waits that could come before it and there is a place for it. */
  readonly claimNew: (job: Job, record: Uint8Array, change: Transaction) => NewClaim | undefined;
  /** @param endsBefore See {@link Handle}. */
  readonly handleOf: (name: string, id: string, endsBefore?: number) => Handle;
}

interface Arrival {
  readonly job: Job;
  /** Made before anything is put, so that it is the caller's alone where there is no memory for it. */
  readonly record: Uint8Array;
  /** The key of its own that it has in the journal. */
  place: string | undefined;
  /** Where it is claimed at once. */
  claim: NewClaim | undefined;
  readonly resolve: (handle: Handle) => void;
  readonly reject: (error: Error) => void;
}

/** Jobs that go into the journal together: all that come before it takes them. */
interface Batch {
  readonly transaction: Transaction;
  readonly arrivals: Arrival[];
}

export interface AddAllOptions {
  readonly transaction?: Transaction;
  readonly named?: ReadonlySet<JobSpec>;
}

export class Arrivals {
  readonly #links: ArrivalsLinks;
  #batch: Batch | undefined;
  /** How many are on their way and will wait when they are there: none is claimed past them. */
  #waiting = 0;

  constructor(links: ArrivalsLinks) {
    this.#links = links;
  }

  /**
   * @param resolve Called once it is committed.
   * @param onWritten See {@link Transaction.whenWritten}.
   */
  add(spec: JobSpec, resolve: Arrival['resolve'], reject: Arrival['reject'], onWritten?: () => void): void {
    const arrival: Arrival = {
      job: { spec, status: enqueued(spec) },
      record: encodeSpec(spec),
      place: undefined,
      claim: undefined,
      resolve,
      reject,
    };
    const batch = this.#open();
    const { transaction, arrivals } = batch;
    if (spec.durability === 'fsync') transaction.withSync();
    if (onWritten) transaction.whenWritten(onWritten);
    const [first] = arrivals;
    // Which of several is the next to run is the backlog's to tell. So the first waits for what else comes.
    if (first && arrivals.length === 1) this.#put(transaction, first);
    if (first) this.#put(transaction, arrival);
    arrivals.push(arrival);
  }

  /**
   * All of them or none, in one write of their own.
   * @param transaction What changes with them; bound to the journal's generation, where that ids are new was read from it.
   * @param named Those whose ids their caller chose.
   * @throws MillraceError where they are not committed.
   */
  async addAll(
    specs: readonly JobSpec[],
    { transaction = new Transaction(), named }: AddAllOptions = {},
  ): Promise<Handle[]> {
    const { journal, clock, results, onAccepted, handleOf } = this.#links;
    const jobs: { readonly job: Job; readonly place: string | undefined }[] = [];
    const slices = new Slices(clock);
    for (const spec of specs) {
      const job = { spec, status: enqueued(spec) };
      const place = placeOf(job);
      jobs.push({ job, place });
      transaction.enqueue(spec, job.status, place);
      // A power cut can take back the removal of a job and leave a new one of its id: in no case with its status.
      if (named?.has(spec)) transaction.forget(statusKey(spec.id));
      if (slices.isOver) await slices.next();
    }
    this.#waiting += specs.length;
    try {
      await journal.commit(transaction);
    } finally {
      this.#waiting -= specs.length;
    }
    const endsBefore = results.recent.count;
    for (const { job, place } of jobs) onAccepted(job, place);
    return specs.map(({ name, id }) => handleOf(name, id, endsBefore));
  }

  #open(): Batch {
    if (this.#batch && !this.#batch.transaction.isClosed) return this.#batch;
    const arrivals: Arrival[] = [];
    const transaction = new Transaction(() => this.#decide(transaction, arrivals));
    const batch: Batch = { transaction, arrivals };
    this.#batch = batch;
    this.#links.journal.submit(transaction, (error) => this.#arrived(batch, error));
    return batch;
  }

  /** The transaction is about to be written: an only arrival has not been put there yet. */
  #decide(transaction: Transaction, [first, ...others]: readonly Arrival[]): void {
    if (!first || others.length > 0) return;
    const { job } = first;
    const mayRun = job.status.state === 'available' && !isOverdue(job, this.#links.clock.now());
    const isNext = this.#waiting === 0 && mayRun;
    first.claim = isNext ? this.#links.claimNew(job, first.record, transaction) : undefined;
    if (!first.claim) this.#put(transaction, first);
  }

  #put(transaction: Transaction, arrival: Arrival): void {
    const { job, record } = arrival;
    arrival.place = placeOf(job);
    transaction.enqueue(job.spec, job.status, arrival.place, record);
    this.#waiting++;
  }

  #arrived(batch: Batch, error: Error | undefined): void {
    const { results, onAccepted, handleOf } = this.#links;
    if (this.#batch === batch) this.#batch = undefined;
    for (const { job, place, claim, resolve, reject } of batch.arrivals) {
      if (place !== undefined) this.#waiting--;
      if (error) {
        claim?.abandon(error);
        reject(error);
        continue;
      }
      onAccepted(claim?.job ?? job, place);
      claim?.start();
      const handle = handleOf(job.spec.name, job.spec.id, results.recent.count);
      results.deliveries.add(() => resolve(handle));
    }
  }
}
