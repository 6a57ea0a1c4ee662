/**
 * A checksum per record: CRC-32 over the key and the value, so that a flipped bit, or a value under another's
 * key, is noticed when it is read and is never handed to a handler.
 */
import { crc32 } from 'node:zlib';
import { MillraceError } from '../errors.js';

const CHECKSUM_BYTES = 4;

/** The value with its checksum, to be read back by {@link unseal}. */
export function seal(key: string, value: Uint8Array): Uint8Array {
  const sealed = Buffer.allocUnsafe(value.byteLength + CHECKSUM_BYTES);
  sealed.set(value);
  sealed.writeUInt32LE(crc32(value, crc32(key)), value.byteLength);
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
    if (crc32(value, crc32(key)) === expected) return value;
  }
  throw new MillraceError(
    'MILLRACE_JOURNAL_CORRUPT',
    `The record ${key} is damaged: its checksum does not match`,
  );
}
