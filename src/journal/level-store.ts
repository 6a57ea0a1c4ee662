/** The store on disk: LevelDB through `level`. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Level } from 'level';
import { asError, MillraceError } from '../errors.js';
import { LeftLogs } from './left-logs.js';
import { assertRoom } from './room.js';
import type { Entry, KeyRange, Store, StoreBatch, StoreView } from './store.js';

/**
 * Log bytes that LevelDB gathers before it sorts them into a table. Opening after a crash replays at most about
 * that much, so it bounds the time to recover; a larger one makes writing slightly cheaper.
 */
const WRITE_BUFFER_BYTES = 8 << 20;

const REPLACED =
  'another directory has taken its place while it was open: put its own back, or restart the app to use the other one';

/**
 * @param beforeOpen Awaited before LevelDB opens the files, each time; where it rejects, they stay as they are.
 * @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` or `MILLRACE_JOURNAL_OPEN_FAILED`; LevelDB's own lock error as it is.
 */
export async function openLevelStore(
  directory: string,
  beforeOpen: () => Promise<void> = () => Promise.resolve(),
): Promise<Store> {
  // Before it is made, for then it opens by itself.
  await beforeOpen();
  const db = new Level<string, Uint8Array>(directory, {
    keyEncoding: 'utf8',
    valueEncoding: 'view',
    writeBufferSize: WRITE_BUFFER_BYTES,
  });
  await open(db);
  return new LevelStore(db, identityOf(directory), beforeOpen);
}

/** @param createIfMissing Where there is no database: whether a new one is made. */
async function open(db: Level<string, Uint8Array>, createIfMissing = true): Promise<void> {
  try {
    await db.open({ createIfMissing });
  } catch (thrown) {
    throw openError(db.location, thrown);
  }
}

