/** Takes new jobs: checks, encodes once, journals, and only then acknowledges. */
import { checkJobName } from '../checks.js';
import type { Clock } from '../clock.js';
import { MillraceError, PayloadInvalidError, show } from '../errors.js';
import type { Draft, JobSpec } from '../job/record.js';
import type { JobRead } from '../journal/job-reads.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import { checkEnqueue, checkItem, type EnqueueOptions } from '../job-options.js';
import type { Settings } from '../options.js';
import type { Needs, Room } from '../queue/admission.js';
import type { AddAllOptions, Arrivals, ArrivalsLinks } from './arrivals.js';
import type { ArrivingIds } from './arriving-ids.js';
import type { Entrance } from './entrance.js';
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
  /** Absent where no queue has a bound. */
  readonly entrance: Entrance | undefined;
  /** Throws where nothing can be changed now. */
  readonly assertWritable: () => void;
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
      if (spec instanceof Promise) resolve(this.#enqueueLater(spec, options));
      else this.#bring(spec, options, resolve, reject);
    });
  }

  /**
   * Resolves once all jobs are committed, in one write: all of them or none.
   * @param first What the first of them is called in a refusal: its index.
   * @param signal Ends the waiting for room, beside those of the jobs.
   * @throws MillraceError where one of them is refused.
   */
  async enqueueMany(items: readonly EnqueueItem[], first = 0, signal?: AbortSignal): Promise<Handle[]> {
    const { entrance, newJobs } = this.#links;
    const specs: JobSpec[] = [];
    const slices = new Slices(this.#links.clock);
    try {
      for (const [i, item] of items.entries()) {
        const spec = this.specOf(item, `items[${first + i}]`);
        specs.push(spec instanceof Promise ? await spec : spec);
        if (slices.isOver) await slices.next();
      }
    } catch (thrown) {
      newJobs.discard(specs);
      throw thrown;
    }
    const named = new Set(specs.filter((_spec, i) => items[i]?.options?.id !== undefined));
    const signals = entrance ? signalsOf([{ signal }, ...items.map(({ options }) => options)]) : [];
    try {
      if (named.size > 0) return await this.#commitAllOnce(specs, named, signals);
      const needs = entrance?.needsOf(specs);
      return await this.#addAll(specs, needs && (await entrance?.entered(needs, signals)));
    } catch (thrown) {
      newJobs.discardAfter(thrown, specs);
      throw thrown;
    }
  }

  /** Says, item by item, whether that is enough for a queue of theirs at once; items may be anything, and are checked later. */
  portion(): (item: EnqueueItem) => boolean {
    const { entrance, settings } = this.#links;
    const counts = new Map<string, number>();
    return (item) => {
      const queue = item?.options?.queue ?? settings.types.get(item?.name)?.queue ?? '';
      if (!entrance?.isBounded(queue)) return false;
      const count = (counts.get(queue) ?? 0) + 1;
      counts.set(queue, count);
      return count >= entrance.portionOf(queue);
    };
  }

  /** A job that took a while to make. */
  async #enqueueLater(making: Promise<JobSpec>, options: EnqueueOptions | undefined): Promise<Handle> {
    const spec = await this.#made(making);
    try {
      return await new Promise((resolve, reject) => this.#bring(spec, options, resolve, reject));
    } catch (thrown) {
      this.#links.newJobs.discardAfter(thrown, [spec]);
      throw thrown;
    }
  }

  #bring(
    spec: JobSpec,
    options: EnqueueOptions | undefined,
    resolve: (handle: Handle | Promise<Handle>) => void,
    reject: (error: unknown) => void,
  ): void {
    const { arrivals, entrance } = this.#links;
    if (options?.id !== undefined) resolve(this.#commitOnce(spec, signalsOf([options])));
    else if (!entrance?.isBounded(spec.queue)) arrivals.add(spec, resolve, reject);
    else {
      const enter = (room: Room): void => this.#add(spec, room, resolve, reject);
      entrance.enter(new Map([[spec.queue, 1]]), { signals: signalsOf([options]), enter, refuse: reject });
    }
  }

  /** @param room Given back where it does not come. */
  #add(spec: JobSpec, room: Room, resolve: (handle: Handle) => void, reject: (error: unknown) => void): void {
    const refuse = (error: unknown): void => {
      room.cancel();
      reject(error);
    };
    try {
      this.#links.arrivals.add(spec, resolve, refuse, room.settle);
    } catch (thrown) {
      refuse(thrown);
    }
  }

  /** @param room Given back where they do not come. */
  async #addAll(
    specs: readonly JobSpec[],
    room: Room | undefined,
    options: AddAllOptions = {},
  ): Promise<Handle[]> {
    const { transaction = new Transaction() } = options;
    if (room) transaction.whenWritten(room.settle);
    try {
      return await this.#links.arrivals.addAll(specs, { ...options, transaction });
    } catch (thrown) {
      room?.cancel();
      throw thrown;
    }
  }

  /**
   * A new job: to be committed, or discarded.
   * @param what What it is called in a refusal.
   * @returns a promise where the schema of its type gave one, or its payload goes into a file.
   * @throws MillraceError
   */
  specOf(item: EnqueueItem, what: string): Draft<JobSpec> | Promise<Draft<JobSpec>> {
    checkItem(item, what);
    const { name, payload, options } = item;
    try {
      const spec = this.#spec(name, payload, options);
      if (!(spec instanceof Promise)) return spec;
      return this.#made(spec).catch((thrown: unknown) => refuseItem(what, thrown));
    } catch (thrown) {
      return refuseItem(what, thrown);
    }
  }

  /** The engine may have closed meanwhile. */
  async #made<Spec extends JobSpec>(making: Promise<Spec>): Promise<Spec> {
    const spec = await making;
    try {
      this.#links.assertWritable();
    } catch (thrown) {
      this.#links.newJobs.discard([spec]);
      throw thrown;
    }
    return spec;
  }

  #spec(
    name: string,
    payload: unknown,
    options: EnqueueOptions | undefined,
  ): Draft<JobSpec> | Promise<Draft<JobSpec>> {
    const { settings, clock, newJobs } = this.#links;
    const type = checkJobName(name, settings.types);
    const own = checkEnqueue(options, settings.queues, clock.now());
    options?.signal?.throwIfAborted();
    return newJobs.make(type, payload, own, options?.id);
  }

  async #commitOnce(spec: JobSpec, signals: readonly AbortSignal[]): Promise<Handle> {
    const [handle] = await this.#commitAllOnce([spec], new Set([spec]), signals);
    // Safe: there is one for each spec.
    return handle as Handle;
  }

  /**
   * Of several enqueues with one id, at once or over the years, the first makes the job.
   * @param named Those whose ids their caller chose.
   */
  async #commitAllOnce(
    specs: readonly JobSpec[],
    named: ReadonlySet<JobSpec>,
    signals: readonly AbortSignal[],
  ): Promise<Handle[]> {
    const ids = [...new Set(Array.from(named, ({ id }) => id))];
    const { arriving, entrance, handleOf } = this.#links;
    let room: Room | undefined;
    for (;;) {
      const jobs = { specs, named, ids, room };
      const tried = await arriving.alone(ids, () => this.#commitNew(jobs));
      if ('handles' in tried) {
        const made = new Map(tried.handles.map((handle) => [handle.id, handle]));
        return specs.map(({ name, id }) => made.get(id) ?? handleOf(name, id));
      }
      // While they wait for it, others may bring in jobs of their ids, or remove them.
      room = await entrance?.entered(tried.needs, signals);
    }
  }

  async #commitNew({ specs, named, ids, room }: NamedJobs): Promise<Tried> {
    const { journal, entrance, newJobs } = this.#links;
    const { generation } = journal;
    let taken = room;
    try {
      const fresh = await this.#freshOf(specs, named, ids);
      const needs = entrance?.needsOf(fresh);
      if (needs && !taken?.covers(needs)) {
        taken?.cancel();
        taken = entrance?.tryEnter(needs);
        if (!taken) return { needs };
      }
      const isFresh = new Set(fresh);
      const others = specs.filter((spec) => spec.payloadFile && !isFresh.has(spec));
      if (fresh.length > 0) {
        const transaction = new Transaction().readIn(generation);
        const handles = await this.#addAll(fresh, taken, { transaction, named });
        newJobs.discard(others);
        return { handles };
      }
      newJobs.discard(others);
    } catch (thrown) {
      taken?.cancel();
      throw thrown;
    }
    taken?.cancel();
    return { handles: [] };
  }

  /** The jobs that are to be made: those of whose ids there is none. */
  async #freshOf(
    specs: readonly JobSpec[],
    named: ReadonlySet<JobSpec>,
    ids: readonly string[],
  ): Promise<JobSpec[]> {
    const { journal } = this.#links;
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
    return fresh;
  }
}

/** Jobs of which some have ids that their callers chose. */
interface NamedJobs {
  readonly specs: readonly JobSpec[];
  readonly named: ReadonlySet<JobSpec>;
  readonly ids: readonly string[];
  /** What was taken for them, after they have waited for it. */
  readonly room: Room | undefined;
}

/** The jobs that are new; or what they need, where they have to wait for it. */
type Tried = { readonly handles: readonly Handle[] } | { readonly needs: Needs };

const NO_SIGNALS: readonly AbortSignal[] = [];

/** Each of them once. */
function signalsOf(
  options: readonly ({ readonly signal?: AbortSignal | undefined } | undefined)[],
): readonly AbortSignal[] {
  if (options.every((one) => one?.signal === undefined)) return NO_SIGNALS;
  return [...new Set(options.flatMap((one) => one?.signal ?? []))];
}

/** Says which of several jobs is refused. */
function refuseItem(what: string, thrown: unknown): never {
  if (!(thrown instanceof MillraceError)) throw thrown;
  const message = `${what}: ${thrown.message}`;
  throw thrown instanceof PayloadInvalidError
    ? new PayloadInvalidError(message, thrown.issues, { cause: thrown })
    : new MillraceError(thrown.code, message, { cause: thrown });
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
