/**
 * Checks a JPEG, of which pdfkit only reads the size: it takes one that ends early, that has no size, or that
 * viewers cannot decode. The segments are walked as pdfkit does, up to the compressed data; the end is looked
 * for behind that, since a thumbnail in the EXIF segment has an end of its own.
 */

const START_OF_SCAN = 0xda;
const END_OF_IMAGE = Buffer.from([0xff, 0xd9]);

export function isJpeg(bytes: Uint8Array): boolean {
  return bytes[0] === 0xff && bytes[1] === 0xd8;
}

/** @throws Error with the reason, when `bytes` cannot be shown in full. */
export function checkJpeg(bytes: Buffer): void {
  let framed = false;
  for (let at = 2; ; at += 2 + bytes.readUInt16BE(at + 2)) {
    at = bytes.indexOf(0xff, at);
    if (at === -1 || at + 10 > bytes.length) throw new Error('the JPEG ends early');
    const marker = bytes.readUInt8(at + 1);
    if (marker === START_OF_SCAN) {
      if (!framed) break;
      if (bytes.includes(END_OF_IMAGE, at)) return;
      throw new Error('the JPEG ends early');
    }
    if (marker < 0xc0 || marker === 0xff) break;
    // 0xc0 to 0xcf begin a frame, save for the table of codes, 0xc4.
    if (marker > 0xcf || marker === 0xc4) continue;
    // Baseline, extended and progressive: what viewers have to know.
    if (marker > 0xc2)
      throw new Error('it is a JPEG of a rare kind (lossless, hierarchical or arithmetic-coded)');
    checkFrame(bytes.subarray(at + 4));
    framed = true;
  }
  throw new Error('the JPEG is damaged');
}

function checkFrame(frame: Buffer): void {
  const [bits = 0, , , , , channels = 0] = frame;
  if (bits !== 8) throw new Error(`the JPEG has ${bits} bits per channel, a PDF can show 8`);
  if (frame.readUInt16BE(1) === 0 || frame.readUInt16BE(3) === 0) throw new Error('the JPEG is damaged');
  if (![1, 3, 4].includes(channels)) {
    throw new Error(`the JPEG has ${channels} channels, a PDF can show 1, 3 or 4`);
  }
}
