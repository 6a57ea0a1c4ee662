/**
 * MessagePack through msgpackr, without what it holds on to: the buffer that it writes to, which all its packers
 * share, grows to several times the largest value so far and never shrinks, and all it returns are views of it.
 */
import { Packr } from 'msgpackr/pack';

/** Views of a buffer of this size, msgpackr's first, are handed out as they are. */
const SCRATCH_BYTES = 8_192;

// A property named toJSON is data like any other.
const packr = new Packr({ useRecords: false, moreTypes: false, useToJSON: false });

/** How many values are being packed: a getter of one may have another packed meanwhile. */
let depth = 0;

/** @returns bytes that keep at most 8 KB more than themselves alive. */
export function pack(value: unknown): Uint8Array {
  depth++;
  let bytes: Uint8Array;
  try {
    bytes = packr.pack(value);
  } finally {
    depth--;
  }
  if (bytes.buffer.byteLength <= SCRATCH_BYTES) return bytes;
  // A small one again, or every value from now on would have to be copied; but never under a value that is half packed.
  if (depth === 0) packr.useBuffer(Buffer.allocUnsafeSlow(SCRATCH_BYTES));
  return new Uint8Array(bytes);
}

/** Binary data within the value is a view of `bytes`. */
export const unpack = (bytes: Uint8Array): unknown => packr.unpack(bytes);
