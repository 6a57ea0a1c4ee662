import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { UnrecoverableError } from '../../src/index.js';
import renderPdf from '../../workers/render-pdf.js';
import type { Block, RenderPdfPayload } from '../../workers/render-pdf.js';
import { readPdf, textOf } from './pdf-reader.js';
import { makeFont } from './tiny-font.js';
import { ABORTED, filesIn, makeDirectory, makeJob, rejection } from './workspace.js';

let directory: string;

beforeAll(async () => {
  directory = await makeDirectory();
});

/** Renders `content` and reads it back. */
async function render(content: Block[], options: Partial<RenderPdfPayload> = {}) {
  const path = join(directory, `${crypto.randomUUID()}.pdf`);
  const result = await renderPdf({ path, content, ...options }, makeJob());
  const file = await readFile(path);
  return { result, file, pdf: readPdf(file) };
}

/** Renders what has to be refused for good, before anything is written. */
async function refusal(payload: Partial<RenderPdfPayload>): Promise<string> {
  const place = join(directory, crypto.randomUUID());
  const error = await rejection(
    renderPdf({ path: join(place, 'a.pdf'), content: [], ...payload }, makeJob()),
  );
  expect(error).toBeInstanceOf(UnrecoverableError);
  await expect(filesIn(place)).rejects.toThrow('ENOENT');
  return error.message;
}

const paragraph = (text: string): Block => ({ type: 'paragraph', text });
const lines = (count: number) => Array.from({ length: count }, (_, index) => `line ${index}`).join('\n');

describe('a document', () => {
  test('says what was written', async () => {
    const { result, file, pdf } = await render([paragraph('one'), { type: 'pageBreak' }, paragraph('two')]);
    expect(result).toEqual({ path: result.path, pages: 2, bytes: file.length });
    expect(pdf.pages).toHaveLength(2);
    expect(textOf(pdf.pages[1])).toContain('two');
  });

  test('without content is one empty page', async () => {
    const { result, pdf } = await render([]);
    expect(result.pages).toBe(1);
    expect(textOf(pdf.pages[0])).toBe('1 / \n1');
  });

  test('carries title, author and creation date', async () => {
    const options = { title: 'Größe & <Maß>', author: 'Zoë', createdAt: Date.UTC(2024, 0, 2) };
    const { file } = await render([], options);
    const source = file.toString('latin1');
    expect(source).toContain('(D:20240102000000Z)');
    for (const text of [options.title, options.author]) {
      expect(source).toContain(Buffer.from(text, 'utf16le').swap16().toString('latin1'));
    }
  });

  test('is the same every time when its creation date is given', async () => {
    const content: Block[] = [{ type: 'heading', text: 'Same' }, paragraph('text')];
    const [first, second] = [
      await render(content, { createdAt: 0 }),
      await render(content, { createdAt: 0 }),
    ];
    expect(first.file.equals(second.file)).toBe(true);
  });

  test.each([
    ['A4', false, 595.28, 841.89],
    ['LETTER', false, 612, 792],
    ['A5', true, 595.28, 419.53],
  ] as const)('on %s, landscape %s', async (pageSize, landscape, width, height) => {
    const { pdf } = await render([], { pageSize, landscape });
    expect(pdf.pages[0]).toMatchObject({ width, height });
  });

  test('numbers its pages, with the separator in the middle', async () => {
    const { pdf } = await render([paragraph(lines(500))]);
    const count = pdf.pages.length;
    expect(count).toBeGreaterThan(8);
    for (const [index, page] of pdf.pages.entries()) {
      expect(textOf(page)).toContain(`${index + 1} / \n${count}`);
    }
  });

  test('has no page numbers when told so', async () => {
    const { pdf } = await render([paragraph('only this')], { pageNumbers: false });
    expect(textOf(pdf.pages[0])).toBe('only this');
  });

  test('reports how far it is, about a hundred times at most', async () => {
    const job = makeJob();
    const content = Array.from({ length: 1_000 }, (_, index) => paragraph(`paragraph ${index}`));
    await renderPdf({ path: join(directory, 'progress.pdf'), content }, job);
    expect(job.reported.length).toBeGreaterThan(50);
    expect(job.reported.length).toBeLessThan(110);
    expect(job.reported.at(-1)).toEqual({ done: 1_000, total: 1_000 });
  });
});

