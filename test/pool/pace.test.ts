/** Which job types are tiny, by what was measured. */
import { expect, test } from 'vitest';
import { Pace } from '../../src/pool/pace.js';

function paceOf(...tookMs: number[]): Pace {
  const pace = new Pace();
  for (const ms of tookMs) pace.note('a', ms);
  return pace;
}

test('a type is tiny only once it is known, and for itself alone', () => {
  expect(new Pace().tinyMs('a')).toBeUndefined();
  expect(paceOf(0.1, 0.1, 0.1, 0.1).tinyMs('a')).toBeUndefined();
  const pace = paceOf(0.1, 0.1, 0.1, 0.1, 0.1);
  expect(pace.tinyMs('a')).toBeCloseTo(0.1);
  expect(pace.tinyMs('b')).toBeUndefined();
});

test('a slow type is not tiny', () => {
  expect(paceOf(20, 20, 20, 20, 20, 20).tinyMs('a')).toBeUndefined();
});

test('one slow job among a hundred tiny ones makes their type slow for as long as there are such', () => {
  const pace = paceOf(...Array<number>(1_000).fill(0.02));
  for (let round = 0; round < 10; round++) {
    pace.note('a', 200);
    for (let i = 0; i < 99; i++) pace.note('a', 0.02);
    expect(pace.tinyMs('a')).toBeUndefined();
  }
  for (let i = 0; i < 200; i++) pace.note('a', 0.02);
  expect(pace.tinyMs('a')).toBeLessThan(0.1);
});

test('a moment in which the thread did not get the processor does not', () => {
  const pace = paceOf(...Array<number>(1_000).fill(0.02));
  pace.note('a', 10);
  expect(pace.tinyMs('a')).toBeLessThan(0.5);
});

test('a type under which a thread did not live is not tiny for its next hundreds of attempts', () => {
  const pace = paceOf(...Array<number>(1_000).fill(0.02));
  pace.distrust('a');
  for (let i = 0; i < 200; i++) pace.note('a', 0.02);
  expect(pace.tinyMs('a')).toBeUndefined();
  for (let i = 0; i < 1_000; i++) pace.note('a', 0.02);
  expect(pace.tinyMs('a')).toBeLessThan(0.1);
});
