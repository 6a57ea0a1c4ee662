/** Lets new jobs into queues with a bound, and ends the waiting of those whose signal says so, or when the engine closes. */
import { JOB_STATES, type JobState } from '../job/record.js';
import type { MillraceError } from '../errors.js';
import type { Journal } from '../journal/journal.js';
import type { QueueSettings } from '../options.js';
import { Admission, type Bound, type Needs, type Room } from '../queue/admission.js';
import { Aborts } from './aborts.js';

export interface EntranceLinks {
  readonly journal: Journal;
  /** Whether jobs are taken now. */
  readonly isOpen: () => boolean;
}

/** The states in which a job waits in its queue. */
const WAITING: readonly JobState[] = JOB_STATES.filter((state) =>
  ['waiting', 'scheduled', 'available', 'retryable'].includes(state),
);

/** One of the two is called, once. */
interface Entering {
  readonly signals: readonly AbortSignal[];
  readonly enter: (room: Room) => void;
  readonly refuse: (reason: unknown) => void;
}

export class Entrance {
  readonly #admission: Admission;
  readonly #aborts = new Aborts();
  readonly #bounds: ReadonlyMap<string, Bound>;

  private constructor(bounds: ReadonlyMap<string, Bound>, { journal, isOpen }: EntranceLinks) {
    const sizeOf = (queue: string): number => {
      const counts = journal.counts(queue);
      return WAITING.reduce((sum, state) => sum + counts[state], 0);
    };
    this.#admission = new Admission({ bounds, sizeOf, isOpen });
    this.#bounds = bounds;
    journal.onWritten = this.#admission.wake;
  }

  /** @returns nothing where no queue has a bound. */
  static of(queues: Iterable<QueueSettings>, links: EntranceLinks): Entrance | undefined {
    const bounds = new Map<string, Bound>();
    for (const { name, bound } of queues) if (bound) bounds.set(name, bound);
    return bounds.size === 0 ? undefined : new Entrance(bounds, links);
  }

  /** Whether anybody waits for room. */
  get isAwaited(): boolean {
    return this.#admission.isAwaited;
  }

  /** Whether there is a limit to how many jobs may wait in the queue. */
  isBounded(queue: string): boolean {
    return this.#bounds.has(queue);
  }

  /** How many of a queue's jobs somebody brings at once who has any number: half of what fits, so that the rest can run. */
  portionOf(queue: string): number {
    return Math.ceil((this.#bounds.get(queue)?.maxSize ?? Infinity) / 2);
  }

  /** What jobs need; nothing where their queues have no bounds. */
  needsOf(specs: readonly { readonly queue: string }[]): Needs | undefined {
    return this.#admission.needsOf(specs);
  }

  /** @returns nothing where they have to wait. @throws MillraceError `MILLRACE_QUEUE_FULL` */
  tryEnter(needs: Needs): Room | undefined {
    return this.#admission.tryEnter(needs);
  }

  /**
   * Waits, in order, where that is necessary.
   * @throws MillraceError `MILLRACE_QUEUE_FULL`
   * @throws the reason of a signal that is aborted, where it would have to wait.
   */
  enter(needs: Needs, { signals, enter, refuse }: Entering): void {
    const room = this.#admission.tryEnter(needs);
    if (room) {
      enter(room);
      return;
    }
    for (const signal of signals) signal.throwIfAborted();
    const listening: (() => void)[] = [];
    const done = (): void => listening.forEach((stop) => stop());
    const leave = this.#admission.wait({
      needs,
      enter: (taken) => {
        done();
        enter(taken);
      },
      refuse: (error) => {
        done();
        refuse(error);
      },
    });
    for (const signal of signals) {
      const stop = this.#aborts.on(signal, () => {
        done();
        leave();
        refuse(signal.reason);
      });
      listening.push(stop);
    }
  }

  /** The same, as a promise. */
  async entered(needs: Needs, signals: readonly AbortSignal[]): Promise<Room> {
    return new Promise((enter, refuse) => this.enter(needs, { signals, enter, refuse }));
  }

  /** There may be room by what the journal holds now. */
  wake(): void {
    this.#admission.wake();
  }

  /** Whoever waits is refused. */
  close(error: MillraceError): void {
    this.#admission.close(error);
  }
}
