/** Schedules as bytes. There are few of them, so they are MessagePack with the names of their fields. */
import { pack, unpack } from '../job/packer.js';
import type { Schedule } from './record.js';

type Stored = Omit<Schedule, 'name'>;

/** The name is the record's key and is not repeated in it. */
export function encodeSchedule({ definition, progress }: Schedule): Uint8Array {
  return pack({ definition, progress } satisfies Stored);
}

/** @param bytes Bytes whose checksum held: {@link encodeSchedule} made them. */
export function decodeSchedule(name: string, bytes: Uint8Array): Schedule {
  // The cast is safe for such bytes.
  return { name, ...(unpack(bytes) as Stored) };
}
