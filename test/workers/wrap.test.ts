import { array, assert, constantFrom, integer, property } from 'fast-check';
import { describe, expect, test } from 'vitest';
import { wrap } from '../../workers/pdf/wrap.js';

/** Every character is one wide. */
const measure = (text: string) => text.length;
/** What is left when all that a break may add or drop is taken away. */
const ink = (text: string) => text.replaceAll(/[\s\u00AD-]/g, '');

describe('wrap', () => {
  test.each<[string, number, string[]]>([
    ['', 5, ['']],
    ['one two three', 7, ['one two', 'three']],
    ['one two  three', 7, ['one two', 'three']],
    ['one\n\ntwo', 9, ['one', '', 'two']],
    ['  indented text', 10, ['  indented', 'text']],
    ['abcdefgh', 3, ['abc', 'def', 'gh']],
    ['ab cdefgh i', 3, ['ab', 'cde', 'fgh', 'i']],
    ['well-known fact', 6, ['well-', 'known', 'fact']],
    ['from 2024-11-22 on', 10, ['from', '2024-11-22', 'on']],
    ['a -5 b', 3, ['a', '-5', 'b']],
    ['no\u00A0break here', 8, ['no\u00A0break', 'here']],
    ['hyphen\u00ADation', 7, ['hyphen-', 'ation']],
    ['hyphen\u00ADation', 20, ['hyphenation']],
    ['語「日本」語', 4, ['語', '「日本」', '語']],
    ['日本。日本', 4, ['日本。', '日本']],
  ])('%j in %i', (text, width, lines) => {
    expect(wrap(text, width, measure)).toEqual(lines);
  });

  test('never makes a line too wide, nor loses anything but the spaces at its ends', () => {
    const text = array(constantFrom('a', 'bc', ' ', '-', '\n', 'é', '語', '文', '\u00AD', 'word'), {
      maxLength: 60,
    });
    assert(
      property(text, integer({ min: 1, max: 20 }), (parts, width) => {
        const whole = parts.join('');
        const wrapped = wrap(whole, width, measure);
        for (const line of wrapped) expect(measure(line)).toBeLessThanOrEqual(Math.max(width, 2));
        expect(ink(wrapped.join(''))).toBe(ink(whole));
      }),
      { numRuns: 2_000 },
    );
  });

  test('cuts between characters as a reader sees them', () => {
    expect(wrap('👩‍👩‍👧👩‍👩‍👧', 8, measure)).toEqual(['👩‍👩‍👧', '👩‍👩‍👧']);
  });

  test.each(['x', '語', 'ab '])('takes time in proportion to the length of %j repeated', (part) => {
    const text = part.repeat(200_000);
    expect(wrap(text, 100, measure).join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
  });
});
