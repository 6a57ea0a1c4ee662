/**
 * The disk of a simulated machine, with LevelDB's ways: batches survive in their order, a sync covers all that were
 * written before it, and what is written to a handle after one of its writes has failed is acknowledged and lost.
 */
import { decodeSpec } from '../../src/job/record-format.js';
import type { Entry, KeyRange } from '../../src/journal/store.js';

export type Change = readonly [key: string, value: Uint8Array | undefined];

/**
 * How a write fails: nothing of it is on the disk, or all of it, or the disk itself errs, and loses what was written
 * before and not synced.
 */
export type Failure = 'nothing' | 'all' | 'unsynced';

/** All specs, by their keys (src/journal/keys.ts). */
const SPECS = { from: 'j!', to: 'j"', limit: Infinity };

/** Ordered keys. */
class Table {
  readonly #values: Map<string, Uint8Array>;
  /** In their order. */
  readonly #keys: string[];

  constructor(values: ReadonlyMap<string, Uint8Array> = new Map(), keys: readonly string[] = []) {
    this.#values = new Map(values);
    this.#keys = [...keys];
  }

  copy(): Table {
    return new Table(this.#values, this.#keys);
  }

  apply(changes: readonly Change[]): void {
    for (const [key, value] of changes) {
      if (value === undefined) {
        if (this.#values.delete(key)) this.#keys.splice(firstFrom(this.#keys, key), 1);
      } else {
        if (!this.#values.has(key)) this.#keys.splice(firstFrom(this.#keys, key), 0, key);
        this.#values.set(key, value);
      }
    }
  }

  /** A copy, as a disk gives it: what a reader does to it stays with the reader. */
  get(key: string): Uint8Array | undefined {
    return this.#values.get(key)?.slice();
  }

  page({ from, after = false, to, limit }: KeyRange): Entry[] {
    const entries: Entry[] = [];
    for (let i = firstFrom(this.#keys, from); entries.length < limit; i++) {
      const key = this.#keys[i];
      if (key === undefined || key >= to) break;
      const value = after && key === from ? undefined : this.get(key);
      if (value) entries.push({ key, value });
    }
    return entries;
  }
}

/** Where the first key is that is not below. */
function firstFrom(keys: readonly string[], from: string): number {
  let [low, high] = [0, keys.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] ?? '') < from) low = middle + 1;
    else high = middle;
  }
  return low;
}

export interface DiskLinks {
  /** Tells whether something was before a write, or after it. */
  readonly moment: () => number;
  /** @param ids The jobs that may be gone, or other than they were. @param moment Of the first batch that is gone. */
  readonly onLoss: (ids: ReadonlySet<string>, moment: number | undefined) => void;
  readonly onOpen: () => void;
}

/** A batch that no sync has covered yet. */
interface Unsynced {
  readonly changes: readonly Change[];
  /** What the machine's moment was when it was written. */
  readonly moment: number;
}

export class SimulatedDisk {
  #synced = new Table();
  #current = new Table();
  #unsynced: Unsynced[] = [];
  /** How the next writes fail. */
  readonly #failures: Failure[] = [];
  #failingOpens = 0;
  readonly #links: DiskLinks;

  constructor(links: DiskLinks) {
    this.#links = links;
  }

  /** How many batches a power cut could take. */
  get unsynced(): number {
    return this.#unsynced.length;
  }

  /** The jobs whose durability lets a power cut take them, or what became of them. */
  unsyncedJobs(): Set<string> {
    // Those that were removed may be there again.
    const written = this.#unsynced.flatMap(({ changes }) =>
      changes.flatMap(([key, value]) => (key.startsWith(SPECS.from) && value ? [{ key, value }] : [])),
    );
    const specs = [...this.#synced.page(SPECS), ...written];
    const ids = specs.flatMap(({ key, value }) => {
      const id = key.slice(SPECS.from.length);
      return decodeSpec(id, value).durability === 'os' ? [id] : [];
    });
    return new Set(ids);
  }

  /** All that there is. */
  page(range: KeyRange): Entry[] {
    return this.#current.page(range);
  }

  failNext(failure: Failure): void {
    this.#failures.push(failure);
  }

  /** How often the disk cannot be opened from now on. */
  failOpens(times: number): void {
    this.#failingOpens = times;
  }

  /** The disk is sound again. */
  repair(): void {
    this.#failures.length = 0;
    this.#failingOpens = 0;
  }

  /**
   * The power is cut: of what was never synced only the first batches survive.
   * @returns the moment of the first that is gone.
   */
  cutPower(kept: number): number | undefined {
    const lost = this.#unsynced[kept];
    for (const { changes } of this.#unsynced.slice(0, kept)) this.#synced.apply(changes);
    this.#unsynced = [];
    this.#current = this.#synced.copy();
    return lost?.moment;
  }

  /**
   * LevelDB puts what it finds in its log into a table, and syncs that.
   * @throws Error where it cannot be opened.
   */
  open(): DiskHandle {
    if (this.#failingOpens > 0) {
      this.#failingOpens--;
      throw new Error('The disk cannot be opened');
    }
    this.#links.onOpen();
    this.#sync();
    let broken: Table | undefined;
    const view = (): Table => broken ?? this.#current;
    return {
      get: (key) => view().get(key),
      page: (range) => view().page(range),
      copy: () => view().copy(),
      write: (changes, sync) => {
        if (broken) return broken.apply(changes);
        const failure = this.#failures.shift();
        if (failure === undefined) return this.#write(changes, sync);
        broken = this.#current.copy();
        if (failure === 'all') this.#write(changes, false);
        if (failure === 'unsynced') this.#links.onLoss(this.unsyncedJobs(), this.cutPower(0));
        throw new Error('No space left on device');
      },
    };
  }

  #write(changes: readonly Change[], sync: boolean): void {
    this.#current.apply(changes);
    this.#unsynced.push({ changes, moment: this.#links.moment() });
    if (sync) this.#sync();
  }

  #sync(): void {
    for (const { changes } of this.#unsynced) this.#synced.apply(changes);
    this.#unsynced = [];
  }
}

export interface DiskReader {
  get(key: string): Uint8Array | undefined;
  page(range: KeyRange): Entry[];
}

/** The disk as one process sees it that has opened it. */
export interface DiskHandle extends DiskReader {
  /** All as it is now. */
  copy(): DiskReader;
  /** @throws Error where the write fails. */
  write(changes: readonly Change[], sync: boolean): void;
}