/** @throws what the system says where there is none. */
function identityOf(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

/**
 * Asks for LevelDB's lock without opening anything: LevelDB takes it before it looks at what it is told not to open.
 * @throws LevelDB's own lock error, where somebody has the database open
 */
export async function assertNotOpen(directory: string): Promise<void> {
  const db = new Level<string, Uint8Array>(directory, { createIfMissing: false, errorIfExists: true });
  try {
    await db.open();
  } catch (thrown) {
    if (isLevelLocked(thrown)) throw thrown;
    return;
  }
  await db.close();
}

/** Whether an open failed because somebody else holds LevelDB's lock. */
export function isLevelLocked(thrown: unknown): boolean {
  return codeOf(thrown) === 'LEVEL_LOCKED' || codeOf(asError(thrown).cause) === 'LEVEL_LOCKED';
}

function openError(directory: string, thrown: unknown): Error {
  const error = asError(thrown);
  if (isLevelLocked(error)) return error;
  const reason = asError(error.cause ?? error);
  if (codeOf(reason) === 'LEVEL_CORRUPTION' || /corrupt/i.test(reason.message))
    return corrupt(directory, reason);
  const message = `Could not open the journal in ${directory}: ${reason.message}. Expected a directory that this process can write to, on a disk with room.`;
  return new MillraceError('MILLRACE_JOURNAL_OPEN_FAILED', message, { cause: reason });
}

function corrupt(directory: string, reason: Error): MillraceError {
  const message = `The journal in ${directory} is damaged: ${reason.message}. Nothing was changed. When no engine has it open, Millrace.verify(directory) tells what is affected, and Millrace.repair(directory) saves what can be saved`;
  return new MillraceError('MILLRACE_JOURNAL_CORRUPT', message, { cause: reason });
}

function codeOf(thrown: unknown): unknown {
  return thrown instanceof Error ? (thrown as { code?: unknown }).code : undefined;
}

/** Where to read: in a snapshot, or in what is there. */
interface ReadFrom {
  readonly snapshot?: ReturnType<Level<string, Uint8Array>['snapshot']>;
}

/** What classic-level has beside what is common to it and to what `level` is in browsers. */
interface OnDisk {
  approximateSize(start: string, end: string): Promise<number>;
  compactRange(start: string, end: string): Promise<void>;
}

class LevelStore implements Store {
  readonly #db: Level<string, Uint8Array>;
  /** Another directory that stands where the journal's was has another one. */
  readonly #identity: string;
  /** LevelDB replaces this file only when it opens. */
  readonly #current: string;
  #currentIdentity: string;
  readonly #beforeOpen: () => Promise<void>;
  readonly #logs: LeftLogs;

  constructor(db: Level<string, Uint8Array>, identity: string, beforeOpen: () => Promise<void>) {
    this.#db = db;
    this.#beforeOpen = beforeOpen;
    this.#identity = identity;
    this.#current = join(db.location, 'CURRENT');
    this.#currentIdentity = identityOf(this.#current);
    this.#logs = new LeftLogs(db.location);
  }

  batch(): StoreBatch {
    const chain = this.#db.batch();
    return {
      get length() {
        return chain.length;
      },
      put: (key, value) => void chain.put(key, value),
      del: (key) => void chain.del(key),
      write: async (sync) => {
        await chain.write({ sync });
        this.#assertInPlace();
        await this.#logs.written(sync);
      },
    };
  }

  getMany(keys: readonly string[]): Promise<(Uint8Array | undefined)[]> {
    return this.#getMany(keys, {});
  }

  page(range: KeyRange): Promise<Entry[]> {
    return this.#page(range, {});
  }

  view(): StoreView {
    const from = { snapshot: this.#db.snapshot() };
    return {
      getMany: (keys) => this.#getMany(keys, from),
      page: (range) => this.#page(range, from),
      close: () => from.snapshot.close(),
    };
  }

  /** While there is no room, what is open stays open: it can still be read. */
  async reopen(): Promise<void> {
    const { location } = this.#db;
    try {
      if (identityOf(location) !== this.#identity) throw new Error(REPLACED);
      await assertRoom(location);
    } catch (thrown) {
      throw openError(location, thrown);
    }
    await this.#db.close();
    await this.#beforeOpen();
    await open(this.#db, false);
    this.#currentIdentity = identityOf(this.#current);
    this.#logs.begin();
  }

  /** A file that was removed while it is open takes what is written to it, and keeps nothing. A microsecond or two. */
  #assertInPlace(): void {
    if (identityOf(this.#current) !== this.#currentIdentity) throw new Error(REPLACED);
  }

  sizeOf(from: string, to: string): Promise<number> {
    return this.#onDisk().approximateSize(from, to);
  }

  compact(from: string, to: string): Promise<void> {
    return this.#onDisk().compactRange(from, to);
  }

  close(): Promise<void> {
    return this.#db.close();
  }

  #getMany(keys: readonly string[], from: ReadFrom): Promise<(Uint8Array | undefined)[]> {
    return this.#reading(this.#db.getMany([...keys], from));
  }

  async #page({ from, after = false, to, limit, bytes }: KeyRange, view: ReadFrom): Promise<Entry[]> {
    const bounds = after ? { gt: from, lt: to, limit } : { gte: from, lt: to, limit };
    const iterator = this.#db.iterator({
      ...bounds,
      ...view,
      ...(bytes !== undefined && { highWaterMarkBytes: bytes }),
    });
    try {
      // In one go, LevelDB's own bound of the bytes holds; otherwise it would make the page of several reads.
      const read = bytes === undefined ? iterator.all() : iterator.nextv(limit);
      const entries = await this.#reading(read);
      return entries.map(([key, value]) => ({ key, value }));
    } finally {
      await iterator.close();
    }
  }

  /** Safe in Node.js, where `level` is classic-level; its types tell only what browsers can do as well. */
  #onDisk(): OnDisk {
    return this.#db as unknown as OnDisk;
  }

  /** Damage that LevelDB notices itself, such as a block of a table that cannot be unpacked. */
  async #reading<Value>(read: Promise<Value>): Promise<Value> {
    try {
      return await read;
    } catch (thrown) {
      throw codeOf(thrown) === 'LEVEL_CORRUPTION' ? corrupt(this.#db.location, asError(thrown)) : thrown;
    }
  }
}
