/** Schedules as bytes. There are few of them, so they are MessagePack with the names of their fields. */
import { MillraceError } from '../errors.js';
import { pack, unpack } from '../job/packer.js';
import type { Schedule } from './record.js';

/** Of these bytes; another one cannot be read. */
const VERSION = 1;

interface Stored extends Omit<Schedule, 'name'> {
  readonly version: number;
}

/** The name is the record's key and is not repeated in it. */
export function encodeSchedule({ definition, progress }: Schedule): Uint8Array {
  return pack({ version: VERSION, definition, progress } satisfies Stored);
}

/**
 * @param bytes Bytes whose checksum held: {@link encodeSchedule} made them.
 * @throws MillraceError `MILLRACE_JOURNAL_FORMAT`
 */
export function decodeSchedule(name: string, bytes: Uint8Array): Schedule {
  // The cast is safe for such bytes, once their version is known.
  const { version, definition, progress } = unpack(bytes) as Stored;
  if (version === VERSION) return { name, definition, progress };
  const message = `Schedule ${name} was written by a newer version of Millrace (${version}; this one knows ${VERSION}): open the journal with that version`;
  throw new MillraceError('MILLRACE_JOURNAL_FORMAT', message);
}
