/**
 * The store in memory: what the journal's suite holds beside LevelDB, and what a simulation runs on. The data
 * lives in a {@link MemoryDisk} that outlives the store, as a directory outlives a process.
 */
import type { Entry, KeyRange, Store, StoreBatch, StoreView } from './store.js';

type Change = readonly [key: string, value: Uint8Array | undefined];

/** The "disk": what was synced, and what was written since and is lost with a power cut. */
export class MemoryDisk {
  #synced = new Map<string, Uint8Array>();
  #current = new Map<string, Uint8Array>();

  /** The power is cut: what was never synced is gone. */
  dropUnsynced(): void {
    this.#current = new Map(this.#synced);
  }

  apply(changes: readonly Change[], sync: boolean): void {
    for (const [key, value] of changes) {
      if (value === undefined) this.#current.delete(key);
      else this.#current.set(key, value);
    }
    // As in LevelDB's log, a sync covers everything written before it.
    if (sync) this.#synced = new Map(this.#current);
  }

  /** A copy, as a disk gives it: what a reader does to it stays with the reader. */
  get(key: string): Uint8Array | undefined {
    return this.#current.get(key)?.slice();
  }

  keys(): string[] {
    return [...this.#current.keys()].sort();
  }

  /** The disk as it is now: values are replaced, never changed. */
  copy(): MemoryDisk {
    const copy = new MemoryDisk();
    copy.#current = new Map(this.#current);
    return copy;
  }
}

export function openMemoryStore(disk: MemoryDisk): Store {
  return new MemoryStore(disk);
}

class MemoryStore implements Store {
  readonly #disk: MemoryDisk;
  #closed = false;

  constructor(disk: MemoryDisk) {
    this.#disk = disk;
  }

  batch(): StoreBatch {
    const changes: Change[] = [];
    return {
      get length() {
        return changes.length;
      },
      // Copies, for a caller may use its buffer again as soon as LevelDB has taken the bytes.
      put: (key, value) => void changes.push([key, Uint8Array.from(value)]),
      del: (key) => void changes.push([key, undefined]),
      write: async (sync) => {
        this.#assertOpen();
        this.#disk.apply(changes, sync);
      },
    };
  }

  async getMany(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    this.#assertOpen();
    return keys.map((key) => this.#disk.get(key));
  }

  async page(range: KeyRange): Promise<Entry[]> {
    this.#assertOpen();
    return pageOf(this.#disk, range);
  }

  view(): StoreView {
    this.#assertOpen();
    const disk = this.#disk.copy();
    return {
      getMany: async (keys) => {
        this.#assertOpen();
        return keys.map((key) => disk.get(key));
      },
      page: async (range) => {
        this.#assertOpen();
        return pageOf(disk, range);
      },
      close: async () => {},
    };
  }

  async reopen(): Promise<void> {
    this.#closed = false;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #assertOpen(): void {
    if (this.#closed) throw new Error('The store is closed');
  }
}

function pageOf(disk: MemoryDisk, { from, after = false, to, limit, bytes = Infinity }: KeyRange): Entry[] {
  const entries: Entry[] = [];
  let read = 0;
  for (const key of disk.keys()) {
    if (key < from || (after && key === from) || key >= to) continue;
    const value = disk.get(key);
    if (!value) continue;
    entries.push({ key, value });
    read += key.length + value.byteLength;
    if (entries.length === limit || read >= bytes) break;
  }
  return entries;
}
