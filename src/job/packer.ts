/**
 * MessagePack through msgpackr, without what it holds on to: its scratch buffer grows to several times the largest
 * value so far and never shrinks, and all it returns are views of that buffer.
 */
import { Packr } from 'msgpackr/pack';

/** Views of a buffer of this size, msgpackr's first, are handed out as they are. */
const SCRATCH_BYTES = 8_192;
/** A packer whose buffer grew larger is given up. */
const MAX_SCRATCH_BYTES = 65_536;

/** Below this a value never makes the buffer grow. */
const SMALL_BYTES = 1_024;

let packr = newPackr();
/** Whether a larger value has made the buffer grow. */
let hasGrown = false;

/** @returns bytes that keep at most 8 KB more than themselves alive. */
export function pack(value: unknown): Uint8Array {
  const bytes = packr.pack(value);
  if (bytes.byteLength <= SMALL_BYTES && !hasGrown) return bytes;
  const held = bytes.buffer.byteLength;
  hasGrown = held > SCRATCH_BYTES;
  if (held > MAX_SCRATCH_BYTES) packr = newPackr();
  return held > SCRATCH_BYTES ? new Uint8Array(bytes) : bytes;
}

/** Binary data within the value is a view of `bytes`. */
export const unpack = (bytes: Uint8Array): unknown => packr.unpack(bytes);

function newPackr(): Packr {
  // A property named toJSON is data like any other.
  return new Packr({ useRecords: false, moreTypes: false, useToJSON: false });
}
