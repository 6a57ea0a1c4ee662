/** Takes new jobs: checks, encodes once, journals, and only then acknowledges. */
import type { Clock } from '../clock.js';
import { MillraceError, show } from '../errors.js';
import { encode } from '../job/codec.js';
import type { Job, JobSpec } from '../job/record.js';
import { enqueued } from '../job/transitions.js';
import type { Journal } from '../journal/journal.js';
import { placeOf } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import { checkEnqueue, type EnqueueOptions, type Settings } from '../options.js';
import type { NewClaim } from './executor.js';
import type { Handle } from './handle.js';
import { JobIds } from './job-ids.js';
import { Slices } from './slices.js';
import type { Results } from './results.js';

export interface IntakeLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly results: Results;
  /** A job was committed. @param place The key of its own that it has in the journal. */
  readonly onAccepted: (job: Job, place: string | undefined) => void;
  /** Claims a job with its enqueue, where nothing stands between it and its start. */
  readonly claimNew: (job: Job, change: Transaction) => NewClaim | undefined;
  /** @param endsBefore See {@link Handle}. */
  readonly handleOf: (name: string, id: string, endsBefore?: number) => Handle;
}

const NO_OPTIONS: EnqueueOptions = {};

type Draft = { -readonly [Field in keyof JobSpec]: JobSpec[Field] };

/** A job on its way into the journal, and who waits for that. */
interface Arrival {
  readonly job: Job;
  /** The key of its own that it has there. */
  readonly place: string | undefined;
  /** Where it is claimed at once. */
  readonly claim: NewClaim | undefined;
  readonly resolve: (handle: Handle) => void;
  readonly reject: (error: Error) => void;
}

/** Jobs that go into the journal together: all that come before it takes them. */
interface Batch {
  readonly transaction: Transaction;
  readonly arrivals: Arrival[];
}

/** A job of an array, unchecked. */
export interface EnqueueItem {
  readonly name: string;
  readonly payload?: unknown;
  readonly options?: EnqueueOptions;
}

export class Intake {
  readonly #links: IntakeLinks;
  readonly #ids = new JobIds();
  /** Ids that callers chose and that are on their way into the journal. */
  readonly #named = new Map<string, Promise<unknown>>();
  #batch: Batch | undefined;
  /** How many jobs are on their way into the journal and will wait there: none overtakes them. */
  #arriving = 0;

  constructor(links: IntakeLinks) {
    this.#links = links;
  }

  /** Resolves once the job is committed. @throws MillraceError where the job is refused. */
  enqueue(name: string, payload: unknown, options: EnqueueOptions = NO_OPTIONS): Promise<Handle> {
    // What is thrown in here rejects it.
    return new Promise((resolve, reject) => {
      const spec = this.#spec(name, payload, options);
      if (options.id === undefined) this.#join(spec, resolve, reject);
      else resolve(this.#commitOnce(spec));
    });
  }

  /**
   * Resolves once all jobs are committed, in one write: all of them or none.
   * @throws MillraceError where one of them is refused.
   */
  async enqueueMany(items: readonly EnqueueItem[]): Promise<Handle[]> {
    const specs: JobSpec[] = [];
    const slices = new Slices();
    for (const [i, item] of items.entries()) {
      specs.push(this.#specOf(item, i));
      if (slices.isOver) await slices.next();
    }
    const named = new Set(specs.filter((_spec, i) => items[i]?.options?.id !== undefined));
    return named.size === 0 ? this.#commitAll(specs) : this.#commitAllOnce(specs, named);
  }

  #specOf({ name, payload, options = NO_OPTIONS }: EnqueueItem, i: number): JobSpec {
    try {
      return this.#spec(name, payload, options);
    } catch (thrown) {
      if (!(thrown instanceof MillraceError)) throw thrown;
      throw new MillraceError(thrown.code, `items[${i}]: ${thrown.message}`, { cause: thrown });
    }
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

  #join(spec: JobSpec, resolve: Arrival['resolve'], reject: Arrival['reject']): void {
    const job = { spec, status: enqueued(spec) };
    const { transaction, arrivals } = this.#joined();
    const isNext = this.#arriving === 0 && job.status.state === 'available';
    const claim = isNext ? this.#links.claimNew(job, transaction) : undefined;
    if (claim) {
      arrivals.push({ job: claim.job, place: undefined, claim, resolve, reject });
      return;
    }
    this.#arriving++;
    const place = placeOf(job);
    transaction.enqueue(spec, job.status, place);
    arrivals.push({ job, place, claim, resolve, reject });
  }

  #joined(): Batch {
    if (this.#batch && !this.#batch.transaction.isClosed) return this.#batch;
    const batch: Batch = { transaction: new Transaction(), arrivals: [] };
    this.#batch = batch;
    this.#links.journal.submit(batch.transaction, (error) => this.#arrived(batch, error));
    return batch;
  }

  #arrived(batch: Batch, error: Error | undefined): void {
    const { results, onAccepted, handleOf } = this.#links;
    if (this.#batch === batch) this.#batch = undefined;
    for (const { job, place, claim, resolve, reject } of batch.arrivals) {
      if (!claim) this.#arriving--;
      if (error) {
        claim?.abandon(error);
        reject(error);
        continue;
      }
      onAccepted(job, place);
      claim?.start();
      const handle = handleOf(job.spec.name, job.spec.id, results.recent.count);
      results.deliveries.add(() => resolve(handle));
    }
  }

  async #commitAll(specs: readonly JobSpec[]): Promise<Handle[]> {
    const { journal, results, onAccepted, handleOf } = this.#links;
    const transaction = new Transaction();
    const jobs: { readonly job: Job; readonly place: string | undefined }[] = [];
    const slices = new Slices();
    for (const spec of specs) {
      const job = { spec, status: enqueued(spec) };
      const place = placeOf(job);
      jobs.push({ job, place });
      transaction.enqueue(spec, job.status, place);
      if (slices.isOver) await slices.next();
    }
    this.#arriving += specs.length;
    try {
      await journal.commit(transaction);
    } finally {
      this.#arriving -= specs.length;
    }
    const endsBefore = results.recent.count;
    for (const { job, place } of jobs) onAccepted(job, place);
    return specs.map(({ name, id }) => handleOf(name, id, endsBefore));
  }

