/** Images to put into documents: of every kind, and ones that no encoder would write. */
import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import type { Sharp } from 'sharp';

/** Every pixel of its own colour, half of them see-through. */
export function gradient(width: number, height: number): Sharp {
  const data = Buffer.from(
    Array.from({ length: width * height }, (_, i) => [
      i % 256,
      (i * 7) % 256,
      (i * 13) % 256,
      i % 2 ? 255 : 90,
    ]).flat(),
  );
  return sharp(data, { raw: { width, height, channels: 4 } });
}

export interface PngHeader {
  readonly width: number;
  readonly height: number;
  readonly bits: number;
  readonly type: number;
  readonly interlace?: number;
}

/** A PNG put together by hand, for what no encoder would write. */
export function makePng(header: PngHeader, chunks: Record<string, Buffer>, rows: Buffer): Buffer {
  const ihdr = Buffer.alloc(13);
  ihdr.writeUInt32BE(header.width, 0);
  ihdr.writeUInt32BE(header.height, 4);
  ihdr.set([header.bits, header.type, 0, 0, header.interlace ?? 0], 8);
  const all = { IHDR: ihdr, IDAT: deflateSync(rows), ...chunks, IEND: Buffer.alloc(0) };
  const parts = Object.entries(all).flatMap(([name, content]) => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(content.length);
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(crc32(content, crc32(name)));
    return [length, Buffer.from(name), content, checksum];
  });
  return Buffer.concat([Buffer.from('\u0089PNG\r\n\u001A\n', 'latin1'), ...parts]);
}
