/** Reads what a PDF needs to know of a JPEG; the compressed data itself is stored untouched. */

export interface Jpeg {
  /** As stored, in pixels; the orientation may swap them. */
  readonly width: number;
  readonly height: number;
  /** 1 grey, 3 colour, 4 CMYK. */
  readonly channels: 1 | 3 | 4;
  /** EXIF, 1 to 8: how the stored image is to be turned. */
  readonly orientation: number;
  /** Whether Adobe's marker is there, with which CMYK is stored inverted. */
  readonly adobe: boolean;
}

const START_OF_SCAN = 0xda;
/** Baseline, extended, progressive: what a PDF viewer has to decode. */
const DECODABLE_FRAMES = new Set([0xc0, 0xc1, 0xc2]);
/** Lossless, hierarchical, arithmetic-coded: what it need not. */
const OTHER_FRAMES = new Set([0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);
const END_OF_IMAGE = Buffer.from([0xff, 0xd9]);

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8;
}

/** @throws Error with the reason, when `bytes` cannot be shown or end early. */
export function parseJpeg(bytes: Buffer): Jpeg {
  let frame: Omit<Jpeg, 'orientation' | 'adobe'> | undefined;
  let orientation = 1;
  let adobe = false;
  for (const { marker, content, end } of segments(bytes)) {
    if (DECODABLE_FRAMES.has(marker)) frame = parseFrame(content);
    else if (OTHER_FRAMES.has(marker))
      throw new Error('it is a JPEG of a rare kind (lossless, hierarchical or arithmetic-coded)');
    else if (marker === 0xe1) orientation = readOrientation(content) ?? orientation;
    else if (marker === 0xee) adobe ||= content.toString('latin1', 0, 5) === 'Adobe';
    else if (marker === START_OF_SCAN) {
      if (frame === undefined) break;
      // Inside compressed data these two bytes cannot occur.
      if (bytes.indexOf(END_OF_IMAGE, end) === -1) throw new Error('the JPEG ends early');
      return { ...frame, orientation, adobe };
    }
  }
  throw new Error('the JPEG is damaged');
}

/** The segments before the compressed data, and the one that begins it. */
function* segments(bytes: Buffer): Generator<{ marker: number; content: Buffer; end: number }> {
  for (let position = 2; ;) {
    // Any number of fill bytes may come before a marker.
    while (bytes[position] === 0xff && bytes[position + 1] === 0xff) position += 1;
    if (position + 4 > bytes.length) throw new Error('the JPEG ends early');
    if (bytes[position] !== 0xff) throw new Error('the JPEG is damaged');
    const marker = bytes.readUInt8(position + 1);
    const end = position + 2 + bytes.readUInt16BE(position + 2);
    if (end > bytes.length) throw new Error('the JPEG ends early');
    yield { marker, content: bytes.subarray(position + 4, end), end };
    position = end;
  }
}

function parseFrame(content: Buffer): Omit<Jpeg, 'orientation' | 'adobe'> {
  if (content.length < 6) throw new Error('the JPEG is damaged');
  const bits = content.readUInt8(0);
  const height = content.readUInt16BE(1);
  const width = content.readUInt16BE(3);
  const channels = content.readUInt8(5);
  if (bits !== 8) throw new Error(`the JPEG has ${bits} bits per channel, a PDF can show 8`);
  if (width === 0 || height === 0) throw new Error('the JPEG is damaged');
  if (channels !== 1 && channels !== 3 && channels !== 4) {
    throw new Error(`the JPEG has ${channels} channels, a PDF can show 1, 3 or 4`);
  }
  return { width, height, channels };
}

const ORIENTATION_TAG = 0x0112;

/** EXIF's orientation out of an APP1 segment; undefined where there is none, or nothing valid. */
function readOrientation(content: Buffer): number | undefined {
  if (content.toString('latin1', 0, 6) !== 'Exif\0\0' || content.length < 14) return undefined;
  const tiff = content.subarray(6);
  const order = tiff.toString('latin1', 0, 2);
  if (order !== 'II' && order !== 'MM') return undefined;
  const little = order === 'II';
  const read16 = (at: number) => (little ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at));
  const directory = little ? tiff.readUInt32LE(4) : tiff.readUInt32BE(4);
  if (directory + 2 > tiff.length) return undefined;
  for (let entry = 0; entry < read16(directory); entry += 1) {
    const at = directory + 2 + entry * 12;
    if (at + 12 > tiff.length) return undefined;
    if (read16(at) === ORIENTATION_TAG) {
      const value = read16(at + 8);
      return value >= 1 && value <= 8 ? value : undefined;
    }
  }
  return undefined;
}
