/** Real work: a 6-megapixel photograph made 800 pixels wide with sharp. */
import sharp from 'sharp';

// As many threads inside one resize as there are jobs would measure their fight for the cores.
sharp.concurrency(1);
sharp.cache(false);

export default async function resize(payload: { input: string }): Promise<number> {
  const bytes = await sharp(payload.input).resize({ width: 800 }).jpeg().toBuffer();
  return bytes.length;
}
