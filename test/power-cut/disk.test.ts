import { expect, test } from 'vitest';
import { Random } from '../crash/random.js';
import { drawImage, drawTail } from './disk.js';
import type { History } from './history.js';
import { create, historyOf, ROOT, sync, write } from './plant.js';

const DRAWS = 200;

/** All that the disk may hold then, as text. */
function images(history: History, at = Infinity): Set<string> {
  return new Set(
    Array.from({ length: DRAWS }, (_, seed) => {
      const { files } = drawImage(history, at, new Random(seed));
      const texts = [...files].map(([name, bytes]) => [name, bytes.toString('latin1')]);
      return JSON.stringify(Object.fromEntries(texts));
    }),
  );
}

const only = (files: Readonly<Record<string, string>>): Set<string> => new Set([JSON.stringify(files)]);

test('what a completed sync covers is there, to the byte', () => {
  expect(images(historyOf(create('log', 3), write(3, 'abc'), sync(3)))).toEqual(only({ log: 'abc' }));
});

test('what was written while the sync went on is not covered by it', () => {
  const history = historyOf(create('log', 3), write(3, 'a'), sync(3), write(3, 'b'));
  const there = [...images(history)].map((text) => (JSON.parse(text) as { log: string }).log);
  expect(there.every((log) => log.startsWith('a'))).toBe(true);
  expect(there).toEqual(expect.arrayContaining(['a', 'ab', 'a\0']));
});

test('a sync counts from when it is over, and what comes later has not happened', () => {
  const history = historyOf(create('log', 3), write(3, 'abc'), sync(3), write(3, 'd'));
  expect(images(history, 3)).toEqual(only({ log: 'abc' }));
  // Before the line of the sync, not even the name was certain.
  expect(images(history, 2)).toContain(JSON.stringify({}));
  expect(images(history, 2)).toContain(JSON.stringify({ log: 'abc' }));
});

test('names last in their order', () => {
  const history = historyOf(
    create('new', 3),
    sync(3),
    `rename('${ROOT}/new', '${ROOT}/CURRENT') = 0`,
    create('x', 4),
    `unlink('${ROOT}/CURRENT') = 0`,
  );
  const possible = [{ new: '' }, { CURRENT: '' }, { CURRENT: '', x: '' }, { x: '' }];
  expect(images(history)).toEqual(new Set(possible.map((files) => JSON.stringify(files))));
});

test('a sync of another file makes them last, too', () => {
  const history = historyOf(create('a', 3), `unlink('${ROOT}/a') = 0`, create('b', 4), sync(4));
  expect(images(history)).toEqual(only({ b: '' }));
});

test('bytes in their place are there or not, write by write', () => {
  const history = historyOf(
    create('witness', 3),
    write(3, '1111'),
    sync(3),
    "pwrite64(3, '22', 2, 0) = 2",
    "pwrite64(3, '33', 2, 2) = 2",
  );
  const possible = ['1111', '2211', '2233'].map((witness) => JSON.stringify({ witness }));
  expect(images(history)).toEqual(new Set(possible));
});

test.each([
  ['none', 'aa', /^$/],
  ['all', 'aabbbb', /^bbbb$/],
  ['part', '', /^b{0,4}$/],
  ['zeroes', '', /^b*\0*$/],
  ['garbage', '', /^[^]{4}$/],
  ['hole', '', /^\0{4}$/],
] as const)('the unsynced tail can be %s', (tail, whole, rest) => {
  for (let seed = 0; seed < DRAWS; seed++) {
    const bytes = drawTail(tail, 2, Buffer.from('aabbbb'), new Random(seed)).toString('latin1');
    expect(bytes.slice(0, 2)).toBe('aa');
    expect(bytes.slice(2)).toMatch(rest);
    if (whole !== '') expect(bytes).toBe(whole);
  }
});

test('a hole is one page of the unsynced bytes', () => {
  const full = Buffer.alloc(20_000, 'x');
  for (let seed = 0; seed < DRAWS; seed++) {
    const zeroes = [...drawTail('hole', 5_000, full, new Random(seed)).entries()].filter(
      ([, byte]) => byte === 0,
    );
    const [first, last] = [zeroes[0]?.[0] ?? 0, zeroes.at(-1)?.[0] ?? 0];
    expect(first).toBeGreaterThanOrEqual(5_000);
    expect(zeroes).toHaveLength(last - first + 1);
    expect(Math.floor(first / 4_096)).toBe(Math.floor(last / 4_096));
  }
});
