/** Puts JPEGs and PNGs into the document, each once however often it is drawn. */
import { setTimeout } from 'node:timers/promises';
import { UnrecoverableError } from '../../src/errors.js';
import { show } from '../payload.js';
import { readInput } from '../read-input.js';
import { checkJpeg, isJpeg } from './jpeg.js';
import type { ImageSource } from './payload.js';
import { checkPng, isPng } from './png.js';

/** An image that is part of the document. */
export interface EmbeddedImage {
  /** In pixels, upright. */
  readonly width: number;
  /** In pixels, upright. */
  readonly height: number;
  readonly opened: OpenedImage;
}

/** What `openImage()` of pdfkit gives. */
interface OpenedImage {
  /** As stored. */
  readonly width: number;
  readonly height: number;
  /** EXIF's, 1 to 8. */
  readonly orientation?: number;
  /** Only a PNG has it, and gives it away once it has been written. */
  readonly imgData?: object | null;
  embed(doc: PDFKit.PDFDocument): void;
}

/** What pdfkit's types leave out. */
interface ImageMethods {
  openImage(bytes: Uint8Array): OpenedImage;
  image(image: OpenedImage, x: number, y: number, options: PDFKit.Mixins.ImageOption): void;
}

/** How often to look whether an image has been decoded, in milliseconds. */
const LOOK_EVERY = 1;

export class Images {
  readonly #doc: PDFKit.PDFDocument & ImageMethods;
  readonly #maxPngPixels: number;
  readonly #embedded = new Map<string | Uint8Array, EmbeddedImage>();

  constructor(doc: PDFKit.PDFDocument, maxPngPixels: number) {
    // Sound: `openImage()` and drawing what it gives are described in pdfkit's manual, but not in its types.
    this.#doc = doc as PDFKit.PDFDocument & ImageMethods;
    this.#maxPngPixels = maxPngPixels;
  }

  /**
   * @param where Where in the payload the image stands.
   * @throws UnrecoverableError when there is no such file, or it is not an image that can be shown in full.
   */
  async embed({ path, bytes }: ImageSource, where: string): Promise<EmbeddedImage> {
    const source = path ?? bytes ?? '';
    const known = this.#embedded.get(source);
    if (known !== undefined) return known;
    const content = await readInput(source, `${where}.path`);
    const opened = this.#open(content, `${where}.${path === undefined ? 'bytes' : 'path'}`, source);
    opened.embed(this.#doc);
    // pdfkit decodes a PNG aside, and numbers what it makes of it when it is done. Waiting keeps one image at a
    // time in memory, and the document the same every time.
    while (opened.imgData) await setTimeout(LOOK_EVERY);
    const { width, height, orientation = 1 } = opened;
    const image = orientation > 4 ? { width: height, height: width, opened } : { width, height, opened };
    this.#embedded.set(source, image);
    return image;
  }

  /** Draws `image` upright and undistorted, in the middle of a box with its top left at `x`, `y`. */
  draw(image: EmbeddedImage, x: number, y: number, width: number, height: number): void {
    this.#doc.image(image.opened, x, y, { fit: [width, height], align: 'center', valign: 'center' });
  }

  #open(content: Uint8Array, where: string, source: string | Uint8Array): OpenedImage {
    try {
      return this.#doc.openImage(checkImage(asBuffer(content), this.#maxPngPixels));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new UnrecoverableError(
        `Expected \`${where}\` to be a JPEG or a PNG that can be shown in full, got ${show(source)}: ${reason}`,
        { cause: error },
      );
    }
  }
}

/** @returns what is handed to pdfkit. */
function checkImage(content: Buffer, maxPngPixels: number): Buffer {
  if (isPng(content)) return checkPng(content, maxPngPixels);
  if (!isJpeg(content)) throw new Error(content.length === 0 ? 'it is empty' : 'it is neither');
  checkJpeg(content);
  return content;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
