/**
 * A payload that lies in a file beside the journal, because it is too large for LevelDB: what the job's record keeps of
 * it, and how the file is laid out. Pure; who reads and writes files is elsewhere.
 *
 * A file begins with the id of its job, so that one without a job can be told; behind that is the payload.
 */
import { crc32 } from 'node:zlib';
import { isInstance, MillraceError, read } from '../errors.js';

export interface PayloadFile {
  /** In the directory of payloads. */
  readonly name: string;
  /** Where the payload begins, and how long it is. */
  readonly offset: number;
  readonly bytes: number;
  readonly checksum: number;
}

/** Where to read it. */
export interface LocatedPayload extends PayloadFile {
  readonly path: string;
}

/** A larger payload gets a file. */
export const MAX_INLINE_BYTES = 65_536;
/** The length of the id, and its checksum. */
const HEAD_BYTES = 8;
/** What is certainly enough of a file to tell whose it is: an id has at most 512 characters. */
export const MAX_HEADER_BYTES = HEAD_BYTES + 4 * 512;

/** What a file begins with. */
export function headerOf(jobId: string): Uint8Array {
  const id = Buffer.from(jobId);
  const header = Buffer.alloc(HEAD_BYTES + id.byteLength);
  header.writeUInt32LE(id.byteLength, 0);
  header.writeUInt32LE(crc32(id), 4);
  header.set(id, HEAD_BYTES);
  return header;
}

/**
 * Whose file it is.
 * @param start The first {@link MAX_HEADER_BYTES} of it, or all.
 * @returns nothing where the header is not whole: whoever wrote it died before anything could refer to it.
 */
export function jobIdIn(start: Uint8Array): string | undefined {
  const bytes = Buffer.from(start.buffer, start.byteOffset, start.byteLength);
  if (bytes.byteLength <= HEAD_BYTES) return undefined;
  const id = bytes.subarray(HEAD_BYTES, HEAD_BYTES + bytes.readUInt32LE(0));
  return id.byteLength > 0 && crc32(id) === bytes.readUInt32LE(4) ? id.toString() : undefined;
}

/**
 * @param contents All of the file.
 * @throws MillraceError `MILLRACE_JOURNAL_CORRUPT`
 */
export function payloadIn({ name, offset, bytes, checksum }: PayloadFile, contents: Uint8Array): Uint8Array {
  const payload = contents.subarray(offset, offset + bytes);
  if (payload.byteLength === bytes && crc32(payload) === checksum) return payload;
  throw new MillraceError(
    'MILLRACE_JOURNAL_CORRUPT',
    `The payload in ${name} is damaged: its checksum does not match`,
  );
}

/** What reading it came to, where it could not be read. A file that is not there is damage; all else may pass. */
export function payloadUnread({ name }: PayloadFile, thrown: unknown): unknown {
  const isMissing = thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
  if (!isMissing) return thrown;
  return new MillraceError('MILLRACE_JOURNAL_CORRUPT', `The payload in ${name} is missing`, {
    cause: thrown,
  });
}

/** Whether the payload is lost for good. */
export const isPayloadLost = (thrown: unknown): thrown is MillraceError =>
  isInstance(thrown, MillraceError) && read(thrown, 'code') === 'MILLRACE_JOURNAL_CORRUPT';
