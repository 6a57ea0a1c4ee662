/** Takes new jobs: checks, encodes once, journals, and only then acknowledges. */
import { checkJobName } from '../checks.js';
import type { Clock } from '../clock.js';
import { MillraceError, PayloadInvalidError } from '../errors.js';
import type { Draft, JobSpec } from '../job/record.js';
import { Transaction } from '../journal/transaction.js';
import { checkEnqueue, checkItem, type EnqueueOptions } from '../job-options.js';
import type { Settings } from '../options.js';
import type { Room } from '../queue/admission.js';
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
    const { entrance, newJobs, singles } = this.#links;
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
    const isSingle = ({ uniqueKey }: JobSpec, i: number): boolean =>
      uniqueKey !== undefined || items[i]?.options?.id !== undefined;
    const newcomer = (spec: JobSpec, i: number): Newcomer =>
      this.#newcomer(spec, items[i]?.options, `items[${first + i}]`);
    const signals = entrance ? signalsOf([{ signal }, ...items.map(({ options }) => options)]) : [];
    try {
      if (specs.some(isSingle)) return await singles.bringIn(specs.map(newcomer), signals);
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
    const { arrivals, entrance, singles } = this.#links;
    if (options?.id !== undefined || spec.uniqueKey !== undefined) {
      const coming = singles.bringIn([this.#newcomer(spec, options)], signalsOf([options]));
      // Safe: there is a handle for each.
      resolve(coming.then(([handle]) => handle as Handle));
    } else if (!entrance?.isBounded(spec.queue)) arrivals.add(spec, resolve, reject);
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

  #newcomer(spec: JobSpec, options: EnqueueOptions | undefined, item?: string): Newcomer {
    const isNamed = options?.id !== undefined;
    return { spec, isNamed, onConflict: onConflictOf(options), ...(item !== undefined && { item }) };
  }
}

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
