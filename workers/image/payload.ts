/** What the handler takes and gives, and the check of what it takes. */
import { resolve } from 'node:path';
import { UnrecoverableError } from '../../src/errors.js';
import * as check from '../payload.js';

export type ImageFormat = 'jpeg' | 'png' | 'webp' | 'avif';

/**
 * How an image is brought to a box of `width` × `height`: `cover` fills the box and cuts off what overhangs;
 * `contain` shows all of it and pads (transparent, in a JPEG white); `fill` distorts; `inside` is as large as
 * fits in the box; `outside` as small as covers it, nothing cut off.
 */
export type ImageFit = 'cover' | 'contain' | 'fill' | 'inside' | 'outside';

/** One file to be made. */
export interface ImageOutput {
  /** Where to write it. Replaced if it exists; missing directories are created. Not the input's own path. */
  path: string;
  /** In pixels, 1 to 65,535. Default: follows from `height`; without both, the image keeps its size. */
  width?: number;
  /** In pixels, 1 to 65,535. Default: follows from `width`. */
  height?: number;
  /** Matters when both `width` and `height` are given. Default `'cover'`. */
  fit?: ImageFit;
  /** A JPEG has no transparency: what is transparent becomes white. */
  format: ImageFormat;
  /**
   * 1 (smallest) to 100 (best). Default: 80 for JPEG and WebP, 50 for AVIF. A PNG loses nothing by default;
   * with a quality it is reduced to a palette of at most 256 colours.
   */
  quality?: number;
}

export interface ResizeImagePayload {
  /** The image: a file's path, or its bytes. JPEG, PNG, WebP, AVIF, GIF, TIFF, SVG: what sharp can read. */
  input: string | Uint8Array;
  /** What to make of it, at least one; made in this order. */
  outputs: ImageOutput[];
  /**
   * Keeps EXIF (where a photo was taken among it), XMP, IPTC and the colour profile. Default false: dropped,
   * and colours converted to sRGB.
   */
  keepMetadata?: boolean;
  /** Whether an output may be larger than the input. Default false: a side is never made longer. */
  enlarge?: boolean;
  /**
   * Refuses inputs of more pixels (width × height), so that a small file cannot ask for all memory. Default
   * 128,000,000: phones with 108 megapixels pass; decoded, the largest takes up to 512 MB.
   */
  maxInputPixels?: number;
}

export interface ResizeImageResult {
  /** The input as it is looked at: after its EXIF orientation. */
  input: ImageInfo;
  /** One for each of the payload's outputs, in their order. */
  outputs: ResizedImage[];
}

export interface ResizedImage {
  /** As the payload gave it. */
  path: string;
  format: ImageFormat;
  /** In pixels. */
  width: number;
  /** In pixels. */
  height: number;
  /** The file's size. */
  bytes: number;
}

/** What an input is. */
export interface ImageInfo {
  /** `'jpeg'`, `'png'`, `'webp'`, `'avif'`, `'gif'`, `'tiff'`, `'svg'`, … */
  format: string;
  /** In pixels, upright. */
  width: number;
  /** In pixels, upright. */
  height: number;
  /** The file's size. */
  bytes: number;
}

const payloadShape = check.shape({
  input: check.pathOrBytes,
  outputs: check.list(
    check.shape({
      path: check.path,
      width: check.optional(check.integer(1, 65_535)),
      height: check.optional(check.integer(1, 65_535)),
      fit: check.optional(check.oneOf(['cover', 'contain', 'fill', 'inside', 'outside'])),
      format: check.oneOf(['jpeg', 'png', 'webp', 'avif']),
      quality: check.optional(check.integer(1, 100)),
    }),
    1,
  ),
  keepMetadata: check.optional(check.flag),
  enlarge: check.optional(check.flag),
  maxInputPixels: check.optional(check.integer(1, Number.MAX_SAFE_INTEGER)),
});

/** @throws UnrecoverableError for a payload that cannot be carried out. */
export function checkPayload(payload: ResizeImagePayload): void {
  payloadShape(payload, 'payload');
  checkPaths(payload);
}

/** An output over the input would make a retry start from something else; over another, lose one of the two. */
function checkPaths({ input, outputs }: ResizeImagePayload): void {
  const taken = new Map<string, string>();
  if (typeof input === 'string') taken.set(resolve(input), 'input');
  for (const [index, { path }] of outputs.entries()) {
    const where = `outputs[${index}].path`;
    const other = taken.get(resolve(path));
    if (other !== undefined) {
      throw new UnrecoverableError(
        `Expected \`${where}\` to differ from \`${other}\`, got: ${check.show(path)} in both`,
      );
    }
    taken.set(resolve(path), where);
  }
}
