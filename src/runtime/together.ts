/** New jobs that come in together: each is taken when it is given, and all are committed in one write, or none. */
import type { JobSpec } from '../job/record.js';
import { Transaction } from '../journal/transaction.js';
import type { Room } from '../queue/admission.js';
import type { Handle } from './handle.js';
import type { EnqueueItem, IntakeLinks } from './intake.js';
import type { Newcomer } from './single-arrivals.js';

export interface TogetherLinks extends Pick<IntakeLinks, 'arrivals' | 'entrance' | 'newJobs' | 'singles'> {
  /** Makes an item a newcomer. @param what What it is called in a refusal. @throws MillraceError */
  readonly take: (item: EnqueueItem, what: string) => Taken | Promise<Taken>;
}

/** What is read of an item, once: by its commit it may be another. */
export interface Taken {
  readonly newcomer: Newcomer;
  /** Ends its waiting for room. */
  readonly signal: AbortSignal | undefined;
}

export class Together {
  readonly #links: TogetherLinks;
  readonly #first: number;
  readonly #newcomers: Newcomer[] = [];
  readonly #signals = new Set<AbortSignal>();
  /** Of queues with a bound. */
  readonly #counts = new Map<string, number>();
  #payloadBytes = 0;
  #hasPortion = false;
  /** It was committed, or is not to be. */
  #isOver = false;

  /**
   * @param first What the first of them is called in a refusal: its index.
   * @param signal Ends the waiting for room, beside those of the jobs.
   */
  constructor(links: TogetherLinks, first = 0, signal?: AbortSignal) {
    this.#links = links;
    this.#first = first;
    if (signal) this.#signals.add(signal);
  }

  get count(): number {
    return this.#newcomers.length;
  }

  /** How much memory their payloads take. */
  get payloadBytes(): number {
    return this.#payloadBytes;
  }

  /** Whether they are as many of one queue as somebody brings at once who has any number. */
  get hasPortion(): boolean {
    return this.#hasPortion;
  }

  /**
   * One at a time.
   * @returns a promise where it is not taken at once; it may be {@link discard}ed meanwhile.
   * @throws MillraceError where it is refused; then all are to be discarded.
   */
  add(item: EnqueueItem): Promise<void> | undefined {
    const taking = this.#links.take(item, `items[${this.#first + this.count}]`);
    if (taking instanceof Promise) return taking.then((taken) => this.#add(taken));
    this.#add(taking);
    return undefined;
  }

  /** @throws MillraceError where they are not committed. */
  async commit(): Promise<Handle[]> {
    const { entrance, newJobs, singles } = this.#links;
    this.#isOver = true;
    const specs = this.#specs();
    try {
      if (this.#newcomers.some(isSingle)) return await singles.bringIn(this.#newcomers, [...this.#signals]);
      const needs = entrance?.needsOf(specs);
      return await this.#addAll(specs, needs && (await entrance?.entered(needs, [...this.#signals])));
    } catch (thrown) {
      newJobs.discardAfter(thrown, specs);
      throw thrown;
    }
  }

  /** None of them is to come in after all. */
  discard(): void {
    this.#isOver = true;
    this.#links.newJobs.discard(this.#specs());
  }

  #specs(): JobSpec[] {
    return this.#newcomers.map(({ spec }) => spec);
  }

  #add({ newcomer, signal }: Taken): void {
    const { entrance, newJobs } = this.#links;
    const { spec } = newcomer;
    if (this.#isOver) {
      newJobs.discard([spec]);
      return;
    }
    this.#newcomers.push(newcomer);
    this.#payloadBytes += spec.payload.byteLength;
    if (!entrance?.isBounded(spec.queue)) return;
    if (signal) this.#signals.add(signal);
    const count = (this.#counts.get(spec.queue) ?? 0) + 1;
    this.#counts.set(spec.queue, count);
    this.#hasPortion ||= count >= entrance.portionOf(spec.queue);
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
}

/** Whether there is to be only one of it. */
export const isSingle = ({ spec, isNamed }: Newcomer): boolean => isNamed || spec.uniqueKey !== undefined;
