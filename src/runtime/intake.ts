/** Takes new jobs: checks, encodes once, journals, and only then acknowledges. */
import { checkJobName } from '../checks.js';
import type { Clock } from '../clock.js';
import { MillraceError, PayloadInvalidError } from '../errors.js';
import type { Draft, JobSpec } from '../job/record.js';
import { Transaction } from '../journal/transaction.js';
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
   * @param first What the first of them is called in a refusal: its index.
   * @param signal Ends the waiting for room, beside those of the jobs.
   * @throws MillraceError where one of them is refused.
   */
  async enqueueMany(items: readonly EnqueueItem[], first = 0, signal?: AbortSignal): Promise<Handle[]> {
    const { entrance, newJobs, singles } = this.#links;
    const specs: JobSpec[] = [];
    const terms: Terms[] = [];
    const slices = new Slices(this.#links.clock);
    try {
      for (const [i, item] of [...items].entries()) {
        const spec = this.specOf(item, `items[${first + i}]`);
        terms.push(termsOf(item.options));
        specs.push(spec instanceof Promise ? await spec : spec);
        if (slices.isOver) await slices.next();
      }
    } catch (thrown) {
      newJobs.discard(specs);
      throw thrown;
    }
    const newcomers = specs.map((spec, i): Newcomer => {
      const { isNamed, onConflict } = terms[i] ?? NO_TERMS;
      return { spec, isNamed, onConflict, item: `items[${first + i}]` };
    });
    const signals = entrance ? signalsOf([{ signal }, ...terms]) : NO_SIGNALS;
    try {
      if (newcomers.some(isSingle)) return await singles.bringIn(newcomers, signals);
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
      const coming = singles.bringIn([newcomer], signalsOf([terms]));
      // Safe: there is a handle for each.
      resolve(coming.then(([handle]) => handle as Handle));
    } else if (!entrance?.isBounded(spec.queue)) arrivals.add(spec, resolve, reject);
    else {
      const enter = (room: Room): void => this.#add(spec, room, resolve, reject);
      entrance.enter(new Map([[spec.queue, 1]]), { signals: signalsOf([terms]), enter, refuse: reject });
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
  async #addAll(specs: readonly JobSpec[], room: Room | undefined): Promise<Handle[]> {
    const { arrivals } = this.#links;
    if (!room) return arrivals.addAll(specs);
    try {
      return await arrivals.addAll(specs, { transaction: new Transaction().whenWritten(room.settle) });
    } catch (thrown) {
      room.cancel();
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
}

const NO_SIGNALS: readonly AbortSignal[] = [];
const NO_TERMS: Terms = { isNamed: false, onConflict: 'return', signal: undefined };

/** @param options Checked. */
function termsOf(options: EnqueueOptions | undefined): Terms {
  if (options === undefined) return NO_TERMS;
  return { isNamed: options.id !== undefined, onConflict: onConflictOf(options), signal: options.signal };
}

/** Whether there is to be only one of it. */
const isSingle = ({ spec, isNamed }: Newcomer): boolean => isNamed || spec.uniqueKey !== undefined;

/** Each of them once. */
function signalsOf(all: readonly Pick<Partial<Terms>, 'signal'>[]): readonly AbortSignal[] {
  if (all.every(({ signal }) => signal === undefined)) return NO_SIGNALS;
  return [...new Set(all.flatMap(({ signal }) => signal ?? []))];
}

/** Says which of several jobs is refused. */
function refuseItem(what: string, thrown: unknown): never {
  if (!(thrown instanceof MillraceError)) throw thrown;
  const message = `${what}: ${thrown.message}`;
  throw thrown instanceof PayloadInvalidError
    ? new PayloadInvalidError(message, thrown.issues, { cause: thrown })
    : new MillraceError(thrown.code, message, { cause: thrown });
}
