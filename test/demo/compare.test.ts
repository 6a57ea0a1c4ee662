/** `--compare`: the same work with Millrace and without, side by side. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readPdf } from '../workers/pdf-reader.js';
import { runDemo } from './demo-process.js';
import { describeImage, filesIn, makeFolders } from './folders.js';

const SMALL = { width: 800, height: 600 };
const FIGURES = String.raw`[\d.]+ m?s   +[\d.]+ ms   +[\d.]+ ms   +[\d.]+ ms`;
const BOTH = String.raw`\n  with Millrace +${FIGURES}\n  without +${FIGURES}`;

test('both are done in full and printed, images and PDF apart', async () => {
  const { args, output } = await makeFolders(2, SMALL);
  const first = await runDemo(...args, '--compare');
  const afterFirst = await filesIn(join(output, 'compare'));
  // It finds all done, which is no measure of anything.
  const second = await runDemo(...args, '--compare');

  for (const { code, stderr, stdout } of [first, second]) {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const text = stdout.join('\n');
    expect(text).toMatch(new RegExp(`3 images, 3 sizes each${BOTH}\nContact sheet \\(PDF\\)${BOTH}`));
  }
  expect(afterFirst).not.toContain('with');
  const without = join(output, 'compare/without');
  expect(await describeImage(join(without, 'web/photo-1.webp'))).toBe('webp 800 × 600');
  const names = await filesIn(output);
  const own = names.filter((name) => !name.startsWith('compare') && name !== '.millrace');
  expect(await filesIn(without)).toEqual(own);
  const withMillrace = await filesIn(join(output, 'compare/with'));
  expect(withMillrace.filter((name) => name !== '.millrace')).toEqual(own);
  expect(readPdf(await readFile(join(without, 'contact-sheet.pdf'))).images).toHaveLength(2);
});
