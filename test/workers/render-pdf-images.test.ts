import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import type { Sharp } from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import { UnrecoverableError } from '../../src/index.js';
import renderPdf from '../../workers/render-pdf.js';
import type { Block } from '../../workers/render-pdf.js';
import { readPdf, textOf } from './pdf-reader.js';
import type { PdfContent } from './pdf-reader.js';
import { filesIn, makeDirectory, makeJob, rejection } from './workspace.js';

let directory: string;

beforeAll(async () => {
  directory = await makeDirectory();
});

async function render(content: Block[], options = {}): Promise<PdfContent> {
  const path = join(directory, `${crypto.randomUUID()}.pdf`);
  await renderPdf({ path, content, pageNumbers: false, ...options }, makeJob());
  return readPdf(await readFile(path));
}

async function refusal(bytes: Uint8Array, options = {}): Promise<string> {
  const place = await makeDirectory();
  const path = join(place, 'a.pdf');
  const error = await rejection(
    renderPdf({ path, content: [{ type: 'image', bytes }], ...options }, makeJob()),
  );
  expect(error).toBeInstanceOf(UnrecoverableError);
  expect(await filesIn(place)).toEqual([]);
  return error.message;
}

/** Every pixel of its own colour, half of them see-through. */
function gradient(width: number, height: number): Sharp {
  const data = Buffer.from(
    Array.from({ length: width * height }, (_, i) => [
      i % 256,
      (i * 7) % 256,
      (i * 13) % 256,
      i % 2 ? 255 : 90,
    ]).flat(),
  );
  return sharp(data, { raw: { width, height, channels: 4 } });
}

/** The pixels of an image that was decoded on its way into the document. */
function storedPixels(pdf: PdfContent, ofMask: boolean): Buffer | undefined {
  const stored = [...pdf.objects.values()].filter(({ dictionary }) => dictionary.includes('/Subtype /Image'));
  return stored.find(({ dictionary }) => dictionary.includes('/SMask') !== ofMask)?.stream;
}

