/** A list of job ids under one key: jobs that were claimed together, or that ended together. */
import { pack, unpack } from '../job/packer.js';
import { sealBytes, unsealBytes } from './integrity.js';

export const sealRoster = (key: string, ids: readonly string[]): Uint8Array => sealBytes(key, pack(ids));

/**
 * The cast is safe for bytes whose checksum held: {@link sealRoster} made them.
 * @throws MillraceError `MILLRACE_JOURNAL_CORRUPT`
 */
export const unsealRoster = (key: string, record: Uint8Array): string[] =>
  unpack(unsealBytes(key, record)) as string[];
