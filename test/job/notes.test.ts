import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decode, encode } from '../../src/job/codec.js';
import { cutMessage, decodeNotes, encodeFields, encodeNotes } from '../../src/job/notes.js';
import { twice } from '../fixtures/values.js';

test('notes come back as they went in', () => {
  const fields = encodeFields({ i: 1 });
  const line = { at: 7, level: 'info', message: 'é', fields, attempt: 2 } as const;
  for (const notes of [
    {},
    { progress: encode(1) },
    { lines: [line] },
    { progress: encode({}), lines: [line, line] },
  ]) {
    const read = decodeNotes(encodeNotes(notes));
    expect(read.progress && decode(read.progress)).toEqual(notes.progress && decode(notes.progress));
    expect(read.lines?.length).toBe(notes.lines?.length);
    for (const one of read.lines ?? []) {
      expect(one).toMatchObject({ at: 7, level: 'info', message: 'é', attempt: 2 });
      expect(decode(one.fields)).toEqual({ i: 1 });
    }
  }
});

test('whatever a handler logs, a line can be stored and has a bound', () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
  });
  fc.assert(
    fc.property(fc.dictionary(fc.string({ unit: 'binary' }), anything), fc.string(), (fields, message) => {
      const encoded = encodeFields(fields);
      expect(encoded.byteLength).toBeLessThan(16_384);
      expect(decode(encoded)).toBeTypeOf('object');
      expect(cutMessage(message.repeat(100)).length).toBeLessThanOrEqual(4_096);
    }),
  );
});

test.each([
  ['nothing', null],
  ['a getter that throws', Object.defineProperty({}, 'bad', { enumerable: true, get: () => expect.fail() })],
])('fields that cannot be read cost themselves, and not the line: %s', (_what, fields) => {
  // What a handler in JavaScript may give.
  expect(decode(encodeFields(fields as Record<string, unknown>))).toEqual({});
});

test('a field that cannot be stored by its name costs itself, and no other', () => {
  const fields = JSON.parse('{ "a": 1, "__proto__": { "x": 1 }, "b": 2 }') as Record<string, unknown>;
  expect(decode(encodeFields(fields))).toEqual({ a: 1, b: 2 });
});

test('small values are kept as they are, and others are described', () => {
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const fields = {
    n: 1n,
    when: new Date(0),
    text: 'x'.repeat(1_025),
    many: Array(1_000).fill('four'),
    call: () => {},
    error: new TypeError('no luck'),
    gone: revoked.proxy,
  };
  expect(decode(encodeFields(fields))).toEqual({
    n: 1n,
    when: new Date(0),
    text: `${'x'.repeat(1_023)}…`,
    many: 'an array of 1000',
    call: 'function call',
    error: expect.stringContaining('TypeError: no luck'),
    gone: expect.stringContaining('cannot be looked into'),
  });
  expect(
    decode(encodeFields(Object.fromEntries(Array.from({ length: 9 }, (_, i) => [i, 'x'.repeat(1_000)])))),
  ).toEqual(Object.fromEntries(Array.from({ length: 4 }, (_, i) => [i, 'x'.repeat(1_000)])));
});

test('a field that takes more than it may is not looked at to its end', () => {
  const fields = { often: twice({}, 450), places: Object.assign([], { length: 4_000_000_000 }), i: 1 };
  expect(decode(encodeFields(fields))).toEqual({
    often: 'an instance of Object',
    places: 'an array of 4000000000',
    i: 1,
  });
});
