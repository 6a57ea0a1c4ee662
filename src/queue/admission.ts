/**
 * Who gets into queues with a bound: at once, after those who wait, or not at all. A job takes room from the moment it
 * is let in, so that those on their way into the journal count as well as those that are there.
 */
import { MillraceError } from '../errors.js';
import { LinkedList, type Link } from './linked-list.js';

/** What becomes of a new job where there is no room for it. */
export type OnFull = 'reject' | 'wait';

export interface Bound {
  readonly maxSize: number;
  readonly onFull: OnFull;
}

/** How many jobs are to get into each queue with a bound: all of them or none. */
export type Needs = ReadonlyMap<string, number>;

/** Somebody who waits; one of the two is called, once. */
export interface Waiter {
  readonly needs: Needs;
  readonly enter: (room: Room) => void;
  readonly refuse: (error: MillraceError) => void;
}

export interface AdmissionOptions {
  readonly bounds: ReadonlyMap<string, Bound>;
  /** How many jobs wait in a queue by the journal. */
  readonly sizeOf: (queue: string) => number;
  /** Whether those who wait may be let in now. */
  readonly isOpen: () => boolean;
}

interface Line extends Bound {
  readonly queue: string;
  /** How much room is taken by jobs that the journal does not count yet. */
  taken: number;
  readonly waiting: LinkedList<Standing>;
}

/** A place in each of the lines in which somebody waits. */
interface Standing extends Waiter {
  readonly links: Link<Standing>[];
}

/** Room that was taken, until the journal counts the jobs that it is for. */
export class Room {
  readonly #giveBack: (needs: Needs) => void;
  readonly #wake: () => void;
  #needs: Needs | undefined;

  constructor(needs: Needs, giveBack: (needs: Needs) => void, wake: () => void) {
    this.#needs = needs;
    this.#giveBack = giveBack;
    this.#wake = wake;
  }

  /** Whether it is enough for those. */
  covers(needs: Needs): boolean {
    return [...needs].every(([queue, count]) => (this.#needs?.get(queue) ?? 0) >= count);
  }

  /** The journal counts the jobs from now on. Bound, so that it can be handed over. */
  readonly settle = (): void => {
    if (this.#needs) this.#giveBack(this.#needs);
    this.#needs = undefined;
  };

  /** The jobs do not come: there is room for others. */
  cancel(): void {
    this.settle();
    this.#wake();
  }
}

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #lines: ReadonlyMap<string, Line>;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#lines = new Map(
      Array.from(options.bounds, ([queue, bound]) => [
        queue,
        { queue, ...bound, taken: 0, waiting: new LinkedList() },
      ]),
    );
  }

  /** Whether anybody waits for room. */
  get isAwaited(): boolean {
    return [...this.#lines.values()].some(({ waiting }) => !waiting.isEmpty);
  }

  /** What jobs need; nothing where their queues have no bounds. */
  needsOf(specs: readonly { readonly queue: string }[]): Needs | undefined {
    let needs: Map<string, number> | undefined;
    for (const { queue } of specs) {
      if (!this.#lines.has(queue)) continue;
      needs ??= new Map();
      needs.set(queue, (needs.get(queue) ?? 0) + 1);
    }
    return needs;
  }

  /**
   * Takes room.
   * @returns nothing where they have to wait.
   * @throws MillraceError `MILLRACE_QUEUE_FULL`
   */
  tryEnter(needs: Needs): Room | undefined {
    let mustWait = false;
    for (const [queue, count] of needs) {
      const line = this.#lineOf(queue);
      if (count > line.maxSize) throw neverFits(line, count);
      const isFree = line.waiting.isEmpty && this.#fits(line, count);
      if (!isFree && line.onFull === 'reject')
        throw full(line, this.#options.sizeOf(queue) + line.taken, count);
      mustWait ||= !isFree;
    }
    return mustWait ? undefined : this.#take(needs);
  }

  /** Waits behind those who wait already. @returns ends the waiting, and then neither of the two is called. */
  wait(waiter: Waiter): () => void {
    const standing: Standing = { ...waiter, links: [] };
    for (const queue of waiter.needs.keys()) {
      const { onFull, waiting } = this.#lineOf(queue);
      // Nobody waits where one is refused: that there is room is looked for when all the others have some.
      if (onFull === 'wait') standing.links.push(waiting.append(standing));
    }
    return () => {
      leave(standing);
      // Whoever comes next may need less.
      this.wake();
    };
  }

  /** There may be room that was not there before: lets in who comes first, as long as there is enough. */
  readonly wake = (): void => {
    // Who waits in several lines, and is let in, makes way in those that were looked at before.
    for (let isMoving = true; isMoving && this.#options.isOpen();) {
      isMoving = false;
      for (const { waiting } of this.#lines.values()) {
        for (let next = waiting.first; next && this.#isNext(next); next = waiting.first) {
          leave(next);
          next.enter(this.#take(next.needs));
          isMoving = true;
        }
      }
    }
  };

  /** Nobody is let in any more. */
  close(error: MillraceError): void {
    for (const { waiting } of this.#lines.values()) {
      for (let next = waiting.first; next; next = waiting.first) {
        leave(next);
        next.refuse(error);
      }
    }
  }

  #isNext(standing: Standing): boolean {
    if (standing.links.some(({ list }) => list?.first !== standing)) return false;
    return [...standing.needs].every(([queue, count]) => this.#fits(this.#lineOf(queue), count));
  }

  #fits({ queue, maxSize, taken }: Line, count: number): boolean {
    return this.#options.sizeOf(queue) + taken + count <= maxSize;
  }

  #take(needs: Needs): Room {
    this.#add(needs, 1);
    return new Room(needs, (given) => this.#add(given, -1), this.wake);
  }

  #add(needs: Needs, sign: 1 | -1): void {
    for (const [queue, count] of needs) this.#lineOf(queue).taken += sign * count;
  }

  #lineOf(queue: string): Line {
    const line = this.#lines.get(queue);
    if (!line) throw new Error(`Queue ${queue} has no bound`);
    return line;
  }
}

function leave({ links }: Standing): void {
  for (const link of links) link.list?.remove(link);
}

function full({ queue, maxSize }: Line, size: number, count: number): MillraceError {
  const more = count === 1 ? '' : ` which leaves no room for ${count} at once,`;
  const message = `Queue ${queue} is full: ${size} jobs wait in it, or are on their way,${more} and its \`maxSize\` is ${maxSize}. Try it again later, or let \`onFull: 'wait'\` do so`;
  return new MillraceError('MILLRACE_QUEUE_FULL', message);
}

function neverFits({ queue, maxSize }: Line, count: number): MillraceError {
  const message = `Queue ${queue} never has room for ${count} jobs at once: its \`maxSize\` is ${maxSize}. Enqueue fewer at a time`;
  return new MillraceError('MILLRACE_QUEUE_FULL', message);
}
