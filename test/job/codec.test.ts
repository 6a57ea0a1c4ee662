import * as fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { MillraceError } from '../../src/errors.js';
import { decode, encode } from '../../src/job/codec.js';
import { HOSTILE, hostile, revoked } from '../fixtures/hostile.js';
import { anyStorable, buffersOf } from '../fixtures/values.js';

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function refusal(value: unknown, what?: string): MillraceError {
  try {
    encode(value, what);
  } catch (thrown) {
    if (thrown instanceof MillraceError) return thrown;
    throw thrown;
  }
  throw new Error('Expected a refusal');
}

test('whatever can be stored comes back as it went in', () => {
  fc.assert(
    fc.property(anyStorable(), (value) => {
      const decoded = decode(encode(value));
      expect(isDeepStrictEqual(decoded, value), 'the decoded value').toBe(true);
    }),
    { numRuns: 500 },
  );
});

test('what is done to a decoded value reaches neither the bytes nor another decoded value', () => {
  fc.assert(
    fc.property(anyStorable(), (value) => {
      const bytes = encode(value);
      const before = hexOf(bytes);
      for (const buffer of buffersOf(decode(bytes))) new Uint8Array(buffer.buffer).fill(0xaa);
      expect(hexOf(bytes)).toBe(before);
      expect(isDeepStrictEqual(decode(bytes), value), 'another decoded value').toBe(true);
    }),
    { numRuns: 200 },
  );
});

test('a decoded view has an ArrayBuffer of its own and of its own size', () => {
  const views = [
    new Uint8Array(3),
    new Float64Array(2),
    new BigInt64Array(1),
    new DataView(new ArrayBuffer(5)),
    Buffer.from('pooled'),
    new Uint16Array(new ArrayBuffer(1_000), 100, 4),
  ];
  const decoded = decode(encode({ pad: 'x', views })) as { views: ArrayBufferView[] };
  for (const [i, view] of decoded.views.entries()) {
    expect(view.constructor).toBe(views[i]?.constructor);
    expect(view.byteOffset).toBe(0);
    expect(view.buffer.byteLength).toBe(views[i]?.byteLength);
  }
  expect(new Set(decoded.views.map(({ buffer }) => buffer)).size).toBe(views.length);
});

test('a small value takes little memory, whatever was encoded before it', () => {
  encode('x'.repeat(4_000_000));
  const after = Array.from({ length: 10 }, (_, i) => encode({ i }));
  for (const bytes of after) expect(bytes.buffer.byteLength).toBeLessThanOrEqual(8_192);
  const large = encode('x'.repeat(100_000));
  expect(large.buffer.byteLength).toBeLessThan(110_000);
});

test('changing a value after it was encoded does not change the bytes', () => {
  const value = { list: [1, 2], data: Uint8Array.of(1, 2) };
  const bytes = encode(value);
  value.list.push(3);
  value.data[0] = 9;
  expect(decode(bytes)).toStrictEqual({ list: [1, 2], data: Uint8Array.of(1, 2) });
});

test.each([
  ['minus zero', -0],
  ['NaN', Number.NaN],
  ['infinity', -Infinity],
  ['undefined', undefined],
  ['a property that is undefined', { a: undefined }],
  ['-1, the byte that opens the other format', -1],
  ['a lone surrogate', '\ud800'],
  ['a lone surrogate as a key', { 'a\udc00b': 1 }],
  ['an empty string as a key', { '': 1 }],
  // A computed key makes an own property where a literal one would set the prototype.
  ['a key that looks like a prototype', { ['__proto_']: 1, constructor: 1, toJSON: 2, hasOwnProperty: 3 }],
  ['a bigint beyond 64 bits', -(2n ** 200n) - 1n],
  ['an invalid date', new Date(Number.NaN)],
  ['a map with objects as keys', new Map([[{ a: 1 }, new Set([[1]])]])],
])('%s comes back', (_what, value: unknown) => {
  expect(decode(encode(value))).toStrictEqual(value);
});

test('a hole in an array comes back as a hole', () => {
  // oxlint-disable-next-line no-sparse-arrays -- the hole is what is tested
  const decoded = decode(encode([1, , 3])) as unknown[];
  expect(1 in decoded).toBe(false);
  expect(decoded).toHaveLength(3);
});

test('an object of more than 65,535 keys comes back', () => {
  const large = Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`key${i}`, i]));
  expect(decode(encode(large))).toStrictEqual(large);
});

test('objects of another realm come back as objects of this one', () => {
  const foreign: unknown = runInNewContext(
    '({ list: [1, { a: undefined }], map: new Map([[1, new Set([2])]]), at: new Date(5), data: new Uint8Array([7]) })',
  );
  expect(decode(encode(foreign))).toStrictEqual({
    list: [1, { a: undefined }],
    map: new Map([[1, new Set([2])]]),
    at: new Date(5),
    data: Uint8Array.of(7),
  });
  expect(decode(encode(runInNewContext('({ plain: [1, 2] })')))).toStrictEqual({ plain: [1, 2] });
});

test('an object without a prototype comes back as a plain one', () => {
  const bare: unknown = Object.assign(Object.create(null), { a: 1, toJSON: 2 });
  expect(decode(encode(bare))).toStrictEqual({ a: 1, toJSON: 2 });
});

