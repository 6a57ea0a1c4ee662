import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { UnrecoverableError } from '../../src/index.js';
import resizeImage from '../../workers/resize-image.js';
import type { ResizeImagePayload } from '../../workers/resize-image.js';
import { ABORTED, filesIn, makeDirectory, makeJob, rejection } from './workspace.js';

let directory: string;
/** Where a test's outputs go: empty at its start. */
let place: string;
/** Noise, so that every byte of its files matters. */
let noise: Buffer;

beforeAll(async () => {
  directory = await makeDirectory();
  noise = await sharp({
    create: {
      width: 300,
      height: 200,
      channels: 3,
      background: '#888',
      noise: { type: 'gaussian', mean: 128, sigma: 50 },
    },
  })
    .png()
    .toBuffer();
});

beforeEach(async () => {
  place = join(directory, crypto.randomUUID());
  await mkdir(place);
});

function payloadFor(input: string | Uint8Array): ResizeImagePayload {
  return { input, outputs: [{ path: join(place, 'out.jpg'), width: 50, format: 'jpeg' }] };
}

/** Runs a payload that has to be refused for good, before anything is written. */
async function refusal(payload: ResizeImagePayload): Promise<Error> {
  const error = await rejection(resizeImage(payload, makeJob()));
  expect(error).toBeInstanceOf(UnrecoverableError);
  expect(await filesIn(place)).toEqual([]);
  return error;
}

describe('payloads', () => {
  const output = { path: 'a.jpg', format: 'jpeg' };
  test.each<[string, unknown, string]>([
    ['nothing', undefined, 'Expected `payload` to be an object, got: undefined'],
    [
      'no input',
      { outputs: [output] },
      "Expected `input` to be a file's path or bytes (a Uint8Array), got: undefined",
    ],
    [
      'empty bytes',
      { input: new Uint8Array(), outputs: [output] },
      'bytes (a Uint8Array that is not empty), got: 0 bytes',
    ],
    ['no outputs', { input: 'a.png' }, 'Expected `outputs` to be an array of at least 1, got: undefined'],
    [
      'an empty list',
      { input: 'a.png', outputs: [] },
      'Expected `outputs` to be an array of at least 1, got: an array of 0',
    ],
    [
      'no path',
      { input: 'a.png', outputs: [{ format: 'png' }] },
      "Expected `outputs[0].path` to be a file's path",
    ],
    [
      'a format that is none',
      { input: 'a.png', outputs: [output, { path: 'b', format: 'bmp' }] },
      "Expected `outputs[1].format` to be one of 'jpeg', 'png', 'webp', 'avif', got: \"bmp\"",
    ],
    [
      'a quality out of range',
      { input: 'a.png', outputs: [{ ...output, quality: 0 }] },
      'Expected `outputs[0].quality` to be an integer from 1 to 100, got: 0',
    ],
    [
      'a negative width',
      { input: 'a.png', outputs: [{ ...output, width: -5 }] },
      'Expected `outputs[0].width` to be an integer from 1 to 65,535, got: -5',
    ],
    [
      'a height that is no number',
      { input: 'a.png', outputs: [{ ...output, height: '100' }] },
      'Expected `outputs[0].height` to be an integer from 1 to 65,535, got: "100"',
    ],
    [
      'a fit that is none',
      { input: 'a.png', outputs: [{ ...output, fit: 'crop' }] },
      'Expected `outputs[0].fit` to be one of',
    ],
    [
      'a flag that is none',
      { input: 'a.png', outputs: [output], enlarge: 1 },
      'Expected `enlarge` to be true or false, got: 1',
    ],
    [
      'no pixels allowed',
      { input: 'a.png', outputs: [output], maxInputPixels: 0 },
      'Expected `maxInputPixels` to be an integer',
    ],
    [
      'the same path twice',
      { input: 'a.png', outputs: [output, { ...output, path: './x/../a.jpg' }] },
      'Expected `outputs[1].path` to differ from `outputs[0].path`',
    ],
    [
      'the input as output',
      { input: './a.jpg', outputs: [output] },
      'Expected `outputs[0].path` to differ from `input`',
    ],
  ])('%s is refused', async (_, payload, message) => {
    // Sound: payloads arrive from a journal, where no compiler has looked at them.
    const error = await refusal(payload as ResizeImagePayload);
    expect(error.message).toContain(message);
  });
});

