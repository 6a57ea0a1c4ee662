/** Makes the bytes of one output: size, background, metadata, format. */
import type { OutputInfo, Sharp } from 'sharp';
import type { ImageOutput } from './payload.js';
import { imageError } from './source.js';
import type { ImageSource } from './source.js';

const WHITE = { r: 255, g: 255, b: 255, alpha: 1 };
const TRANSPARENT = { ...WHITE, alpha: 0 };

/**
 * The bytes go to memory first: what fails here is the image's fault, what fails later the disk's, and the
 * two are told apart.
 */
export async function encodeOutput(
  source: ImageSource,
  output: ImageOutput,
  where: string,
): Promise<{ data: Uint8Array; info: OutputInfo }> {
  const sized = resize(source, output);
  const { format, quality } = output;
  const opaque = format === 'jpeg' ? sized.flatten({ background: WHITE }) : sized;
  const kept = source.keepMetadata ? opaque.keepMetadata() : opaque;
  try {
    return await kept
      .toFormat(format, quality === undefined ? {} : { quality })
      .toBuffer({ resolveWithObject: true });
  } catch (error) {
    throw imageError(error, `Could not make \`${where}\` (${format}) of \`input\``);
  }
}

function resize(source: ImageSource, { width, height, fit = 'cover', format }: ImageOutput): Sharp {
  const image = source.pipeline();
  if (width === undefined && height === undefined) return image;
  return image.resize({
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
    fit,
    // For padding, which sharp adds after it has flattened.
    background: format === 'jpeg' ? WHITE : TRANSPARENT,
    withoutEnlargement: !source.enlarge,
  });
}
