/**
 * A handler of the demo's own: makes one photograph, as noisy as a camera's at dusk. Noise is what makes a
 * picture expensive to compress, so that the jobs that follow have real work to do.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { JobContext } from 'millrace';
import sharp from 'sharp';
import { drawScene, randomOf } from './scene.js';

export interface PhotographPayload {
  path: string;
  /** The same seed makes the same photograph. */
  seed: number;
  width: number;
  height: number;
  /** Cuts the file off after this share of its bytes, as a copy that was interrupted does. Default 1. */
  keep?: number;
}

/** sharp works on libuv's pool, and so counts towards what may run there at once. */
export const usesNativePool = true;

const QUALITY = 85;
const NOISE_AMPLITUDE = 26;
/** A power of two, so that a mask keeps an index inside. */
const NOISE_LENGTH = 2 ** 18;
const CHANNELS = 3;

sharp.concurrency(1);
sharp.cache(false);

/** Every photograph starts to read it elsewhere in each row. */
const noise = makeNoise();

export default async function makePhotograph(
  payload: PhotographPayload,
  job: JobContext,
): Promise<{ bytes: number }> {
  const { path, seed, width, height, keep = 1 } = payload;
  const scene = Buffer.from(drawScene(seed, { width, height }));
  const pixels = await sharp(scene).removeAlpha().raw().toBuffer();
  job.throwIfAborted();
  addNoise(pixels, width, randomOf(seed));
  job.throwIfAborted();
  const raw = { width, height, channels: CHANNELS } as const;
  const photograph = await sharp(pixels, { raw }).jpeg({ quality: QUALITY }).toBuffer();
  job.throwIfAborted();
  const file = photograph.subarray(0, Math.ceil(photograph.length * keep));
  await writeWhole(path, file);
  return { bytes: file.length };
}

function makeNoise(): Int8Array {
  const random = randomOf(1);
  // The sum of three is near enough to a bell curve.
  return Int8Array.from(
    { length: NOISE_LENGTH },
    () => (random() + random() + random() - 1.5) * NOISE_AMPLITUDE,
  );
}

/** Most of a sensor's noise is in the lightness, some of it in the colour. */
function addNoise(pixels: Buffer, width: number, random: () => number): void {
  const values = new Uint8ClampedArray(pixels.buffer, pixels.byteOffset, pixels.length);
  const add = (index: number, value: number): void => {
    values[index] = (values[index] ?? 0) + value;
  };
  for (let row = 0; row < values.length; row += width * CHANNELS) {
    let offset = Math.floor(random() * NOISE_LENGTH);
    for (let pixel = row; pixel < row + width * CHANNELS; pixel += CHANNELS, offset += 1) {
      const lightness = at(offset);
      add(pixel, lightness + (at(offset * 3) >> 2));
      add(pixel + 1, lightness);
      add(pixel + 2, lightness + (at(offset * 5) >> 1));
    }
  }
}

const at = (index: number): number => noise[index & (NOISE_LENGTH - 1)] ?? 0;

/** Under its name there is the whole file or none, whenever the process dies. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = join(dirname(path), `.millrace-${randomUUID()}.tmp`);
  await mkdir(dirname(path), { recursive: true });
  try {
    await writeFile(temporary, bytes, { flush: true });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
