/**
 * Checks a PNG before pdfkit reads it. pdfkit decodes transparency and interlacing in a callback, where damage
 * becomes an exception that nobody can catch; a chunk of negative length keeps it in a loop for ever; and some
 * kinds it shows wrongly. All of these are refused.
 */
import { crc32, inflateSync } from 'node:zlib';

const SIGNATURE = Buffer.from('\u0089PNG\r\n\u001A\n', 'latin1');
/** pdfkit copies the data to an array, at up to 30 bytes for each; V8 ends the process over 112 million. */
const MAX_DATA = 64_000_000;
/** By colour type: samples per pixel, then how many bits a sample may have. */
const TYPES = [[1, 1, 2, 4, 8, 16], [], [3, 8, 16], [1, 1, 2, 4, 8], [2, 8, 16], [], [4, 8, 16]];
/** Passes of interlacing: first x, first y, step in x, step in y. */
const ADAM7 = ['0088', '4088', '0448', '2044', '0224', '1022', '0112'].map((pass) =>
  Array.from(pass, Number),
);

export function isPng(bytes: Buffer): boolean {
  return bytes.subarray(0, SIGNATURE.length).equals(SIGNATURE);
}

/**
 * @returns the PNG without what does not change its pixels.
 * @throws Error with the reason, when `bytes` are damaged, of more than `maxPixels`, or beyond pdfkit.
 */
export function checkPng(bytes: Buffer, maxPixels: number): Buffer {
  const { IHDR, PLTE, tRNS, IDAT } = readChunks(bytes);
  const [[header], [palette], [transparency]] = [IHDR, PLTE, tRNS];
  if (header?.length !== 13) throw new Error('the PNG is damaged: it has no header');
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const [bits = 0, type = 0, compression, filter, interlace = 0] = header.subarray(8);
  const [channels = 0, ...allowed] = TYPES[type] ?? [];
  if (width * height === 0 || !allowed.includes(bits) || compression !== 0 || filter !== 0 || interlace > 1) {
    throw new Error('the PNG is damaged: its header makes no sense');
  }
  if (width * height > maxPixels) {
    const limit = `more than \`maxImagePixels\` (${maxPixels})`;
    throw new Error(`the PNG has ${width} × ${height} pixels, ${limit}`);
  }
  if (interlace === 1 && (bits < 8 || width < 5)) {
    throw new Error('pdfkit cannot show an interlaced PNG of less than 8 bits or 5 columns');
  }
  if (transparency !== undefined && (type < 3 || (type === 3 && bits < 8))) {
    throw new Error('pdfkit cannot show a PNG with a transparent colour, except in a palette of 8 bits');
  }
  const data = Buffer.concat(IDAT);
  checkRows(data, { width, height, bits: bits * channels, interlaced: interlace === 1 });
  if (type !== 3) return build({ IHDR: header, IDAT: data });
  if (palette === undefined || palette.length === 0 || palette.length % 3 !== 0) {
    throw new Error('the PNG is damaged: its palette is missing');
  }
  if (transparency === undefined) return build({ IHDR: header, PLTE: palette, IDAT: data });
  // All 256 are given, as pdfkit takes the last for transparent when it is left out.
  const alphas = Buffer.concat([transparency, Buffer.alloc(256, 255)], 256);
  return build({ IHDR: header, PLTE: palette, tRNS: alphas, IDAT: data });
}

/** The contents of the chunks that change pixels. */
function readChunks(bytes: Buffer): { IHDR: Buffer[]; PLTE: Buffer[]; tRNS: Buffer[]; IDAT: Buffer[] } {
  const chunks = { IHDR: [], PLTE: [], tRNS: [], IDAT: [] };
  const found = new Map<string, Buffer[]>(Object.entries(chunks));
  for (let at = SIGNATURE.length, end = at, data = 0; at + 12 <= bytes.length; at = end + 4) {
    end = at + 8 + bytes.readUInt32BE(at);
    if (end + 4 > bytes.length) break;
    if (crc32(bytes.subarray(at + 4, end)) !== bytes.readUInt32BE(end)) {
      throw new Error('the PNG is damaged: a checksum is wrong');
    }
    const name = bytes.toString('latin1', at + 4, at + 8);
    if (name === 'IEND') return chunks;
    if (name === 'IDAT' && (data += end - at - 8) > MAX_DATA) {
      throw new Error(`the PNG has more than ${MAX_DATA} bytes of compressed data`);
    }
    found.get(name)?.push(bytes.subarray(at + 8, end));
  }
  throw new Error('the PNG ends early');
}

interface Grid {
  readonly width: number;
  readonly height: number;
  /** Per pixel. */
  readonly bits: number;
  readonly interlaced: boolean;
}

/** Exactly the expected bytes have to come out, and each row has to begin with a filter that there is. */
function checkRows(data: Buffer, { width, height, bits, interlaced }: Grid): void {
  const passes = (interlaced ? ADAM7 : [[0, 0, 1, 1]]).map(([x = 0, y = 0, dx = 1, dy = 1]) => {
    const rowLength = 1 + Math.ceil((Math.ceil((width - x) / dx) * bits) / 8);
    return { rowLength, length: rowLength * Math.ceil((height - y) / dy) };
  });
  const expected = passes.reduce((total, { length }) => total + length, 0);
  let rows: Buffer;
  try {
    // More is an error, and never a bomb.
    rows = inflateSync(data, { maxOutputLength: expected });
  } catch (error) {
    throw new Error('the PNG is damaged: its data cannot be decompressed', { cause: error });
  }
  if (rows.length !== expected) {
    throw new Error(`the PNG is damaged: it has ${rows.length} bytes of pixels instead of ${expected}`);
  }
  let start = 0;
  for (const { rowLength, length } of passes) {
    for (const end = start + length; start < end; start += rowLength) {
      if ((rows[start] ?? 0) > 4) throw new Error('the PNG is damaged: a row has an unknown filter');
    }
  }
}

function build(chunks: Readonly<Record<string, Buffer>>): Buffer {
  const parts = Object.entries({ ...chunks, IEND: Buffer.alloc(0) }).flatMap(([name, content]) => {
    const [length, checksum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(content.length);
    checksum.writeUInt32BE(crc32(content, crc32(name)));
    return [length, Buffer.from(name), content, checksum];
  });
  return Buffer.concat([SIGNATURE, ...parts]);
}
