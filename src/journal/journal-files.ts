/**
 * Reads all that a journal's files hold, without LevelDB, which changes what it opens. Tables and logs are merged in
 * the order of the keys, a page at a time. Of what is damaged it gives back what a record's own checksum vouches for.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { findChanges, readBatch } from './files/batch.js';
import { readLog } from './files/log.js';
import { readManifest, type Table } from './files/manifest.js';
import { logName, manifestName, tableName, type FileNames } from './files/names.js';
import type { FileCheck } from './file-check.js';
import type { FileFault } from './file-fault.js';
import { isSealed } from './integrity.js';
import { LogSource, mergeSources, TableSource, type Raw, type Source, type Span } from './source.js';

/** A record, not checked yet. */
export interface RawRecord {
  readonly key: string;
  readonly value: Uint8Array;
}

interface TableFile extends Partial<Table> {
  readonly file: string;
}

export class JournalFiles {
  readonly #directory: string;
  readonly #tables: readonly TableFile[];
  readonly #logs: readonly Raw[][];
  /** By file and offset: a block can be read more than once. */
  readonly #faults = new Map<string, FileFault>();
  readonly #ranges = new Map<string, Span>();
  /** A log that is damaged may have held any key. */
  readonly #isAnyLost: boolean;

  private constructor(directory: string, tables: TableFile[], logs: Raw[][], isAnyLost: boolean) {
    this.#directory = directory;
    this.#tables = tables;
    this.#logs = logs;
    this.#isAnyLost = isAnyLost;
  }

  static async open(directory: string, check: FileCheck): Promise<JournalFiles> {
    const { damage, torn, names } = check;
    const manifest = await soundManifest(directory, check);
    const logNumber = manifest?.logNumber ?? 0;
    const logs: Raw[][] = [];
    for (const number of names.logs.filter((number) => number >= logNumber)) {
      const file = logName(number);
      const bytes = await readFile(join(directory, file));
      const end = torn.find((fault) => fault.file === file)?.offset ?? bytes.length;
      // Where the check ended before the logs, nothing is known of them.
      const isDamaged = !check.manifest || damage.some((fault) => fault.file === file);
      logs.push(changesOf(bytes.subarray(0, end), isDamaged));
    }
    const isAnyLost = damage.some(({ file }) => !/\.(?:ldb|sst)$/.test(file));
    const files = new JournalFiles(directory, tablesOf(names, manifest?.tables), logs, isAnyLost);
    for (const { number, smallest, largest } of manifest?.tables.values() ?? []) {
      if (names.tables.has(number)) continue;
      // Just before the smallest key, which is among what is lost.
      const range = { from: latinOf(smallest.subarray(0, -1)), to: latinOf(largest) };
      files.#ranges.set(tableName(number), range);
    }
    return files;
  }

  /** Faults of blocks that were read so far. */
  get faults(): readonly FileFault[] {
    return [...this.#faults.values()];
  }

  /** Whether a newer value of the key, or its removal, may be among what is damaged. */
  isSuspect(key: string): boolean {
    const bytes = latin(key);
    return this.#isAnyLost || [...this.#ranges.values()].some(({ from, to }) => bytes > from && bytes <= to);
  }

  /** The records from one key to another, in the order of their bytes. */
  async *records(from: string, to: string): AsyncGenerator<RawRecord[]> {
    const span = { from: latin(from), to: latin(to) };
    const sources: Source[] = this.#logs.map((log) => new LogSource(log, span));
    for (const table of this.#tables) {
      const smallest = table.smallest && latinOf(table.smallest);
      const largest = table.largest && latinOf(table.largest);
      if ((smallest ?? '') >= span.to || (largest ?? span.from) < span.from) continue;
      const onFault = this.#note.bind(this);
      sources.push(new TableSource(this.#directory, table.file, span, smallest, onFault));
    }
    for await (const page of mergeSources(sources)) {
      yield page.map(({ key, value }) => ({ key: Buffer.from(key, 'latin1').toString(), value }));
    }
  }

  #note(fault: FileFault, range: Span): void {
    const at = `${fault.file}:${fault.offset}`;
    this.#faults.set(at, fault);
    this.#ranges.set(at, range);
  }
}

const latin = (text: string): string => latinOf(Buffer.from(text));
const latinOf = (bytes: Buffer): string => bytes.toString('latin1');

/** The one that CURRENT names, if it is sound, or else the newest that is. */
async function soundManifest(directory: string, { names, manifest }: FileCheck) {
  if (manifest?.logNumber !== undefined && !manifest.scan.fault) return manifest;
  for (const number of names.manifests.toReversed()) {
    const other = readManifest(await readFile(join(directory, manifestName(number))));
    if (other.logNumber !== undefined && !other.scan.fault) return other;
  }
  return undefined;
}

/** Without a manifest all that are there: what was merged into others is in them again, and does no harm. */
function tablesOf(names: FileNames, tables: ReadonlyMap<number, Table> | undefined): TableFile[] {
  if (!tables) return [...names.tables.values()].map((file) => ({ file }));
  return [...tables.values()].flatMap((table) => {
    const file = names.tables.get(table.number);
    return file === undefined ? [] : [{ ...table, file }];
  });
}

/** @param isDamaged What is not whole at its end is damage, too, and not what a crash has left. */
function changesOf(log: Buffer, isDamaged: boolean): Raw[] {
  const raws: Raw[] = [];
  let next = 0;
  for (const { data, isSound } of readLog(log)) {
    if (!isSound && !isDamaged) break;
    const batch = readBatch(data);
    const isWhole = isSound && batch.isWhole;
    // The number of a damaged batch follows from the one before it.
    let at = isWhole || next === 0 ? batch.sequence : next;
    for (const { key, value } of isWhole ? batch.changes : findChanges(data, isSealedBytes))
      raws.push({ key: latinOf(key), sequence: at++, ...(value && { value }) });
    next = at;
  }
  return raws;
}

const isSealedBytes = (key: Buffer, value: Buffer): boolean => isSealed(key.toString(), value);
