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
import { asError, messageOf, show, type MillraceErrorCode } from '../errors.js';
import { isIndex, ownNameOf } from './own-names.js';
import { pack, unpack } from './packer.js';
import { assertSize, aValue, refused, tooLarge, type SizeLimit } from './refusal.js';

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
/** Where there is no limit, what holds more is not walked to its end. */
const MOST_NODES = 2 ** 27;
const NO_LIMIT: SizeLimit = { maxBytes: MOST_NODES };

/**
 * @param what What the value is, for the message of a refusal: "payload", "result".
 * @param limit Keeps what it refuses from being walked, and encoded, to its end.
 * @throws MillraceError with `code`, naming the path of the first value that cannot be stored.
 */
export function encode(
  value: unknown,
  what = 'payload',
  code: MillraceErrorCode = 'MILLRACE_PAYLOAD_INVALID',
  limit?: SizeLimit,
): Uint8Array {
  const survey = new Survey(limit?.maxBytes ?? NO_LIMIT.maxBytes);
  const refusal = survey.visit(value, 0);
  if (refusal) {
    const path = shownPath(refusal.path);
    if (refusal.isLarge) throw tooLarge(code, what, limit ?? NO_LIMIT, `${refusal.found} at ${what}${path}`);
    throw refused(
      code,
      `Expected ${aValue(what)} that can be stored, got ${refusal.found} at ${what}${path}. ${ADVICE}`,
      refusal.cause && { cause: refusal.cause },
    );
  }
  if (limit && survey.leastBytes > limit.maxBytes)
    throw tooLarge(code, what, limit, `at least ${survey.leastBytes} bytes`);
  let bytes: Uint8Array;
  try {
    bytes = survey.rich ? serialize(value) : pack(value);
  } catch (thrown) {
    // What only a serializer notices, such as a buffer that was transferred, or a proxy.
    const message = `Expected ${aValue(what)} that can be stored: ${messageOf(thrown)} ${ADVICE}`;
    throw refused(code, message, { cause: asError(thrown) });
  }
  if (limit) assertSize(bytes, what, code, limit);
  return bytes;
}

/** Of what is circular, the first steps of many that repeat themselves. */
const shownPath = (path: string): string =>
  path.length > MAX_SHOWN_PATH
    ? path.slice(0, MAX_SHOWN_PATH).replace(/(.+?)\1{4,}.*$/su, '$1$1') + '…'
    : path;

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
  /** It takes more bytes than it may. */
  isLarge?: true;
}

/**
 * Walks a value once, before it is encoded: finds what must be refused, and whether V8's format is needed. What is
 * referred to several times is walked each time, so the walk ends where it has come by more than there may be bytes.
 */
class Survey {
  rich = false;
  /** Values and keys, of which each takes a byte or more. */
  #nodes = 0;
  #characters = 0;
  readonly #mostNodes: number;

  constructor(mostNodes: number) {
    this.#mostNodes = mostNodes;
  }

  /** What all of it takes at least. V8's format has a value that is referred to several times but once. */
  get leastBytes(): number {
    return this.rich ? this.#nodes : this.#nodes + this.#characters;
  }

  visit(value: unknown, depth: number): Refusal | undefined {
    this.#nodes++;
    switch (typeof value) {
      case 'string':
        this.#characters += value.length;
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
    if (this.#nodes > this.#mostNodes) return { found: MORE, path: '', isLarge: true };
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
    if (types.isMap(value)) return named(value, 'a Map') ?? this.#visitMap(value, depth);
    if (types.isSet(value)) return named(value, 'a Set') ?? this.#visitSet(value, depth);
    if (types.isDate(value)) return named(value, 'a Date');
    if (types.isArrayBuffer(value)) return named(value, 'an ArrayBuffer');
    return { found: show(value), path: '' };
  }

  #visitView(view: ArrayBufferView): Refusal | undefined {
    if (isOutOfBounds(view)) return { found: 'a view of memory that is gone', path: '' };
    if (!types.isArrayBuffer(view.buffer)) return { found: `${show(view)} of shared memory`, path: '' };
    if (Buffer.isBuffer(view) || !isSubclass(view, types.isTypedArray(view) ? 3 : 2))
      return named(view, 'a view');
    return { found: show(view), path: '' };
  }

  #visitArray(array: unknown[], depth: number): Refusal | undefined {
    if (isSubclass(array, 2)) return { found: 'an array of a class of its own', path: '' };
    if (types.isProxy(array)) return A_PROXY;
    if (array.length > this.#mostNodes)
      return { found: `an array of ${array.length} places`, path: '', isLarge: true };
    let i = 0;
    try {
      for (; i < array.length; i++) {
        if (array[i] === undefined && !(i in array)) return this.#visitSparse(array, i, depth);
        const refusal = this.visit(array[i], depth + 1);
        if (refusal) return within(refusal, `[${i}]`);
      }
    } catch (thrown) {
      return unreadable(thrown, `[${i}]`);
    }
    return named(array, 'an array');
  }

  /** Goes on from the first hole, by what there is: there may be millions of holes. */
  #visitSparse(array: unknown[], hole: number, depth: number): Refusal | undefined {
    this.rich = true;
    const keys = Object.keys(array);
    let at = '';
    try {
      for (const key of keys) {
        at = key;
        if (!isIndex(key)) break;
        if (Number(key) < hole) continue;
        this.#nodes++;
        const refusal = this.visit(array[Number(key)], depth + 1);
        if (refusal) return within(refusal, `[${key}]`);
      }
    } catch (thrown) {
      return unreadable(thrown, `[${at}]`);
    }
    return named(array, 'an array', keys);
  }

  #visitPlain(object: object, depth: number): Refusal | undefined {
    if (Object.getOwnPropertySymbols(object).length > 0) return { found: 'a symbol as a key', path: '' };
    // Not its entries: they would be an array of arrays.
    const keys = Object.keys(object);
    if (types.isProxy(object)) return A_PROXY;
    this.#nodes += keys.length;
    if (keys.length > MAX_PACKED_KEYS) this.rich = true;
    let at = '';
    try {
      for (const key of keys) {
        at = key;
        if (key === '__proto__') return { found: 'a key named __proto__', path: '' };
        this.#characters += key.length;
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

const MORE = 'more, of something large, circular, or referred to very often,';

/** It may answer otherwise the next time that it is asked, and V8's format has none. */
const A_PROXY: Refusal = { found: 'a proxy', path: '' };

/** Refuses what would be lost, or would get into V8's format as it is. */
function named(value: object, kind: string, keys?: readonly string[]): Refusal | undefined {
  const name = ownNameOf(value, keys);
  if (name === undefined) return undefined;
  if (typeof name === 'symbol') return { found: `${kind} with a symbol as a key`, path: '' };
  return { found: `a named property of ${kind}`, path: stepOf(name) };
}

/** Its buffer was transferred, or resized to end before it: it looks as if it were empty. */
function isOutOfBounds(view: ArrayBufferView): boolean {
  try {
    // The method of all typed arrays: throws where there is no memory.
    if (view.byteLength === 0 && types.isTypedArray(view)) Uint8Array.prototype.at.call(view, 0);
    return false;
  } catch {
    return true;
  }
}

/** Paths are put together on the way out, so that a value without fault costs no path. */
function within(refusal: Refusal, step: string): Refusal {
  return { ...refusal, path: step + refusal.path };
}
