import * as fc from 'fast-check';
import { isDeepStrictEqual } from 'node:util';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { MillraceError } from '../../src/errors.js';
import { decode, encode } from '../../src/job/codec.js';
import { HOSTILE, hostile, revoked } from '../fixtures/hostile.js';
import { anyStorable, buffersOf, twice } from '../fixtures/values.js';

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

test('an array may be long and have few elements', () => {
  const sparse: unknown[] = ['first'];
  sparse[1_000_000] = { at: 'the end' };
  const decoded = decode(encode(sparse)) as unknown[];
  expect(Object.entries(decoded)).toStrictEqual(Object.entries(sparse));
  expect(decoded).toHaveLength(1_000_001);
});

test('what is referred to several times comes back as often, and where the format has a way as one', () => {
  const shared = { list: [1, 2] };
  expect(decode(encode([shared, shared]))).toStrictEqual([shared, shared]);
  const [first, second, at] = decode(encode([shared, shared, new Date(5)])) as unknown[];
  expect(first).toBe(second);
  expect([first, at]).toStrictEqual([shared, new Date(5)]);
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
  ['a function behind a hole', withPlace([], 7, Math.max), 'payload[7]', 'function max'],
  ['what a match has besides', { m: 'abc'.match(/b/) }, 'payload.m.groups', 'a named property of an array'],
  ['a proxy', { p: new Proxy({ a: 1 }, {}) }, 'payload.p', 'a proxy'],
  ['a proxy beside a date', { at: new Date(0), p: new Proxy({ a: 1 }, {}) }, 'payload.p', 'a proxy'],
  ['a proxy of an array', [new Proxy([1], {})], 'payload[0]', 'a proxy'],
  ['a view of a part that was cut off', { v: cutOff(Uint8Array) }, 'payload.v', 'memory that is gone'],
  ['a DataView of a part that was cut off', { v: cutOff(DataView) }, 'payload.v', 'memory that is gone'],
  ['a view that was transferred', [transferred()], 'payload[0]', 'memory that is gone'],
])('%s is refused with its path', (_what, value, path, found) => {
  const { code, message } = refusal(value);
  expect(code).toBe('MILLRACE_PAYLOAD_INVALID');
  expect(message).toContain(`at ${path}. `);
  expect(message).toContain(found);
});

function withPlace(array: unknown[], index: number, value: unknown): unknown[] {
  array[index] = value;
  return array;
}

/** TypeScript's library for this target does not know them. */
function resizable(byteLength: number): ArrayBuffer & { resize(byteLength: number): void } {
  return Reflect.construct(ArrayBuffer, [byteLength, { maxByteLength: byteLength }]) as ReturnType<
    typeof resizable
  >;
}

function cutOff(View: new (buffer: ArrayBuffer, from: number, length: number) => ArrayBufferView) {
  const buffer = resizable(16);
  const view = new View(buffer, 8, 8);
  buffer.resize(4);
  return view;
}

function transferred(): Uint8Array {
  const view = new Uint8Array(8);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

test('a view that is empty comes back, whatever it is a view of', () => {
  const buffer = resizable(8);
  const empty = [new Uint8Array(), new Float64Array(buffer, 8), new DataView(buffer, 8), Buffer.alloc(0)];
  expect(decode(encode(empty))).toStrictEqual(empty);
});

const ofKinds: Record<string, [make: () => object, kind: string]> = {
  array: [() => [1, 2], 'an array'],
  'array of what needs the other format': [() => [1n], 'an array'],
  'array that is empty': [() => [], 'an array'],
  'array with holes': [() => withPlace([], 3, 1), 'an array'],
  'long array': [() => Array.from({ length: 5_000 }, (_, i) => i), 'an array'],
  'long array with holes': [() => withPlace([], 100_000, 1), 'an array'],
  map: [() => new Map([[1, 2]]), 'a Map'],
  set: [() => new Set([1]), 'a Set'],
  date: [() => new Date(0), 'a Date'],
  buffer: [() => new ArrayBuffer(2), 'an ArrayBuffer'],
  view: [() => new Uint8Array(2), 'a view'],
  'long view': [() => new Float64Array(5_000).fill(Number.NaN), 'a view'],
  'Node buffer': [() => Buffer.from('bytes'), 'a view'],
  DataView: [() => new DataView(new ArrayBuffer(1)), 'a view'],
};

test.each(Object.entries(ofKinds))('a named property of one such as %s is refused', (_what, [make, kind]) => {
  expect(() => encode(make())).not.toThrow();
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.constantFrom('__proto__', '-1', '01', '1.5', '4294967295', 'index')),
      fc.constantFrom<unknown>(1, undefined, Math.max, new Point()),
      (key, value) => {
        const named = make();
        fc.pre(!/^(0|[1-9]\d{0,8})$/.test(key) && !Object.hasOwn(named, key));
        // A view has no property that is named like a number.
        fc.pre(Reflect.defineProperty(named, key, { value, enumerable: true }));
        const { code, message } = refusal({ named });
        expect(code).toBe('MILLRACE_PAYLOAD_INVALID');
        expect(message).toContain(`got a named property of ${kind} at payload.named`);
        expect(message).toContain(key === 'index' ? '.named.index. ' : '.named');
      },
    ),
    { numRuns: 30 },
  );
  const withSymbol = Object.assign(make(), { [Symbol('s')]: 1 });
  expect(refusal([withSymbol]).message).toContain(`got ${kind} with a symbol as a key at payload[0]. `);
});

