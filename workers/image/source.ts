/**
 * The image that outputs are made of: reads it, refuses what is not an image or has too many pixels, and
 * decides whether it is decoded once for all outputs or afresh for each.
 */
import type { Metadata, Sharp, SharpOptions } from 'sharp';
import { UnrecoverableError } from '../../src/errors.js';
import type { JobContext } from '../../src/index.js';
import { count, show } from '../payload.js';
import { loadPeer } from '../peer.js';
import { readInput } from '../read-input.js';
import type { ImageInfo, ResizeImagePayload } from './payload.js';

export interface ImageSource {
  readonly info: ImageInfo;
  readonly keepMetadata: boolean;
  readonly enlarge: boolean;
  /** A new pipeline that starts with the upright image. */
  pipeline(): Sharp;
}

const DEFAULT_MAX_INPUT_PIXELS = 128_000_000;
/** Decoded pixels that may stay in memory while outputs are made: 44 megapixels without transparency. */
const MAX_DECODED_BYTES = 128 * 1024 * 1024;

type SharpModule = (input: Uint8Array, options?: SharpOptions) => Sharp;

/** Opens `payload.input`. The job is asked to stop after each step that takes time. */
export async function openSource(payload: ResizeImagePayload, job: JobContext): Promise<ImageSource> {
  const sharp = await loadSharp();
  job.throwIfAborted();
  // Read here and not by sharp, whose errors carry no code and which takes "a.jpg[1]" for a file plus options.
  const bytes = await readInput(payload.input, 'input');
  job.throwIfAborted();
  const maxPixels = payload.maxInputPixels ?? DEFAULT_MAX_INPUT_PIXELS;
  const metadata = await readMetadata(sharp, bytes, payload.input);
  const info = { ...describe(metadata), bytes: bytes.length };
  if (info.width * info.height > maxPixels) throw tooManyPixels(info, maxPixels);

  // Decoders stop at the first warning: a truncated picture has to be an error, never half grey.
  const options: SharpOptions = { autoOrient: true, failOn: 'warning', limitInputPixels: maxPixels };
  const keepMetadata = payload.keepMetadata ?? false;
  const fresh = (): Sharp => sharp(bytes, options);
  const once = payload.outputs.length > 1 && !keepMetadata && isWorthKeeping(metadata);
  const pipeline = once ? await decode(sharp, fresh(), job) : fresh;
  return { info, keepMetadata, enlarge: payload.enlarge ?? false, pipeline };
}

async function loadSharp(): Promise<SharpModule> {
  const { default: sharp } = await loadPeer('sharp', () => import('sharp'));
  // One native thread per image, nothing kept between images: the module's header says why.
  sharp.concurrency(1);
  sharp.cache(false);
  return sharp;
}

async function readMetadata(
  sharp: SharpModule,
  bytes: Uint8Array,
  input: string | Uint8Array,
): Promise<Metadata> {
  if (bytes.length === 0)
    throw new UnrecoverableError(`Expected \`input\` to be an image, got an empty file: ${show(input)}`);
  try {
    // Without a limit, as this reads only the header: the refusal can then say how many pixels there are.
    return await sharp(bytes, { limitInputPixels: false }).metadata();
  } catch (error) {
    throw imageError(error, `Expected \`input\` to be an image, got ${show(input)}`);
  }
}

function describe(metadata: Metadata): Omit<ImageInfo, 'bytes'> {
  const { width, height } = metadata.autoOrient;
  const format = metadata.format === 'heif' && metadata.compression === 'av1' ? 'avif' : metadata.format;
  return { format, width, height };
}

function tooManyPixels({ width, height }: ImageInfo, maxPixels: number): UnrecoverableError {
  return new UnrecoverableError(
    `Expected \`input\` to have at most ${count(maxPixels)} pixels (\`maxInputPixels\`), ` +
      `got: ${count(width * height)} (${width} × ${height})`,
  );
}

/**
 * A baseline JPEG or a WebP is decoded small for a small output, so decoding it afresh is as fast and takes
 * less memory; an SVG is drawn at the size asked for. For the rest, three outputs of 24 megapixels took half
 * the time when decoded once (PNG 0.8 instead of 1.9 s).
 */
function isWorthKeeping(metadata: Metadata): boolean {
  const { width, height, channels, format, isProgressive } = metadata;
  if (width * height * Math.max(channels, 3) > MAX_DECODED_BYTES) return false;
  return ['png', 'heif', 'tiff', 'gif'].includes(format) || (format === 'jpeg' && isProgressive);
}

async function decode(sharp: SharpModule, image: Sharp, job: JobContext): Promise<() => Sharp> {
  try {
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    job.throwIfAborted();
    return () => sharp(data, { raw: { width, height, channels }, limitInputPixels: false });
  } catch (error) {
    job.throwIfAborted();
    throw imageError(error, 'Could not decode `input`');
  }
}

/**
 * What sharp threw, with what was being done. Its errors are about the image, which stays what it is; only for
 * want of memory is it worth trying again.
 */
export function imageError(error: unknown, doing: string): unknown {
  if (!(error instanceof Error) || /out of memory|(cannot|unable to|failed to) allocate/i.test(error.message))
    return error;
  // An AVIF brings a dozen lines on where its reader looked before the one that says what is wrong.
  const lines = error.message.split('\n').filter((line) => !line.startsWith('source: bad seek'));
  return new UnrecoverableError(`${doing}: ${lines.join(' ').trim()}`, { cause: error });
}
