/** What is packed keeps little memory alive, whatever was packed before it. */
import { expect, test } from 'vitest';
import { pack, unpack } from '../../src/job/packer.js';

const SMALL = { id: 1, path: '/uploads/a.jpg' };

test('small values share a small buffer, also after a large one', () => {
  for (const bytes of [1, 10_000, 1_000_000]) {
    const large = pack('x'.repeat(bytes));
    expect(large.buffer.byteLength).toBeLessThanOrEqual(Math.max(8_192, large.byteLength));
    const [first, second] = [pack(SMALL), pack(SMALL)];
    expect(first.buffer.byteLength).toBe(8_192);
    // A value that is copied into memory of its own takes many times as long.
    expect(second.buffer).toBe(first.buffer);
  }
});

test('what was packed stays as it is while others are', () => {
  const packed = Array.from({ length: 2_000 }, (_, n) => pack(n % 100 === 0 ? 'x'.repeat(20 * n) : { n }));
  const values = packed.map((bytes) => unpack(bytes));
  expect(values).toEqual(
    Array.from({ length: 2_000 }, (_, n) => (n % 100 === 0 ? 'x'.repeat(20 * n) : { n })),
  );
});

test('a value that has another one packed while it is packed itself comes out whole', () => {
  for (const bytes of [10, 10_000, 1_000_000]) {
    const inner: Uint8Array[] = [];
    const outer = {
      before: 'x'.repeat(100),
      get middle() {
        inner.push(pack('y'.repeat(bytes)));
        return 1;
      },
      after: 'z'.repeat(20_000),
    };
    const packed = pack(outer);
    expect(unpack(packed)).toEqual({ before: outer.before, middle: 1, after: outer.after });
    expect(inner.map((one) => unpack(one))).toEqual(inner.map(() => 'y'.repeat(bytes)));
    expect(pack(SMALL).buffer.byteLength).toBe(8_192);
  }
});
