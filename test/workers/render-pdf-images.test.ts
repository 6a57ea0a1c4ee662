import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sharp } from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { UnrecoverableError } from '../../src/index.js';
import renderPdf from '../../workers/render-pdf.js';
import type { Block } from '../../workers/render-pdf.js';
import { gradient, makePng } from './images.js';
import { readPdf, textOf } from './pdf-reader.js';
import type { PdfContent } from './pdf-reader.js';
import { makeDirectory, makeJob, rejection } from './workspace.js';

let directory: string;

beforeAll(async () => {
  directory = await makeDirectory();
});

async function render(content: Block[], options = {}): Promise<PdfContent> {
  const path = join(directory, `${crypto.randomUUID()}.pdf`);
  await renderPdf({ path, content, pageNumbers: false, ...options }, makeJob());
  return readPdf(await readFile(path));
}

/** The pixels of an image that was decoded on its way into the document. */
function storedPixels(pdf: PdfContent, ofMask: boolean): Buffer | undefined {
  const stored = [...pdf.objects.values()].filter(({ dictionary }) => dictionary.includes('/Subtype /Image'));
  return stored.find(({ dictionary }) => dictionary.includes('/SMask') !== ofMask)?.stream;
}

/** The matrices that images are drawn with, in page order: pdfkit turns an image before it places it. */
function matrices(pdf: PdfContent): number[][] {
  const contents = [...pdf.objects.values()].map(({ stream }) => stream?.toString('latin1') ?? '');
  return contents.flatMap((content) =>
    [...content.matchAll(/((?:^\S+ \S+ \S+ \S+ \S+ \S+ cm\n)+)\/I\d+ Do/gm)].map((match) =>
      [...(match[1] ?? '').matchAll(/^(.*) cm$/gm)]
        .map(([, numbers = '']) => numbers.split(' ').map(Number))
        .reduce((outer, inner) => combine(outer, inner)),
    ),
  );
}

/** What first `inner` and then `outer` do. */
function combine([a = 0, b = 0, c = 0, d = 0, e = 0, f = 0]: number[], inner: number[]): number[] {
  const [ia = 0, ib = 0, ic = 0, id = 0, ie = 0, jf = 0] = inner;
  const turn = (x: number, y: number) => [a * x + c * y, b * x + d * y];
  const [x = 0, y = 0] = turn(ie, jf);
  return [...turn(ia, ib), ...turn(ic, id), x + e, y + f];
}

