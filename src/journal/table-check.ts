/**
 * Checks LevelDB's tables, block by block, for LevelDB itself believes what it reads. A filter that is damaged hides
 * keys, and a table that is damaged passes its damage on, under a new checksum, to those that it is merged into.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileFault } from './file-fault.js';
import {
  extentOf,
  FOOTER_BYTES,
  isSoundBlock,
  readFooter,
  readIndex,
  type BlockHandle,
} from './files/table.js';

/**
 * The names of tables that were found damaged while the journal was open. They are the first to be checked when it is
 * opened again, for LevelDB may have ended the process over them.
 */
export const DAMAGED = 'DAMAGED';

/** How much is read at once. */
const READ_BYTES = 64 * 1024;

type Read = (offset: number, length: number) => Buffer;

/** What all reading in a table begins with: its footer, its index, and the filter of its keys. */
export function checkTableEnds(directory: string, file: string): TableEnds {
  const fd = openSync(join(directory, file), 'r');
  try {
    return endsOf(file, fstatSync(fd).size, reader(fd));
  } finally {
    closeSync(fd);
  }
}

export interface TableEnds {
  readonly faults: FileFault[];
  /** The blocks with entries; none where the index is damaged. */
  readonly blocks: readonly BlockHandle[];
}

/** What lies behind the index's first block is the filter, the index of filters, the index and the footer. */
function endsOf(file: string, size: number, read: Read): TableEnds {
  const fault = (offset: number, message: string): TableEnds => ({
    faults: [{ file, offset, message }],
    blocks: [],
  });
  const footerAt = Math.max(0, size - FOOTER_BYTES);
  const handles = readFooter(read(footerAt, FOOTER_BYTES));
  if (!handles) return fault(footerAt, 'the end of the table is damaged');
  const [indexHandle, metaHandle] = handles;
  if (indexHandle.offset + extentOf(indexHandle) > footerAt || metaHandle.offset >= indexHandle.offset)
    return fault(footerAt, 'the end of the table is damaged');
  const index = read(indexHandle.offset, extentOf(indexHandle));
  const blocks = isSoundBlock(index) ? readIndex(index) : undefined;
  if (!blocks) return fault(indexHandle.offset, "the table's index is damaged");
  const faults: FileFault[] = [];
  const meta = read(metaHandle.offset, extentOf(metaHandle));
  if (!isSoundBlock(meta))
    faults.push({ file, offset: metaHandle.offset, message: "the index of the table's filters is damaged" });
  const last = blocks.at(-1);
  const filterAt = last ? last.offset + extentOf(last) : 0;
  if (filterAt < metaHandle.offset) {
    const filter = read(filterAt, metaHandle.offset - filterAt);
    if (!isSoundBlock(filter))
      faults.push({ file, offset: filterAt, message: "the table's filter is damaged" });
  }
  return { faults, blocks };
}

/** A damaged block of a table, and the keys that it held: behind `after`, up to `upTo`. */
export interface BlockFault extends FileFault {
  readonly after?: Buffer;
  readonly upTo?: Buffer;
}

export interface TableCheck {
  readonly faults: readonly BlockFault[];
  readonly bytes: number;
}

/**
 * All of a table.
 * @param pause Awaited behind each so many bytes that were read.
 */
export async function checkTable(
  directory: string,
  file: string,
  pause?: (bytes: number) => Promise<void>,
): Promise<TableCheck> {
  const handle = await open(join(directory, file), 'r');
  try {
    const { size } = await handle.stat();
    const tail = endsOf(file, size, reader(handle.fd));
    const faults: BlockFault[] = [...tail.faults];
    for (const group of grouped(tail.blocks)) {
      let length = 0;
      for (const [block, bytes] of await readBlocks(handle, group)) {
        length += bytes.length;
        if (!isSoundBlock(bytes)) faults.push(blockFault(file, tail.blocks, block));
      }
      await pause?.(length);
    }
    return { faults, bytes: size };
  } finally {
    await handle.close();
  }
}

const reader =
  (fd: number): Read =>
  (offset, length) => {
    const bytes = Buffer.allocUnsafe(length);
    return bytes.subarray(0, readSync(fd, bytes, 0, length, offset));
  };

export function blockFault(file: string, blocks: readonly BlockHandle[], block: BlockHandle): BlockFault {
  const after = blocks[blocks.indexOf(block) - 1]?.lastKey;
  const upTo = block.lastKey;
  const range = `${after ? `behind ${after.toString()}` : 'from the first'} up to ${upTo?.toString() ?? 'the last'}`;
  const message = `a block of ${block.size} bytes is damaged; it held keys ${range}`;
  return { file, offset: block.offset, message, ...(after && { after }), ...(upTo && { upTo }) };
}

/** Blocks that are read in one go. */
export function* grouped(blocks: readonly BlockHandle[]): Generator<BlockHandle[]> {
  let group: BlockHandle[] = [];
  let bytes = 0;
  for (const block of blocks) {
    if (group.length > 0 && bytes + extentOf(block) > READ_BYTES) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(block);
    bytes += extentOf(block);
  }
  if (group.length > 0) yield group;
}

/** Blocks that lie one behind the other, with what is behind each; one that the file has not is shorter. */
export async function readBlocks(
  handle: FileHandle,
  group: readonly BlockHandle[],
): Promise<(readonly [BlockHandle, Buffer])[]> {
  const [first] = group;
  const last = group.at(-1);
  if (!first || !last) return [];
  const length = last.offset + extentOf(last) - first.offset;
  const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafe(length), 0, length, first.offset);
  const bytes = buffer.subarray(0, bytesRead);
  return group.map((block) => {
    const at = block.offset - first.offset;
    return [block, bytes.subarray(at, at + extentOf(block))] as const;
  });
}
