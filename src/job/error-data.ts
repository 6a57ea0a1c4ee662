/**
 * Errors as plain data, so that one thrown in a thread keeps its name, message, stack, code, cause and own
 * properties on its way through the journal, and an error of any size keeps the journal small. What is thrown is
 * somebody else's, and may throw in its turn wherever it is looked at: nothing in here does.
 */
import { asError, isInstance, MillraceError, read, show, type MillraceErrorCode } from '../errors.js';
import { decode, encode } from './codec.js';

/** An error, in fields. */
export interface ErrorData {
  name: string;
  message: string;
  stack?: string;
  code?: string | number;
  /** The cause, as error data, or whatever else it was. */
  cause?: ErrorData | { value: unknown };
  /** The errors of an `AggregateError`. */
  errors?: ErrorData[];
  /** Own enumerable properties; one that cannot be stored is kept as its description. */
  properties?: Record<string, unknown>;
}

const MAX_TEXT = 16_384;
const PROPERTY_LIMIT = { maxBytes: 16_384 };
/** Of all properties of one error together. */
const MAX_PROPERTIES_BYTES = 65_536;
const MAX_LINKS = 8;
const STANDARD = new Set(['name', 'message', 'stack', 'code', 'cause', 'errors']);

/** @param thrown Anything: what is not an `Error` becomes one with `MILLRACE_HANDLER_THREW_NON_ERROR`. */
export function toErrorData(thrown: unknown): ErrorData {
  if (isErrorLike(thrown)) return describe(thrown, MAX_LINKS);
  const message = `Expected the handler to throw an Error, got: ${show(thrown)}`;
  return describe(
    new MillraceError('MILLRACE_HANDLER_THREW_NON_ERROR', message, { cause: thrown }),
    MAX_LINKS,
  );
}

/** An `Error` with the data's fields; a `MillraceError` where the code is one of Millrace's. */
export function fromErrorData(data: ErrorData): Error {
  const cause = data.cause && ('value' in data.cause ? data.cause.value : fromErrorData(data.cause));
  const options = data.cause ? { cause } : undefined;
  const error = isMillraceCode(data.code)
    ? new MillraceError(data.code, data.message, options)
    : plainError(data, options);
  // The class is gone, its name is not; a MillraceError without an own one looks at its constructor.
  const hasConstructor = data.properties !== undefined && Object.hasOwn(data.properties, 'constructor');
  if (hasConstructor || error.name !== data.name)
    Object.defineProperty(error, 'name', { value: data.name, writable: true, configurable: true });
  if (data.stack !== undefined)
    Object.defineProperty(error, 'stack', { value: data.stack, writable: true, configurable: true });
  if (data.properties) Object.assign(error, data.properties);
  return error;
}

export function encodeError(thrown: unknown): Uint8Array {
  const data = toErrorData(thrown);
  try {
    return encode(data);
  } catch {
    // A value that can be stored alone, and is nested too deep within the error.
    const { cause: _cause, errors: _errors, properties: _properties, ...texts } = data;
    return encode(texts);
  }
}

/** The cast is safe for bytes that {@link encodeError} made, which are the only ones kept as errors. */
export const decodeError = (bytes: Uint8Array): ErrorData => decode(bytes) as ErrorData;