describe('inputs', () => {
  test('a file that is not there', async () => {
    const error = await refusal(payloadFor(join(place, 'nowhere.jpg')));
    expect(error.message).toMatch(/^Could not read `input` ".*nowhere\.jpg": there is no such file$/);
    expect(error.cause).toMatchObject({ code: 'ENOENT' });
  });

  test('a directory', async () => {
    expect((await refusal(payloadFor(place))).message).toMatch(/it is a directory$/);
  });

  test('an empty file', async () => {
    const input = join(directory, 'empty.jpg');
    await writeFile(input, '');
    expect((await refusal(payloadFor(input))).message).toMatch(
      /^Expected `input` to be an image, got an empty file/,
    );
  });

  test('something that is not an image', async () => {
    const error = await refusal(payloadFor(Buffer.from('%PDF-1.7 and certainly not an image')));
    expect(error.message).toBe(
      'Expected `input` to be an image, got 35 bytes: Input buffer contains unsupported image format',
    );
    expect(error.cause).toBeInstanceOf(Error);
  });

  test.each(['jpeg', 'png', 'webp', 'avif', 'gif', 'tiff'] as const)(
    'a %s that ends early',
    async (format) => {
      const whole = await sharp(noise).toFormat(format).toBuffer();
      for (const share of [0.5, 0.95]) {
        const error = await refusal(payloadFor(whole.subarray(0, Math.floor(whole.length * share))));
        expect(error.cause).toBeInstanceOf(Error);
      }
    },
  );

  test('a JPEG that lacks its middle, which would be grey from there on', async () => {
    const whole = await sharp(noise).jpeg().toBuffer();
    const half = Math.floor(whole.length / 2);
    const error = await refusal(payloadFor(Buffer.concat([whole.subarray(0, half), whole.subarray(-2)])));
    expect(error.message).toMatch(
      /^Could not make `outputs\[0\]` \(jpeg\) of `input`: .*(premature|Corrupt)/,
    );
  });

  test('a progressive JPEG that ends early, made into several outputs', async () => {
    const whole = await sharp(noise).jpeg({ progressive: true }).toBuffer();
    const outputs = ['a.png', 'b.png'].map((name) => ({ path: join(place, name), format: 'png' as const }));
    const error = await refusal({ input: whole.subarray(0, whole.length / 2), outputs });
    expect(error.message).toMatch(/^Could not decode `input`: /);
  });

  test('more pixels than allowed', async () => {
    const error = await refusal({ ...payloadFor(noise), maxInputPixels: 59_999 });
    expect(error.message).toBe(
      'Expected `input` to have at most 59,999 pixels (`maxInputPixels`), got: 60,000 (300 × 200)',
    );
  });

  test('as many pixels as allowed pass', async () => {
    await resizeImage({ ...payloadFor(noise), maxInputPixels: 60_000 }, makeJob());
    expect(await filesIn(place)).toEqual(['out.jpg']);
  });

  test('a few bytes that claim to be more than any image', async () => {
    const svg = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="30000" height="30000"/>');
    expect((await refusal(payloadFor(svg))).message).toContain('got: 900,000,000 (30000 × 30000)');
  });

  test('an output larger than its format can be', async () => {
    const outputs = [
      { path: join(place, 'out.webp'), width: 20_000, height: 20, fit: 'fill', format: 'webp' } as const,
    ];
    const error = await refusal({ input: noise, outputs, enlarge: true });
    expect(error.message).toMatch(/^Could not make `outputs\[0\]` \(webp\) of `input`: .*too large/);
  });
});

describe('writing', () => {
  test("the file system's errors may be tried again, and leave nothing behind", async () => {
    await writeFile(join(place, 'file'), '');
    const outputs = [{ path: join(place, 'file', 'out.png'), format: 'png' as const }];
    const error = await rejection(resizeImage({ input: noise, outputs }, makeJob()));
    expect(error).not.toBeInstanceOf(UnrecoverableError);
    expect(error).toHaveProperty('code');
    expect(await filesIn(place)).toEqual(['file']);
  });

  test('a destination that cannot be replaced leaves no temporary file', async () => {
    await mkdir(join(place, 'out.jpg', 'full'), { recursive: true });
    const error = await rejection(resizeImage(payloadFor(noise), makeJob()));
    expect(error).toHaveProperty('code');
    expect(await filesIn(place)).toEqual([]);
  });
});

describe('an abort', () => {
  const names = ['1.jpg', '2.jpg', '3.jpg'];
  const outputs = () =>
    names.map((name) => ({ path: join(place, name), width: 20, format: 'jpeg' as const }));

  test('before the start writes nothing', async () => {
    const job = makeJob();
    job.abort();
    expect(await rejection(resizeImage({ input: noise, outputs: outputs() }, job))).toBe(ABORTED);
    expect(await filesIn(place)).toEqual([]);
  });

  test('between two outputs leaves the first and no trace of the others', async () => {
    const job = makeJob((running) => running.abort());
    expect(await rejection(resizeImage({ input: noise, outputs: outputs() }, job))).toBe(ABORTED);
    expect(await filesIn(place)).toEqual(['1.jpg']);
    expect(job.reported).toEqual([{ done: 1, total: 3 }]);
  });

  test('while an image is being made writes nothing', async () => {
    const job = makeJob();
    const running = resizeImage({ input: noise, outputs: outputs() }, job);
    job.abort();
    expect(await rejection(running)).toBe(ABORTED);
    expect(await filesIn(place)).toEqual([]);
  });
});