describe('text', () => {
  test('wraps, breaks at line feeds and runs over pages without losing a word', async () => {
    const text = `first\r\n${Array.from({ length: 3_000 }, (_, index) => `word${index}`).join(' ')}`;
    const { pdf } = await render([paragraph(text)], { pageNumbers: false });
    const drawn = pdf.pages.flatMap((page) => page.texts.map((line) => line.text));
    expect(pdf.pages.length).toBeGreaterThan(2);
    expect(drawn[0]).toBe('first');
    expect(drawn.join(' ')).toBe(text.replace('\r\n', ' '));
  });

  test('stays inside the margins', async () => {
    const { pdf } = await render([paragraph('abc '.repeat(2_000))], { margin: 80, pageNumbers: false });
    const all = pdf.pages.flatMap((page) => page.texts);
    expect(Math.min(...all.map(({ x }) => x))).toBe(80);
    expect(Math.min(...all.map(({ y }) => y))).toBeGreaterThan(80);
    expect(Math.max(...all.map(({ y }) => y))).toBeLessThan(841.89 - 80);
  });

  test('aligns left, in the middle and right', async () => {
    const { pdf } = await render(
      (['left', 'center', 'right'] as const).map((align) => ({ type: 'paragraph', text: 'same', align })),
      { pageNumbers: false },
    );
    const [left, center, right] = pdf.pages[0]?.texts.map(({ x }) => x) ?? [];
    expect(left).toBe(50);
    expect((center ?? 0) - (left ?? 0)).toBeCloseTo((right ?? 0) - (center ?? 0), 3);
  });

  test('takes the characters of Western Europe, tabs, and the narrow spaces that Intl writes', async () => {
    const { pdf } = await render([paragraph('Zoë – “20 €” … 3:04\u202FPM\tœ')], { pageNumbers: false });
    expect(textOf(pdf.pages[0])).toBe('Zoë – “20 €” … 3:04\u00A0PM    œ');
  });

  test('headings become the outline, level in level', async () => {
    const headings = [1, 2, 3, 2, 1] as const;
    const { pdf, file } = await render(
      headings.map((level, index) => ({ type: 'heading', level, text: `Part ${index}` })),
    );
    expect(pdf.outline.toSorted()).toEqual(['Part 0', 'Part 1', 'Part 2', 'Part 3', 'Part 4']);
    expect(file.toString('latin1')).toContain('/PageMode /UseOutlines');
  });

  test.each([30, 45, 46, 47, 48, 49, 50])(
    'a heading never stands alone at the foot (after %i lines)',
    async (count) => {
      const { pdf } = await render(
        [paragraph(lines(count)), { type: 'heading', text: 'Heading' }, paragraph('its text')],
        { pageNumbers: false },
      );
      const page = pdf.pages.find((candidate) => textOf(candidate).includes('Heading'));
      expect(textOf(page)).toContain('Heading\nits text');
    },
  );
});

describe('fonts', () => {
  test('a character that the built-in font lacks is named, with its place', async () => {
    const content: Block[] = [
      paragraph('fine'),
      { type: 'table', columns: [{ header: 'a' }], rows: [['x'], ['中']] },
    ];
    expect(await refusal({ content })).toBe(
      'Expected `content[1].rows[1][0]` to have only Western European characters, as the built-in font has no ' +
        'others, got: U+4E2D "中". Pass `font`, a .ttf or .otf file that has it',
    );
  });

  test.each([
    [{ type: 'heading', text: 'a\u0007b' }, 'content[0].text', 'U+0007.'],
    [{ type: 'paragraph', text: 'face 😀' }, 'content[0].text', 'U+1F600 "😀"'],
    [{ type: 'table', columns: [{ header: 'Ω' }], rows: [] }, 'content[0].columns[0].header', 'U+03A9'],
    [{ type: 'image', path: 'a', caption: '\uD83D' }, 'content[0].caption', 'U+D83D.'],
    [
      { type: 'imageGrid', columns: 1, images: [{ path: 'a', caption: 'я' }] },
      'content[0].images[0].caption',
      'U+044F',
    ],
  ] as [Block, string, string][])('%o is refused', async (block, where, character) => {
    const message = await refusal({ content: [block] });
    expect(message).toContain(`Expected \`${where}\``);
    expect(message).toContain(`got: ${character}`);
  });

  test('a font file shows what it has, and is embedded', async () => {
    const font = join(directory, 'tiny.ttf');
    await writeFile(font, makeFont('Приветп 0123456789/'));
    const { pdf } = await render([{ type: 'heading', text: 'Привет' }, paragraph('при\u200Bвет')], { font });
    const all = [...pdf.objects.values()];
    expect(all.some(({ dictionary }) => dictionary.includes('/FontFile2'))).toBe(true);
    expect(all.some(({ stream }) => stream?.toString('latin1').includes('<043f>'))).toBe(true);
    expect(all.every(({ dictionary }) => !dictionary.includes('Helvetica'))).toBe(true);
  });

  test('a font file goes on being measured over many pages', async () => {
    const font = join(directory, 'digits.ttf');
    await writeFile(font, makeFont('0123456789/ '));
    const text = Array.from({ length: 1_500 }, (_, index) => `${index}`).join('\n');
    const { result } = await render([paragraph(text)], { font });
    expect(result.pages).toBeGreaterThan(24);
  });

  test('a character that the font file lacks is named, per font', async () => {
    const [font, boldFont] = [join(directory, 'ab.ttf'), join(directory, 'ac.ttf')];
    await writeFile(font, makeFont('ab 0123456789/'));
    await writeFile(boldFont, makeFont('ac', 'TinyBold'));
    const content: Block[] = [
      { type: 'heading', text: 'ac' },
      paragraph('ab'),
      { type: 'heading', text: 'ab' },
    ];
    const message = await refusal({ font, boldFont, content });
    expect(message).toMatch(
      /^Expected `content\[2\]\.text` to have only characters of the font ".*ac\.ttf", got: U\+0062 "b"$/,
    );
  });

  test('a font file without the characters of page numbers is refused, unless there are none', async () => {
    const font = join(directory, 'letters.ttf');
    await writeFile(font, makeFont('abc'));
    expect(await refusal({ font })).toMatch(
      /^Expected `pageNumbers` to have only .*letters\.ttf", got: U\+0030 "0"$/,
    );
    expect((await render([paragraph('abc')], { font, pageNumbers: false })).result.pages).toBe(1);
  });

  test('a font that is missing, or is none, is refused', async () => {
    const notAFont = join(directory, 'text.ttf');
    await writeFile(notAFont, 'not a font');
    expect(await refusal({ font: join(directory, 'nowhere.ttf') })).toMatch(
      /Could not read `font` .* there is no such file/,
    );
    expect(await refusal({ font: notAFont })).toMatch(/Expected `font` to be a TrueType or OpenType file/);
    expect(await refusal({ boldFont: notAFont })).toMatch(/Expected `font` to be given too/);
  });
});

