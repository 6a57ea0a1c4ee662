/** Builds a TrueType font in which the characters asked for look like filled boxes, and all others are missing. */

const UNITS_PER_EM = 1_000;
const ADVANCE = 600;

/** The bytes of a .ttf file. */
export function makeFont(characters: string, name = 'Tiny'): Buffer {
  const codePoints = [...new Set(characters)]
    .map((character) => character.codePointAt(0) ?? 0)
    .toSorted((a, b) => a - b);
  // Glyph 0 is the one for missing characters.
  const glyphCount = codePoints.length + 1;
  const box = boxGlyph();
  const tables = {
    cmap: cmap(codePoints),
    glyf: Buffer.concat(Array.from({ length: glyphCount }, () => box)),
    head: head(),
    hhea: hhea(glyphCount),
    hmtx: Buffer.concat(Array.from({ length: glyphCount }, () => int16(ADVANCE, 50))),
    loca: uint32(...Array.from({ length: glyphCount + 1 }, (_, glyph) => glyph * box.length)),
    maxp: Buffer.concat([uint32(0x00010000), uint16(glyphCount, 4, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)]),
    name: nameTable(name),
    post: Buffer.concat([uint32(0x00030000), Buffer.alloc(28)]),
  };
  return assemble(tables);
}

function assemble(tables: Readonly<Record<string, Buffer>>): Buffer {
  const entries = Object.entries(tables);
  const directory: Buffer[] = [uint32(0x00010000), uint16(entries.length, 128, 3, entries.length * 16 - 128)];
  const bodies: Buffer[] = [];
  let offset = 12 + entries.length * 16;
  for (const [tag, body] of entries) {
    directory.push(Buffer.from(tag), uint32(0, offset, body.length));
    const padded = Buffer.concat([body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
    bodies.push(padded);
    offset += padded.length;
  }
  return Buffer.concat([...directory, ...bodies]);
}

/** One contour with four corners. */
function boxGlyph(): Buffer {
  const flags = Buffer.from([1, 1, 1, 1]);
  return Buffer.concat([
    int16(1, 50, 0, 550, 700),
    uint16(3, 0),
    flags,
    int16(50, 500, 0, -500),
    int16(0, 0, 700, 0),
  ]);
}

function cmap(codePoints: readonly number[]): Buffer {
  const groups = codePoints.flatMap((codePoint, index) => [codePoint, codePoint, index + 1]);
  const subtable = [uint16(12, 0), uint32(16 + groups.length * 4, 0, codePoints.length, ...groups)];
  return Buffer.concat([uint16(0, 1, 3, 10), uint32(12), ...subtable]);
}

function head(): Buffer {
  return Buffer.concat([
    uint32(0x00010000, 0x00010000, 0, 0x5f0f3cf5),
    uint16(0, UNITS_PER_EM),
    Buffer.alloc(16),
    int16(50, 0, 550, 700),
    uint16(0, 8, 2, 1, 0),
  ]);
}

function hhea(glyphCount: number): Buffer {
  return Buffer.concat([
    uint32(0x00010000),
    int16(800, -200, 100, ADVANCE, 50, 50, 550, 1, 0, 0, 0, 0, 0, 0, 0),
    uint16(glyphCount),
  ]);
}

/** The PostScript name is all that is asked for. */
function nameTable(name: string): Buffer {
  const text = Buffer.from(name, 'utf16le').swap16();
  return Buffer.concat([uint16(0, 1, 18, 3, 1, 0x409, 6, text.length, 0), text]);
}

function uint16(...values: number[]): Buffer {
  return Buffer.from(values.flatMap((value) => [(value >> 8) & 0xff, value & 0xff]));
}

function int16(...values: number[]): Buffer {
  return uint16(...values);
}

function uint32(...values: number[]): Buffer {
  return Buffer.concat(values.map((value) => uint16(value >>> 16, value & 0xffff)));
}
