/**
 * Low-water marks: below a span's mark lives nothing, so that the first page after an open need not walk over
 * the keys of all jobs that were ever claimed (LevelDB keeps deleted keys until it compacts them).
 *
 * A mark is raised by whoever knows the span's first live key, and lowered, in the same batch, by a put below
 * it. A raise never passes a key that is being written at that moment and that the raiser cannot know of yet.
 */
import { MARKS_SPAN, markKey, spanStartOf } from './keys.js';
import { sealText, unsealText } from './integrity.js';
import type { Store, StoreBatch } from './store.js';

export class Marks {
  readonly #marks = new Map<string, string>();
  readonly #dirty = new Set<string>();
  /** The lowest key per span in the batch that is being written. */
  #writing = new Map<string, string>();
  /** And in the one before it, which whoever raises a mark may not have heard of. */
  #written: ReadonlyMap<string, string> = new Map();
  /** The lowest key per span of those that were put since somebody began to look what lives there. */
  readonly #sinceLook = new Map<string, string | undefined>();
  /** The lowest key per span that stays although whoever raises the mark does not know of it. */
  readonly #pinned = new Map<string, string>();
  /** The span and key that were noted last. */
  #lastFrom = '';
  #lastKey = '';

  static async load(store: Store): Promise<Marks> {
    const marks = new Marks();
    const entries = await store.page({ ...MARKS_SPAN, limit: Number.MAX_SAFE_INTEGER });
    for (const { key, value } of entries) {
      marks.#marks.set(key.slice(MARKS_SPAN.from.length), unsealText(key, value));
    }
    return marks;
  }

  /** Where to start reading a span whose keys begin with `from`. */
  startOf(from: string): string {
    return this.#marks.get(from) ?? from;
  }

  /** Says that nothing lives below `key` in the span, as far as the caller can know. */
  raise(from: string, key: string): void {
    let bound = key;
    const put = [this.#writing.get(from), this.#written.get(from), this.#sinceLook.get(from)];
    for (const limit of [...put, this.#pinned.get(from)]) {
      if (limit !== undefined && limit < bound) bound = limit;
    }
    if (bound > this.startOf(from)) this.#set(from, bound);
  }

  /**
   * Somebody reads what lives in the span, and hears of nothing that is put there meanwhile: until the next look the
   * mark passes no such key.
   */
  look(from: string): void {
    this.#sinceLook.set(from, undefined);
    for (const put of [this.#writing.get(from), this.#written.get(from)])
      if (put !== undefined) lower(this.#sinceLook, from, put);
  }

  /** The spans under a prefix that have a mark, by what their keys begin with, in their order. */
  markedUnder(prefix: string): string[] {
    return [...this.#marks.keys()].filter((from) => from.startsWith(prefix)).sort();
  }

  /** Keeps the mark of the key's span from ever passing it, while this journal is open. */
  pin(key: string): void {
    lower(this.#pinned, spanStartOf(key), key);
  }

  /** Pins what the marks before the store was opened again had pinned. */
  keepPins(marks: Marks): void {
    for (const [from, key] of marks.#pinned) lower(this.#pinned, from, key);
  }

  /** A batch is going to be made. The keys of the last but one are known: its write ended in an earlier turn. */
  begin(): void {
    this.#written = this.#writing;
    this.#writing = new Map();
    this.#lastFrom = '';
  }

  /** To be called with each place key of a batch, while the batch is made. */
  note(key: string): void {
    // Most keys of a batch are of one span, in their order: the first has said all.
    if (this.#lastFrom !== '' && key > this.#lastKey && key.startsWith(this.#lastFrom)) return;
    const from = spanStartOf(key);
    this.#lastFrom = from;
    this.#lastKey = key;
    lower(this.#writing, from, key);
    if (this.#sinceLook.has(from)) lower(this.#sinceLook, from, key);
    const mark = this.#marks.get(from);
    if (mark !== undefined && key < mark) this.#set(from, key);
  }

  /** Adds the marks that changed to the batch that is being made. */
  addTo(batch: StoreBatch): void {
    for (const from of this.#dirty) {
      const key = markKey(from);
      batch.put(key, sealText(key, this.startOf(from)));
    }
    this.#dirty.clear();
  }

  #set(from: string, key: string): void {
    this.#marks.set(from, key);
    this.#dirty.add(from);
  }
}

function lower(lowest: Map<string, string | undefined>, from: string, key: string): void {
  const known = lowest.get(from);
  if (known === undefined || key < known) lowest.set(from, key);
}