/** Whether a value of unknown origin can be kept as an error: what {@link fromErrorData} relies on. */
export function isErrorData(value: unknown): value is ErrorData {
  if (!isRecord(value) || typeof value['name'] !== 'string' || typeof value['message'] !== 'string')
    return false;
  const { stack, code, cause, errors, properties } = value;
  return (
    (stack === undefined || typeof stack === 'string') &&
    (code === undefined || typeof code === 'string' || typeof code === 'number') &&
    (cause === undefined || (isRecord(cause) && ('value' in cause || isErrorData(cause)))) &&
    (errors === undefined || (Array.isArray(errors) && errors.every(isErrorData))) &&
    (properties === undefined || isRecord(properties))
  );
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Whether a thrown value says that trying again cannot help. By code, for an app may hold two copies of the class. */
export function isUnrecoverable(thrown: unknown): boolean {
  return isErrorLike(thrown) && read(thrown, 'code') === 'MILLRACE_UNRECOVERABLE';
}

/** A thrown value that asks for its job to come back later: how long that is, as far as it can be told. */
export interface AskedDelay {
  /** Whether it is an error of the handler's, and not what `job.snooze()` ends it with. */
  readonly isError: boolean;
  /** Of anybody's making: to be checked. */
  readonly delayMs: unknown;
}

/** By code, as {@link isUnrecoverable}. */
export function askedDelay(thrown: unknown): AskedDelay | undefined {
  if (!isErrorLike(thrown)) return undefined;
  const code = read(thrown, 'code');
  if (code !== 'MILLRACE_RETRY_AFTER' && code !== 'MILLRACE_SNOOZED') return undefined;
  return { isError: code === 'MILLRACE_RETRY_AFTER', delayMs: read(thrown, 'delayMs') };
}

function describe(error: Error, links: number): ErrorData {
  const data: ErrorData = { name: text(read(error, 'name'), 'Error'), message: messageIn(error) };
  const stack = read(error, 'stack');
  if (typeof stack === 'string') data.stack = cut(stack);
  const code = read(error, 'code');
  if (typeof code === 'string') data.code = cut(code);
  if (typeof code === 'number') data.code = code;
  const cause = read(error, 'cause');
  if (cause !== undefined && links > 0) {
    data.cause = isErrorLike(cause) ? describe(cause, links - 1) : { value: storable(cause).value };
  }
  const inner = links > 0 ? innerOf(error) : undefined;
  if (inner) data.errors = inner.map((one) => describe(isErrorLike(one) ? one : asError(one), 0));
  const properties = propertiesOf(error);
  if (Object.keys(properties).length > 0) data.properties = properties;
  return data;
}

function messageIn(error: Error): string {
  const message = read(error, 'message');
  return message === undefined ? '' : text(message, show(message));
}

/** The first of those that an `AggregateError` holds. */
function innerOf(error: Error): unknown[] | undefined {
  const inner = read(error, 'errors');
  if (!isArray(inner)) return undefined;
  // By index, for what it makes of itself it makes in its own way.
  const length = read(inner, 'length');
  const kept = typeof length === 'number' ? Math.min(length, MAX_LINKS) : 0;
  return Array.from({ length: kept }, (_, i) => read(inner, String(i)));
}

/** Those that fit, in their order. */
function propertiesOf(error: Error): Record<string, unknown> {
  const properties: Record<string, unknown> = {};
  let room = MAX_PROPERTIES_BYTES;
  for (const key of keysOf(error)) {
    if (STANDARD.has(key) || key === '__proto__') continue;
    const { value, byteLength } = storable(read(error, key));
    const needed = 3 * key.length + byteLength;
    if (needed > room) continue;
    room -= needed;
    properties[key] = value;
  }
  return properties;
}

function keysOf(error: Error): string[] {
  try {
    return Object.keys(error);
  } catch {
    return []; // A proxy that does not tell.
  }
}

function plainError(data: ErrorData, options: ErrorOptions | undefined): Error {
  const error = data.errors
    ? new AggregateError(data.errors.map(fromErrorData), data.message, options)
    : new Error(data.message, options);
  if (data.code !== undefined) Object.assign(error, { code: data.code });
  return error;
}

/** Errors of another realm (a `vm` context) are no instance of this realm's `Error`. */
export function isErrorLike(value: unknown): value is Error {
  try {
    return isInstance(value, Error) || Object.prototype.toString.call(value) === '[object Error]';
  } catch {
    return false; // A proxy that refuses to be looked at.
  }
}

function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value);
  } catch {
    return false; // A proxy that was revoked.
  }
}

function isMillraceCode(code: unknown): code is MillraceErrorCode {
  return typeof code === 'string' && code.startsWith('MILLRACE_');
}

/** The value, or its description where it cannot be kept, and what it takes. */
function storable(value: unknown): { value: unknown; byteLength: number } {
  try {
    const bytes = encode(value, 'property', 'MILLRACE_PAYLOAD_INVALID', PROPERTY_LIMIT);
    // Its own, for the next look at a value with getters may find another.
    return { value: decode(bytes), byteLength: bytes.byteLength };
  } catch {
    // Its description is what can be kept of it.
  }
  const description = show(value);
  return { value: description, byteLength: 3 * description.length };
}

const cut = (value: string): string => (value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value);
const text = (value: unknown, fallback: string): string =>
  typeof value === 'string' ? cut(value) : fallback;
