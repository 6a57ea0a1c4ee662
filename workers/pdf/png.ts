/**
 * Reads a PNG's chunks and checks them to the last row.
 *
 * pdfkit's own reader is not used: it decodes transparency in a callback, where damage becomes an exception that
 * nobody can catch and that ends the thread; it collects the data in an array of numbers (8 bytes for each);
 * and a chunk that claims a negative length keeps it in a loop for ever.
 */
import { inflateSync } from 'node:zlib';

export interface Png {
  readonly width: number;
  readonly height: number;
  /** Bits per sample: 1, 2, 4, 8 or 16. */
  readonly bits: number;
  /** Samples per pixel, transparency included; 1 with a palette. */
  readonly channels: number;
  /** Whether the last channel is transparency. */
  readonly hasAlpha: boolean;
  /** Red, green, blue for each colour. */
  readonly palette: Buffer | undefined;
  /** The tRNS chunk: the palette's transparency, or the one colour that is transparent. */
  readonly transparency: Buffer | undefined;
  readonly interlaced: boolean;
  /** As stored: compressed, each row behind the number of its filter. */
  readonly compressed: Buffer;
  /** The same, inflated. */
  readonly filtered: Buffer;
}

/** The grid that an image's pixels, or those of one interlacing pass, come from. */
export interface Pass {
  readonly x: number;
  readonly y: number;
  readonly dx: number;
  readonly dy: number;
  readonly width: number;
  readonly height: number;
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** Per colour type: samples per pixel and the bits that a sample may have. */
const COLOUR_TYPES = new Map([
  [0, { channels: 1, bits: [1, 2, 4, 8, 16] }],
  [2, { channels: 3, bits: [8, 16] }],
  [3, { channels: 1, bits: [1, 2, 4, 8] }],
  [4, { channels: 2, bits: [8, 16] }],
  [6, { channels: 4, bits: [8, 16] }],
]);
/** Adam7: first x, first y, step in x, step in y. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

export function isPng(bytes: Buffer): boolean {
  return bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE);
}

/** @throws Error with the reason, when `bytes` are damaged, end early, or are more than `maxPixels`. */
export function parsePng(bytes: Buffer, maxPixels: number): Png {
  const chunks = readChunks(bytes);
  const header = parseHeader(chunks.get('IHDR')?.[0]);
  if (header.width * header.height > maxPixels) {
    throw new Error(
      `the PNG has ${header.width} × ${header.height} pixels, more than \`maxImagePixels\` (${maxPixels})`,
    );
  }
  const palette = header.type === 3 ? chunks.get('PLTE')?.[0] : undefined;
  if (header.type === 3 && (palette === undefined || palette.length === 0 || palette.length % 3 !== 0)) {
    throw new Error('the PNG is damaged: its palette is missing');
  }
  const compressed = Buffer.concat(chunks.get('IDAT') ?? []);
  const image = { ...header, palette, transparency: chunks.get('tRNS')?.[0], compressed };
  return { ...image, filtered: inflate(image) };
}

/** The one pass of a plain image, the seven of an interlaced one; none of them empty. */
export function passesOf({
  width,
  height,
  interlaced,
}: Pick<Png, 'width' | 'height' | 'interlaced'>): Pass[] {
  const grids = interlaced ? ADAM7 : ([[0, 0, 1, 1]] as const);
  return grids
    .map(([x, y, dx, dy]) => {
      return { x, y, dx, dy, width: Math.ceil((width - x) / dx), height: Math.ceil((height - y) / dy) };
    })
    .filter((pass) => pass.width > 0 && pass.height > 0);
}

/** Bytes of a row without its filter's number. */
export function rowLength({ bits, channels }: Pick<Png, 'bits' | 'channels'>, width: number): number {
  return Math.ceil((width * bits * channels) / 8);
}

function readChunks(bytes: Buffer): Map<string, Buffer[]> {
  const chunks = new Map<string, Buffer[]>();
  for (let position = SIGNATURE.length; ;) {
    if (position + 12 > bytes.length) throw new Error('the PNG ends early');
    const start = position + 8;
    const end = start + bytes.readUInt32BE(position);
    if (end + 4 > bytes.length) throw new Error('the PNG ends early');
    const name = bytes.toString('latin1', position + 4, start);
    if (name === 'IEND') return chunks;
    const sameName = chunks.get(name);
    if (sameName === undefined) chunks.set(name, [bytes.subarray(start, end)]);
    else sameName.push(bytes.subarray(start, end));
    position = end + 4;
  }
}

function parseHeader(header: Buffer | undefined) {
  if (header === undefined || header.length < 13) throw new Error('the PNG is damaged: it has no header');
  const width = header.readUInt32BE(0);
  const height = header.readUInt32BE(4);
  const bits = header.readUInt8(8);
  const type = header.readUInt8(9);
  const interlace = header.readUInt8(12);
  const colours = COLOUR_TYPES.get(type);
  if (width === 0 || height === 0 || interlace > 1 || colours === undefined || !colours.bits.includes(bits)) {
    throw new Error('the PNG is damaged: its header makes no sense');
  }
  const { channels } = colours;
  return { width, height, bits, type, channels, hasAlpha: type >= 4, interlaced: interlace === 1 };
}

function inflate(image: Omit<Png, 'filtered'>): Buffer {
  const passes = passesOf(image);
  const rows = passes.map((pass) => pass.height * (1 + rowLength(image, pass.width)));
  const expected = rows.reduce((total, length) => total + length, 0);
  let filtered: Buffer;
  try {
    // One byte more than there may be: data that would go on is an error, and never a bomb.
    filtered = inflateSync(image.compressed, { maxOutputLength: expected + 1 });
  } catch (error) {
    throw new Error('the PNG is damaged: its data cannot be decompressed', { cause: error });
  }
  if (filtered.length !== expected) {
    throw new Error(`the PNG is damaged: it has ${filtered.length} bytes of pixels instead of ${expected}`);
  }
  let position = 0;
  for (const pass of passes) {
    for (let row = 0; row < pass.height; row += 1, position += 1 + rowLength(image, pass.width)) {
      if ((filtered[position] ?? 0) > 4) throw new Error('the PNG is damaged: a row has an unknown filter');
    }
  }
  return filtered;
}
