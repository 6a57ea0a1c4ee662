/** A document as data: what the handler takes and gives, and the check of what it takes. */
import { UnrecoverableError } from '../../src/errors.js';
import * as check from '../payload.js';

/** `'#rrggbb'`. */
export type Colour = string;

export type HorizontalAlign = 'left' | 'center' | 'right';

export type PageSize = 'A3' | 'A4' | 'A5' | 'A6' | 'LETTER' | 'LEGAL' | 'TABLOID' | 'EXECUTIVE';

export interface HeadingBlock {
  type: 'heading';
  text: string;
  /** Default 1. Headings become the document's outline (bookmarks), nested by level. */
  level?: 1 | 2 | 3;
}

export interface ParagraphBlock {
  type: 'paragraph';
  /** Wrapped to the page; a `\n` starts a new line. */
  text: string;
  /** Default `'left'`. */
  align?: HorizontalAlign;
  /** In points, 4 to 96. Default 10.5. */
  size?: number;
  /** Default false. */
  bold?: boolean;
  /** Default `'#1f2328'`. */
  color?: Colour;
}

export interface TableColumn {
  header: string;
  /** In points. Default: an equal share of what the other columns leave. */
  width?: number;
  /** Default `'left'`. */
  align?: HorizontalAlign;
}

export interface TableBlock {
  type: 'table';
  /** At least one. */
  columns: TableColumn[];
  /**
   * One string for each column; text wraps in its cell. A row is kept on one page if a page can hold it. The
   * header is repeated on every page.
   */
  rows: string[][];
}

/**
 * A JPEG or a PNG: exactly one of `path` and `bytes`. An image used several times is stored once.
 *
 * PNGs that pdfkit shows wrongly are refused: those with a transparent colour instead of an alpha channel, but for
 * palettes of 8 bits, and interlaced ones of less than 8 bits or 5 columns. So are those of more than 64 MB.
 */
export interface ImageSource {
  /** The file's path. */
  path?: string;
  bytes?: Uint8Array;
}

export interface ImageBlock extends ImageSource {
  type: 'image';
  /** In points. With `height`: the box to fit in, never distorted. Default: a point per pixel, if that fits. */
  width?: number;
  /** In points. */
  height?: number;
  /** Default `'left'`. */
  align?: HorizontalAlign;
  /** Stands below, on the same page. */
  caption?: string;
}

export interface GridImage extends ImageSource {
  /** Stands below the image. */
  caption?: string;
}

/** A contact sheet: images of equal size in rows, each in full, its caption below. */
export interface ImageGridBlock {
  type: 'imageGrid';
  images: GridImage[];
  /** How many stand side by side, 1 to 24. */
  columns: number;
  /** The height for an image, in points. Default: three quarters of its width. */
  imageHeight?: number;
  /** Between images, in points. Default 12. */
  gap?: number;
}

export interface PageBreakBlock {
  type: 'pageBreak';
}

export type Block = HeadingBlock | ParagraphBlock | TableBlock | ImageBlock | ImageGridBlock | PageBreakBlock;

export interface RenderPdfPayload {
  /** Where to write the PDF. Replaced if it exists; missing directories are created. */
  path: string;
  /** The document's title for viewers and search; on the page it is a heading that you add. */
  title?: string;
  author?: string;
  /** Default `'A4'`. */
  pageSize?: PageSize;
  /** Default false. */
  landscape?: boolean;
  /** On all four sides, in points (72 per inch), 0 to 200. Default 50. Page numbers stand in it. */
  margin?: number;
  /**
   * A TrueType or OpenType file (.ttf, .otf, .woff, .woff2); what is used of it is embedded. Default: Helvetica,
   * which has Western European characters only. Text runs from left to right in any font.
   */
  font?: string;
  /** The same for headings and table headers. Default: `font`, or Helvetica Bold. */
  boldFont?: string;
  /** "3 / 12" at the foot of each page. Default true. */
  pageNumbers?: boolean;
  /**
   * The creation date that the document carries, in epoch milliseconds. Default: now. Given, the same payload
   * makes the same bytes.
   */
  createdAt?: number;
  /**
   * Refuses PNGs of more pixels (width × height), as they are decoded in memory, up to 30 bytes for each, and as
   * many for each byte of the file. Default 50,000,000. JPEGs are stored as they are.
   */
  maxImagePixels?: number;
  content: Block[];
}

