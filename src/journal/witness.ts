/**
 * The witness: a small file beside the journal that says how much of it was certainly on disk. LevelDB takes a log
 * that ends early for one that was never longer; the witness knows better. It has two places that are written in turn,
 * so that a power cut in the middle of one leaves the other.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { isMissingFile } from './file-fault.js';

export const WITNESS = 'WITNESS';
/** A sector of a disk, which is written whole or not at all. */
const PLACE_BYTES = 512;
export const WITNESS_BYTES = 2 * PLACE_BYTES;
const CHECKSUM_BYTES = 4;
/** So many logs fit; there are seldom more than two at a time. */
const MAX_LOGS = 4;
const VERSION = 1;

/** Stands for a start of the machine that is over: after a write has failed, only what was synced certainly stays. */
export const AFTER_FAILURE = 'after a failed write';

/** How much of a log was there. */
export interface LogClaim {
  readonly number: number;
  /** Bytes that the operating system had: they outlive the process, not a power cut. */
  readonly written: number;
  /** Bytes that were on the disk. */
  readonly synced: number;
}

export interface Testimony {
  /** Rises by one with each. */
  readonly turn: number;
  /** Which start of the machine it was given in (boot.ts). */
  readonly boot: string;
  /** The journal was closed in order: every file has, to the byte, what is said here. */
  readonly isClean: boolean;
  readonly manifest: number;
  /** Where it was closed in order. */
  readonly manifestBytes: number;
  readonly logs: readonly LogClaim[];
}

export interface Witness {
  /** The last sound testimony. */
  readonly testimony?: Testimony;
  /** The file is there, and a part of it cannot be read. */
  readonly isDamaged: boolean;
}

/** Where in the file a testimony goes, and its bytes. */
export function encodeTestimony(testimony: Testimony): { at: number; bytes: Buffer } {
  const { turn, boot, isClean, manifest, manifestBytes, logs } = testimony;
  const claims = logs.slice(-MAX_LOGS).map(({ number, written, synced }) => [number, written, synced]);
  const text = JSON.stringify([VERSION, turn, boot, isClean, manifest, manifestBytes, claims]);
  const bytes = Buffer.alloc(PLACE_BYTES, ' ');
  bytes.write(text, CHECKSUM_BYTES);
  bytes.writeUInt32LE(crc32(bytes.subarray(CHECKSUM_BYTES)), 0);
  return { at: (turn % 2) * PLACE_BYTES, bytes };
}

export function readWitness(directory: string): Witness {
  let file: Buffer;
  try {
    file = readFileSync(join(directory, WITNESS));
  } catch (thrown) {
    if (isMissingFile(thrown)) return { isDamaged: false };
    throw thrown;
  }
  const places = [file.subarray(0, PLACE_BYTES), file.subarray(PLACE_BYTES)].map(decodeTestimony);
  const [last] = places.filter((place) => place !== undefined).sort((a, b) => b.turn - a.turn);
  // A new file says nothing yet.
  const testimony = last?.boot === '' ? undefined : last;
  return { ...(testimony && { testimony }), isDamaged: places.includes(undefined) };
}

function decodeTestimony(place: Buffer): Testimony | undefined {
  if (place.length !== PLACE_BYTES) return undefined;
  const text = place.subarray(CHECKSUM_BYTES);
  if (place.readUInt32LE(0) !== crc32(text)) return undefined;
  // Safe for bytes whose checksum held: encodeTestimony() made them.
  const [version, turn, boot, isClean, manifest, manifestBytes, claims] = JSON.parse(
    text.toString('latin1'),
  ) as [number, number, string, boolean, number, number, [number, number, number][]];
  if (version !== VERSION) return undefined;
  const logs = claims.map(([number, written, synced]) => ({ number, written, synced }));
  return { turn, boot, isClean, manifest, manifestBytes, logs };
}
