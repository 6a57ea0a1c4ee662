/** A store whose reads and writes stay under way until a history lets them through. */
import type { Entry, KeyRange, Store, StoreBatch, StoreView } from '../../src/journal/store.js';
import type { Change, DiskHandle, DiskReader } from './disk.js';

export type Access = 'read' | 'write';

interface Underway {
  readonly access: Access;
  /** When it was asked for. */
  readonly askedAt: number;
  complete(): void;
}

export interface StoreOptions {
  /** A page shows the disk as it was when it was asked for, and not when it is answered. */
  readonly readsEarly: boolean;
  /** Of several reads the last comes first. */
  readonly readsBackwards: boolean;
}

export class SimulatedStore implements Store {
  #disk: DiskHandle;
  readonly #open: () => DiskHandle;
  readonly #options: StoreOptions;
  readonly #now: () => number;
  /** How long the last write that was done was under way. */
  writtenInMs = 0;
  #underway: Underway[] = [];
  #isClosed = false;
  #isDead = false;
  /** Set while it closes. */
  #onIdle: (() => void) | undefined;

  /** @param open Opens the disk, or throws. @param now In milliseconds. */
  constructor(open: () => DiskHandle, options: StoreOptions, now: () => number = () => 0) {
    this.#open = open;
    this.#disk = open();
    this.#options = options;
    this.#now = now;
  }

  /** Lets one through of what is under way: of writes always the first. @returns whether there was any. */
  letThrough(access?: Access): boolean {
    const next = access ?? this.#underway[0]?.access;
    const isNext = (one: Underway): boolean => one.access === next;
    const isBackwards = this.#options.readsBackwards && next === 'read';
    const at = isBackwards ? this.#underway.findLastIndex(isNext) : this.#underway.findIndex(isNext);
    const [one] = at < 0 ? [] : this.#underway.splice(at, 1);
    if (one?.access === 'write') this.writtenInMs = this.#now() - one.askedAt;
    one?.complete();
    this.#closeWhenIdle();
    return one !== undefined;
  }

  /** Has something else done to the same disk, which is under way as a read is. */
  readonly beside = <Value>(perform: () => Value): Promise<Value> => this.#access('read', perform);

  /** Its process has died: nothing that is under way, or comes, ever ends. */
  die(): void {
    this.#underway = [];
    this.#isDead = true;
  }

  batch(): StoreBatch {
    const changes: Change[] = [];
    return {
      get length() {
        return changes.length;
      },
      // Copies, for a caller may use its buffer again as soon as LevelDB has taken the bytes.
      put: (key, value) => void changes.push([key, new Uint8Array(value)]),
      del: (key) => void changes.push([key, undefined]),
      write: (sync) => this.#access('write', () => this.#disk.write(changes, sync)),
    };
  }

  getMany(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return this.#getMany(this.#disk, keys);
  }

  page(range: KeyRange): Promise<Entry[]> {
    return this.#read(() => this.#disk.page(range));
  }

  view(): StoreView {
    const disk = this.#disk.copy();
    return {
      getMany: (keys) => this.#getMany(disk, keys),
      page: (range) => this.#read(() => disk.page(range)),
      close: async () => {},
    };
  }

  reopen(): Promise<void> {
    return this.#access('write', () => {
      this.#disk = this.#open();
    });
  }

  /** As LevelDB, it waits for what is under way. */
  close(): Promise<void> {
    this.#isClosed = true;
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#closeWhenIdle();
    });
  }

  #closeWhenIdle(): void {
    if (this.#underway.length === 0) this.#onIdle?.();
  }

  #getMany(disk: DiskReader, keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return this.#read(() => keys.map((key) => disk.get(key)));
  }

  #read<Value>(read: () => Value): Promise<Value> {
    if (!this.#options.readsEarly) return this.#access('read', read);
    const value = read();
    return this.#access('read', () => value);
  }

  #access<Value>(access: Access, perform: () => Value): Promise<Value> {
    if (this.#isDead) return new Promise(() => {});
    if (this.#isClosed) return Promise.reject(new Error('The store is closed'));
    return new Promise((resolve, reject) => {
      const complete = (): void => {
        try {
          resolve(perform());
        } catch (thrown) {
          reject(thrown);
        }
      };
      this.#underway.push({ access, askedAt: this.#now(), complete });
    });
  }
}
