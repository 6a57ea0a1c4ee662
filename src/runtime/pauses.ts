/**
 * Which queues are paused: each by its name, and all of them at once. A pause holds from the moment it is asked for; it
 * is acknowledged once it is in the journal, and everything that was chosen before it has been claimed.
 */
import { checkQueueName } from '../checks.js';
import type { Durability } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';

export interface PausesLinks {
  readonly journal: Journal;
  readonly queues: ReadonlyMap<string, unknown>;
  readonly durability: Durability;
  /** Resolves once nothing is on its way to be claimed that was when it was called. */
  readonly whenClaimed: () => Promise<void>;
  /** There may be jobs to start that were held back, or none any more that are worth waiting for. */
  readonly onChanged: () => void;
  /** Throws where nothing can be changed now. */
  readonly assertWritable: () => void;
}

/** Stands for all queues: none is named so. */
const ALL = '';

export class Pauses {
  readonly #links: PausesLinks;
  /** As the journal has it. */
  #committed = new Set<string>();
  /** On its way into the journal. */
  #pausing: string | undefined;
  /** One change after the other, so that the last one to be asked for holds. */
  #last: Promise<void> = Promise.resolve();

  constructor(links: PausesLinks) {
    this.#links = links;
  }

  /** Takes what the journal holds; those of queues that the code does not know are in nobody's way. */
  async load(): Promise<void> {
    this.#committed = new Set(await this.#links.journal.indexes.pauses());
  }

  /** Whether nothing of the queue may be started. */
  holds(queue: string): boolean {
    return this.#has(ALL) || this.#has(queue);
  }

  /** Which pauses hold a queue back: that of all queues, and its own. */
  holding(queue: string): { readonly all: boolean; readonly own: boolean } {
    return { all: this.#has(ALL), own: this.#has(queue) };
  }

  /** Whether the queue was paused, or, without a name, all of them were. */
  isPaused(queue?: string): boolean {
    return this.#committed.has(this.#check(queue));
  }

  /** Resolves once it is committed, and nothing starts any more that is not claimed by then. */
  async pause(queue?: string): Promise<void> {
    const target = this.#check(queue);
    await this.#inTurn(async () => {
      this.#pausing = target;
      try {
        await this.#commit(new Transaction().pause(target));
        this.#committed.add(target);
      } finally {
        this.#pausing = undefined;
        this.#links.onChanged();
      }
      await this.#links.whenClaimed();
    });
  }

  async resume(queue?: string): Promise<void> {
    const target = this.#check(queue);
    await this.#inTurn(async () => {
      await this.#commit(new Transaction().resume(target));
      this.#committed.delete(target);
      this.#links.onChanged();
    });
  }

  #has(target: string): boolean {
    return this.#committed.has(target) || this.#pausing === target;
  }

  #check(queue: string | undefined): string {
    return queue === undefined ? ALL : checkQueueName(queue, this.#links.queues, 'queue');
  }

  /** In the journal, too, what is paused or resumed already: it may have been with less durability. */
  async #commit(change: Transaction): Promise<void> {
    const { journal, durability, assertWritable } = this.#links;
    assertWritable();
    if (durability === 'fsync') change.withSync();
    await journal.commit(change);
  }

  async #inTurn(change: () => Promise<void>): Promise<void> {
    const before = this.#last;
    const own = before.then(change);
    // Its error is its caller's.
    this.#last = own.catch(() => {});
    await own;
  }
}
