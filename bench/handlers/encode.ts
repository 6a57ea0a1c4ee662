/** Native work: about a tenth of a second of one thread of libuv's pool. */
import sharp from 'sharp';

sharp.concurrency(1);
sharp.cache(false);

export default async function encode(payload: { input: string }): Promise<number> {
  const bytes = await sharp(payload.input).resize({ width: 400 }).webp().toBuffer();
  return bytes.length;
}
