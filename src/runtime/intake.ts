/** Takes new jobs: checks, encodes once, journals, and only then acknowledges. */
import { checkJobName } from '../checks.js';
import type { Clock } from '../clock.js';
import { MillraceError, show } from '../errors.js';
import { encode } from '../job/codec.js';
import type { Draft, JobSpec } from '../job/record.js';
import type { JobRead } from '../journal/job-reads.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import { checkEnqueue, checkItem, type EnqueueOptions } from '../job-options.js';
import type { Settings } from '../options.js';
import type { Arrivals, ArrivalsLinks } from './arrivals.js';
import type { ArrivingIds } from './arriving-ids.js';
import type { Handle } from './handle.js';
import type { NewJobs } from './new-jobs.js';
import { Slices } from './slices.js';

export interface IntakeLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly settings: Settings;
  readonly newJobs: NewJobs;
  readonly arrivals: Arrivals;
  readonly handleOf: ArrivalsLinks['handleOf'];
  readonly arriving: ArrivingIds;
}

/** A job of an array, unchecked. */
export interface EnqueueItem {
  readonly name: string;
  readonly payload?: unknown;
  readonly options?: EnqueueOptions;
}

export class Intake {
  readonly #links: IntakeLinks;

  constructor(links: IntakeLinks) {
    this.#links = links;
  }

  /** Resolves once the job is committed. @throws MillraceError where the job is refused. */
  enqueue(name: string, payload: unknown, options?: EnqueueOptions): Promise<Handle> {
    // What is thrown in here rejects it.
    return new Promise((resolve, reject) => {
      const spec = this.#spec(name, payload, options);
      if (options?.id === undefined) this.#links.arrivals.add(spec, resolve, reject);
      else resolve(this.#commitOnce(spec));
    });
  }

  /**
   * Resolves once all jobs are committed, in one write: all of them or none.
   * @param first What the first of them is called in a refusal: its index.
   * @throws MillraceError where one of them is refused.
   */
  async enqueueMany(items: readonly EnqueueItem[], first = 0): Promise<Handle[]> {
    const specs: JobSpec[] = [];
    const slices = new Slices(this.#links.clock);
    for (const [i, item] of items.entries()) {
      specs.push(this.specOf(item, `items[${first + i}]`));
      if (slices.isOver) await slices.next();
    }
    const named = new Set(specs.filter((_spec, i) => items[i]?.options?.id !== undefined));
    return named.size === 0 ? this.#links.arrivals.addAll(specs) : this.#commitAllOnce(specs, named);
  }

  /**
   * A new job.
   * @param what What it is called in a refusal.
   * @throws MillraceError
   */
  specOf(item: EnqueueItem, what: string): Draft<JobSpec> {
    checkItem(item, what);
    const { name, payload, options } = item;
    try {
      return this.#spec(name, payload, options);
    } catch (thrown) {
      if (!(thrown instanceof MillraceError)) throw thrown;
      throw new MillraceError(thrown.code, `${what}: ${thrown.message}`, { cause: thrown });
    }
  }

  #spec(name: string, payload: unknown, options: EnqueueOptions | undefined): Draft<JobSpec> {
    const { settings, clock, newJobs } = this.#links;
    const type = checkJobName(name, settings.types);
    const own = checkEnqueue(options, settings.queues, clock.now());
    return newJobs.specOf(type, encode(payload), own, options?.id);
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
    const { arriving, handleOf } = this.#links;
    const handles = await arriving.alone(ids, () => this.#commitNew(specs, named, ids));
    const made = new Map(handles.map((handle) => [handle.id, handle]));
    return specs.map(({ name, id }) => made.get(id) ?? handleOf(name, id));
  }

  async #commitNew(
    specs: readonly JobSpec[],
    named: ReadonlySet<JobSpec>,
    ids: readonly string[],
  ): Promise<Handle[]> {
    const { journal, arrivals } = this.#links;
    const { generation } = journal;
    const reads = await journal.jobs(ids);
    const existing = new Map(ids.map((id, i) => [id, reads[i]]));
    const firsts = new Map<string, JobSpec>();
    const fresh = specs.filter((spec) => {
      if (!named.has(spec)) return true;
      const first = firsts.get(spec.id);
      if (first ? sameJob({ spec: first }, spec) : sameJob(existing.get(spec.id), spec)) return false;
      firsts.set(spec.id, spec);
      return true;
    });
    // Whoever asks for it hears that it outlives a power cut, whatever was asked for when it was made.
    if (specs.some(({ id, durability }) => durability === 'fsync' && isUnsynced(existing.get(id))))
      await journal.commit(new Transaction().withSync().readIn(generation));
    const transaction = new Transaction().readIn(generation);
    return fresh.length > 0 ? arrivals.addAll(fresh, { transaction, named }) : [];
  }
}

/** Whether it may be only in the operating system's memory. */
const isUnsynced = (job: JobRead): boolean =>
  job !== undefined && !(job instanceof MillraceError) && job.spec.durability === 'os';

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
