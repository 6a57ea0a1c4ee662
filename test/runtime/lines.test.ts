/** Text in pieces, as lines. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { linesOf } from '../../src/runtime/lines.js';
import { collect } from '../fixtures/collect.js';

const texts = async (pieces: Iterable<unknown>): Promise<string[]> =>
  (await collect(linesOf(pieces))).map(({ text }) => text);

const anyLine = fc
  .record({ id: fc.string({ unit: 'binary' }), of: fc.jsonValue({ maxDepth: 2 }) })
  .map((object) => JSON.stringify(object));

/** Where to cut, as a part of the whole. */
const anyCuts = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 20 });

function cut<Piece extends { slice(from: number, to: number): Piece; readonly length: number }>(
  whole: Piece,
  cuts: readonly number[],
): Piece[] {
  const at = [
    0,
    ...cuts.map((part) => Math.floor(part * whole.length)).toSorted((a, b) => a - b),
    whole.length,
  ];
  return at.slice(1).map((end, i) => whole.slice(at[i] ?? 0, end));
}

test('text can be cut anywhere, also within a character of bytes', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyLine), anyCuts, fc.constantFrom('\n', '\r\n'), async (lines, cuts, end) => {
      const text = lines.map((line) => line + end).join('');
      const trimmed = async (pieces: Iterable<unknown>): Promise<string[]> =>
        (await texts(pieces)).map((line) => line.trimEnd());
      expect(await trimmed(cut(text, cuts))).toEqual(lines);
      expect(await trimmed(cut(Buffer.from(text), cuts))).toEqual(lines);
    }),
  );
});

test('a piece can be a line without its end', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyLine), async (lines) => {
      expect(await texts(lines)).toEqual(lines);
    }),
  );
});

test('lines are counted, empty ones too, and those are left out', async () => {
  const lines = await collect(linesOf(['{"a":1}\n\n', '{"b":2}', '', ' \n{"c"', ':3}\n', '{"d"']));
  expect(lines).toEqual([
    { number: 1, text: '{"a":1}' },
    { number: 3, text: '{"b":2}' },
    { number: 5, text: '{"c":3}' },
    { number: 6, text: '{"d"' },
  ]);
});

test('what is no text is refused', async () => {
  await expect(texts([{ id: 'a' }])).rejects.toMatchObject({ code: 'MILLRACE_OPTION_INVALID' });
});
