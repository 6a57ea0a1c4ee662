/**
 * What a disk may hold when its power is cut at a moment, as far as POSIX, and file systems with a journal of their
 * own (ext4, XFS, btrfs), let one rely on anything:
 *
 * - Of a file, what had been written before its last completed sync began. What was written since may be there or not:
 *   nothing, all, a part from its beginning, or the length without the bytes: zeroes or anything in their place, also
 *   in the middle. A write within the file's length is there or not (the engine's fit into a sector).
 * - Of new, changed and removed names, a part from their beginning: these file systems keep their order. Whatever came
 *   before a completed sync that had to write down more than bytes in their place is there. (POSIX alone promises
 *   nothing before a sync of the directory. LevelDB does not sync it for a log, so it could promise nothing there.)
 */
import type { Random } from '../crash/random.js';
import { bytesAfter, lastBegan, type File, type History, type Write } from './history.js';

/** What is left of what was written to a file and never synced. */
const TAILS = ['none', 'all', 'part', 'zeroes', 'garbage', 'hole'] as const;
export type Tail = (typeof TAILS)[number];

/** How a file system hands pages to the disk. */
const PAGE = 4_096;

export interface Image {
  /** The files by their names. */
  readonly files: ReadonlyMap<string, Buffer>;
  /** Bytes of these files that no sync covered: that had been written, and that are there as they were written. */
  readonly unsynced: { readonly written: number; readonly kept: number };
}

/**
 * @param at The line of the trace before which it happens.
 * @param isAsked Which files, by their names; all by default.
 */
export function drawImage(
  history: History,
  at: number,
  random: Random,
  isAsked: (name: string) => boolean = () => true,
): Image {
  const files = new Map<string, Buffer>();
  let written = 0;
  let kept = 0;
  for (const [name, file] of namesAt(history, at, random)) {
    if (!isAsked(name)) continue;
    const { synced, unsynced } = writesAt(file, at);
    const before = bytesAfter(synced);
    const bytes = drawBytes(before, unsynced, random);
    files.set(name, bytes);
    written += unsynced.reduce((sum, { bytes }) => sum + bytes.length, 0);
    kept += unsynced.reduce((sum, write) => sum + keptOf(write, bytes), 0);
  }
  return { files, unsynced: { written, kept } };
}

const keptOf = ({ offset, bytes }: Write, now: Buffer): number =>
  now.subarray(offset, offset + bytes.length).equals(bytes) ? bytes.length : 0;

function namesAt({ renamings, commits }: History, at: number, random: Random): Map<string, File> {
  const begun = renamings.filter(({ beganAt }) => beganAt < at);
  const settledAt = lastBegan(commits, at);
  const settled = begun.findLastIndex(({ endedAt }) => endedAt <= settledAt) + 1;
  const names = new Map<string, File>();
  for (const renaming of begun.slice(0, settled + drawCount(begun.length - settled, random))) {
    for (const [name, file] of renaming.names) {
      if (file) names.set(name, file);
      else names.delete(name);
    }
  }
  return names;
}

function drawCount(count: number, random: Random): number {
  return random.pick([() => 0, () => count, () => random.integer(0, count)])();
}

/** What had been written by then, and whether it was certain to last. */
function writesAt({ writes, syncs }: File, at: number): { synced: Write[]; unsynced: Write[] } {
  const syncedAt = lastBegan(syncs, at);
  const begun = writes.filter(({ beganAt }) => beganAt < at);
  return {
    synced: begun.filter(({ endedAt }) => endedAt <= syncedAt),
    unsynced: begun.filter(({ endedAt }) => endedAt > syncedAt),
  };
}

function drawBytes(before: Buffer, unsynced: readonly Write[], random: Random): Buffer {
  if (unsynced.length === 0) return before;
  const tail = random.pick(TAILS);
  // Bytes in their place, one sector: each write is there or not.
  const isGrowth = unsynced.every(({ offset }) => offset >= before.length);
  if (!isGrowth) return bytesAfter(unsynced.slice(0, drawCount(unsynced.length, random)), before);
  return drawTail(tail, before.length, bytesAfter(unsynced, before), random);
}

/** @param full The file if all had reached the disk. */
export function drawTail(tail: Tail, synced: number, full: Buffer, random: Random): Buffer {
  const length = random.integer(synced, full.length);
  switch (tail) {
    case 'none':
      return full.subarray(0, synced);
    case 'all':
      return full;
    case 'part':
      return full.subarray(0, length);
    case 'zeroes':
      return spoiled(full, length, full.length, () => 0);
    case 'garbage':
      return spoiled(full, length, full.length, () => random.integer(0, 255));
    case 'hole': {
      const from = Math.max(synced, length - (length % PAGE));
      return spoiled(full, from, Math.min(full.length, from - (from % PAGE) + PAGE), () => 0);
    }
    default:
      return tail satisfies never;
  }
}

function spoiled(full: Buffer, from: number, to: number, byte: () => number): Buffer {
  const bytes = Buffer.from(full);
  for (let i = from; i < to; i++) bytes[i] = byte();
  return bytes;
}
