/**
 * Values to bytes and back: payloads, results, progress and error data. What comes back is what went in, in
 * memory of its own; what could not survive the trip is refused with its path instead of being dropped.
 *
 * Plain data (objects, arrays, strings, numbers, booleans, null, undefined) goes through msgpackr. What msgpackr
 * would change (Map, Set, binary data, Date, bigint, -0, holes, lone surrogates) goes through V8's serializer.
 * V8's format opens with 0xff, which in MessagePack is the one-byte value -1, so the bytes tell which they are.
 */
import { types } from 'node:util';
import { DefaultDeserializer, serialize } from 'node:v8';
import {
  asError,
  messageOf,
  MillraceError,
  PayloadInvalidError,
  show,
  type MillraceErrorCode,
} from '../errors.js';
import { pack, unpack } from './packer.js';

declare module 'node:v8' {
  /** Documented by Node, and missing in its types. */
  interface DefaultDeserializer {
    _readHostObject(): unknown;
  }
}

/** How many bytes a payload, or a result, may take where its job type does not say: 1 MiB. */
export const DEFAULT_MAX_BYTES = 1_048_576;

const V8_HEADER = 0xff;
const MAX_DEPTH = 500;
/** MessagePack's maps of more keys are beyond msgpackr. */
const MAX_PACKED_KEYS = 65_535;
const MAX_SHOWN_PATH = 200;

/**
 * @param what What the value is, for the message of a refusal: "payload", "result".
 * @throws MillraceError with `code`, naming the path of the first value that cannot be stored.
 */
export function encode(
  value: unknown,
  what = 'payload',
  code: MillraceErrorCode = 'MILLRACE_PAYLOAD_INVALID',
): Uint8Array {
  const survey = new Survey();
  const refusal = survey.visit(value, 0);
  if (refusal) {
    const path = shownPath(refusal.path);
    throw refused(
      code,
      `Expected ${aValue(what)} that can be stored, got ${refusal.found} at ${what}${path}. ${ADVICE}`,
      refusal.cause && { cause: refusal.cause },
    );
  }
  try {
    return survey.rich ? serialize(value) : pack(value);
  } catch (thrown) {
    // What only a serializer notices, such as a buffer that was transferred, or a proxy.
    const message = `Expected ${aValue(what)} that can be stored: ${messageOf(thrown)} ${ADVICE}`;
    throw refused(code, message, { cause: asError(thrown) });
  }
}

/** Of what is circular, the first steps of many that repeat themselves. */
const shownPath = (path: string): string =>
  path.length > MAX_SHOWN_PATH
    ? path.slice(0, MAX_SHOWN_PATH).replace(/(.+?)\1{4,}.*$/su, '$1$1') + '…'
    : path;

/** A path, such as `schedules.nightly.payload`, has no article. */
const aValue = (what: string): string => (what === 'options' || /[.[]/.test(what) ? what : `a ${what}`);

function refused(code: MillraceErrorCode, message: string, options?: ErrorOptions): MillraceError {
  return code === 'MILLRACE_PAYLOAD_INVALID'
    ? new PayloadInvalidError(message, [], options)
    : new MillraceError(code, message, options);
}

const ADVICE =
  'Plain objects, arrays, strings, numbers, bigints, booleans, null, undefined, Date, Map, Set, ArrayBuffer and its views can be stored.';

/** Whether the value needed V8's format: it holds binary data, say, or a Map. */
export const isRich = (bytes: Uint8Array): boolean => bytes[0] === V8_HEADER && bytes.length > 1;

/** @throws when the bytes are not what {@link encode} made: the caller checks their integrity first. */
export function decode(bytes: Uint8Array): unknown {
  if (!isRich(bytes)) return unpack(bytes);
  const deserializer = new OwningDeserializer(bytes);
  deserializer.readHeader();
  return deserializer.readValue();
}

/** Node's makes views of the bytes that it reads, or of a buffer that it shares with others; these own their memory. */
class OwningDeserializer extends DefaultDeserializer {
  override _readHostObject(): ArrayBufferView {
    // Node's serializer writes nothing but views this way.
    const view = super._readHostObject() as ArrayBufferView;
    const own = view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength);
    if (Buffer.isBuffer(view)) return Buffer.from(own);
    // Safe: the constructors of all views take a buffer.
    return new (view.constructor as new (buffer: ArrayBufferLike) => ArrayBufferView)(own);
  }
}

interface Refusal {
  found: string;
  path: string;
  /** What was thrown by a getter, or a proxy, that was looked at. */
  cause?: Error;
}

/** Walks a value once, before it is encoded: finds what must be refused, and whether V8's format is needed. */
class Survey {
  rich = false;

