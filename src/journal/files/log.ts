/**
 * Reads LevelDB's logs; its manifests are logs, too. A log is a row of blocks of 32 KiB, each a row of fragments:
 * checksum (4 bytes), length (2), type (1), data. A record is one fragment, or a first, any in the middle, and a last.
 * No fragment crosses the end of a block; where less than a header is left there, it is not used.
 */
import { maskedChecksum } from './checksum.js';

const BLOCK_BYTES = 32_768;
const HEADER_BYTES = 7;

const FULL = 1;
const FIRST = 2;
const LAST = 4;

/**
 * `torn`: the file ends before the fragment does, as after the death of a process while it wrote. `bad`: what is
 * there is not what was written.
 */
export type Fault = 'torn' | 'bad';

interface Fragment {
  readonly offset: number;
  readonly end: number;
  readonly type: number;
  readonly fault?: Fault;
}

export interface LogRecord {
  readonly offset: number;
  readonly data: Buffer;
  /** Whether it is certainly what was written. */
  readonly isSound: boolean;
}

export interface LogScan {
  /** The end of the last record before the first fault. */
  readonly soundEnd: number;
  readonly fault?: Fault;
  /** Whether there are sound fragments behind the fault: a process that dies while it writes leaves none. */
  readonly continues: boolean;
}

/** How far a log is sound. */
export function scanLog(bytes: Buffer): LogScan {
  let soundEnd = 0;
  let isOpen = false;
  let fault: Fault | undefined;
  let continues = false;
  for (const fragment of fragments(bytes)) {
    if (fault) {
      continues = true;
      break;
    }
    const { type } = fragment;
    const isStart = type === FULL || type === FIRST;
    fault = fragment.fault ?? (isStart === isOpen ? 'bad' : undefined);
    // Sound by itself, but not at this place: something before or behind it is missing.
    if (fault && !fragment.fault) continues = true;
    if (fault) continue;
    isOpen = type !== FULL && type !== LAST;
    if (!isOpen) soundEnd = fragment.end;
  }
  if (!fault && isOpen) fault = 'torn';
  return { soundEnd, ...(fault && { fault }), continues };
}

/** All records, and of those that are not sound what can be read of them. */
export function* readLog(bytes: Buffer): Generator<LogRecord> {
  let parts: Fragment[] = [];
  for (const fragment of fragments(bytes)) {
    const { type, fault } = fragment;
    const previous = parts.at(-1);
    // Behind a bad one that may have been the last, or a whole record, only the type of the next one tells.
    if (previous && !fault && (type === FULL || type === FIRST)) {
      yield joined(bytes, parts, false);
      parts = [];
    }
    parts.push(fragment);
    if (!fault && (type === FULL || type === LAST)) {
      const first = parts[0]?.type;
      const isSound = parts.every((part) => !part.fault) && (first === FIRST || first === FULL);
      yield joined(bytes, parts, isSound);
      parts = [];
    }
  }
  if (parts.length > 0) yield joined(bytes, parts, false);
}

function joined(bytes: Buffer, parts: readonly Fragment[], isSound: boolean): LogRecord {
  const datas = parts.map(({ offset, end }) => bytes.subarray(Math.min(offset + HEADER_BYTES, end), end));
  const [only] = datas;
  const data = only && datas.length === 1 ? only : Buffer.concat(datas);
  return { offset: parts[0]?.offset ?? 0, data, isSound };
}

/** The fragments in their order; one that is not sound reaches to the next that is, or to the end. */
function* fragments(bytes: Buffer): Generator<Fragment> {
  for (let at = 0; at < bytes.length;) {
    const room = BLOCK_BYTES - (at % BLOCK_BYTES);
    if (room < HEADER_BYTES) {
      at += room;
      continue;
    }
    const fault = faultAt(bytes, at, room);
    const end = fault ? nextSound(bytes, at + 1) : at + HEADER_BYTES + bytes.readUInt16LE(at + 4);
    // A file that ends in the middle of a fragment has nothing behind that.
    const isTorn = fault === 'torn' && end === bytes.length;
    const type = at + HEADER_BYTES <= bytes.length ? bytes.readUInt8(at + 6) : 0;
    yield { offset: at, end, type, ...(fault && { fault: isTorn ? 'torn' : 'bad' }) };
    at = end;
  }
}

function faultAt(bytes: Buffer, at: number, room: number): Fault | undefined {
  if (at + HEADER_BYTES > bytes.length) return 'torn';
  const end = HEADER_BYTES + bytes.readUInt16LE(at + 4);
  if (end > room) return 'bad';
  if (at + end > bytes.length) return 'torn';
  const type = bytes.readUInt8(at + 6);
  if (type < FULL || type > LAST) return 'bad';
  return bytes.readUInt32LE(at) === maskedChecksum(bytes.subarray(at + 6, at + end)) ? undefined : 'bad';
}

/** Where the next sound fragment begins, wherever that is: lengths before it cannot be trusted. */
function nextSound(bytes: Buffer, from: number): number {
  for (let at = from; at + HEADER_BYTES <= bytes.length; at++) {
    // Fewer than one byte in sixty can be a type.
    const type = bytes[at + 6] ?? 0;
    if (type < FULL || type > LAST) continue;
    const room = BLOCK_BYTES - (at % BLOCK_BYTES);
    if (room >= HEADER_BYTES && !faultAt(bytes, at, room)) return at;
  }
  return bytes.length;
}
