/**
 * What the journal needs of a storage: ordered keys, atomic batches, and a say in when they are synced.
 * LevelDB and memory implement it; the journal's suite runs on both. Keys are ASCII strings, so that their
 * order as strings is their order as bytes.
 */

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
}

export interface KeyRange {
  /** The first key to return, or with `after` the key to start behind. */
  readonly from: string;
  readonly after?: boolean;
  /** Keys from here on are left out. */
  readonly to: string;
  /** At most so many entries. */
  readonly limit: number;
  /** Ends the page, if shorter than `limit`, with the entry that takes it to so many bytes of keys and values. */
  readonly bytes?: number;
}

/** Changes that are applied all or none. */
export interface StoreBatch {
  readonly length: number;
  put(key: string, value: Uint8Array): void;
  del(key: string): void;
  /** @param sync Whether the data must have reached the disk, not just the operating system, when it resolves. */
  write(sync: boolean): Promise<void>;
}

export interface StoreReader {
  /** @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` where the storage itself notices damage. */
  getMany(keys: readonly string[]): Promise<(Uint8Array | undefined)[]>;
  /**
   * One page, read from a consistent view that is let go at once: a reader never pins old data.
   * @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` where the storage itself notices damage.
   */
  page(range: KeyRange): Promise<Entry[]>;
}

export interface Store extends StoreReader {
  batch(): StoreBatch;
  /** Everything that was written before the call, whatever is written later. */
  view(): StoreView;
  /**
   * Lets go of what it has and opens it anew, with what is really there. To be called after a failed write, while
   * nothing is written; where it rejects it can be called again, and until it resolves reads may fail.
   * @throws MillraceError `MILLRACE_JOURNAL_OPEN_FAILED`, `MILLRACE_JOURNAL_CORRUPT`
   */
  reopen(): Promise<void>;
  /** About how many bytes a range takes on disk, those of removed keys included. */
  sizeOf?(from: string, to: string): Promise<number>;
  /**
   * Makes room where keys were removed from a range; everything else goes on meanwhile. Takes as long as what lies in
   * the range is large.
   */
  compact?(from: string, to: string): Promise<void>;
  /** Waits for writes in flight. */
  close(): Promise<void>;
}

/** What a store held at one moment. Until it is closed, the storage keeps all of that on its disk. */
export interface StoreView extends StoreReader {
  close(): Promise<void>;
}