  visit(value: unknown, depth: number): Refusal | undefined {
    switch (typeof value) {
      case 'string':
        if (!value.isWellFormed()) this.rich = true;
        return undefined;
      case 'number':
        if (Object.is(value, -0)) this.rich = true;
        return undefined;
      case 'boolean':
      case 'undefined':
        return undefined;
      case 'bigint':
        this.rich = true;
        return undefined;
      case 'object':
        return value === null ? undefined : this.#visitObject(value, depth);
      default:
        return { found: typeof value === 'symbol' ? 'a symbol' : show(value), path: '' };
    }
  }

  #visitObject(value: object, depth: number): Refusal | undefined {
    try {
      return this.#visitKind(value, depth);
    } catch (thrown) {
      return unreadable(thrown, '');
    }
  }

  #visitKind(value: object, depth: number): Refusal | undefined {
    if (depth >= MAX_DEPTH)
      return { found: `something circular or nested deeper than ${MAX_DEPTH} levels`, path: '' };
    if (Array.isArray(value)) return this.#visitArray(value, depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    // A prototype without a prototype is `Object.prototype`, of this realm or another.
    if (prototype === null || Object.getPrototypeOf(prototype) === null)
      return this.#visitPlain(value, depth);
    this.rich = true;
    if (ArrayBuffer.isView(value)) return this.#visitView(value);
    if (isSubclass(value, 2)) return { found: show(value), path: '' };
    if (types.isMap(value)) return this.#visitMap(value, depth);
    if (types.isSet(value)) return this.#visitSet(value, depth);
    if (types.isDate(value) || types.isArrayBuffer(value)) return undefined;
    return { found: show(value), path: '' };
  }

  #visitView(view: ArrayBufferView): Refusal | undefined {
    if (!types.isArrayBuffer(view.buffer)) return { found: `${show(view)} of shared memory`, path: '' };
    if (Buffer.isBuffer(view) || !isSubclass(view, types.isTypedArray(view) ? 3 : 2)) return undefined;
    return { found: show(view), path: '' };
  }

  #visitArray(array: unknown[], depth: number): Refusal | undefined {
    if (isSubclass(array, 2)) return { found: 'an array of a class of its own', path: '' };
    let i = 0;
    try {
      for (; i < array.length; i++) {
        if (array[i] === undefined && !(i in array)) this.rich = true;
        const refusal = this.visit(array[i], depth + 1);
        if (refusal) return within(refusal, `[${i}]`);
      }
    } catch (thrown) {
      return unreadable(thrown, `[${i}]`);
    }
    return undefined;
  }

  #visitPlain(object: object, depth: number): Refusal | undefined {
    if (Object.getOwnPropertySymbols(object).length > 0) return { found: 'a symbol as a key', path: '' };
    // Not its entries: they would be an array of arrays.
    const keys = Object.keys(object);
    if (keys.length > MAX_PACKED_KEYS) this.rich = true;
    let at = '';
    try {
      for (const key of keys) {
        at = key;
        if (key === '__proto__') return { found: 'a key named __proto__', path: '' };
        if (!key.isWellFormed()) this.rich = true;
        // Safe: the key is one of its own.
        const refusal = this.visit((object as Record<string, unknown>)[key], depth + 1);
        if (refusal) return within(refusal, stepOf(key));
      }
    } catch (thrown) {
      return unreadable(thrown, stepOf(at));
    }
    return undefined;
  }

  #visitMap(map: Map<unknown, unknown>, depth: number): Refusal | undefined {
    for (const [key, child] of map) {
      const refusal = this.visit(key, depth + 1) ?? this.visit(child, depth + 1);
      if (refusal) return within(refusal, `.get(${show(key)})`);
    }
    return undefined;
  }

  #visitSet(set: Set<unknown>, depth: number): Refusal | undefined {
    for (const child of set) {
      const refusal = this.visit(child, depth + 1);
      if (refusal) return within(refusal, '.values()');
    }
    return undefined;
  }
}

/**
 * Whether an object of a built-in class is of a class derived from it, and would come back as something else.
 * @param levels How many prototypes the built-in class has, `Object.prototype` included.
 */
function isSubclass(value: object, levels: number): boolean {
  let prototype: object | null = value;
  // Safe: a prototype is an object or null.
  for (let i = 0; i <= levels && prototype; i++)
    prototype = Object.getPrototypeOf(prototype) as object | null;
  return prototype !== null;
}

const stepOf = (key: string): string =>
  /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;

/** Of what children throw nothing comes this far: it is what lies at that step that cannot be looked at. */
const unreadable = (thrown: unknown, step: string): Refusal => ({
  found: `what cannot be read (${messageOf(thrown)})`,
  path: step,
  cause: asError(thrown),
});

/** Paths are put together on the way out, so that a value without fault costs no path. */
function within(refusal: Refusal, step: string): Refusal {
  return { ...refusal, path: step + refusal.path };
}