/** The `cm` matrices that images are drawn with, in page order. */
function matrices(pdf: PdfContent): number[][] {
  const contents = [...pdf.objects.values()].map(({ stream }) => stream?.toString('latin1') ?? '');
  return contents.flatMap((content) =>
    [...content.matchAll(/^(\S+ \S+ \S+ \S+ \S+ \S+) cm\n\/Image\d+ Do/gm)].map((match) =>
      (match[1] ?? '').split(' ').map(Number),
    ),
  );
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
    expect(pdf.images[0]).toMatch(/\/Predictor 15\n\/Colors 3\n\/BitsPerComponent 8\n\/Columns 30/);
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

  test('an interlaced PNG of 16 bits is brought to 8', async () => {
    const bytes = await gradient(9, 9)
      .removeAlpha()
      .toColourspace('rgb16')
      .png({ progressive: true })
      .toBuffer();
    const pdf = await render([{ type: 'image', bytes }]);
    expect(storedPixels(pdf, true)).toEqual(await gradient(9, 9).removeAlpha().raw().toBuffer());
  });

  test('a PNG with a transparent colour, or a palette with one', async () => {
    // Two rows of four pixels, two bits each: 0 1 2 3, 3 2 1 0.
    const rows = Buffer.from([0, 0b00011011, 0, 0b11100100]);
    const grey = makePng({ width: 4, height: 2, bits: 2, type: 0 }, { tRNS: Buffer.from([0, 2]) }, rows);
    const palette = {
      PLTE: Buffer.from([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]),
      tRNS: Buffer.from([255, 0, 9]),
    };
    const indexed = makePng({ width: 4, height: 2, bits: 2, type: 3 }, palette, rows);

    const greyPdf = await render([{ type: 'image', bytes: grey }]);
    expect([...(storedPixels(greyPdf, false) ?? [])]).toEqual([0, 85, 170, 255, 255, 170, 85, 0]);
    expect([...(storedPixels(greyPdf, true) ?? [])]).toEqual([255, 255, 0, 255, 255, 0, 255, 255]);
    const indexedPdf = await render([{ type: 'image', bytes: indexed }]);
    expect([...(storedPixels(indexedPdf, false) ?? [])]).toEqual([0, 1, 2, 3, 3, 2, 1, 0]);
    expect([...(storedPixels(indexedPdf, true) ?? [])]).toEqual([255, 0, 9, 255, 255, 9, 0, 255]);
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

describe('images that cannot be shown', () => {
  test('of another format', async () => {
    const message = await refusal(await gradient(10, 10).webp().toBuffer());
    expect(message).toMatch(
      /^Expected `content\[0\]\.bytes` to be a JPEG or a PNG that can be shown in full, got \d+ bytes: it is neither$/,
    );
  });

  test('a missing file', async () => {
    const content: Block[] = [
      { type: 'imageGrid', columns: 1, images: [{ path: join(directory, 'nowhere.png') }] },
    ];
    const error = await rejection(render(content));
    expect(error).toBeInstanceOf(UnrecoverableError);
    expect(error.message).toMatch(
      /^Could not read `content\[0\]\.images\[0\]\.path` ".*": there is no such file$/,
    );
  });

  test('an empty file', async () => {
    const path = join(directory, 'empty.png');
    await writeFile(path, '');
    const error = await rejection(render([{ type: 'image', path }]));
    expect(error.message).toMatch(/`content\[0\]\.path` .* it is empty$/);
  });

  test.each([false, true])('a JPEG that ends early, progressive %s', async (progressive) => {
    const bytes = await gradient(200, 200).flatten().jpeg({ progressive }).toBuffer();
    for (const length of [1, 3, 30, Math.floor(bytes.length / 2), bytes.length - 2]) {
      expect(await refusal(bytes.subarray(0, length))).toContain('content[0].bytes');
    }
  });

  test('a JPEG of a kind that viewers need not know, or that has no pixels', async () => {
    const bytes = await gradient(20, 20).flatten().jpeg().toBuffer();
    const frame = bytes.indexOf(Buffer.from([0xff, 0xc0]));
    const lossless = Buffer.from(bytes).fill(0xc3, frame + 1, frame + 2);
    const twelveBits = Buffer.from(bytes).fill(12, frame + 4, frame + 5);
    const flat = Buffer.from(bytes).fill(0, frame + 5, frame + 7);
    expect(await refusal(lossless)).toContain('a JPEG of a rare kind');
    expect(await refusal(twelveBits)).toContain('12 bits per channel');
    expect(await refusal(flat)).toContain('the JPEG is damaged');
  });

  test('a PNG that ends early, wherever it does', async () => {
    const bytes = await gradient(20, 20).png().toBuffer();
    for (let length = 8; length < bytes.length; length += 37) {
      expect(await refusal(bytes.subarray(0, length))).toMatch(/the PNG (ends early|is damaged)/);
    }
  });

  test.each([
    [
      'too few pixels',
      makePng({ width: 4, height: 4, bits: 8, type: 6 }, {}, Buffer.alloc(40)),
      'has 40 bytes of pixels instead of 68',
    ],
    [
      'too many pixels',
      makePng({ width: 1, height: 1, bits: 8, type: 6 }, {}, Buffer.alloc(40_000)),
      'cannot be decompressed',
    ],
    [
      'an unknown filter',
      makePng({ width: 1, height: 1, bits: 8, type: 6 }, {}, Buffer.from([9, 0, 0, 0, 0])),
      'unknown filter',
    ],
    [
      'a header without sense',
      makePng({ width: 1, height: 1, bits: 3, type: 6 }, {}, Buffer.alloc(5)),
      'makes no sense',
    ],
    [
      'no palette',
      makePng({ width: 1, height: 1, bits: 8, type: 3 }, {}, Buffer.alloc(2)),
      'palette is missing',
    ],
  ])('a PNG with %s', async (_, bytes, reason) => {
    expect(await refusal(bytes)).toContain(reason);
  });

  test('a PNG whose data is damaged', async () => {
    const bytes = await gradient(50, 50).png().toBuffer();
    const middle = Math.floor(bytes.length / 2);
    bytes.fill(0xaa, middle, middle + 20);
    expect(await refusal(bytes)).toMatch(/the PNG is damaged/);
  });

  test('a PNG whose chunk claims a length below zero', async () => {
    const bytes = makePng({ width: 1, height: 1, bits: 8, type: 0 }, {}, Buffer.from([0, 0]));
    const text = Buffer.from([0xff, 0xff, 0xff, 0xf4, 0x74, 0x45, 0x58, 0x74]);
    expect(await refusal(Buffer.concat([bytes.subarray(0, 33), text, bytes.subarray(33)]))).toContain(
      'ends early',
    );
  });

  test('a PNG of more pixels than allowed', async () => {
    const bomb = makePng({ width: 60_000, height: 60_000, bits: 8, type: 6 }, {}, Buffer.alloc(10));
    expect(await refusal(bomb)).toContain('more than `maxImagePixels` (50000000)');
    const small = await gradient(10, 10).png().toBuffer();
    expect(await refusal(small, { maxImagePixels: 99 })).toContain(
      '10 × 10 pixels, more than `maxImagePixels` (99)',
    );
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

interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly type: number;
}

/** A PNG put together by hand, for what no encoder would write. Checksums are left out, as nobody reads them. */
function makePng(header: PngHeader, chunks: Record<string, Buffer>, rows: Buffer): Buffer {
  const ihdr = Buffer.alloc(13);
  ihdr.writeUInt32BE(header.width, 0);
  ihdr.writeUInt32BE(header.height, 4);
  ihdr.set([header.bits, header.type], 8);
  const all = { IHDR: ihdr, ...chunks, IDAT: deflateSync(rows), IEND: Buffer.alloc(0) };
  const parts = Object.entries(all).flatMap(([name, content]) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    return [length, Buffer.from(name), content, Buffer.alloc(4)];
  });
  return Buffer.concat([Buffer.from('\u0089PNG\r\n\u001A\n', 'latin1'), ...parts]);
}