describe('kinds of images', () => {
  test('a JPEG is stored as it is', async () => {
    const bytes = await gradient(30, 20).flatten().jpeg().toBuffer();
    const pdf = await render([{ type: 'image', bytes }]);
    expect(pdf.pages[0]?.images).toBe(1);
    expect(pdf.images[0]).toMatch(/DeviceRGB[^]*DCTDecode/);
    expect([...pdf.objects.values()].some(({ stream }) => stream?.equals(bytes))).toBe(true);
  });

  test.each([
    ['grey', (image: Sharp) => image.toColourspace('b-w'), 'DeviceGray'],
    ['CMYK', (image: Sharp) => image.toColourspace('cmyk'), 'DeviceCMYK'],
    ['progressive', (image: Sharp) => image.jpeg({ progressive: true }), 'DeviceRGB'],
  ])('a %s JPEG', async (_, convert, colours) => {
    const bytes = await convert(gradient(30, 20).flatten().jpeg()).toBuffer();
    const pdf = await render([{ type: 'image', bytes }]);
    expect(pdf.images[0]).toContain(colours);
  });

  test('a PNG without transparency is stored without being decoded', async () => {
    const bytes = await gradient(30, 20).removeAlpha().png().toBuffer();
    const pdf = await render([{ type: 'image', bytes }]);
    expect(pdf.images).toHaveLength(1);
    const parameters = /DecodeParms (\d+) 0 R/.exec(pdf.images[0] ?? '')?.[1];
    expect(pdf.objects.get(Number(parameters))?.dictionary).toMatch(
      /\/Predictor 15\n\/Colors 3\n\/BitsPerComponent 8\n\/Columns 30/,
    );
    expect(storedPixels(pdf, true)).toHaveLength((1 + 30 * 3) * 20);
  });

  test('a PNG with a palette keeps it', async () => {
    const bytes = await gradient(30, 20).removeAlpha().png({ palette: true, colours: 16 }).toBuffer();
    const pdf = await render([{ type: 'image', bytes }]);
    expect(pdf.images[0]).toMatch(/\/ColorSpace \[\/Indexed \/DeviceRGB 15 \d+ 0 R\]/);
  });

  test.each([
    ['transparency', { compressionLevel: 9, adaptiveFiltering: true }],
    ['transparency and interlacing', { progressive: true, adaptiveFiltering: true }],
  ])('a PNG with %s is split in colours and mask', async (_, options) => {
    const image = gradient(33, 21);
    const pdf = await render([{ type: 'image', bytes: await image.png(options).toBuffer() }]);
    const raw = await gradient(33, 21).raw().toBuffer();
    expect(pdf.images).toHaveLength(2);
    expect(storedPixels(pdf, false)).toEqual(Buffer.from(raw.filter((_, i) => i % 4 !== 3)));
    expect(storedPixels(pdf, true)).toEqual(Buffer.from(raw.filter((_, i) => i % 4 === 3)));
  });

  test('an interlaced PNG of 16 bits keeps them', async () => {
    const bytes = await gradient(9, 9)
      .removeAlpha()
      .toColourspace('rgb16')
      .png({ progressive: true })
      .toBuffer();
    const pdf = await render([{ type: 'image', bytes }]);
    const pixels = storedPixels(pdf, true)?.filter((_, index) => index % 2 === 0);
    expect(pixels).toEqual(await gradient(9, 9).removeAlpha().raw().toBuffer());
  });

  test('a PNG with transparent colours in its palette, up to the last', async () => {
    const chunks = { PLTE: Buffer.alloc(256 * 3, 7), tRNS: Buffer.from([255, 0, 9]) };
    const rows = Buffer.from([0, 0, 1, 0, 2, 255]);
    const bytes = makePng({ width: 2, height: 2, bits: 8, type: 3 }, chunks, rows);
    const pdf = await render([{ type: 'image', bytes }]);
    expect([...(storedPixels(pdf, false) ?? [])]).toEqual([...rows]);
    expect([...(storedPixels(pdf, true) ?? [])]).toEqual([255, 0, 9, 255]);
  });

  test('what a PNG carries beside its pixels does not matter', async () => {
    const notes = { PLTE: Buffer.alloc(6), tEXt: Buffer.alloc(500_000, 'a'), fdAT: Buffer.alloc(3) };
    const bytes = makePng({ width: 1, height: 1, bits: 8, type: 2 }, notes, Buffer.from([0, 1, 2, 3]));
    const pdf = await render([{ type: 'image', bytes: Buffer.concat([bytes, Buffer.alloc(99)]) }]);
    expect(pdf.images[0]).toContain('/ColorSpace /DeviceRGB');
    expect(storedPixels(pdf, true)).toEqual(Buffer.from([0, 1, 2, 3]));
  });

  test('a document of PNGs with transparency is the same every time', async () => {
    const images = await Promise.all(
      Array.from({ length: 30 }, async (_, index) => ({
        bytes: await gradient(300 - index * 9, 40)
          .png()
          .toBuffer(),
      })),
    );
    const content: Block[] = [{ type: 'imageGrid', columns: 5, images }];
    const [first, second] = [
      await render(content, { createdAt: 0 }),
      await render(content, { createdAt: 0 }),
    ];
    expect(first.images).toHaveLength(60);
    expect(second).toEqual(first);
  });

  test('the same file is stored once, however often it is drawn', async () => {
    const path = join(directory, 'again.png');
    await gradient(10, 10).png().toFile(path);
    const grid: Block = {
      type: 'imageGrid',
      columns: 2,
      images: Array.from({ length: 20 }, () => ({ path })),
    };
    const pdf = await render([{ type: 'image', path }, grid]);
    expect(pdf.pages.reduce((total, page) => total + page.images, 0)).toBe(21);
    expect(pdf.images).toHaveLength(2);
  });
});

