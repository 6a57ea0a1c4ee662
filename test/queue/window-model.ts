/**
 * A journal in miniature around a window: writes one batch at a time, whose continuation runs later than it can be
 * read, and pages that show the disk as it was at some moment of their reading. It checks, after each step, what
 * a window promises.
 */
import assert from 'node:assert/strict';
import type { ReadyEntry } from '../../src/queue/entry-list.js';
import { Window, type ReadyPage } from '../../src/queue/window.js';

type Write = { readonly kind: 'put' | 'delete'; readonly entry: ReadyEntry };

const byKey = (a: ReadyEntry, b: ReadyEntry): number => (a.key < b.key ? -1 : 1);
const keysOf = (entries: Iterable<ReadyEntry>): string[] => Array.from(entries, ({ key }) => key);

export class WindowModel {
  readonly window: Window;
  /** What was handed out, in order. */
  readonly handedOut: ReadyEntry[] = [];
  readonly #size: number;
  readonly #pageSize: number;
  /** What a page could show now. */
  readonly #disk = new Map<string, ReadyEntry>();
  /** The part of it whose commit has been told to the window. */
  readonly #told = new Map<string, ReadyEntry>();
  /** Taken, and not let go by the journal yet. */
  readonly #taken = new Set<string>();
  #waiting: Write[] = [];
  #writing: Write[] = [];
  #reading: { readonly from: string; page?: ReadyPage } | undefined;

  constructor(size: number, pageSize: number) {
    this.#size = size;
    this.#pageSize = pageSize;
    this.window = new Window(size);
  }

  get isReading(): boolean {
    return this.#reading !== undefined;
  }

  /** The entries in the window, in order. */
  content(): ReadyEntry[] {
    const content: ReadyEntry[] = [];
    this.window.first((entry) => {
      content.push(entry);
      return false;
    });
    return content;
  }

  /** An entry is committed, if its key is free. */
  commit(key: string, name: string): void {
    const isUsed = this.#disk.has(key) || this.#waiting.some(({ entry }) => entry.key === key);
    if (!isUsed) this.#waiting.push({ kind: 'put', entry: { key, name, id: `${key}-${name}` } });
  }

  /** The first entry of that name, or of any, is claimed. */
  claim(name?: string): void {
    const accepts = (entry: ReadyEntry): boolean => name === undefined || entry.name === name;
    const entry = this.window.first(accepts);
    assert(entry === this.content().find(accepts), 'the first that was asked for');
    if (!entry) return;
    assert(this.window.take(entry.key) === entry);
    this.#take(entry);
    this.handedOut.push(entry);
  }

  /** A claim that was not written yet is given up. */
  giveBack(key: string): void {
    const at = this.handedOut.findLastIndex((entry) => entry.key === key);
    const pending = this.#waiting.findIndex(
      ({ kind, entry }) => kind === 'delete' && entry === this.handedOut[at],
    );
    const [write] = pending < 0 ? [] : this.#waiting.splice(pending, 1);
    if (!write) return;
    this.handedOut.splice(at, 1);
    this.#taken.delete(key);
    this.window.giveBack(write.entry);
  }

  /** A job is cancelled, wherever it is. */
  cancel(key: string): void {
    const entry = this.#disk.get(key);
    if (!entry || this.#taken.has(key)) return;
    this.window.take(key);
    this.#take(entry);
  }

  /** What waits gets onto the disk. Nobody has been told of it yet. */
  write(): void {
    if (this.#writing.length > 0) return;
    this.#writing = this.#waiting;
    this.#waiting = [];
    for (const { kind, entry } of this.#writing) {
      if (kind === 'put') this.#disk.set(entry.key, entry);
      else this.#disk.delete(entry.key);
    }
  }

  /** The continuations of the last write. */
  tell(): void {
    for (const { kind, entry } of this.#writing) {
      if (kind === 'put') {
        this.#told.set(entry.key, entry);
        this.window.add(entry);
      } else {
        this.#told.delete(entry.key);
        this.#taken.delete(entry.key);
        this.window.settle(entry.key);
      }
    }
    this.#writing = [];
  }

  beginPage(): void {
    const from = this.window.wants;
    if (from === undefined) return;
    assert(!this.isReading);
    this.#reading = { from };
    this.window.beginPage();
  }

  /** The moment that the page shows. */
  readPage(): void {
    if (!this.#reading || this.#reading.page) return;
    const { from } = this.#reading;
    const all = [...this.#disk.values()].filter(({ key }) => key > from).sort(byKey);
    const entries = all.slice(0, this.#pageSize);
    const last = entries.length === this.#pageSize ? entries.at(-1) : undefined;
    this.#reading.page = last ? { entries, next: last.key } : { entries };
  }

  endPage(): void {
    this.readPage();
    if (!this.#reading) return;
    this.window.endPage(this.#reading.page);
    this.#reading = undefined;
  }

  failPage(): void {
    if (!this.#reading) return;
    this.window.endPage(undefined);
    this.#reading = undefined;
  }

  // With plain assertions, for they run a million times.
  check(): void {
    const content = this.content();
    let before = '';
    for (const entry of content) {
      const { key } = entry;
      assert(key > before, `${key} comes after ${before}`);
      assert(!this.#taken.has(key), `${key} was taken`);
      assert(this.#disk.get(key) === entry, `${key} is not what the disk has`);
      before = key;
    }
    assert(content.length === this.window.length && content.length <= this.#size, 'the size');
    this.#checkGaps(keysOf(content));
    const lowest = this.window.lowestLive();
    for (const key of this.#told.keys()) assert(key >= lowest, `${key} lives below ${lowest}`);
  }

  /** Nothing that the window was told of is missing before its end. */
  #checkGaps(keys: readonly string[]): void {
    const { wants } = this.window;
    const isComplete = wants === undefined && !this.isReading && keys.length <= this.#size / 2;
    const last = keys.at(-1) ?? '';
    const end = wants !== undefined && wants > last ? wants : last;
    for (const key of this.#told.keys()) {
      const isExpected = !this.#taken.has(key) && (isComplete || key <= end);
      assert(!isExpected || keys.includes(key), `${key} is missing`);
    }
  }

  #take(entry: ReadyEntry): void {
    assert(!this.#taken.has(entry.key), `${entry.key} is handed out twice`);
    this.#taken.add(entry.key);
    this.#waiting.push({ kind: 'delete', entry });
  }

  /** Everything that waits is written and told, and the page that is being read is finished. */
  settle(): void {
    this.endPage();
    for (let i = 0; i < 2; i++) {
      this.tell();
      this.write();
    }
    this.tell();
  }

  /** What nobody has taken. */
  remaining(): string[] {
    return keysOf([...this.#disk.values()].filter(({ key }) => !this.#taken.has(key))).sort();
  }
}
