/** The picture that image scenarios work on: 6 megapixels of noise, for an even one would cost nothing to decode. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** @throws Error where this machine has no sharp. */
export async function makePhotograph(directory: string): Promise<string> {
  const { default: sharp } = await import('sharp');
  const path = join(directory, 'photograph.jpg');
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
  const create = { width: 3_000, height: 2_000, channels: 3, background: '#468', noise } as const;
  await writeFile(path, await sharp({ create }).jpeg({ quality: 85 }).toBuffer());
  return path;
}
