/**
 * Values to bytes and back: payloads, results, progress and error data. What comes back is what went in, in
 * memory of its own; what could not survive the trip is refused with its path instead of being dropped.
 *
 * Plain data (objects, arrays, strings, numbers, booleans, null, undefined) goes through msgpackr. What msgpackr
 * would change (Map, Set, binary data, Date, bigint, -0, holes, lone surrogates) goes through V8's serializer.
 * V8's format opens with 0xff, which in MessagePack is the one-byte value -1, so the bytes tell which they are.
 */
import { types } from 'node:util';
import { deserialize, serialize } from 'node:v8';
import { Packr } from 'msgpackr/pack';
import { MillraceError, show, type MillraceErrorCode } from '../errors.js';

const V8_HEADER = 0xff;
const MAX_DEPTH = 500;

const packr = new Packr({ useRecords: false, moreTypes: false });

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
    throw new MillraceError(
      code,
      `Expected a ${what} that can be stored, got ${refusal.found} at ${what}${refusal.path}. ${ADVICE}`,
    );
  }
  return survey.rich ? serialize(value) : packr.pack(value);
}

const ADVICE =
  'Plain objects, arrays, strings, numbers, bigints, booleans, null, undefined, Date, Map, Set, ArrayBuffer and its views can be stored.';

/** @throws when the bytes are not what {@link encode} made: the caller checks their integrity first. */
export function decode(bytes: Uint8Array): unknown {
  return bytes[0] === V8_HEADER && bytes.length > 1 ? deserialize(bytes) : packr.unpack(bytes);
}

interface Refusal {
  found: string;
  path: string;
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
    if (depth >= MAX_DEPTH)
      return { found: `something circular or nested deeper than ${MAX_DEPTH} levels`, path: '' };
    if (Array.isArray(value)) return this.#visitArray(value, depth);
    const prototype: unknown = Object.getPrototypeOf(value);
    // A prototype without a prototype is `Object.prototype`, of this realm or another.
    if (prototype === null || Object.getPrototypeOf(prototype) === null)
      return this.#visitPlain(value, depth);
    this.rich = true;
    if (types.isMap(value)) return this.#visitMap(value, depth);
    if (types.isSet(value)) return this.#visitSet(value, depth);
    if (types.isDate(value)) return undefined;
    if (types.isArrayBuffer(value)) return undefined;
    if (ArrayBuffer.isView(value) && types.isArrayBuffer(value.buffer)) return undefined;
    return { found: show(value), path: '' };
  }

  #visitArray(array: unknown[], depth: number): Refusal | undefined {
    for (let i = 0; i < array.length; i++) {
      if (array[i] === undefined && !(i in array)) this.rich = true;
      const refusal = this.visit(array[i], depth + 1);
      if (refusal) return within(refusal, `[${i}]`);
    }
    return undefined;
  }

  #visitPlain(object: object, depth: number): Refusal | undefined {
    if (Object.getOwnPropertySymbols(object).length > 0) return { found: 'a symbol as a key', path: '' };
    for (const [key, child] of Object.entries(object)) {
      if (key === '__proto__') return { found: 'a key named __proto__', path: '' };
      if (!key.isWellFormed()) this.rich = true;
      const refusal = this.visit(child, depth + 1);
      if (refusal)
        return within(
          refusal,
          /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`,
        );
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

/** Paths are put together on the way out, so that a value without fault costs no path. */
function within(refusal: Refusal, step: string): Refusal {
  return { ...refusal, path: step + refusal.path };
}
