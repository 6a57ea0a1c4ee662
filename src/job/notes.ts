/**
 * What a job has told of itself: its last progress and its last log lines, cut to a size, as one record beside it. They
 * are for people to read; nothing of the job depends on them.
 */
import { show } from '../errors.js';
import { decode, encode } from './codec.js';
import { isErrorLike } from './error-data.js';
import { pack, unpack } from './packer.js';

export interface NoteLine {
  readonly at: number;
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  /** Encoded. */
  readonly fields: Uint8Array;
  readonly attempt: number;
}

export interface JobNotes {
  /** The last one, encoded. */
  readonly progress?: Uint8Array;
  /** The newest last. */
  readonly lines?: readonly NoteLine[];
}

const MAX_MESSAGE = 4_096;
const MAX_FIELD_BYTES = 1_024;
const FIELD_LIMIT = { maxBytes: MAX_FIELD_BYTES };
/** Of all fields of a line together. */
const MAX_FIELDS_BYTES = 4_096;

export const encodeNotes = ({ progress, lines }: JobNotes): Uint8Array =>
  pack({ ...(progress && { progress }), ...(lines && { lines }) });

/** @param record Bytes whose checksum held: {@link encodeNotes} made them. */
export const decodeNotes = (record: Uint8Array): JobNotes => unpack(record) as JobNotes;

export const cutMessage = (message: unknown): string =>
  cut(typeof message === 'string' ? message : show(message), MAX_MESSAGE);

const cut = (text: string, length: number): string =>
  (text.length > length ? `${text.slice(0, length - 1)}…` : text).toWellFormed();

function textOf(error: Error): unknown {
  try {
    return error.stack ?? String(error);
  } catch {
    return show(error);
  }
}

/** What cannot be stored, or is large, is kept as its description; what is beyond the bound of a line is left out. */
export function encodeFields(fields: Record<string, unknown>): Uint8Array {
  try {
    return encode(keptOf(fields), 'fields');
  } catch {
    // A getter that throws, or nothing that has fields: the message is what counts.
    return encode({});
  }
}

function keptOf(fields: Record<string, unknown>): Record<string, unknown> {
  const kept: Record<string, unknown> = {};
  let room = MAX_FIELDS_BYTES;
  for (const [name, value] of Object.entries(fields)) {
    // The one name that cannot be stored.
    if (name === '__proto__') continue;
    const { bytes, stored } = storable(value);
    room -= name.length + bytes;
    if (room < 0) break;
    kept[name] = stored;
  }
  return kept;
}

function storable(field: unknown): { bytes: number; stored: unknown } {
  const value = isErrorLike(field) ? textOf(field) : field;
  if (typeof value === 'string') {
    const stored = cut(value, MAX_FIELD_BYTES);
    return { bytes: stored.length, stored };
  }
  try {
    const encoded = encode(value, 'field', 'MILLRACE_PAYLOAD_INVALID', FIELD_LIMIT);
    // A value of its own, for the handler may go on with its.
    return { bytes: encoded.byteLength, stored: decode(encoded) };
  } catch {
    // Its description will do.
  }
  const stored = show(value);
  return { bytes: stored.length, stored };
}

/** Those of an attempt; they begin with what earlier ones have left. */
export interface AttemptNotes extends JobNotes {
  progress?: Uint8Array;
  lines?: NoteLine[];
  /** The journal does not have all of it. */
  isDirty: boolean;
}

/** Those that an attempt begins with. @param record What the journal has of them. */
export function notesOf(record: Uint8Array): AttemptNotes {
  const { progress, lines } = decodeNotes(record);
  return { ...(progress && { progress }), ...(lines && { lines: [...lines] }), isDirty: false };
}