  async #commitOnce(spec: JobSpec): Promise<Handle> {
    const [handle] = await this.#commitAllOnce([spec], new Set([spec]));
    // Safe: there is one for each spec.
    return handle as Handle;
  }

  /**
   * Of several enqueues with one id, at once or over the years, the first makes the job.
   * @param named Those whose ids their caller chose.
   */
  async #commitAllOnce(specs: readonly JobSpec[], named: ReadonlySet<JobSpec>): Promise<Handle[]> {
    const ids = [...new Set(Array.from(named, ({ id }) => id))];
    // Whether the one before us made it shows in the journal; its error is its caller's.
    for (let busy = this.#busy(ids); busy; busy = this.#busy(ids)) await busy.catch(() => {});
    const arriving = this.#commitNew(specs, named, ids);
    for (const id of ids) this.#named.set(id, arriving);
    try {
      const made = new Map((await arriving).map((handle) => [handle.id, handle]));
      return specs.map(({ name, id }) => made.get(id) ?? this.#links.handleOf(name, id));
    } finally {
      for (const id of ids) this.#named.delete(id);
    }
  }

  async #commitNew(
    specs: readonly JobSpec[],
    named: ReadonlySet<JobSpec>,
    ids: readonly string[],
  ): Promise<Handle[]> {
    const reads = await this.#links.journal.jobs(ids);
    const existing = new Map(ids.map((id, i) => [id, reads[i]]));
    const firsts = new Map<string, JobSpec>();
    const fresh = specs.filter((spec) => {
      if (!named.has(spec)) return true;
      const first = firsts.get(spec.id);
      if (first ? sameJob({ spec: first }, spec) : sameJob(existing.get(spec.id), spec)) return false;
      firsts.set(spec.id, spec);
      return true;
    });
    return fresh.length > 0 ? this.#commitAll(fresh) : [];
  }

  #busy(ids: readonly string[]): Promise<unknown> | undefined {
    const id = ids.find((one) => this.#named.has(one));
    return id === undefined ? undefined : this.#named.get(id);
  }
}

/**
 * Whether there is a job of the spec's id, so that no other is made.
 * @throws MillraceError where the id belongs to a job of another name, or that cannot be told.
 */
function sameJob(
  existing: { readonly spec: JobSpec } | MillraceError | undefined,
  { id, name }: JobSpec,
): boolean {
  if (existing === undefined) return false;
  if (existing instanceof MillraceError) throw existing;
  if (existing.spec.name === name) return true;
  const message = `Expected the id ${show(id)} to be new or a job of ${name}, but it is a job of ${existing.spec.name}`;
  throw new MillraceError('MILLRACE_ID_CONFLICT', message);
}
