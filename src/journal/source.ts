/** The tables and logs of a journal as rows of entries in the order of their keys, and what comes of merging them. */
import { open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileFault } from './file-fault.js';
import {
  extentOf,
  findBlocks,
  findEntries,
  isSoundBlock,
  readEntries,
  type BlockHandle,
  type TableEntry,
} from './files/table.js';
import { isSealed } from './integrity.js';
import { blockFault, checkTableEnds, grouped, readBlocks } from './table-check.js';

/** An entry of a table or log. */
export interface Raw {
  /** One character per byte, so that strings compare as bytes do. */
  readonly key: string;
  /** Of two entries of the same key the higher one counts. */
  readonly sequence: number;
  /** Absent where the key was removed. */
  readonly value?: Buffer;
}

/** Keys as in {@link Raw}, half open. */
export interface Span {
  readonly from: string;
  readonly to: string;
}

/** Entries in the order of their keys, the newest first where keys are the same. */
export interface Source {
  /** No key is before it; absent where that is not known. */
  readonly smallest?: string;
  /** The next entries; none at the end. */
  fill(): Promise<Raw[]>;
}

const inOrder = (a: Raw, b: Raw): number =>
  a.key === b.key ? b.sequence - a.sequence : a.key < b.key ? -1 : 1;

export class LogSource implements Source {
  #entries: Raw[];

  constructor(log: readonly Raw[], { from, to }: Span) {
    this.#entries = log.filter(({ key }) => key >= from && key < to).sort(inOrder);
  }

  async fill(): Promise<Raw[]> {
    const entries = this.#entries;
    this.#entries = [];
    return entries;
  }
}

/** Called for each damaged block, with the keys that it may have held: behind `from`, up to `to`. */
type OnFault = (fault: FileFault, keys: Span) => void;

export class TableSource implements Source {
  readonly smallest?: string;
  readonly #directory: string;
  readonly #file: string;
  readonly #span: Span;
  readonly #onFault: OnFault;
  #groups: AsyncIterator<Raw[]> | undefined;

  constructor(directory: string, file: string, span: Span, smallest: string | undefined, onFault: OnFault) {
    this.#directory = directory;
    this.#file = file;
    this.#span = span;
    this.#onFault = onFault;
    if (smallest !== undefined) this.smallest = smallest;
  }

  async fill(): Promise<Raw[]> {
    this.#groups ??= this.#read();
    for (;;) {
      const { done, value } = (await this.#groups.next()) as IteratorResult<Raw[], undefined>;
      if (done) return [];
      const { from, to } = this.#span;
      const entries = value.filter(({ key }) => key >= from && key < to);
      if (entries.length > 0) return entries;
    }
  }

  async *#read(): AsyncGenerator<Raw[]> {
    const { faults, blocks } = checkTableEnds(this.#directory, this.#file);
    for (const fault of faults) this.#onFault(fault, { from: '', to: blocks.length > 0 ? '' : '\xff' });
    if (faults.length > 0 && blocks.length === 0) {
      yield await this.#readWithoutIndex();
      return;
    }
    const path = join(this.#directory, this.#file);
    const wanted = blocks.filter((block, i) => this.#isWanted(block, blocks[i - 1]));
    for (const group of grouped(wanted)) {
      const handle = await open(path, 'r');
      try {
        const entries: Raw[] = [];
        for (const [block, bytes] of await readBlocks(handle, group))
          entries.push(...this.#entriesOf(blocks, block, bytes));
        yield entries;
      } finally {
        await handle.close();
      }
    }
  }

  #isWanted({ lastKey }: BlockHandle, before: BlockHandle | undefined): boolean {
    const last = lastKey?.toString('latin1') ?? '\xff';
    return last >= this.#span.from && (before?.lastKey?.toString('latin1') ?? '') < this.#span.to;
  }

  #entriesOf(blocks: readonly BlockHandle[], block: BlockHandle, bytes: Buffer): Raw[] {
    const entries = isSoundBlock(bytes) ? readEntries(bytes) : undefined;
    if (entries) return entries.map(rawOf);
    const fault = blockFault(this.#file, blocks, block);
    const from = fault.after?.toString('latin1') ?? '';
    const to = fault.upTo?.toString('latin1') ?? '\xff';
    this.#onFault(fault, { from, to });
    // A removal has no checksum of its own: it is believed where it can belong.
    return findEntries(bytes, isSealedBytes)
      .map(rawOf)
      .filter(({ key }) => key >= from && key <= to)
      .sort(inOrder);
  }

  /** The blocks are found by their checksums; only what has one of its own is taken, for some are not of entries. */
  async #readWithoutIndex(): Promise<Raw[]> {
    const table = await readFile(join(this.#directory, this.#file));
    const raws: Raw[] = [];
    for (const block of findBlocks(table)) {
      const bytes = table.subarray(block.offset, block.offset + extentOf(block));
      raws.push(...findEntries(bytes, isSealedBytes).map(rawOf));
    }
    return raws.sort(inOrder);
  }
}

const isSealedBytes = (key: Buffer, value: Buffer): boolean => isSealed(key.toString(), value);

function rawOf({ key, sequence, value }: TableEntry): Raw {
  return { key: key.toString('latin1'), sequence, ...(value && { value }) };
}

interface Active {
  readonly source: Source;
  entries: Raw[];
  at: number;
}

/** How many entries a page has. */
const PAGE = 512;

/** The newest value of each key that was not removed, in the order of the keys. */
export async function* mergeSources(
  sources: readonly Source[],
): AsyncGenerator<{ key: string; value: Buffer }[]> {
  const waiting = [...sources].sort((a, b) => ((a.smallest ?? '') < (b.smallest ?? '') ? 1 : -1));
  let active: Active[] = [];
  let page: { key: string; value: Buffer }[] = [];
  for (;;) {
    let first = firstKey(active);
    // A table is opened when its first key comes, so that few are open at a time.
    for (let next = waiting.at(-1); next; next = waiting.at(-1)) {
      if (first !== undefined && (next.smallest ?? '') > first) break;
      waiting.pop();
      active.push({ source: next, entries: await next.fill(), at: 0 });
      active = active.filter(({ entries }) => entries.length > 0);
      first = firstKey(active);
    }
    if (first === undefined) break;
    const newest = await take(active, first);
    active = active.filter(({ entries }) => entries.length > 0);
    if (!newest?.value) continue;
    page.push({ key: first, value: newest.value });
    if (page.length < PAGE) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}

function firstKey(active: readonly Active[]): string | undefined {
  let first: string | undefined;
  for (const { entries, at } of active) {
    const key = entries[at]?.key;
    if (key !== undefined && (first === undefined || key < first)) first = key;
  }
  return first;
}

/** Takes all entries of the key, and gives the newest. */
async function take(active: readonly Active[], key: string): Promise<Raw | undefined> {
  let newest: Raw | undefined;
  for (const one of active) {
    for (let raw = one.entries[one.at]; raw?.key === key; raw = one.entries[one.at]) {
      if (!newest || raw.sequence > newest.sequence) newest = raw;
      one.at++;
      if (one.at < one.entries.length) continue;
      one.entries = await one.source.fill();
      one.at = 0;
    }
  }
  return newest;
}
