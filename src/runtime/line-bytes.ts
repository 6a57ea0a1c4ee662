/** What a line of JSON says in bytes: as JSON where that keeps it exactly, and else as base64. */
import { isDeepStrictEqual } from 'node:util';
import { asError, invalidOption, MillraceError } from '../errors.js';
import { decode, encode, isRich } from '../job/codec.js';
import { isErrorData } from '../job/error-data.js';

/** A line's object, or one within it. */
export type Fields = Record<string, unknown>;

/** What is larger, and holds something that JSON mostly has not, is not tried. */
const MAX_TRIED_BYTES = 65_536;

export function record(value: unknown, field: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalidOption(field, 'an object', value);
  // Safe: it is an object.
  return value as Fields;
}

/** Whether something is said, in whatever form. */
export const hasBytes = (line: Fields, name: string): boolean =>
  line[name] !== undefined || line[`${name}Base64`] !== undefined;

/** `undefined`, which JSON has not, is a field that is absent. */
export function fieldOf(name: string, bytes: Uint8Array): Fields {
  const base64 = (): Fields => ({ [`${name}Base64`]: Buffer.from(bytes).toString('base64') });
  // To find that out of an image's bytes JSON would take seconds.
  if (bytes.byteLength > MAX_TRIED_BYTES && isRich(bytes)) return base64();
  const value = decode(bytes);
  if (value === undefined) return {};
  return isKeptByJson(value) ? { [name]: value } : base64();
}

function isKeptByJson(value: unknown): boolean {
  try {
    return isDeepStrictEqual(JSON.parse(JSON.stringify(value)), value);
  } catch {
    return false; // It has no word for a bigint.
  }
}

export function errorIn(line: Fields, name: string, within?: string): Uint8Array {
  const bytes = bytesOf(line, name, within);
  if (isErrorData(decode(bytes))) return bytes;
  const field = within === undefined ? name : `${within}.${name}`;
  throw invalidOption(field, 'an error with a name and a message', line[name]);
}

/** @param within What stands before the name in a refusal. */
export function bytesOf(line: Fields, name: string, within?: string): Uint8Array {
  const [value, base64] = [line[name], line[`${name}Base64`]];
  const field = within === undefined ? name : `${within}.${name}`;
  if (base64 === undefined) return encode(value, field, 'MILLRACE_IMPORT_INVALID');
  if (value !== undefined) throw invalidOption(field, `absent where \`${field}Base64\` is given`, value);
  const bytes = bytesIn(base64, `${field}Base64`);
  // Whoever made them: nothing gets into a journal but what a handler can be given.
  encode(decoded(bytes, `${field}Base64`), field, 'MILLRACE_IMPORT_INVALID');
  return bytes;
}

function bytesIn(base64: unknown, field: string): Uint8Array {
  const bytes = typeof base64 === 'string' ? Buffer.from(base64, 'base64') : undefined;
  if (bytes?.toString('base64') === base64 && bytes?.length) return bytes;
  throw invalidOption(field, 'base64', base64);
}

function decoded(bytes: Uint8Array, field: string): unknown {
  try {
    return decode(bytes);
  } catch (thrown) {
    throw new MillraceError(
      'MILLRACE_IMPORT_INVALID',
      `Expected \`${field}\` to be what an export writes: ${asError(thrown).message}`,
      { cause: thrown },
    );
  }
}
