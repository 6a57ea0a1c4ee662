import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, describe, expect, test } from 'vitest';
import resizeImage from '../../workers/resize-image.js';
import type { ImageFit, ImageFormat, ImageOutput } from '../../workers/resize-image.js';
import { filesIn, makeDirectory, makeJob } from './workspace.js';

let directory: string;
/** 400 × 300, left half red, right half blue. */
let photo: Buffer;
/** The same, stored upside down on its side and turned upright by EXIF. */
let rotated: Buffer;
/** 100 × 100, fully transparent. */
let transparent: Buffer;

beforeAll(async () => {
  directory = await makeDirectory();
  const blue = await solid(200, 300, '#0000ff').png().toBuffer();
  photo = await solid(400, 300, '#ff0000')
    .composite([{ input: blue, left: 200, top: 0 }])
    .jpeg({ quality: 95 })
    .withExif({ IFD0: { Copyright: 'somebody' } })
    .toBuffer();
  // EXIF 6: what is stored on the left is to be seen on top.
  rotated = await sharp(photo).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer();
  transparent = await sharp({
    create: { width: 100, height: 100, channels: 4, background: { r: 0, g: 0, b: 0, alpha: 0 } },
  })
    .png()
    .toBuffer();
});

function solid(width: number, height: number, background: string) {
  return sharp({ create: { width, height, channels: 3, background } });
}

/** Makes one output of `input` and hands back what was said of it, and the file itself. */
async function makeOne(input: Uint8Array, output: Omit<ImageOutput, 'path'>, options = {}) {
  const path = join(directory, `${crypto.randomUUID()}.${output.format}`);
  const result = await resizeImage({ input, outputs: [{ path, ...output }], ...options }, makeJob());
  return { result, image: result.outputs[0], file: await readFile(path) };
}

async function colourAt(file: Uint8Array, left: number, top: number) {
  const data = await sharp(file).extract({ left, top, width: 1, height: 1 }).raw().toBuffer();
  return [...data];
}

describe('formats', () => {
  test.each<ImageFormat>(['jpeg', 'png', 'webp', 'avif'])(
    'writes %s and says what it wrote',
    async (format) => {
      const { image, file } = await makeOne(photo, { format, width: 100 });
      const metadata = await sharp(file).metadata();
      expect(metadata).toMatchObject({ width: 100, height: 75, mediaType: `image/${format}` });
      expect(image).toMatchObject({ format, width: 100, height: 75, bytes: file.length });
    },
  );

  test('a lower quality makes a smaller file', async () => {
    const [low, high] = await Promise.all(
      [10, 95].map((quality) => makeOne(photo, { format: 'jpeg', quality })),
    );
    expect(low?.file.length).toBeLessThan(high?.file.length ?? 0);
  });

  test('a PNG has a palette only if a quality is given', async () => {
    const { file: lossless } = await makeOne(photo, { format: 'png' });
    const { file: reduced } = await makeOne(photo, { format: 'png', quality: 50 });
    expect((await sharp(lossless).metadata()).isPalette).toBe(false);
    expect((await sharp(reduced).metadata()).isPalette).toBe(true);
  });

  test('transparent becomes white in a JPEG and stays transparent elsewhere', async () => {
    const { file: jpeg } = await makeOne(transparent, { format: 'jpeg' });
    const { file: webp } = await makeOne(transparent, { format: 'webp' });
    expect(await colourAt(jpeg, 50, 50)).toEqual([255, 255, 255]);
    expect((await colourAt(webp, 50, 50))[3]).toBe(0);
  });
});

describe('sizes', () => {
  test.each<[ImageFit, number, number]>([
    ['cover', 100, 100],
    ['contain', 100, 100],
    ['fill', 100, 100],
    ['inside', 100, 75],
    ['outside', 133, 100],
  ])('%s brings 400 × 300 to a box of 100 × 100 as %i × %i', async (fit, width, height) => {
    const { image, file } = await makeOne(photo, { format: 'png', width: 100, height: 100, fit });
    expect(image).toMatchObject({ width, height });
    expect(await sharp(file).metadata()).toMatchObject({ width, height });
  });

  test('contain pads with nothing, and in a JPEG with white', async () => {
    const box = { width: 100, height: 100, fit: 'contain' } as const;
    const { file: png } = await makeOne(photo, { format: 'png', ...box });
    const { file: jpeg } = await makeOne(photo, { format: 'jpeg', ...box });
    expect((await colourAt(png, 50, 2))[3]).toBe(0);
    expect(Math.min(...(await colourAt(jpeg, 50, 2)))).toBeGreaterThan(240);
  });

  test('covers by default', async () => {
    const { image } = await makeOne(photo, { format: 'jpeg', width: 50, height: 100 });
    expect(image).toMatchObject({ width: 50, height: 100 });
  });

  test('keeps the size without width and height', async () => {
    const { image } = await makeOne(photo, { format: 'webp' });
    expect(image).toMatchObject({ width: 400, height: 300 });
  });

  test('does not enlarge', async () => {
    const { image } = await makeOne(photo, { format: 'jpeg', width: 800 });
    expect(image).toMatchObject({ width: 400, height: 300 });
  });

  test('enlarges when told to', async () => {
    const { image } = await makeOne(photo, { format: 'jpeg', width: 800 }, { enlarge: true });
    expect(image).toMatchObject({ width: 800, height: 600 });
  });
});