export interface RenderPdfResult {
  /** As the payload gave it. */
  path: string;
  /** At least 1: without content, one empty page. */
  pages: number;
  /** The file's size. */
  bytes: number;
}

const length = check.amount(1, 5_000, 'points');
const align = check.optional(check.oneOf(['left', 'center', 'right']));
const imageFields = { path: check.optional(check.path), bytes: check.optional(check.bytes) };

const colour: check.Check = (value, where) => {
  if (typeof value !== 'string' || !/^#[0-9a-f]{6}$/i.test(value)) {
    throw check.unexpected(where, "a colour like '#1f2328'", value);
  }
};

const block = check.tagged({
  heading: check.shape({ text: check.text, level: check.optional(check.integer(1, 3)) }),
  paragraph: check.shape({
    text: check.text,
    align,
    size: check.optional(check.amount(4, 96, 'points')),
    bold: check.optional(check.flag),
    color: check.optional(colour),
  }),
  table: check.shape({
    columns: check.list(check.shape({ header: check.text, width: check.optional(length), align }), 1),
    rows: check.list(check.list(check.text)),
  }),
  image: check.shape({
    ...imageFields,
    width: check.optional(length),
    height: check.optional(length),
    align,
    caption: check.optional(check.text),
  }),
  imageGrid: check.shape({
    images: check.list(check.shape({ ...imageFields, caption: check.optional(check.text) })),
    columns: check.integer(1, 24),
    imageHeight: check.optional(length),
    gap: check.optional(check.amount(0, 200, 'points')),
  }),
  pageBreak: check.shape({}),
});

const payloadShape = check.shape({
  path: check.path,
  title: check.optional(check.text),
  author: check.optional(check.text),
  pageSize: check.optional(check.oneOf(['A3', 'A4', 'A5', 'A6', 'LETTER', 'LEGAL', 'TABLOID', 'EXECUTIVE'])),
  landscape: check.optional(check.flag),
  margin: check.optional(check.amount(0, 200, 'points')),
  font: check.optional(check.path),
  boldFont: check.optional(check.path),
  pageNumbers: check.optional(check.flag),
  createdAt: check.optional(check.integer(0, 253_402_300_799_999)),
  maxImagePixels: check.optional(check.integer(1, Number.MAX_SAFE_INTEGER)),
  content: check.list(block),
});

/** @throws UnrecoverableError for a payload that cannot be carried out. */
export function checkPayload(payload: RenderPdfPayload): void {
  payloadShape(payload, 'payload');
  if (payload.boldFont !== undefined && payload.font === undefined) {
    throw check.unexpected('font', 'given too, as `boldFont` is', undefined);
  }
  for (const [index, block] of payload.content.entries()) checkBlock(block, `content[${index}]`);
}

/** What the shapes of its parts do not tell. */
function checkBlock(block: Block, where: string): void {
  if (block.type === 'table') checkCells(block, where);
  if (block.type === 'image') checkSource(block, where);
  if (block.type === 'imageGrid') {
    for (const [index, image] of block.images.entries()) checkSource(image, `${where}.images[${index}]`);
  }
}

/** A row that is too short is a mistake, not an empty cell. */
function checkCells({ columns, rows }: TableBlock, where: string): void {
  for (const [index, row] of rows.entries()) {
    if (row.length === columns.length) continue;
    throw check.unexpected(`${where}.rows[${index}]`, `${columns.length} cells, one for each column`, row);
  }
}

function checkSource({ path, bytes }: ImageSource, where: string): void {
  if ((path === undefined) !== (bytes === undefined)) return;
  throw new UnrecoverableError(
    `Expected \`${where}\` to have either \`path\` or \`bytes\`, got: ${path === undefined ? 'neither' : 'both'}`,
  );
}
