/** Takes new jobs: checks, encodes once, journals, and only then acknowledges. */
import type { Clock } from '../clock.js';
import { MillraceError, show } from '../errors.js';
import { encode } from '../job/codec.js';
import type { Job, JobSpec } from '../job/record.js';
import { enqueued } from '../job/transitions.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import { checkEnqueue, type EnqueueOptions, type Settings } from '../options.js';
import { JobIds } from './job-ids.js';
import type { RecentEnds } from './recent-ends.js';

export interface IntakeLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly recent: RecentEnds;
  /** A job was committed. */
  readonly onAccepted: (job: Job) => void;
}

/** A job that is in the journal. */
export interface Accepted {
  readonly id: string;
  /** How many jobs had ended before this one could; absent where it may have ended long ago. */
  readonly endsBefore: number | undefined;
}

const NO_OPTIONS: EnqueueOptions = {};

type Draft = { -readonly [Field in keyof JobSpec]: JobSpec[Field] };

/** Jobs of one turn, which go into the journal together. */
interface Arrivals {
  readonly transaction: Transaction;
  readonly jobs: Job[];
  readonly resolve: (() => void)[];
  readonly reject: ((error: Error) => void)[];
}

export class Intake {
  readonly #links: IntakeLinks;
  readonly #ids = new JobIds();
  /** Ids that callers chose and that are on their way into the journal. */
  readonly #named = new Map<string, Promise<void>>();
  #arrivals: Arrivals | undefined;

  constructor(links: IntakeLinks) {
    this.#links = links;
  }

  /** Resolves once the job is committed. */
  async enqueue(name: string, payload: unknown, options: EnqueueOptions = NO_OPTIONS): Promise<Accepted> {
    const spec = this.#spec(name, payload, options);
    if (options.id !== undefined) {
      await this.#commitOnce(spec);
      return { id: spec.id, endsBefore: undefined };
    }
    await this.#commit(spec);
    return { id: spec.id, endsBefore: this.#links.recent.count };
  }

  #spec(name: string, payload: unknown, options: EnqueueOptions): JobSpec {
    const { settings, clock, journal } = this.#links;
    const type = settings.types.get(name);
    if (!type) {
      const known = [...settings.types.keys()].join(', ');
      throw new MillraceError(
        'MILLRACE_JOB_UNKNOWN',
        `Expected the name of a job type (${known}), got: ${show(name)}`,
      );
    }
    const enqueuedAt = clock.now();
    const checked = checkEnqueue(options, type, settings, enqueuedAt);
    const bytes = encode(payload);
    const sequence = journal.nextSequence();
    const { queue, priority, durability, runAt, maxAttempts, timeoutMs } = checked;
    const { id = this.#ids.next(enqueuedAt, sequence) } = options;
    const spec: Draft = { id, name, queue, priority, sequence, enqueuedAt, durability, payload: bytes };
    if (runAt !== undefined) spec.runAt = runAt;
    if (maxAttempts !== undefined) spec.maxAttempts = maxAttempts;
    if (timeoutMs !== undefined) spec.timeoutMs = timeoutMs;
    return spec;
  }

  #commit(spec: JobSpec): Promise<void> {
    const job = { spec, status: enqueued(spec) };
    const { transaction, jobs, resolve, reject } = this.#arriving();
    transaction.enqueue(spec, job.status);
    jobs.push(job);
    return new Promise((onResolve, onReject) => {
      resolve.push(onResolve);
      reject.push(onReject);
    });
  }

  /** What this job joins: one transaction for all that come before the journal takes it. */
  #arriving(): Arrivals {
    if (this.#arrivals && !this.#arrivals.transaction.isClosed) return this.#arrivals;
    const arrivals: Arrivals = { transaction: new Transaction(), jobs: [], resolve: [], reject: [] };
    this.#arrivals = arrivals;
    const { journal, onAccepted } = this.#links;
    journal.submit(arrivals.transaction, (error) => {
      if (this.#arrivals === arrivals) this.#arrivals = undefined;
      if (error) {
        for (const reject of arrivals.reject) reject(error);
        return;
      }
      for (const job of arrivals.jobs) onAccepted(job);
      for (const resolve of arrivals.resolve) resolve();
    });
    return arrivals;
  }

  /** Of several enqueues with one id, at once or over the years, the first makes the job. */
  async #commitOnce(spec: JobSpec): Promise<void> {
    const { id } = spec;
    // Whether the one before us made it shows in the journal; its error is its caller's.
    while (this.#named.has(id)) await this.#named.get(id)?.catch(() => {});
    const arriving = this.#commitIfNew(spec);
    this.#named.set(id, arriving);
    try {
      await arriving;
    } finally {
      this.#named.delete(id);
    }
  }

  async #commitIfNew(spec: JobSpec): Promise<void> {
    const existing = await this.#links.journal.job(spec.id);
    if (existing === undefined) {
      await this.#commit(spec);
      return;
    }
    if (existing instanceof MillraceError) throw existing;
    const { name } = existing.spec;
    if (name === spec.name) return;
    const message = `Expected the id ${show(spec.id)} to be new or a job of ${spec.name}, but it is a job of ${name}`;
    throw new MillraceError('MILLRACE_ID_CONFLICT', message);
  }
}
