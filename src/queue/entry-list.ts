/** Entries in the order of their keys, each key once. */

import type { Job } from '../job/record.js';

/** A job that could be claimed, and where it stands in its queue. */
export interface ReadyEntry {
  /** The journal's key: the order of the keys is the order of claiming. */
  readonly key: string;
  readonly id: string;
  readonly name: string;
  /** The job itself, where it is at hand and small: it saves reading it back. It may be found while the entry waits. */
  job?: Job | undefined;
}

export class EntryList implements Iterable<ReadyEntry> {
  readonly #entries: ReadyEntry[] = [];

  get length(): number {
    return this.#entries.length;
  }

  get firstKey(): string | undefined {
    return this.#entries[0]?.key;
  }

  [Symbol.iterator](): Iterator<ReadyEntry> {
    return this.#entries.values();
  }

  find(accepts: (entry: ReadyEntry) => boolean): ReadyEntry | undefined {
    return this.#entries.find(accepts);
  }

  /** An entry whose key is there already changes nothing. */
  insert(entry: ReadyEntry): void {
    const at = this.#position(entry.key);
    if (this.#entries[at]?.key === entry.key) return;
    if (at === this.#entries.length) this.#entries.push(entry);
    else this.#entries.splice(at, 0, entry);
  }

  remove(key: string): ReadyEntry | undefined {
    const at = this.#position(key);
    const entry = this.#entries[at];
    if (entry?.key !== key) return undefined;
    if (at === 0) this.#entries.shift();
    else this.#entries.splice(at, 1);
    return entry;
  }

  /** Drops the last entries above the limit. @returns the key of the last that stays, if any was dropped. */
  trim(limit: number): string | undefined {
    if (this.#entries.length <= limit) return undefined;
    this.#entries.length = limit;
    return this.#entries.at(-1)?.key;
  }

  /** Where the key is, or where it would go. */
  #position(key: string): number {
    let low = 0;
    let high = this.#entries.length;
    // Most keys go to the end: jobs come in the order of their sequence numbers.
    const last = this.#entries[high - 1];
    if (!last || key > last.key) return high;
    while (low < high) {
      const middle = (low + high) >>> 1;
      // Safe: `middle` lies between two indexes of the array.
      if ((this.#entries[middle] as ReadyEntry).key < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