test("what nobody can enumerate is nobody's business", () => {
  const strings = (all: TemplateStringsArray, _between: number) => all;
  const template = strings`one${1}two`;
  expect(decode(encode(template))).toStrictEqual(['one', 'two']);
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
  [
    'an iterator that throws',
    { a: Object.defineProperty(new Map(), Symbol.iterator, { value: thrower }) },
    'payload.a. ',
  ],
  [
    'an index behind a hole that throws',
    { a: Object.defineProperty([], '7', { get: thrower, enumerable: true }) },
    'payload.a[7]. ',
  ],
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

function tooLarge(value: unknown, maxBytes: number): string {
  try {
    encode(value, 'payload', 'MILLRACE_PAYLOAD_INVALID', { maxBytes, advice: () => 'Take less' });
  } catch (thrown) {
    if (thrown instanceof MillraceError && thrown.code === 'MILLRACE_PAYLOAD_INVALID') return thrown.message;
    throw thrown;
  }
  throw new Error('Expected a refusal');
}

test('what takes as many bytes as it may is encoded, and with one less is refused', () => {
  fc.assert(
    fc.property(anyStorable(), (value) => {
      const { byteLength } = encode(value);
      expect(encode(value, 'payload', undefined, { maxBytes: byteLength })).toHaveLength(byteLength);
      expect(tooLarge(value, byteLength - 1)).toMatch(
        new RegExp(`^Expected a payload of at most ${byteLength - 1} bytes, got .*Take less$`, 's'),
      );
    }),
    { numRuns: 500 },
  );
});

test.each([100, 100_000])(
  'what is referred to very often is looked at until it takes %i bytes',
  (maxBytes) => {
    for (const format of [{}, { at: new Date(0) }]) {
      let looks = 0;
      const leaf = Object.defineProperty({ ...format }, 'looks', { get: () => ++looks, enumerable: true });
      // Twice 450 times is more than there are atoms.
      expect(tooLarge(twice(leaf, 450), maxBytes)).toMatch(
        `at most ${maxBytes} bytes, got more, of something large, circular, or referred to very often, at payload.left`,
      );
      expect(looks).toBeLessThan(maxBytes);
      expect(looks).toBeGreaterThanOrEqual(maxBytes > 1_000 ? 1_000 : 0);
    }
  },
);

test.each([
  ['holes', []],
  ['holes behind an element', [1]],
  ['holes behind what needs the other format', [1n]],
])('an array that is longer than there may be bytes is refused at once: %s', (_what, array: unknown[]) => {
  array.length = 4_000_000_000;
  const expected = 'at most 1048576 bytes, got an array of 4000000000 places at payload.list. Take less';
  expect(tooLarge({ list: array }, 1_048_576)).toContain(expected);
  expect(refusal({ list: array }).message).toContain('got an array of 4000000000 places at payload.list');
});

test('texts that would take too much together are not put together', () => {
  const text = 'x'.repeat(2 ** 28);
  const message = tooLarge(
    Array.from({ length: 1_000 }, () => text),
    1_048_576,
  );
  expect(message).toContain(`got at least ${1_000 * 2 ** 28 + 1_001} bytes. Take less`);
});
