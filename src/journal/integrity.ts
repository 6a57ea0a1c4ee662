/**
 * A checksum per record: CRC-32 of the value, begun with a hash of the key, so that a flipped bit, or a value under
 * another's key, is noticed when it is read and is never handed to a handler.
 */
import { crc32 } from 'node:zlib';
import { MillraceError } from '../errors.js';

export const CHECKSUM_BYTES = 4;

/** The value with its checksum, to be read back by {@link unseal}. */
export function seal(key: string, value: Uint8Array): Uint8Array {
  const sealed = Buffer.allocUnsafe(value.byteLength + CHECKSUM_BYTES);
  sealed.set(value);
  sealed.writeUInt32LE(crc32(value, hashOf(key)), value.byteLength);
  return sealed;
}

/** @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
export function unseal(key: string, sealed: Uint8Array): Uint8Array {
  const length = sealed.byteLength - CHECKSUM_BYTES;
  if (length >= 0) {
    const value = sealed.subarray(0, length);
    const expected = new DataView(sealed.buffer, sealed.byteOffset + length, CHECKSUM_BYTES).getUint32(
      0,
      true,
    );
    if (crc32(value, hashOf(key)) === expected) return value;
  }
  throw new MillraceError(
    'MILLRACE_JOURNAL_CORRUPT',
    `The record ${key} is damaged: its checksum does not match`,
  );
}

/** FNV-1a, 32 bit, over the characters: far cheaper for a short key than a call out of JavaScript. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
