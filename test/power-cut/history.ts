/**
 * What became of the files below a directory, call by call: what was written where, which names the files had, and
 * what had been synced when.
 */
import { isAbsolute, relative, resolve } from 'node:path';
import type { Call } from './trace.js';

/** When it happened: at which lines of the trace it began and was over. */
export interface Span {
  readonly beganAt: number;
  /** Infinity where nobody learned that it was over. */
  readonly endedAt: number;
}

export interface Write extends Span {
  readonly offset: number;
  readonly bytes: Buffer;
}

/** A file, whatever it is called: what replaces it under its name, or empties it, is another one. */
export interface File {
  readonly writes: Write[];
  readonly syncs: Span[];
}

/** Names that changed together, and the files that they stand for since. */
export interface Renaming extends Span {
  readonly names: ReadonlyMap<string, File | undefined>;
}

/** What a descriptor stands for. */
interface Open {
  /** Absent where it is a directory. */
  readonly file?: File;
  readonly appends: boolean;
  position: number;
}

/** The bytes of a file as it is now, or `undefined` where there is none. */
export type Look = (name: string) => Buffer | undefined;

export class History {
  readonly #root: string;
  readonly renamings: Renaming[] = [];
  /** Syncs that made all names last that had changed before. */
  readonly commits: Span[] = [];
  readonly #names = new Map<string, File>();
  readonly #sizes = new Map<File, number>();
  /** Files that are new, or longer than when they were last synced. */
  readonly #grown = new Set<File>();
  #opens = new Map<number, Open>();

  /** @param root The directory, as the calls spell it; the process's own, too. Names are relative to it. */
  constructor(root: string) {
    this.#root = root;
  }

  /** The files by their names, after the last call. */
  get names(): ReadonlyMap<string, File> {
    return this.#names;
  }

  /** The process has gone, and its descriptors with it. */
  died(): void {
    this.#opens = new Map();
  }

  /** Takes in a call that is over. One that failed changed nothing, and one that strace answered neither. */
  apply(call: Call): void {
    const { name, result, isFaked } = call;
    if (result === undefined || result < 0 || (isFaked && name !== 'close')) return;
    if (name === 'openat' || name === 'creat') this.#open(call, result);
    else if (name === 'close') this.#opens.delete(Number.parseInt(call.args, 10));
    else if (name === 'write' || name === 'pwrite64') this.#write(call, result);
    else if (name === 'fdatasync' || name === 'fsync') this.#sync(call);
    else if (name.startsWith('rename')) this.#rename(call);
    else if (name.startsWith('unlink')) this.#unlink(call);
    else this.#refuse(call);
  }

