import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { UnrecoverableError } from '../../src/index.js';
import renderPdf from '../../workers/render-pdf.js';
import type { Block } from '../../workers/render-pdf.js';
import { gradient, makePng } from './images.js';
import { filesIn, makeDirectory, makeJob, rejection } from './workspace.js';

/** Renders a document of which nothing may be left. */
async function refused(content: Block[], options = {}): Promise<string> {
  const place = await makeDirectory();
  const error = await rejection(renderPdf({ path: join(place, 'a.pdf'), content, ...options }, makeJob()));
  expect(error).toBeInstanceOf(UnrecoverableError);
  expect(await filesIn(place)).toEqual([]);
  return error.message;
}

const refusal = (bytes: Uint8Array, options = {}) => refused([{ type: 'image', bytes }], options);

describe('images that cannot be shown', () => {
  test('of another format', async () => {
    const message = await refusal(await gradient(10, 10).webp().toBuffer());
    expect(message).toMatch(
      /^Expected `content\[0\]\.bytes` to be a JPEG or a PNG that can be shown in full, got \d+ bytes: it is neither$/,
    );
  });

  test('a missing file', async () => {
    const content: Block[] = [
      { type: 'imageGrid', columns: 1, images: [{ path: join(await makeDirectory(), 'nowhere.png') }] },
    ];
    expect(await refused(content)).toMatch(
      /^Could not read `content\[0\]\.images\[0\]\.path` ".*": there is no such file$/,
    );
  });

  test('an empty file', async () => {
    const path = join(await makeDirectory(), 'empty.png');
    await writeFile(path, '');
    expect(await refused([{ type: 'image', path }])).toMatch(/`content\[0\]\.path` .* it is empty$/);
  });

  test.each([false, true])('a JPEG that ends early, progressive %s', async (progressive) => {
    const bytes = await gradient(200, 200).flatten().jpeg({ progressive }).toBuffer();
    for (const length of [1, 3, 30, Math.floor(bytes.length / 2), bytes.length - 2]) {
      expect(await refusal(bytes.subarray(0, length))).toContain('content[0].bytes');
    }
  });

  test('a JPEG that ends early behind the end of its thumbnail', async () => {
    const bytes = await gradient(200, 200).flatten().jpeg().toBuffer();
    const thumbnail = Buffer.concat([
      Buffer.from([0xff, 0xe1, 0, 30]),
      Buffer.alloc(26),
      Buffer.from([0xff, 0xd9]),
    ]);
    const whole = Buffer.concat([bytes.subarray(0, 2), thumbnail, bytes.subarray(2)]);
    expect(await refusal(whole.subarray(0, whole.length - 9))).toContain('the JPEG ends early');
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
    const twoChannels = Buffer.from(bytes).fill(2, frame + 9, frame + 10);
    expect(await refusal(twoChannels)).toContain('2 channels');
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
    [
      'a transparent colour',
      makePng({ width: 1, height: 1, bits: 8, type: 0 }, { tRNS: Buffer.alloc(2) }, Buffer.alloc(2)),
      'pdfkit cannot show a PNG with a transparent colour',
    ],
    [
      'a transparent colour in a small palette',
      makePng({ width: 1, height: 1, bits: 4, type: 3 }, { tRNS: Buffer.alloc(1) }, Buffer.alloc(2)),
      'except in a palette of 8 bits',
    ],
    [
      'interlacing and parts of bytes',
      makePng({ width: 8, height: 8, bits: 4, type: 0, interlace: 1 }, {}, Buffer.alloc(2)),
      'pdfkit cannot show an interlaced PNG',
    ],
    [
      'interlacing and passes without columns',
      makePng({ width: 4, height: 8, bits: 8, type: 6, interlace: 1 }, {}, Buffer.alloc(2)),
      'pdfkit cannot show an interlaced PNG',
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

  test('a PNG of more data than an array can hold', async () => {
    const one = makePng(
      { width: 1, height: 1, bits: 8, type: 0 },
      { IDAT: Buffer.alloc(1_000_000) },
      Buffer.alloc(2),
    );
    const header = one.subarray(0, 33);
    const chunk = one.subarray(33, 33 + 12 + 1_000_000);
    const bytes = Buffer.concat([header, ...Array.from({ length: 65 }, () => chunk), one.subarray(-12)]);
    expect(await refusal(bytes)).toContain('more than 64000000 bytes of compressed data');
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
