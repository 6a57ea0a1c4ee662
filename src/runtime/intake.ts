/** Takes new jobs: checks, encodes once, journals, and only then acknowledges. */
import { checkJobName } from '../checks.js';
import type { Clock } from '../clock.js';
import { isInstance, MillraceError, PayloadInvalidError } from '../errors.js';
import type { Draft, JobSpec } from '../job/record.js';
import { checkEnqueue, checkItem, type EnqueueOptions } from '../job-options.js';
import type { Settings } from '../options.js';
import type { Room } from '../queue/admission.js';
import type { OnConflict } from '../job/uniqueness.js';
import { onConflictOf } from '../unique-options.js';
import type { Arrivals } from './arrivals.js';
import type { Entrance } from './entrance.js';
import type { Handle } from './handle.js';
import type { NewJobs } from './new-jobs.js';
import type { Newcomer, SingleArrivals } from './single-arrivals.js';
import { Slices } from './slices.js';
import { isSingle, Together, type Taken } from './together.js';

export interface IntakeLinks {
  readonly clock: Clock;
  readonly settings: Settings;
  readonly newJobs: NewJobs;
  readonly arrivals: Arrivals;
  readonly singles: SingleArrivals;
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

/** What a caller says of a new job beside what the job has: read once, for by its commit their object may be another. */
interface Terms {
  readonly isNamed: boolean;
  readonly onConflict: OnConflict;
  readonly signal: AbortSignal | undefined;
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
      const terms = termsOf(options);
      if (spec instanceof Promise) resolve(this.#enqueueLater(spec, terms));
      else this.#bring(spec, terms, resolve, reject);
    });
  }

  /**
   * Resolves once all jobs are committed, in one write: all of them or none.
   * @param items The array may change afterwards; of its items each is read when its turn comes.
   * @throws MillraceError where one of them is refused.
   */
  async enqueueMany(items: readonly EnqueueItem[]): Promise<Handle[]> {
    const taken = [...items];
    const together = this.together();
    const slices = new Slices(this.#links.clock);
    try {
      for (const item of taken) {
        const adding = together.add(item);
        if (adding) await adding;
        if (slices.isOver) await slices.next();
      }
    } catch (thrown) {
      together.discard();
      throw thrown;
    }
    return together.commit();
  }

  /** @param first See {@link Together}. @param signal likewise. */
  together(first?: number, signal?: AbortSignal): Together {
    return new Together({ ...this.#links, take: (item, what) => this.#take(item, what) }, first, signal);
  }

  /** A job that took a while to make. */
  async #enqueueLater(making: Promise<JobSpec>, terms: Terms): Promise<Handle> {
    const spec = await this.#made(making);
    try {
      return await new Promise((resolve, reject) => this.#bring(spec, terms, resolve, reject));
    } catch (thrown) {
      this.#links.newJobs.discardAfter(thrown, [spec]);
      throw thrown;
    }
  }

  #bring(
    spec: JobSpec,
    terms: Terms,
    resolve: (handle: Handle | Promise<Handle>) => void,
    reject: (error: unknown) => void,
  ): void {
    const { arrivals, entrance, singles } = this.#links;
    const { isNamed, onConflict } = terms;
    const newcomer: Newcomer = { spec, isNamed, onConflict };
    if (isSingle(newcomer)) {
      const coming = singles.bringIn([newcomer], signalsOf(terms));
      // Safe: there is a handle for each.
      resolve(coming.then(([handle]) => handle as Handle));
    } else if (!entrance?.isBounded(spec.queue)) arrivals.add(spec, resolve, reject);
    else {
      const enter = (room: Room): void => this.#add(spec, room, resolve, reject);
      entrance.enter(new Map([[spec.queue, 1]]), { signals: signalsOf(terms), enter, refuse: reject });
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

  #take(item: EnqueueItem, what: string): Taken | Promise<Taken> {
    const spec = this.specOf(item, what);
    const { isNamed, onConflict, signal } = termsOf(item.options);
    const taken = (made: JobSpec): Taken => ({
      newcomer: { spec: made, isNamed, onConflict, item: what },
      signal,
    });
    return spec instanceof Promise ? spec.then(taken) : taken(spec);
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
}

const NO_SIGNALS: readonly AbortSignal[] = [];
const NO_TERMS: Terms = { isNamed: false, onConflict: 'return', signal: undefined };

/** @param options Checked. */
function termsOf(options: EnqueueOptions | undefined): Terms {
  if (options === undefined) return NO_TERMS;
  return { isNamed: options.id !== undefined, onConflict: onConflictOf(options), signal: options.signal };
}

const signalsOf = ({ signal }: Terms): readonly AbortSignal[] => (signal ? [signal] : NO_SIGNALS);

/** Says which of several jobs is refused. */
function refuseItem(what: string, thrown: unknown): never {
  if (!isInstance(thrown, MillraceError)) throw thrown;
  const message = `${what}: ${thrown.message}`;
  throw thrown instanceof PayloadInvalidError
    ? new PayloadInvalidError(message, thrown.issues, { cause: thrown })
    : new MillraceError(thrown.code, message, { cause: thrown });
}