describe('placing', () => {
  test.each<[string, object, number, number]>([
    ['a point per pixel', {}, 200, 100],
    ['the width asked for', { width: 50 }, 50, 25],
    ['the height asked for', { height: 50 }, 100, 50],
    ['the box asked for', { width: 100, height: 100 }, 100, 50],
    ['no wider than the page', { width: 2_000 }, 495.28, 247.64],
  ])('an image takes %s', async (_, size, width, height) => {
    const bytes = await gradient(200, 100).flatten().jpeg().toBuffer();
    const [matrix] = matrices(await render([{ type: 'image', bytes, ...size }]));
    expect(matrix?.[0]).toBeCloseTo(width, 2);
    expect(matrix?.[3]).toBeCloseTo(-height, 2);
  });

  test('a large image fills what its heading and caption leave of a page', async () => {
    const bytes = await gradient(100, 2_000).flatten().jpeg().toBuffer();
    const pdf = await render([
      { type: 'paragraph', text: 'before' },
      { type: 'heading', text: 'Heading' },
      { type: 'image', bytes, caption: 'caption' },
    ]);
    expect(pdf.pages.map((page) => textOf(page))).toEqual(['before', 'Heading\ncaption']);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])('EXIF orientation %i is shown upright', async (orientation) => {
    const bytes = await gradient(80, 40).flatten().withMetadata({ orientation }).jpeg().toBuffer();
    const [matrix = []] = matrices(await render([{ type: 'image', bytes }]));
    const [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0] = matrix;
    // Where the stored image's top left and bottom right corners end up on the page, from its margins.
    const corner = (u: number, v: number) => [a * u + c * v + e - 50, b * u + d * v + f - 50].map(Math.round);
    const turned = orientation > 4;
    const [width, height] = turned ? [40, 80] : [80, 40];
    const topLeft =
      [
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 1],
        [0, 0],
        [1, 0],
        [1, 1],
        [0, 1],
      ][orientation - 1] ?? [];
    const [x = 0, y = 0] = topLeft;
    expect(corner(0, 1)).toEqual([x * width, y * height]);
    expect(corner(1, 0)).toEqual([(1 - x) * width, (1 - y) * height]);
    // Along the stored top edge the page is crossed, or gone down when the image lies on its side.
    expect(Math.abs(turned ? b : a)).toBeCloseTo(80, 3);
  });
});

describe('a grid', () => {
  test('stands in rows, each image with its caption, over as many pages as it takes', async () => {
    const bytes = await gradient(30, 20).flatten().jpeg().toBuffer();
    const images = Array.from({ length: 25 }, (_, index) => ({ bytes, caption: `image ${index}` }));
    const pdf = await render([{ type: 'imageGrid', columns: 3, images }]);
    expect(pdf.pages.length).toBe(2);
    const texts = pdf.pages.flatMap((page) => page.texts);
    expect(texts.map(({ text }) => text)).toEqual(images.map(({ caption }) => caption));
    expect(pdf.pages.every((page) => page.images === page.texts.length)).toBe(true);
    // One row has one height, and columns stand at the same places.
    expect(new Set(texts.slice(0, 3).map(({ y }) => y)).size).toBe(1);
    expect(Math.abs((texts[0]?.x ?? 0) - (texts[3]?.x ?? 0))).toBeLessThan(0.01);
  });

  test('without images is nothing', async () => {
    expect((await render([{ type: 'imageGrid', columns: 3, images: [] }])).pages[0]?.images).toBe(0);
  });

  test.each<[string, Block]>([
    ['columns too narrow', { type: 'imageGrid', columns: 24, gap: 100, images: [] }],
    [
      'captions as high as the page',
      { type: 'imageGrid', columns: 2, images: [{ caption: 'high '.repeat(3_000) }] },
    ],
  ])('with %s is refused', async (_, grid) => {
    const bytes = await gradient(30, 20).flatten().jpeg().toBuffer();
    const block =
      grid.type === 'imageGrid'
        ? { ...grid, images: grid.images.map((image) => ({ ...image, bytes })) }
        : grid;
    const error = await rejection(render([block]));
    expect(error).toBeInstanceOf(UnrecoverableError);
    expect(error.message).toMatch(/^Expected `content\[0\]` to leave at least 8 × 8 points for an image/);
  });
});
