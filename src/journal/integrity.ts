/**
 * A checksum per record: CRC-32 over a hash of the key and the value, so that a flipped bit, or a value under another's
 * key, is noticed when it is read and is never handed to a handler.
 */
import { crc32 } from 'node:zlib';
import { MillraceError } from '../errors.js';
import { CHECKSUM_BYTES } from '../job/record-format.js';

/** Text as a sealed record. */
export function sealText(key: string, text: string): Uint8Array {
  const record = Buffer.allocUnsafe(CHECKSUM_BYTES + Buffer.byteLength(text));
  record.write(text, CHECKSUM_BYTES);
  return seal(key, record);
}

/** @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
export const unsealText = (key: string, record: Uint8Array): string => unsealBytes(key, record).toString();

/** Any bytes as a sealed record. */
export function sealBytes(key: string, bytes: Uint8Array): Uint8Array {
  const record = Buffer.allocUnsafe(CHECKSUM_BYTES + bytes.byteLength);
  record.set(bytes, CHECKSUM_BYTES);
  return seal(key, record);
}

/** @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
export function unsealBytes(key: string, record: Uint8Array): Buffer {
  const { buffer, byteOffset, byteLength } = unseal(key, record);
  return Buffer.from(buffer, byteOffset + CHECKSUM_BYTES, byteLength - CHECKSUM_BYTES);
}

/** Fills in the checksum of a record, which begins with room for it. */
export function seal(key: string, record: Uint8Array): Uint8Array {
  writeUint32(record, hashOf(key));
  writeUint32(record, crc32(record));
  return record;
}

/**
 * @returns the record, its checksum included.
 * @throws MillraceError `MILLRACE_JOURNAL_CORRUPT`
 */
export function unseal(key: string, record: Uint8Array): Uint8Array {
  if (isSealed(key, record)) return record;
  throw new MillraceError(
    'MILLRACE_JOURNAL_CORRUPT',
    `The record ${key} is damaged: its checksum does not match`,
  );
}

/** Whether the record is what was written under the key. */
export function isSealed(key: string, record: Uint8Array): boolean {
  if (record.byteLength < CHECKSUM_BYTES) return false;
  const expected = readUint32(record);
  writeUint32(record, hashOf(key));
  const found = crc32(record);
  writeUint32(record, expected);
  return found === expected;
}

/** The hash lies where the checksum will: so one call covers both, and no view has to be made of a part. */
function writeUint32(record: Uint8Array, value: number): void {
  record[0] = value;
  record[1] = value >>> 8;
  record[2] = value >>> 16;
  record[3] = value >>> 24;
}

function readUint32([a = 0, b = 0, c = 0, d = 0]: Uint8Array): number {
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

/** FNV-1a, 32 bit, over the characters: far cheaper for a short key than a call out of JavaScript. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
