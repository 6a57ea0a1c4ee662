/** The prototype's thread: decodes a chunk of payloads, runs each, answers with encoded results. */
import { Packr } from 'msgpackr';
import noop from './noop.js';

const codec = new Packr({ useRecords: false });

export interface ChunkAnswer {
  /** Where each result begins, and where the last one ends. */
  readonly offsets: Uint32Array;
  readonly bytes: Uint8Array;
}

export default async function runChunk(chunk: Uint8Array): Promise<ChunkAnswer> {
  // Safe: several values in, an array of them out.
  const payloads = codec.unpackMultiple(chunk) as unknown[];
  const parts: Buffer[] = [];
  const offsets = new Uint32Array(payloads.length + 1);
  let end = 0;
  for (const [i, payload] of payloads.entries()) {
    const bytes = codec.pack(await noop(payload));
    parts.push(bytes);
    end += bytes.length;
    offsets[i + 1] = end;
  }
  return { offsets, bytes: Buffer.concat(parts) };
}
