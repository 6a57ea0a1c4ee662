/** Whose turn it is, by the words of its module. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { Turns } from '../../src/queue/turns.js';

function serve(turns: Turns<string>, count: number): string[] {
  return Array.from({ length: count }, () => {
    const [line = ''] = turns;
    turns.served(line);
    return line;
  });
}

test('each line has one turn, and then waits for all others', () => {
  const turns = new Turns<string>();
  for (const line of ['a', 'b', 'c']) turns.rejoin(line);
  expect(serve(turns, 7).join('')).toBe('abcabca');
});

test('a line that comes new is next, and from then on one of all', () => {
  const turns = new Turns<string>();
  for (const line of ['a', 'b', 'c']) turns.rejoin(line);
  serve(turns, 1);
  turns.join('x');
  expect(serve(turns, 5).join('')).toBe('xbcax');
});

test('however many come new, every other turn is for those that were there', () => {
  const turns = new Turns<string>();
  turns.rejoin('a');
  turns.rejoin('b');
  const served = Array.from({ length: 6 }, (_, i) => {
    turns.join(String(i));
    const [line = ''] = serve(turns, 1);
    if (/\d/.test(line)) turns.leave(line);
    return line;
  });
  expect(served.filter((line) => line === 'a' || line === 'b')).toHaveLength(3);
});

test('lines that come together have one turn each before any has a second', () => {
  const turns = new Turns<string>();
  for (const line of ['a', 'b', 'c']) turns.join(line);
  expect(serve(turns, 6).join('')).toBe('abcabc');
});

test('a line that has left has no turn, and is asked for no more', () => {
  const turns = new Turns<string>();
  for (const line of ['a', 'b']) turns.join(line);
  turns.leave('a');
  expect([turns.has('a'), turns.has('b'), turns.size]).toStrictEqual([false, true, 1]);
  expect(serve(turns, 2).join('')).toBe('bb');
});

test('no line waits for more than one turn of each of the others, and one for each of those that came new', () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('join' as const), line: fc.nat({ max: 9 }) }),
    fc.constant({ do: 'serve' as const, line: 0 }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const turns = new Turns<number>();
      const waited = new Map<number, number>();
      for (const { do: what, line } of steps) {
        if (what === 'join') {
          if (turns.has(line)) continue;
          turns.join(line);
          waited.set(line, 0);
        } else {
          const [next] = turns;
          if (next === undefined) continue;
          turns.served(next);
          for (const [other, count] of waited) waited.set(other, count + 1);
          waited.set(next, 0);
        }
        for (const count of waited.values()) expect(count).toBeLessThanOrEqual(2 * turns.size);
      }
    }),
  );
});