  /** Takes in a call during which the process died, as far as it can be seen to have been done. */
  settle(call: Call, look: Look): void {
    if (call.name === 'write' || call.name === 'pwrite64') {
      const written = this.#writtenOf(call, look);
      if (written > 0) this.#write(call, written);
      return;
    }
    const [first = '', second] = this.#namesIn(call.args);
    const isThere = look(second ?? first) !== undefined;
    if (call.name === 'openat' && isThere && !this.#names.has(first)) this.#open(call, -1);
    if (call.name.startsWith('rename') && isThere && look(first) === undefined) this.#rename(call);
    if (call.name.startsWith('unlink') && !isThere) this.#unlink(call);
  }

  #open(call: Call, descriptor: number): void {
    const [name] = this.#namesIn(call.args);
    if (name === undefined) return;
    const isEmptied = call.name === 'creat' || call.args.includes('O_TRUNC');
    const isMade = call.name === 'creat' || call.args.includes('O_CREAT');
    let file = this.#names.get(name);
    if (file ? isEmptied : isMade) {
      file = { writes: [], syncs: [] };
      this.#grown.add(file);
      this.#renamed(call, new Map([[name, file]]));
    }
    this.#opens.set(descriptor, {
      ...(file && { file }),
      appends: call.args.includes('O_APPEND'),
      position: 0,
    });
  }

  /** @param written How many bytes. */
  #write(call: Call, written: number): void {
    const [, descriptor, hex = '', at] = WRITE.exec(call.args) ?? [];
    const open = this.#opens.get(Number(descriptor));
    if (!open?.file || written === 0) return;
    const { file, appends } = open;
    const bytes = unescape(hex).subarray(0, written);
    if (bytes.length < written)
      throw new Error(`Expected the trace to hold ${written} bytes, got ${bytes.length}`);
    const size = this.#sizes.get(file) ?? 0;
    const offset = at === undefined ? (appends ? size : open.position) : Number(at);
    if (at === undefined) open.position = offset + written;
    file.writes.push({ offset, bytes, beganAt: call.beganAt, endedAt: call.endedAt });
    if (offset + written <= size) return;
    this.#sizes.set(file, offset + written);
    this.#grown.add(file);
  }

  #writtenOf(call: Call, look: Look): number {
    const [, descriptor, hex = '', at] = WRITE.exec(call.args) ?? [];
    const open = this.#opens.get(Number(descriptor));
    const name = [...this.#names].find(([, file]) => file === open?.file)?.[0];
    const now = name === undefined ? undefined : look(name);
    if (!open?.file || !now) return 0;
    const bytes = unescape(hex);
    const offset = at === undefined ? open.position : Number(at);
    const there = now.subarray(offset, offset + bytes.length);
    return there.equals(bytes.subarray(0, there.length)) ? there.length : 0;
  }

  /**
   * A file system with a journal of its own writes down all changes of names in their order, and a sync that changes
   * more than bytes in their place waits for that: of the file that it is for, and so of all before.
   */
  #sync({ args, beganAt, endedAt }: Call): void {
    const open = this.#opens.get(Number.parseInt(args, 10));
    if (!open) return;
    open.file?.syncs.push({ beganAt, endedAt });
    if (!open.file || this.#grown.delete(open.file)) this.commits.push({ beganAt, endedAt });
  }

  #rename(call: Call): void {
    const [from, to] = this.#namesIn(call.args);
    const file = from === undefined ? undefined : this.#names.get(from);
    if (from === undefined || to === undefined || !file) return;
    const names: [string, File | undefined][] = [
      [from, undefined],
      [to, file],
    ];
    this.#renamed(call, new Map(names));
  }

  #unlink(call: Call): void {
    const [name] = this.#namesIn(call.args);
    if (name !== undefined && this.#names.has(name)) this.#renamed(call, new Map([[name, undefined]]));
  }

  #renamed({ beganAt, endedAt }: Call, names: Renaming['names']): void {
    this.renamings.push({ beganAt, endedAt, names });
    for (const [name, file] of names) {
      if (file) this.#names.set(name, file);
      else this.#names.delete(name);
    }
  }

  /** What is not modelled must not touch the files. */
  #refuse({ name, args }: Call): void {
    const isOurs = this.#namesIn(args).length > 0 || this.#opens.has(Number.parseInt(args, 10));
    if (isOurs)
      throw new Error(`Expected no ${name} among the files: the model of the disk does not know it`);
  }

  /** The names below the root that a call's arguments spell. */
  #namesIn(args: string): string[] {
    return [...args.matchAll(STRING)].flatMap(([, hex = '']) => {
      const name = relative(this.#root, resolve(this.#root, unescape(hex).toString()));
      return name === '' || name.startsWith('..') || isAbsolute(name) ? [] : [name];
    });
  }
}

const STRING = /"([^"]*)"/g;
/** Descriptor, bytes, and of `pwrite64` the offset. */
const WRITE = /^(\d+), "([^"]*)", \d+(?:, (\d+))?$/;

const unescape = (hex: string): Buffer => Buffer.from(hex.replaceAll(String.raw`\x`, ''), 'hex');

/** When the last of those that were over by then began; -1 where there is none. */
export const lastBegan = (spans: readonly Span[], at: number): number =>
  spans.reduce((last, { beganAt, endedAt }) => (endedAt < at ? Math.max(last, beganAt) : last), -1);

/** The bytes of a file once these writes are done. */
export function bytesAfter(writes: readonly Write[], before: Buffer = Buffer.alloc(0)): Buffer {
  const size = writes.reduce((end, { offset, bytes }) => Math.max(end, offset + bytes.length), before.length);
  const after = Buffer.alloc(size);
  before.copy(after);
  for (const { offset, bytes } of writes) bytes.copy(after, offset);
  return after;
}
