/** Puts JPEGs and PNGs into the document, each once however often it is drawn. */
import { UnrecoverableError } from '../../src/index.js';
import { show } from '../payload.js';
import { readInput } from '../read-input.js';
import { isJpeg, parseJpeg } from './jpeg.js';
import type { ImageSource } from './payload.js';
import { decodePixels } from './png-pixels.js';
import { isPng, parsePng } from './png.js';

/** An image that is part of the document. */
export interface EmbeddedImage {
  /** In pixels, upright. */
  readonly width: number;
  /** In pixels, upright. */
  readonly height: number;
  readonly orientation: number;
  readonly name: string;
  readonly object: PDFKit.PDFKitReference;
}

export class Images {
  readonly #doc: PDFKit.PDFDocument;
  readonly #maxPngPixels: number;
  readonly #embedded = new Map<string | Uint8Array, EmbeddedImage>();

  constructor(doc: PDFKit.PDFDocument, maxPngPixels: number) {
    this.#doc = doc;
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
    const image = this.#embedBytes(
      asBuffer(content),
      `${where}.${path === undefined ? 'bytes' : 'path'}`,
      source,
    );
    this.#embedded.set(source, image);
    return image;
  }

  /** Draws `image` upright, its top left at `x`, `y`. */
  draw(image: EmbeddedImage, x: number, y: number, width: number, height: number): void {
    const doc = this.#doc;
    doc.page.xobjects[image.name] = image.object;
    doc.save();
    doc.transform(...placement(image.orientation, x, y, width, height));
    doc.addContent(`/${image.name} Do`);
    doc.restore();
  }

  #embedBytes(content: Buffer, where: string, source: string | Uint8Array): EmbeddedImage {
    const name = `Image${this.#embedded.size + 1}`;
    try {
      if (isJpeg(content)) return { name, ...embedJpeg(this.#doc, content) };
      if (isPng(content)) return { name, ...embedPng(this.#doc, content, this.#maxPngPixels) };
      throw new Error(content.length === 0 ? 'it is empty' : 'it is neither');
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new UnrecoverableError(
        `Expected \`${where}\` to be a JPEG or a PNG that can be shown in full, got ${show(source)}: ${reason}`,
        { cause: error },
      );
    }
  }
}

function embedJpeg(doc: PDFKit.PDFDocument, content: Buffer): Omit<EmbeddedImage, 'name'> {
  const { width, height, channels, orientation, adobe } = parseJpeg(content);
  const colourSpace = { 1: 'DeviceGray', 3: 'DeviceRGB', 4: 'DeviceCMYK' }[channels];
  const object = imageObject(doc, { width, height }, colourSpace, 8, {
    Filter: 'DCTDecode',
    ...(channels === 4 && adobe ? { Decode: [1, 0, 1, 0, 1, 0, 1, 0] } : {}),
  });
  object.end(content);
  const upright = orientation >= 5 ? { width: height, height: width } : { width, height };
  return { ...upright, orientation, object };
}

function embedPng(doc: PDFKit.PDFDocument, content: Buffer, maxPixels: number): Omit<EmbeddedImage, 'name'> {
  const png = parsePng(content, maxPixels);
  const { width, height, bits, channels, hasAlpha, palette } = png;
  const colourChannels = channels - (hasAlpha ? 1 : 0);
  const colourSpace =
    palette === undefined ? (colourChannels === 1 ? 'DeviceGray' : 'DeviceRGB') : indexed(doc, palette);
  if (!hasAlpha && png.transparency === undefined && !png.interlaced) {
    // PDF knows PNG's row filters, so the data goes in as it is.
    const parameters = { Predictor: 15, Colors: channels, BitsPerComponent: bits, Columns: width };
    const filter = { Filter: 'FlateDecode', DecodeParms: parameters };
    const object = imageObject(doc, png, colourSpace, bits, filter);
    object.end(png.compressed);
    return { width, height, orientation: 1, object };
  }
  const { colours, alpha } = decodePixels(png);
  const mask = alpha === undefined ? undefined : imageObject(doc, png, 'DeviceGray', 8, {});
  mask?.end(alpha);
  const object = imageObject(doc, png, colourSpace, 8, mask === undefined ? {} : { SMask: mask });
  object.end(colours);
  return { width, height, orientation: 1, object };
}

function indexed(doc: PDFKit.PDFDocument, palette: Buffer): unknown[] {
  const table = doc.ref({});
  table.end(palette);
  return ['Indexed', 'DeviceRGB', palette.length / 3 - 1, table];
}

function imageObject(
  doc: PDFKit.PDFDocument,
  { width, height }: { width: number; height: number },
  colourSpace: unknown,
  bits: number,
  more: object,
): PDFKit.PDFKitReference {
  return doc.ref({
    Type: 'XObject',
    Subtype: 'Image',
    Width: width,
    Height: height,
    ColorSpace: colourSpace,
    BitsPerComponent: bits,
    ...more,
  });
}

/** Where a stored image's left and top edge go, by EXIF orientation: x and y as [start, along u, along v]. */
const ORIENTATIONS = [
  { x: [0, 1, 0], y: [0, 0, 1] },
  { x: [1, -1, 0], y: [0, 0, 1] },
  { x: [1, -1, 0], y: [1, 0, -1] },
  { x: [0, 1, 0], y: [1, 0, -1] },
  { x: [0, 0, 1], y: [0, 1, 0] },
  { x: [1, 0, -1], y: [0, 1, 0] },
  { x: [1, 0, -1], y: [1, -1, 0] },
  { x: [0, 0, 1], y: [1, -1, 0] },
] as const;

/** The matrix that takes PDF's unit square, in which an image's top is up, to a box on a page, where y is down. */
function placement(
  orientation: number,
  x: number,
  y: number,
  width: number,
  height: number,
): [number, number, number, number, number, number] {
  const to = ORIENTATIONS[orientation - 1] ?? ORIENTATIONS[0];
  const [x0, xu, xv] = to.x;
  const [y0, yu, yv] = to.y;
  return [width * xu, height * yu, -width * xv, -height * yv, x + width * (x0 + xv), y + height * (y0 + yv)];
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
