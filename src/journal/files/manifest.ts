/** Reads LevelDB's manifests: a log of changes to what belongs to the database. */
import { Cursor } from './cursor.js';
import { readLog, scanLog, type LogScan } from './log.js';

export interface Table {
  readonly number: number;
  readonly level: number;
  readonly size: number;
  /** Its first key, without LevelDB's trailer. */
  readonly smallest: Buffer;
  readonly largest: Buffer;
}

export interface Manifest {
  readonly scan: LogScan;
  /** Logs from this number on are not in tables yet; it exists, but for 0. Absent where no change said it. */
  readonly logNumber?: number;
  readonly lastSequence?: number;
  /** The tables of the database, by number. */
  readonly tables: ReadonlyMap<number, Table>;
}

/** How long LevelDB's trailer of a key is: sequence number and type. */
export const TRAILER_BYTES = 8;

const COMPARATOR = 1;
const LOG_NUMBER = 2;
const NEXT_FILE = 3;
const LAST_SEQUENCE = 4;
const COMPACT_POINTER = 5;
const REMOVED_TABLE = 6;
const NEW_TABLE = 7;
const PREVIOUS_LOG = 9;

interface Draft {
  logNumber?: number;
  lastSequence?: number;
  readonly tables: Map<number, Table>;
}

/** What the manifest says up to the first fault. */
export function readManifest(bytes: Buffer): Manifest {
  const scan = scanLog(bytes);
  const draft: Draft = { tables: new Map() };
  try {
    for (const { data, isSound } of readLog(bytes.subarray(0, scan.soundEnd))) {
      if (isSound) apply(new Cursor(data), draft);
    }
  } catch (thrown) {
    // Its checksum held, so it is not damage but something that this reader does not know.
    if (!(thrown instanceof RangeError)) throw thrown;
    return { scan: { ...scan, fault: 'bad' }, ...draft };
  }
  return { scan, ...draft };
}

function apply(edit: Cursor, draft: Draft): void {
  while (!edit.isAtEnd) {
    const tag = edit.varint();
    switch (tag) {
      case COMPARATOR:
        edit.bytes();
        break;
      case LOG_NUMBER:
        draft.logNumber = edit.varint();
        break;
      case LAST_SEQUENCE:
        draft.lastSequence = edit.varint();
        break;
      case NEXT_FILE:
      case PREVIOUS_LOG:
        edit.varint();
        break;
      case COMPACT_POINTER:
        edit.varint();
        edit.bytes();
        break;
      case REMOVED_TABLE:
        edit.varint();
        draft.tables.delete(edit.varint());
        break;
      case NEW_TABLE: {
        const table = readTable(edit);
        draft.tables.set(table.number, table);
        break;
      }
      default:
        throw new RangeError(`There is no tag ${tag} in a manifest`);
    }
  }
}

function readTable(edit: Cursor): Table {
  const level = edit.varint();
  const number = edit.varint();
  const size = edit.varint();
  return { number, level, size, smallest: userKey(edit.bytes()), largest: userKey(edit.bytes()) };
}

const userKey = (key: Buffer): Buffer => key.subarray(0, Math.max(0, key.length - TRAILER_BYTES));
