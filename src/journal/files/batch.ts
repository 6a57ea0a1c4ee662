/** Reads what LevelDB's logs hold: batches of puts and removals, of which each has the next sequence number. */
import { Cursor } from './cursor.js';
import { readLog } from './log.js';

const HEADER_BYTES = 12;
const REMOVAL = 0;
const PUT = 1;

export interface Change {
  readonly key: Buffer;
  /** Absent where the key is removed. */
  readonly value?: Buffer;
}

export interface Batch {
  readonly sequence: number;
  readonly changes: readonly Change[];
  /** Whether the changes are as many as it says, and nothing follows them. */
  readonly isWhole: boolean;
}

/** What can be read of it. */
export function readBatch(record: Buffer): Batch {
  const changes: Change[] = [];
  if (record.length < HEADER_BYTES) return { sequence: 0, changes, isWhole: false };
  const sequence = Number(record.readBigUInt64LE(0));
  const count = record.readUInt32LE(8);
  const cursor = new Cursor(record, HEADER_BYTES);
  try {
    while (!cursor.isAtEnd) changes.push(readChange(cursor));
  } catch (thrown) {
    if (!(thrown instanceof RangeError)) throw thrown;
    return { sequence, changes, isWhole: false };
  }
  return { sequence, changes, isWhole: changes.length === count };
}

/** The number of a log's first change, and the one that comes after its last. */
export interface Sequences {
  readonly first: number;
  readonly next: number;
}

/** @param log As far as it is sound. @returns nothing where it is empty. */
export function sequencesIn(log: Buffer): Sequences | undefined {
  let sequences: Sequences | undefined;
  for (const { data } of readLog(log)) {
    if (data.length < HEADER_BYTES) continue;
    const sequence = Number(data.readBigUInt64LE(0));
    sequences = { first: sequences?.first ?? sequence, next: sequence + data.readUInt32LE(8) };
  }
  return sequences;
}

/**
 * What can be found in a batch that is damaged. A length that is wrong hides where the next change begins, so from there
 * on every place is tried; a removal is believed only where it follows on what was sound.
 * @param isSound Whether the value is certainly what was put under the key.
 */
export function* findChanges(
  record: Buffer,
  isSound: (key: Buffer, value: Buffer) => boolean,
): Generator<Change> {
  let follows = true;
  for (let at = HEADER_BYTES; at < record.length;) {
    const cursor = new Cursor(record, at);
    const change = attemptChange(cursor);
    const isBelieved = change && (change.value ? isSound(change.key, change.value) : follows);
    if (isBelieved) {
      yield change;
      follows = true;
      at = cursor.at;
    } else {
      follows = false;
      at++;
    }
  }
}

function attemptChange(cursor: Cursor): Change | undefined {
  try {
    return readChange(cursor);
  } catch (thrown) {
    if (thrown instanceof RangeError) return undefined;
    throw thrown;
  }
}

function readChange(cursor: Cursor): Change {
  const type = cursor.byte();
  if (type === PUT) return { key: cursor.bytes(), value: cursor.bytes() };
  if (type === REMOVAL) return { key: cursor.bytes() };
  throw new RangeError(`There is no change of type ${type}`);
}