describe('payloads', () => {
  test.each<[string, object, string]>([
    ['an unknown block', { content: [{ type: 'chart' }] }, 'Expected `content[0].type` to be one of'],
    ['a block that is none', { content: ['text'] }, 'Expected `content[0]` to be an object, got: "text"'],
    ['no content', { content: undefined }, 'Expected `content` to be an array, got: undefined'],
    [
      'a text that is none',
      { content: [{ type: 'paragraph', text: 5 }] },
      'Expected `content[0].text` to be a string, got: 5',
    ],
    [
      'a level',
      { content: [{ type: 'heading', text: '', level: 4 }] },
      'Expected `content[0].level` to be an integer from 1 to 3, got: 4',
    ],
    [
      'a colour',
      { content: [{ type: 'paragraph', text: '', color: 'red' }] },
      'a colour like \'#1f2328\', got: "red"',
    ],
    [
      'a cell too few',
      { content: [{ type: 'table', columns: [{ header: '' }, { header: '' }], rows: [['1']] }] },
      'Expected `content[0].rows[0]` to be 2 cells, one for each column, got: an array of 1',
    ],
    [
      'a cell that is no text',
      { content: [{ type: 'table', columns: [{ header: '' }], rows: [[1]] }] },
      'Expected `content[0].rows[0][0]` to be a string, got: 1',
    ],
    [
      'an image without a source',
      { content: [{ type: 'image' }] },
      'Expected `content[0]` to have either `path` or `bytes`, got: neither',
    ],
    ['a page size', { pageSize: 'A99' }, 'Expected `pageSize` to be one of'],
    ['a margin', { margin: -1 }, 'Expected `margin` to be a number of points from 0 to 200, got: -1'],
    [
      'a margin that leaves nothing',
      { margin: 200, pageSize: 'A6' },
      'Expected `margin` to leave at least 72 × 72 points of each page, got: 0 × 19',
    ],
  ])('%s is refused', async (_, payload, message) => {
    // Sound: payloads arrive from a journal, where no compiler has looked at them.
    expect(await refusal(payload as Partial<RenderPdfPayload>)).toContain(message);
  });
});

describe('an abort', () => {
  test('before the start writes nothing', async () => {
    const place = join(directory, 'never');
    const job = makeJob();
    job.abort();
    expect(await rejection(renderPdf({ path: join(place, 'a.pdf'), content: [] }, job))).toBe(ABORTED);
    await expect(filesIn(place)).rejects.toThrow('ENOENT');
  });

  test('in the middle leaves what was there, and nothing else', async () => {
    const place = await makeDirectory();
    const path = join(place, 'a.pdf');
    await writeFile(path, 'the old one');
    const job = makeJob((running) => running.abort());
    const rows = Array.from({ length: 5_000 }, (_, index) => [`row ${index}`]);
    const content: Block[] = [{ type: 'table', columns: [{ header: 'a' }], rows }];
    expect(await rejection(renderPdf({ path, content }, job))).toBe(ABORTED);
    expect(job.reported).toHaveLength(1);
    expect(await filesIn(place)).toEqual(['a.pdf']);
    expect(await readFile(path, 'utf8')).toBe('the old one');
  });

  test('reaches into a single long paragraph', async () => {
    const job = makeJob();
    let calls = 0;
    job.throwIfAborted = () => {
      calls += 1;
      if (calls === 6) job.abort();
      job.signal.throwIfAborted();
    };
    const content = [paragraph(lines(2_000))];
    expect(await rejection(renderPdf({ path: join(directory, 'long.pdf'), content }, job))).toBe(ABORTED);
    expect(calls).toBe(6);
  });
});
