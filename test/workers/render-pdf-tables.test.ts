import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { UnrecoverableError } from '../../src/index.js';
import renderPdf from '../../workers/render-pdf.js';
import type { Block, TableBlock } from '../../workers/render-pdf.js';
import { readPdf, textOf } from './pdf-reader.js';
import type { PdfPage } from './pdf-reader.js';
import { makeDirectory, makeJob, rejection } from './workspace.js';

let directory: string;

beforeAll(async () => {
  directory = await makeDirectory();
});

async function render(...content: Block[]): Promise<readonly PdfPage[]> {
  const path = join(directory, `${crypto.randomUUID()}.pdf`);
  await renderPdf({ path, content, pageNumbers: false }, makeJob());
  return readPdf(await readFile(path)).pages;
}

function table(
  rows: string[][],
  columns: TableBlock['columns'] = [{ header: 'Name' }, { header: 'Size' }],
): Block {
  return { type: 'table', columns, rows };
}

const drawnOn = (page: PdfPage | undefined) => page?.texts.map(({ text }) => text) ?? [];

describe('a table', () => {
  test('stands with its header, row by row', async () => {
    const [page] = await render(
      table([
        ['a', '1'],
        ['b', '2'],
      ]),
    );
    expect(drawnOn(page)).toEqual(['Name', 'Size', 'a', '1', 'b', '2']);
  });

  test('without rows is a header', async () => {
    expect(drawnOn((await render(table([])))[0])).toEqual(['Name', 'Size']);
  });

  test('repeats its header on every page, and loses no row', async () => {
    const rows = Array.from({ length: 200 }, (_, index) => [`row ${index}`, `${index}`]);
    const pages = await render(table(rows));
    expect(pages.length).toBeGreaterThan(3);
    for (const page of pages) expect(drawnOn(page).slice(0, 2)).toEqual(['Name', 'Size']);
    expect(pages.flatMap((page) => drawnOn(page).slice(2))).toEqual(rows.flat());
  });

  test('begins on the next page when its header would stand alone', async () => {
    for (let count = 40; count < 52; count += 1) {
      const text = Array.from({ length: count }, () => 'line').join('\n');
      const pages = await render({ type: 'paragraph', text }, table([['first', 'row']]));
      const page = pages.find((candidate) => textOf(candidate).includes('Name'));
      expect(textOf(page)).toContain('Name\nSize\nfirst\nrow');
    }
  });

  test('keeps a row that wraps on one page', async () => {
    const filler = Array.from({ length: 36 }, () => ['x', 'y']);
    const pages = await render(
      table([...filler, [Array.from({ length: 10 }, () => 'wrapped').join('\n'), '1']]),
    );
    const counts = pages.map((page) => drawnOn(page).filter((text) => text === 'wrapped').length);
    expect(counts).toEqual([0, 10]);
  });

  test('continues a row taller than a page on the next, header and all, and goes on behind it', async () => {
    const lines = Array.from({ length: 150 }, (_, index) => `line ${index}`);
    const pages = await render(
      table([
        ['before', '0'],
        [lines.join('\n'), '1'],
        ['after', '2'],
      ]),
    );
    expect(pages).toHaveLength(4);
    for (const page of pages) expect(drawnOn(page).slice(0, 2)).toEqual(['Name', 'Size']);
    const drawn = pages.flatMap((page) => drawnOn(page).slice(2));
    expect(drawn.filter((text) => text.startsWith('line'))).toEqual(lines);
    expect(drawn.slice(-2)).toEqual(['after', '2']);
  });

  test('begins with a row taller than a page below its heading', async () => {
    const lines = Array.from({ length: 100 }, (_, index) => `line ${index}`);
    const pages = await render({ type: 'heading', text: 'Long' }, table([[lines.join('\n'), '1']]));
    expect(drawnOn(pages[0]).slice(0, 4)).toEqual(['Long', 'Name', 'Size', 'line 0']);
    expect(pages).toHaveLength(2);
  });

  test('gives columns the width asked for and shares the rest', async () => {
    const columns = [{ header: 'a', width: 100 }, { header: 'b' }, { header: 'c' }];
    const [page] = await render(table([], columns));
    const [a, b, c] = page?.texts.map(({ x }) => x) ?? [];
    expect(a).toBeCloseTo(56, 1);
    expect(b).toBeCloseTo(156, 1);
    expect(c).toBeCloseTo(156 + (595.28 - 100 - 100) / 2, 1);
  });

  test('aligns its columns', async () => {
    const columns = (['left', 'center', 'right'] as const).map((align) => ({
      header: 'h',
      width: 100,
      align,
    }));
    const [page] = await render(table([['mm', 'mm', 'mm']], columns));
    const starts = page?.texts.slice(3).map(({ x }) => x) ?? [];
    // The same text in columns 100 wide, each time moved on by half of what is free.
    const [left = 0, center = 0, right = 0] = starts;
    expect(center - left - 100).toBeCloseTo(right - center - 100, 3);
    expect(center - left).toBeGreaterThan(100);
  });

  test('breaks a word wider than its column', async () => {
    const [page] = await render(
      table([['x'.repeat(100), '']], [{ header: 'a', width: 60 }, { header: 'b' }]),
    );
    const parts = drawnOn(page).slice(2);
    expect(parts.length).toBeGreaterThan(5);
    expect(parts.join('')).toBe('x'.repeat(100));
  });

  test.each<[string, TableBlock['columns'], string]>([
    [
      'columns wider than the page',
      [
        { header: 'a', width: 400 },
        { header: 'b', width: 200 },
      ],
      '2 columns, 600 points',
    ],
    ['too many columns', Array.from({ length: 40 }, () => ({ header: '' })), '40 columns, 0 points'],
    ['nothing left for a column', [{ header: 'a', width: 490 }, { header: 'b' }], '2 columns, 490 points'],
    ['a header as high as a page', [{ header: 'high '.repeat(2_000) }], 'at most half a page'],
  ])('with %s is refused', async (_, columns, message) => {
    const error = await rejection(render(table([], columns)));
    expect(error).toBeInstanceOf(UnrecoverableError);
    expect(error.message).toContain('`content[0]`');
    expect(error.message).toContain(message);
  });
});