function nest(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

class Point {
  x = 1;
}
class Stack extends Array<number> {}
class Cache extends Map<string, number> {}
class Bytes extends Uint8Array {}

test.each([
  ['a function', { list: [{ run: Math.max }] }, 'payload.list[0].run', 'function max'],
  ['a class instance', { 'odd key': new Point() }, 'payload["odd key"]', 'an instance of Point'],
  [
    'an instance of a class that extends Array',
    [new Stack()],
    'payload[0]',
    'an array of a class of its own',
  ],
  ['an instance of a class that extends Map', { a: new Cache() }, 'payload.a', 'an instance of Cache'],
  ['an instance of a class that extends a view', { a: new Bytes(1) }, 'payload.a', 'an instance of Bytes'],
  ['a symbol', { a: Symbol('s') }, 'payload.a', 'a symbol'],
  ['a symbol as a key', { a: { [Symbol('s')]: 1 } }, 'payload.a', 'a symbol as a key'],
  ['a key named __proto__', { a: JSON.parse('{"__proto__":1}') as unknown }, 'payload.a', '__proto__'],
  ['an error', { e: new Error('e') }, 'payload.e', 'an instance of Error'],
  ['a regular expression', [/a/], 'payload[0]', 'an instance of RegExp'],
  ['a promise', [Promise.resolve()], 'payload[0]', 'an instance of Promise'],
  ['a boxed primitive', [Object(1)], 'payload[0]', 'an instance of Number'],
  ['shared memory', { s: new SharedArrayBuffer(1) }, 'payload.s', 'an instance of SharedArrayBuffer'],
  ['a view of shared memory', [new Uint8Array(new SharedArrayBuffer(1))], 'payload[0]', 'Uint8Array'],
  ['a function in a map', { m: new Map([['k', Math.max]]) }, 'payload.m.get("k")', 'function max'],
  ['a function in a set', { s: new Set([Math.max]) }, 'payload.s.values()', 'function max'],
])('%s is refused with its path', (_what, value, path, found) => {
  const { code, message } = refusal(value);
  expect(code).toBe('MILLRACE_PAYLOAD_INVALID');
  expect(message).toContain(`at ${path}. `);
  expect(message).toContain(found);
});

test.each([
  ['an object', Object.assign(Object.create(null) as Record<string, unknown>, {}), 'self'],
  ['an array', [] as unknown[], 0],
])('%s that contains itself is refused with a message that can be read', (_what, value, key) => {
  Object.assign(value, { [key]: value });
  const { message } = refusal(value);
  expect(message).toContain('circular');
  expect(message.length).toBeLessThan(1_000);
});

test('a map that contains itself is refused', () => {
  const map = new Map<string, unknown>();
  map.set('self', map);
  expect(refusal(map).message).toContain('circular');
});

test('data nested too deep is refused, and data nested deep is not', () => {
  expect(decode(encode(nest(400)))).toStrictEqual(nest(400));
  expect(refusal(nest(1_000)).message).toContain('nested deeper than');
});

test('what only the serializer can tell is refused with the same code', () => {
  const detached = new ArrayBuffer(8);
  structuredClone(detached, { transfer: [detached] });
  expect(refusal({ detached }).code).toBe('MILLRACE_PAYLOAD_INVALID');
  expect(refusal(new Proxy({ big: 1n }, {})).code).toBe('MILLRACE_PAYLOAD_INVALID');
});

test('a refusal speaks of what the value is, and has the code that was asked for', () => {
  expect(() => encode({ a: Math.max }, 'result', 'MILLRACE_RESULT_INVALID')).toThrow(
    expect.objectContaining({ code: 'MILLRACE_RESULT_INVALID' }),
  );
  expect(refusal({ a: Math.max }, 'result').message).toMatch(
    /^Expected a result that can be stored, got function max at result\.a\./,
  );
});

test('the path of what is circular is told by its first steps', () => {
  const page: { links: unknown[] } = { links: [] };
  page.links.push(page);
  expect(refusal({ page }).message).toContain('levels at payload.page.links[0].links[0]…. Plain');
});

test('a value is told of with its article, a path without', () => {
  expect(() => encode(Math.max, 'options', 'MILLRACE_OPTION_INVALID')).toThrow(/^Expected options that can/);
  expect(() => encode(Math.max, 'schedules.a.payload')).toThrow(/^Expected schedules\.a\.payload that can/);
  expect(() => encode(Math.max)).toThrow(/^Expected a payload that can/);
});

test.each([
  ['a revoked proxy', revoked(), 'payload. '],
  ['a revoked proxy in an object', { a: { b: revoked() } }, 'payload.a.b. '],
  ['a revoked proxy in an array', [1, [revoked([])]], 'payload[1][0]. '],
  ['a revoked proxy in a map', new Map([['key', revoked()]]), 'payload.get("key"). '],
  ['a revoked proxy in a set', new Set([revoked()]), 'payload.values(). '],
  ['a proxy that hides its keys', { a: new Proxy({}, { ownKeys: thrower }) }, 'payload.a. '],
  [
    'a getter that throws',
    {
      a: {
        get 'b c'(): never {
          return thrower();
        },
      },
    },
    'payload.a["b c"]. ',
  ],
  ['an index that throws', { a: Object.defineProperty([0], '0', { get: thrower }) }, 'payload.a[0]. '],
  ['an iterator that throws', { a: Object.assign(new Map(), { [Symbol.iterator]: thrower }) }, 'payload.a. '],
])('%s is refused with its path, and with what was thrown', (_what, value, path) => {
  const { code, message, cause } = refusal(value);
  expect(code).toBe('MILLRACE_PAYLOAD_INVALID');
  expect(message).toContain(`at ${path}`);
  expect(cause).toBeInstanceOf(Error);
  expect(message).toContain((cause as Error).message);
});

test('whatever a value does when it is looked at, it is refused or stored', () => {
  for (const what of HOSTILE) {
    const value: unknown = hostile[what]();
    const { code } = refusal({ list: [value] }, 'result');
    expect(code).toBe('MILLRACE_PAYLOAD_INVALID');
  }
});

function thrower(): never {
  throw new RangeError('do not look');
}