describe('orientation and metadata', () => {
  test('turns the image as EXIF says, and drops the tag', async () => {
    const { result, file } = await makeOne(rotated, { format: 'jpeg', width: 150 });
    expect(result.input).toMatchObject({ format: 'jpeg', width: 300, height: 400 });
    const { width, height, orientation } = await sharp(file).metadata();
    expect({ width, height, orientation }).toEqual({ width: 150, height: 200, orientation: undefined });
    const [redOnTop] = await colourAt(file, 75, 20);
    const [redBelow] = await colourAt(file, 75, 180);
    expect(redOnTop).toBeGreaterThan(200);
    expect(redBelow).toBeLessThan(50);
  });

  test('drops metadata by default', async () => {
    const { file } = await makeOne(photo, { format: 'jpeg' });
    const { exif, icc, xmp } = await sharp(file).metadata();
    expect({ exif, icc, xmp }).toEqual({ exif: undefined, icc: undefined, xmp: undefined });
  });

  test('keeps metadata when told to, without turning the image twice', async () => {
    const { file } = await makeOne(rotated, { format: 'jpeg', width: 150 }, { keepMetadata: true });
    const { exif, width, height, orientation } = await sharp(file).metadata();
    expect(exif?.toString('latin1')).toContain('somebody');
    expect({ width, height, orientation }).toEqual({ width: 150, height: 200, orientation: 1 });
  });
});

describe('several outputs', () => {
  const sizes = [200, 100, 50];

  test.each(['jpeg', 'png', 'webp', 'tiff', 'gif'] as const)('from one %s', async (format) => {
    const input = await sharp(rotated, { autoOrient: true }).toFormat(format).toBuffer();
    const outputs = sizes.map((width) => {
      return { path: join(directory, `several-${format}-${width}.png`), width, format: 'png' as const };
    });
    const job = makeJob();
    const result = await resizeImage({ input, outputs }, job);

    expect(result.input).toEqual({ format, width: 300, height: 400, bytes: input.length });
    expect(result.outputs.map(({ path, width, height }) => ({ path, width, height }))).toEqual(
      outputs.map(({ path, width }) => ({ path, width, height: Math.round((width * 4) / 3) })),
    );
    expect(job.reported).toEqual([1, 2, 3].map((done) => ({ done, total: 3 })));
    const [redOnTop] = await colourAt(await readFile(outputs[2]?.path ?? ''), 25, 5);
    expect(redOnTop).toBeGreaterThan(200);
  });

  test('keep transparency', async () => {
    const outputs = sizes.map((width) => {
      return { path: join(directory, `clear-${width}.webp`), width, format: 'webp' as const };
    });
    await resizeImage({ input: transparent, outputs }, makeJob());
    expect((await colourAt(await readFile(outputs[1]?.path ?? ''), 10, 10))[3]).toBe(0);
  });
});

describe('native work', () => {
  test('is one operation at a time, however many outputs, on one thread each', async () => {
    let most = 0;
    const count = () => {
      const { queue, process } = sharp.counters();
      return queue + process;
    };
    // The two are read one after the other, and an operation may go from one to the other between.
    const watch = () => {
      most = Math.max(most, Math.min(count(), count()));
    };
    sharp.queue.on('change', watch);
    const outputs = (['jpeg', 'png', 'webp', 'avif'] as const).map((format) => {
      return { path: join(directory, `native.${format}`), width: 100, format };
    });
    await resizeImage({ input: photo, outputs }, makeJob());
    sharp.queue.off('change', watch);
    expect(most).toBe(1);
    expect(sharp.concurrency()).toBe(1);
    expect(sharp.cache().memory.max).toBe(0);
  });
});

describe('files', () => {
  test('reads a path, whatever is in its name', async () => {
    const input = join(directory, 'Fotos ä [page=2].jpg[shrink=8]');
    await writeFile(input, photo);
    const result = await resizeImage(
      { input, outputs: [{ path: join(directory, 'named.webp'), format: 'webp' }] },
      makeJob(),
    );
    expect(result.input).toEqual({ format: 'jpeg', width: 400, height: 300, bytes: photo.length });
  });

  test('reads bytes that are a part of a larger buffer', async () => {
    const larger = Buffer.concat([Buffer.from('before'), photo, Buffer.from('after')]);
    const { result } = await makeOne(larger.subarray(6, 6 + photo.length), { format: 'jpeg' });
    expect(result.input).toMatchObject({ width: 400, height: 300 });
  });

  test('replaces what is there, creates directories, and leaves nothing else behind', async () => {
    const place = join(directory, 'replaced');
    const outputs = ['old.jpg', 'new/deep/down.jpg'].map((name) => {
      return { path: join(place, name), width: 10, format: 'jpeg' as const };
    });
    await mkdir(place);
    await writeFile(join(place, 'old.jpg'), 'old');
    await resizeImage({ input: photo, outputs }, makeJob());
    expect(await filesIn(place)).toEqual(['new/deep/down.jpg', 'old.jpg']);
    expect(await sharp(join(place, 'old.jpg')).metadata()).toMatchObject({ format: 'jpeg', width: 10 });
  });
});
