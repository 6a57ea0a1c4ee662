/**
 * The bounded head of a queue in memory; its tail lies in the journal. The window is exactly the first entries
 * of the queue: what sorts before its end goes in (and pushes the last out), what sorts after stays on disk.
 *
 * A page is read from disk while jobs go on being committed and claimed. What is committed meanwhile is replayed
 * over the page; what has been taken, but may still be on disk, is filtered out of it.
 */

import type { Job } from '../job/record.js';

/** A job that could be claimed, and where it stands in its queue. */
export interface ReadyEntry {
  /** The journal's key: the order of the keys is the order of claiming. */
  readonly key: string;
  readonly id: string;
  readonly name: string;
  /** The job itself, where it is at hand and small: it saves reading it back. */
  readonly job?: Job;
}

export interface ReadyPage {
  readonly entries: readonly ReadyEntry[];
  /** The key to go on behind; absent where the page reached the queue's end. */
  readonly next?: string;
}

/** How many entries a window holds, and how many a page brings at most. */
export const WINDOW_SIZE = 1_000;

interface Reading {
  /** Where the page starts: the window's end when the reading began. */
  readonly from: string | undefined;
  /** Committed behind the end since. */
  readonly added: Map<string, ReadyEntry>;
  /** What the page may still show although it is gone. */
  readonly removed: Set<string>;
}

export class Window {
  readonly #size: number;
  #entries: ReadyEntry[] = [];
  /** How many entries there are of each job type. */
  readonly #names = new Map<string, number>();
  /** All entries up to this key are in the window; `undefined` means: all there are. */
  #end: string | undefined = '';
  /** Taken entries whose removal from the journal is not committed yet. */
  readonly #taken = new Set<string>();
  #reading: Reading | undefined;
  /** A bound for the keys that have been removed: nothing lives below it once the window is empty. */
  #lastRemoved = '';

  constructor(size = WINDOW_SIZE) {
    this.#size = size;
  }

  get length(): number {
    return this.#entries.length;
  }

  /** The key to read the next page behind, or `undefined` where no page is wanted now. */
  get wants(): string | undefined {
    const enough = this.#entries.length > this.#size / 2;
    return this.#end === undefined || this.#reading || enough ? undefined : this.#end;
  }

  /**
   * The first entry whose job type has room and for which `accepts` says yes. Types are asked once each, so that
   * a window full of jobs without room is not walked through at every turn.
   */
  first(hasRoom: (name: string) => boolean, accepts: (entry: ReadyEntry) => boolean): ReadyEntry | undefined {
    const names = new Set<string>();
    for (const name of this.#names.keys()) if (hasRoom(name)) names.add(name);
    return names.size === 0
      ? undefined
      : this.#entries.find((entry) => names.has(entry.name) && accepts(entry));
  }

  /** A committed entry. */
  add(entry: ReadyEntry): void {
    if (this.#taken.has(entry.key)) return;
    if (this.#end !== undefined && entry.key > this.#end) {
      this.#reading?.added.set(entry.key, entry);
      return;
    }
    this.#insert(entry);
    this.#trim();
  }

  /** Hides an entry, in the window or behind it, until {@link settle} says that the journal has let it go. */
  take(key: string): ReadyEntry | undefined {
    this.#taken.add(key);
    this.#reading?.removed.add(key);
    this.#reading?.added.delete(key);
    const at = this.#position(key);
    const entry = this.#entries[at];
    if (entry?.key !== key) return undefined;
    if (at === 0) this.#entries.shift();
    else this.#entries.splice(at, 1);
    this.#count(entry, -1);
    return entry;
  }

  /** The journal has committed the removal of a taken entry. */
  settle(key: string): void {
    this.#taken.delete(key);
    if (key > this.#lastRemoved) this.#lastRemoved = key;
  }

  /** A page is going to be read from {@link wants} on. */
  beginPage(): void {
    this.#reading = { from: this.#end, added: new Map(), removed: new Set(this.#taken) };
  }

  /** The page that was read, or nothing where the reading failed. */
  endPage(page: ReadyPage | undefined): void {
    const reading = this.#reading;
    this.#reading = undefined;
    // An end that moved back left entries behind it that this page does not have: it is read again from there.
    if (!reading || !page || this.#end !== reading.from) return;
    this.#end = page.next;
    for (const entry of page.entries) {
      if (!reading.removed.has(entry.key) && !reading.added.has(entry.key)) this.#insert(entry);
    }
    for (const entry of reading.added.values()) {
      if (page.next === undefined || entry.key <= page.next) this.#insert(entry);
    }
    this.#trim();
  }

  /** Nothing of the queue lives below this key: the journal's low-water mark may be raised to it. */
  lowestLive(): string {
    let lowest = this.#entries[0]?.key ?? (this.#end === undefined ? this.#lastRemoved : this.#end);
    for (const key of this.#taken) if (key < lowest) lowest = key;
    return lowest;
  }

  #insert(entry: ReadyEntry): void {
    const at = this.#position(entry.key);
    if (this.#entries[at]?.key === entry.key) return;
    if (at === this.#entries.length) this.#entries.push(entry);
    else this.#entries.splice(at, 0, entry);
    this.#count(entry, 1);
  }

  #count({ name }: ReadyEntry, by: 1 | -1): void {
    const count = (this.#names.get(name) ?? 0) + by;
    if (count === 0) this.#names.delete(name);
    else this.#names.set(name, count);
  }

  #trim(): void {
    if (this.#entries.length <= this.#size) return;
    for (const entry of this.#entries.splice(this.#size)) this.#count(entry, -1);
    this.#end = this.#entries.at(-1)?.key;
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
