/**
 * Reads LevelDB's tables. A table is a row of blocks in the order of the keys, each with its compression (1 byte) and
 * checksum (4) behind it; the last one is an index of the others, and the footer says where that lies.
 */
import { uncompress } from 'snappyjs';
import { continued, mask, maskedChecksum } from './checksum.js';
import { Cursor } from './cursor.js';
import { TRAILER_BYTES } from './manifest.js';

export const FOOTER_BYTES = 48;
const MAGIC = 0xdb4775248b80fb57n;
/** Compression and checksum, behind a block. */
const SEAL_BYTES = 5;
const SNAPPY = 1;
const PUT = 1;
/** Snappy packs nothing closer than this; a damaged block can claim anything. */
const MAX_RATIO = 32;

/** Where a block lies. */
export interface BlockHandle {
  readonly offset: number;
  /** Without what is behind it. */
  readonly size: number;
  /** A key that is not before any in the block, and before all of the next. */
  readonly lastKey?: Buffer;
}

export interface TableEntry {
  readonly key: Buffer;
  /** Of two entries of the same key the one with the higher sequence counts. */
  readonly sequence: number;
  /** Absent where the key was removed. */
  readonly value?: Buffer;
}

/** How many bytes a block takes in its file. */
export const extentOf = ({ size }: BlockHandle): number => size + SEAL_BYTES;

/** @returns where the index lies, and the metaindex, or nothing where the footer is not sound. */
export function readFooter(footer: Buffer): readonly [index: BlockHandle, meta: BlockHandle] | undefined {
  if (footer.length !== FOOTER_BYTES || footer.readBigUInt64LE(FOOTER_BYTES - 8) !== MAGIC) return undefined;
  return attempt(() => {
    const cursor = new Cursor(footer);
    const meta = readHandle(cursor);
    const index = readHandle(cursor);
    return [index, meta] as const;
  });
}

/** @param block With what is behind it. */
export function isSoundBlock(block: Buffer): boolean {
  const at = block.length - SEAL_BYTES + 1;
  return at > 0 && maskedChecksum(block.subarray(0, at)) === block.readUInt32LE(at);
}

/** The blocks that an index names, or nothing where it cannot be read. */
export function readIndex(block: Buffer): BlockHandle[] | undefined {
  return attempt(() =>
    readPairs(contentOf(block)).map(({ key, value }) => ({
      ...readHandle(new Cursor(value)),
      lastKey: key.subarray(0, Math.max(0, key.length - TRAILER_BYTES)),
    })),
  );
}

/** A block's entries, or nothing where they cannot be read. */
export function readEntries(block: Buffer): TableEntry[] | undefined {
  return attempt(() => readPairs(contentOf(block)).map(entryOf));
}

/**
 * What can be found in a block that is damaged. Where an entry cannot be read, the next is looked for at every place; its
 * key has a beginning in common with the one before it, which may be the last that was sound.
 * @param isSound Whether the value is certainly what was put under the key; a removal is believed as it is.
 */
export function findEntries(block: Buffer, isSound: (key: Buffer, value: Buffer) => boolean): TableEntry[] {
  const content = attempt(() => contentOf(block)) ?? Buffer.alloc(0);
  const entries: TableEntry[] = [];
  let last: Buffer = Buffer.alloc(0);
  let follows = true;
  for (let at = 0; at < content.length;) {
    const cursor = new Cursor(content, at);
    const pair = attempt(() => readPair(cursor, last));
    const entry = pair && attempt(() => entryOf(pair));
    if (pair && entry && (entry.value ? isSound(entry.key, entry.value) : follows)) {
      entries.push(entry);
      last = pair.key;
      follows = true;
      at = cursor.at;
    } else {
      follows = false;
      at++;
    }
  }
  return entries;
}

/**
 * The blocks of a table whose index is damaged: each ends where its checksum matches.
 * @param table All of it.
 */
export function findBlocks(table: Buffer): BlockHandle[] {
  const blocks: BlockHandle[] = [];
  let offset = 0;
  let checksum = 0;
  for (let at = 0; at + SEAL_BYTES <= table.length; at++) {
    checksum = continued(table.subarray(at, at + 1), checksum);
    if (mask(checksum) !== table.readUInt32LE(at + 1)) continue;
    blocks.push({ offset, size: at - offset });
    offset = at + SEAL_BYTES;
    at = offset - 1;
    checksum = 0;
  }
  return blocks;
}

function readHandle(cursor: Cursor): BlockHandle {
  return { offset: cursor.varint(), size: cursor.varint() };
}

function contentOf(block: Buffer): Buffer {
  const content = block.subarray(0, block.length - SEAL_BYTES);
  return block.readUInt8(content.length) === SNAPPY
    ? uncompress(content, MAX_RATIO * content.length)
    : content;
}

/** Each key begins with so many bytes of the one before it; where the row ends, positions in it follow. */
function readPairs(content: Buffer): Pair[] {
  const restarts = content.readUInt32LE(content.length - 4);
  const end = content.length - 4 * (restarts + 1);
  if (end < 0) throw new RangeError('A block has more restarts than bytes');
  const cursor = new Cursor(content.subarray(0, end));
  const pairs: Pair[] = [];
  let last: Buffer = Buffer.alloc(0);
  while (!cursor.isAtEnd) {
    const pair = readPair(cursor, last);
    last = pair.key;
    pairs.push(pair);
  }
  return pairs;
}

interface Pair {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** @param last The key before it. */
function readPair(cursor: Cursor, last: Buffer): Pair {
  const shared = cursor.varint();
  const unshared = cursor.varint();
  const valueBytes = cursor.varint();
  if (shared > last.length) throw new RangeError('A key shares more than there is');
  const rest = cursor.take(unshared);
  const key = shared === 0 ? rest : Buffer.concat([last.subarray(0, shared), rest]);
  return { key, value: cursor.take(valueBytes) };
}

function entryOf({ key, value }: Pair): TableEntry {
  const at = key.length - TRAILER_BYTES;
  // The type is the lowest byte of the trailer, the sequence number the other seven.
  const type = key.readUInt8(at);
  const sequence = key.readUIntLE(at + 1, 4) + key.readUIntLE(at + 5, 3) * 2 ** 32;
  return { key: key.subarray(0, at), sequence, ...(type === PUT && { value }) };
}

/** What cannot be read throws one of many errors, here and in the library. */
function attempt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
