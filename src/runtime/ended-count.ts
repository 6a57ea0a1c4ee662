/**
 * How many jobs of a type have ended in a state and are still kept. They are counted once, page by page, while others come
 * and go; from then on it is known. Whoever is read in a page and comes or goes meanwhile is counted as what is true then.
 */
import type { Job } from '../job/record.js';

/** Jobs of one page, in the order of their ends. */
export interface CountedPage {
  /** The ids of those that are there. */
  readonly ids: readonly string[];
  /** Up to when jobs ended that were looked at so far. */
  readonly until: number;
  /** Absent where it is the last one. */
  readonly next?: string;
}

export class EndedCount {
  #known: number | undefined;
  #counted = 0;
  #until = -Infinity;
  /** Since the page that is being read was asked for. */
  readonly #came = new Set<string>();
  readonly #left = new Set<string>();

  /** Absent until they were counted. */
  get known(): number | undefined {
    return this.#known;
  }

  /** They are to be counted anew. */
  forget(): void {
    this.#known = undefined;
  }

  came(id: string): void {
    if (this.#known === undefined) this.#came.add(id);
    else this.#known++;
  }

  left({ spec, status }: Job): void {
    if (this.#known !== undefined) this.#known--;
    else if ((status.finishedAt ?? 0) <= this.#until) this.#counted--;
    else {
      this.#came.delete(spec.id);
      this.#left.add(spec.id);
    }
  }

  /** So many were removed, in one go. */
  removed(count: number): void {
    if (this.#known !== undefined) this.#known -= count;
  }

  /** @param read Gives the page behind a key; nothing, where it is to be ended. */
  async count(read: (after: string | undefined) => Promise<CountedPage | undefined>): Promise<void> {
    this.#counted = 0;
    this.#until = -Infinity;
    for (let after: string | undefined; ;) {
      // Who came before this page was asked for is in it, or in one behind it.
      this.#came.clear();
      this.#left.clear();
      const page = await read(after);
      if (!page) return;
      const ids = new Set(page.ids);
      this.#counted += ids.size;
      for (const id of this.#left) if (ids.has(id)) this.#counted--;
      this.#until = page.until;
      after = page.next;
      if (after !== undefined) continue;
      for (const id of this.#came) if (!ids.has(id)) this.#counted++;
      this.#known = this.#counted;
      return;
    }
  }
}
