/**
 * The bounded head of a queue in memory; its tail lies in the journal. The window is exactly the first entries
 * of the queue: what sorts before its end goes in (and pushes the last out), what sorts after stays on disk.
 *
 * A page is read from disk while jobs go on being committed and claimed. What is committed meanwhile is replayed
 * over the page; what has been taken, but may still be on disk, is filtered out of it.
 */
import { EntryList, type ReadyEntry } from './entry-list.js';

export interface ReadyPage {
  readonly entries: readonly ReadyEntry[];
  /** The key to go on behind; absent where the page reached the queue's end. */
  readonly next?: string;
}

/** How many entries a window holds, and how many a page brings at most. */
export const WINDOW_SIZE = 1_000;

interface Reading {
  /** Where the page starts: the window's end when the reading began. */
  readonly from: string;
  /** The first that were committed behind the window's end since: no more than a window holds. */
  readonly added: EntryList;
  /** All that were committed up to this key are in `added`; `undefined` means: all. */
  end: string | undefined;
  /** What the page may still show although it is gone. */
  readonly removed: Set<string>;
}

export class Window {
  #size: number;
  readonly #entries = new EntryList();
  /** All entries up to this key are in the window; `undefined` means: all there are. */
  #end: string | undefined = '';
  /** Taken entries whose removal from the journal is not committed yet. */
  readonly #taken = new Set<string>();
  #reading: Reading | undefined;
  /** A bound for the keys that have been removed: nothing lives below it once the window is empty. */
  #lastRemoved = '';

  /** @param isExhausted Whether nothing waits, as somebody knows who has read it. */
  constructor(size = WINDOW_SIZE, isExhausted = false) {
    this.#size = size;
    if (isExhausted) this.#end = undefined;
  }

  /** How many entries it holds from now on. */
  resize(size: number): void {
    this.#size = size;
    this.#trim();
  }

  get length(): number {
    return this.#entries.length;
  }

  /** The key to read the next page behind, or `undefined` where no page is wanted now. */
  get wants(): string | undefined {
    const enough = this.#entries.length > this.#size / 2;
    return this.#end === undefined || this.#reading || enough ? undefined : this.#end;
  }

  /** Nothing is in the window, and there may be more behind it: its first entry is not known yet. */
  get isUnread(): boolean {
    return this.#end !== undefined && this.#entries.length === 0;
  }

  /** Nothing waits: neither here nor in the journal. */
  get isExhausted(): boolean {
    return this.#end === undefined && this.#entries.length === 0;
  }

  /** Something was taken that the journal has not let go yet: who reads it again may see that. */
  get hasTaken(): boolean {
    return this.#taken.size > 0;
  }

  /** The first entry for which `accepts` says yes. */
  first(accepts: (entry: ReadyEntry) => boolean): ReadyEntry | undefined {
    return this.#entries.find(accepts);
  }

  /** A committed entry. */
  add(entry: ReadyEntry): void {
    // A page may have shown it before its own commit was told.
    if (this.#taken.has(entry.key)) return;
    if (this.#end !== undefined && entry.key > this.#end) this.#note(entry);
    else {
      this.#entries.insert(entry);
      this.#trim();
    }
  }

  /** Hides an entry, in the window or behind it, until {@link settle} says that the journal has let it go. */
  take(key: string): ReadyEntry | undefined {
    this.#taken.add(key);
    this.#reading?.removed.add(key);
    this.#reading?.added.remove(key);
    return this.#entries.remove(key);
  }

  /** A taken entry that stays in the journal after all. */
  giveBack(entry: ReadyEntry): void {
    this.#taken.delete(entry.key);
    this.#reading?.removed.delete(entry.key);
    this.add(entry);
  }

  /** The journal has committed the removal of a taken entry. */
  settle(key: string): void {
    this.#taken.delete(key);
    if (key > this.#lastRemoved) this.#lastRemoved = key;
  }

  /** A page is going to be read from {@link wants} on. To be called while one is wanted. */
  beginPage(): void {
    this.#reading = {
      from: this.#end ?? '',
      added: new EntryList(),
      end: undefined,
      removed: new Set(this.#taken),
    };
  }

  /** The page that was read, or nothing where the reading failed. */
  endPage(page: ReadyPage | undefined): void {
    const reading = this.#reading;
    this.#reading = undefined;
    // An end that moved back left entries behind it that this page does not have: it is read again from there.
    if (!reading || !page || this.#end !== reading.from) return;
    this.#end = lower(page.next, reading.end);
    const isInside = ({ key }: ReadyEntry): boolean => this.#end === undefined || key <= this.#end;
    const shown = page.entries.filter(({ key }) => !reading.removed.has(key));
    // What was committed comes with its job, and so goes before what was read.
    for (const entry of [...reading.added, ...shown].filter(isInside)) this.#entries.insert(entry);
    this.#trim();
  }

  /** Nothing of the queue lives below this key: the journal's low-water mark may be raised to it. */
  lowestLive(): string {
    let lowest = this.#entries.firstKey ?? (this.#end === undefined ? this.#lastRemoved : this.#end);
    for (const key of this.#taken) if (key < lowest) lowest = key;
    return lowest;
  }

  /** An entry behind the end: it stays on disk, and the page that is being read may not show it. */
  #note(entry: ReadyEntry): void {
    const reading = this.#reading;
    if (!reading || (reading.end !== undefined && entry.key > reading.end)) return;
    reading.added.insert(entry);
    reading.end = reading.added.trim(this.#size) ?? reading.end;
  }

  #trim(): void {
    this.#end = this.#entries.trim(this.#size) ?? this.#end;
  }
}

/** Of two ends the nearer; `undefined` is behind all keys. */
function lower(a: string | undefined, b: string | undefined): string | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  return a < b ? a : b;
}
