/** pdfkit decodes PNGs in callbacks, where an exception would end the process: so this runs in one of its own. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import sharp from 'sharp';
import type { PngOptions } from 'sharp';
import { expect, test } from 'vitest';
import { makeDirectory } from './workspace.js';

const run = promisify(execFile);
const FLIPS = 300;

/** Renders the PNG with a bit flipped, at many places; two times in three its checksums are set right again. */
const script = (image: string, target: string) => `
  import { readFileSync } from 'node:fs';
  import { crc32 } from 'node:zlib';
  import render from ${JSON.stringify(new URL('../../workers/render-pdf.js', import.meta.url).href)};
  const image = readFileSync(${JSON.stringify(image)});
  const job = { progress() {}, throwIfAborted() {} };
  const seen = {};
  let seed = 1;
  const random = (below) => (seed = (seed * 48_271) % 2_147_483_647) % below;
  for (let flip = 0; flip < ${FLIPS}; flip += 1) {
    const bytes = Buffer.from(image);
    bytes[random(bytes.length)] ^= 1 << random(8);
    if (flip % 3 > 0) seal(bytes);
    const payload = { path: ${JSON.stringify(target)}, maxImagePixels: 100_000, content: [{ type: 'image', bytes }] };
    const outcome = await render(payload, job).then(() => 'rendered', (error) => error.name);
    seen[outcome] = (seen[outcome] ?? 0) + 1;
  }
  console.log(JSON.stringify(seen));

  function seal(bytes) {
    for (let at = 8; at + 12 <= bytes.length;) {
      const end = at + 8 + bytes.readUInt32BE(at);
      if (end + 4 > bytes.length) return;
      bytes.writeUInt32BE(crc32(bytes.subarray(at + 4, end)), end);
      at = end + 4;
    }
  }
`;

test.each<[string, PngOptions]>([
  ['transparency', { adaptiveFiltering: true }],
  ['transparency, stored uncompressed', { compressionLevel: 0, adaptiveFiltering: true }],
  ['transparency and interlacing, stored uncompressed', { compressionLevel: 0, progressive: true }],
  ['a palette with transparency', { palette: true, colours: 64 }],
])('a PNG with %s that is damaged anywhere is shown or refused', async (_, options) => {
  const directory = await makeDirectory();
  const pixels = Buffer.from(Array.from({ length: 24 * 24 * 4 }, (_, index) => (index * index) % 251));
  const image = join(directory, 'image.png');
  await sharp(pixels, { raw: { width: 24, height: 24, channels: 4 } })
    .png(options)
    .toFile(image);
  const source = script(image, join(directory, 'a.pdf'));
  const { stdout, stderr } = await run(process.execPath, ['--input-type=module', '--eval', source]);
  expect(stderr).toBe('');
  const { rendered = 0, UnrecoverableError: refused = 0, ...others } = JSON.parse(stdout);
  expect(others).toEqual({});
  expect(rendered + refused).toBe(FLIPS);
  expect(refused).toBeGreaterThan(FLIPS / 2);
});
