/**
 * LevelDB's checksum: CRC-32C, masked, so that a checksum of bytes that hold checksums is not a special case.
 * It is computed natively, for it covers the whole log at each open; Node's own `zlib.crc32` is another polynomial.
 */
import { crc32c } from '@node-rs/crc32';

const MASK_DELTA = 0xa282ead8;

export function maskedChecksum(bytes: Uint8Array): number {
  return mask(crc32c(bytes));
}

/** The checksum of more bytes, from that of those before them. */
export const continued = (bytes: Uint8Array, before: number): number => crc32c(bytes, before);

export const mask = (checksum: number): number => (((checksum >>> 15) | (checksum << 17)) + MASK_DELTA) >>> 0;
