/**
 * How many jobs of a type have ended in a state and are still kept, and how many of them no flow holds. They are counted
 * once, page by page, while others come and go; from then on it is known. Whoever is read in a page and comes or goes
 * meanwhile is counted as what is true then.
 */
import type { Job } from '../job/record.js';
import { HeldCount } from './held-count.js';

/** A job that has ended. */
export interface CountedJob {
  readonly id: string;
  /** Its flow, where that has jobs that have not ended. */
  readonly flow?: string | undefined;
}

/** Jobs of one page, in the order of their ends. */
export interface CountedPage {
  /** Those that are there. */
  readonly jobs: readonly CountedJob[];
  /** Up to when jobs ended that were looked at so far. */
  readonly until: number;
  /** Absent where it is the last one. */
  readonly next?: string;
}

export class EndedCount {
  readonly #held: HeldCount;
  #known: number | undefined;
  #isCounting = false;
  /** What is being counted will not hold. */
  #isDoubtful = false;
  #counted = 0;
  #until = -Infinity;
  /** Since the page that is being read was asked for; with their flows. */
  readonly #came = new Map<string, string | undefined>();
  readonly #left = new Set<string>();

  constructor(held = new HeldCount()) {
    this.#held = held;
  }

  /** Absent until they were counted. */
  get known(): number | undefined {
    return this.#known;
  }

  /** How many no flow holds, as far as is known; absent until they were counted. */
  get free(): number | undefined {
    return this.#known === undefined ? undefined : this.#known - this.#held.total;
  }

  get isCounting(): boolean {
    return this.#isCounting;
  }

  /** Whether more may be free than is known, and it takes a count to find out. */
  get isRough(): boolean {
    return this.#held.isRough;
  }

  /** Whether more are free than is said, for flows have ended since the last {@link admit}. */
  get hasClosed(): boolean {
    return this.#held.hasClosed;
  }

  /** They are to be counted anew. */
  forget(): void {
    this.#known = undefined;
    this.#isDoubtful = true;
  }

  /** Whether jobs of a flow are counted as held by it. */
  holds(flow: string): boolean {
    return this.#held.has(flow);
  }

  /** A flow has ended: its jobs are as free as others once they are admitted. @returns whether there are any. */
  close(flow: string): boolean {
    return this.#held.close(flow);
  }

  admit(): void {
    this.#held.admit();
  }

  /** @param flow Where it is of one; whoever says so sees to it that the flow is closed here once it has ended. */
  came(id: string, flow?: string): void {
    if (this.#known !== undefined) {
      this.#known++;
      this.#hold(flow);
    } else if (this.#isCounting) this.#came.set(id, flow);
  }

  left({ spec, status }: Job): void {
    if (this.#known !== undefined) this.#known--;
    else if (!this.#isCounting) return;
    else if ((status.finishedAt ?? 0) <= this.#until) this.#counted--;
    else {
      this.#came.delete(spec.id);
      this.#left.add(spec.id);
      return;
    }
    if (spec.flow !== undefined) this.#held.left(spec.flow);
  }

  /** So many that were free were removed, in one go. */
  removed(count: number): void {
    if (this.#known !== undefined) this.#known -= count;
  }

  /** @param read Gives the page behind a key; nothing, where it is to be ended. */
  async count(read: (after: string | undefined) => Promise<CountedPage | undefined>): Promise<void> {
    this.#known = undefined;
    this.#isCounting = true;
    this.#isDoubtful = false;
    this.#counted = 0;
    this.#until = -Infinity;
    this.#held.clear();
    try {
      const isWhole = await this.#countPages(read);
      if (isWhole && !this.#isDoubtful) this.#known = this.#counted;
    } finally {
      this.#isCounting = false;
      this.#came.clear();
      this.#left.clear();
    }
  }

  async #countPages(read: (after: string | undefined) => Promise<CountedPage | undefined>): Promise<boolean> {
    for (let after: string | undefined; ;) {
      // Who came before this page was asked for is in it, or in one behind it.
      this.#came.clear();
      this.#left.clear();
      const page = await read(after);
      if (!page) return false;
      const ids = new Set<string>();
      for (const job of page.jobs) {
        if (ids.has(job.id)) continue;
        ids.add(job.id);
        if (!this.#left.has(job.id)) this.#add(job.flow);
      }
      this.#until = page.until;
      after = page.next;
      if (after !== undefined) continue;
      for (const [id, flow] of this.#came) if (!ids.has(id)) this.#add(flow);
      return true;
    }
  }

  #add(flow: string | undefined): void {
    this.#counted++;
    this.#hold(flow);
  }

  #hold(flow: string | undefined): void {
    if (flow !== undefined) this.#held.came(flow);
  }
}
