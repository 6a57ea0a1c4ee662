/**
 * The pages of a document: where the next block goes, when a page is full, what its text looks like, the page
 * number at its foot. Everything is measured in points from the page's top left.
 *
 * Finished pages are handed on at once instead of being buffered until the total is known: 1,000 pages took
 * 540 MB of heap in pdfkit's page buffer, and 10 MB without. The total behind "3 / " is a drawing that all
 * pages refer to and that is made at the end.
 */
import { UnrecoverableError } from '../../src/errors.js';
import type { Fonts, FontName } from './fonts.js';
import type { HorizontalAlign } from './payload.js';
import { wrap } from './wrap.js';

/** How a text looks. */
export interface TextStyle {
  readonly font: FontName;
  /** In points. */
  readonly size: number;
  readonly color: string;
  /** The distance from line to line, in multiples of what the font asks for. */
  readonly leading: number;
}

/** A part of a page. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
}

const NUMBER_STYLE: TextStyle = { font: 'regular', size: 8.5, color: '#6e7781', leading: 1 };
const NUMBER_SEPARATOR = ' / ';
/** What the document's regular font has to have when its pages are numbered. */
export const PAGE_NUMBER_CHARACTERS = `0123456789${NUMBER_SEPARATOR}`;
const TOTAL_NAME = 'PageTotal';
/** Wide enough for any number of pages. */
const TOTAL_SIZE = { width: 80, height: 20 };
/** What adding up fractions may be off by, in points. */
const TOLERANCE = 0.01;
/** An inch. */
const MIN_PAGE_ROOM = 72;

export interface PageFlowOptions {
  /** In points. */
  readonly margin: number;
  readonly pageNumbers: boolean;
  /** Called before each page; what it throws ends the drawing. */
  readonly beforePage: () => void;
}

export class PageFlow {
  /** Where the next block starts. */
  y = 0;
  pages = 0;
  readonly doc: PDFKit.PDFDocument;
  readonly #fonts: Fonts;
  readonly #margin: number;
  readonly #beforePage: () => void;
  readonly #total: PageTotal | undefined;
  #kept: { readonly height: number; readonly draw: () => void }[] = [];
  /** What the current page is set to; nothing on a new one. */
  #style: TextStyle | undefined;

  /** Begins the first page. */
  constructor(doc: PDFKit.PDFDocument, fonts: Fonts, options: PageFlowOptions) {
    this.doc = doc;
    this.#beforePage = options.beforePage;
    this.#fonts = fonts;
    this.#margin = options.margin;
    this.#total = options.pageNumbers ? new PageTotal(doc) : undefined;
    this.newPage();
    this.#assertMarginLeavesRoom();
  }

  get left(): number {
    return this.#margin;
  }

  get width(): number {
    return this.doc.page.width - 2 * this.#margin;
  }

  /** How high a page is between its margins. */
  get pageHeight(): number {
    return this.doc.page.height - 2 * this.#margin;
  }

  /** What is left of the page. */
  get room(): number {
    return this.#margin + this.pageHeight - this.y;
  }

  get isAtTop(): boolean {
    return this.y <= this.#margin;
  }

  /** Ends this page, whatever is left of it. */
  breakPage(): void {
    this.ensureRoom(0);
    this.newPage();
  }

  newPage(): void {
    this.#beforePage();
    this.doc.addPage();
    this.pages += 1;
    this.y = this.#margin;
    this.#style = undefined;
    if (this.#total !== undefined) this.#drawPageNumber(this.#total);
  }

  /**
   * Makes sure that `height` fits below `y`: on a new page unless it does on this one, or this one is empty and
   * so as good as the next. What waits to stand above it is drawn first, on the same page.
   */
  ensureRoom(height: number): void {
    const kept = this.#kept.splice(0);
    const needed = kept.reduce((total, above) => total + above.height, height);
    if (needed > this.room + TOLERANCE && !this.isAtTop) this.newPage();
    for (const above of kept) above.draw();
    if (height > this.room + TOLERANCE && !this.isAtTop) this.newPage();
  }

  /** Has `draw`, which takes `height`, wait for what comes next, so that it never stands alone at a page's foot. */
  keepWithNext(height: number, draw: () => void): void {
    this.#kept.push({ height, draw });
  }

  /** The most that can stand on one page together with what waits to stand above it. */
  get largestRoom(): number {
    return this.#kept.reduce((left, above) => left - above.height, this.pageHeight);
  }

  /** Leaves space, except at the top of a page. */
  space(height: number): void {
    if (!this.isAtTop) this.y += height;
  }

  lineHeight(style: TextStyle): number {
    this.#use(style);
    return this.doc.currentLineHeight(true) * style.leading;
  }

  lines(text: string, style: TextStyle, width: number): string[] {
    this.#use(style);
    return wrap(this.#fonts.prepare(text), width, (part) => this.doc.widthOfString(part));
  }

  /** Draws lines from `box.y` down, all on this page, and leaves `y` alone. */
  drawLines(lines: readonly string[], style: TextStyle, box: Box, align: HorizontalAlign = 'left'): void {
    const lineHeight = this.lineHeight(style);
    const inset = (lineHeight - this.doc.currentLineHeight(true)) / 2;
    for (const [index, line] of lines.entries()) {
      if (line === '') continue;
      const free = align === 'left' ? 0 : box.width - this.doc.widthOfString(line);
      const x = box.x + (align === 'center' ? free / 2 : free);
      this.doc.text(line, x, box.y + index * lineHeight + inset, { lineBreak: false });
    }
  }

  /** Fills in what could only be known at the end. Nothing can be drawn afterwards. */
  finish(): void {
    this.ensureRoom(0);
    this.#use(NUMBER_STYLE);
    this.#total?.finish(String(this.pages), NUMBER_STYLE.color);
  }

  #assertMarginLeavesRoom(): void {
    if (this.width >= MIN_PAGE_ROOM && this.pageHeight >= MIN_PAGE_ROOM) return;
    throw new UnrecoverableError(
      `Expected \`margin\` to leave at least ${MIN_PAGE_ROOM} × ${MIN_PAGE_ROOM} points of each page, got: ` +
        `${Math.max(0, Math.floor(this.width))} × ${Math.max(0, Math.floor(this.pageHeight))}`,
    );
  }

  #use(style: TextStyle): void {
    if (style === this.#style) return;
    this.doc.font(style.font).fontSize(style.size);
    if (style.color !== this.#style?.color) this.doc.fillColor(style.color);
    this.#style = style;
  }

  /** The separator stands in the page's middle, so that it stays in place whatever the numbers' lengths. */
  #drawPageNumber(total: PageTotal): void {
    const { width, height } = this.doc.page;
    this.#use(NUMBER_STYLE);
    const before = `${this.pages}${NUMBER_SEPARATOR}`;
    const separator = this.doc.widthOfString(NUMBER_SEPARATOR);
    const x = width / 2 + separator / 2;
    const y = height - Math.max(this.#margin / 2, 12) - this.doc.currentLineHeight() / 2;
    this.doc.text(before, x - this.doc.widthOfString(before), y, { lineBreak: false });
    total.draw(x, y);
  }
}

/** The number of pages, drawn on each of them before it is known: a form that pages refer to by name. */
class PageTotal {
  readonly #doc: PDFKit.PDFDocument;
  readonly #fonts: Record<string, unknown> = {};
  readonly #form: PDFKit.PDFKitReference;

  constructor(doc: PDFKit.PDFDocument) {
    this.#doc = doc;
    this.#form = doc.ref({
      Type: 'XObject',
      Subtype: 'Form',
      BBox: [0, 0, TOTAL_SIZE.width, TOTAL_SIZE.height],
      Resources: { Font: this.#fonts },
    });
  }

  /** On the current page, its top left at `x`, `y`. */
  draw(x: number, y: number): void {
    const doc = this.#doc;
    doc.page.xobjects[TOTAL_NAME] = this.#form;
    // A form's own axis points up, a page's in pdfkit down.
    doc.save().transform(1, 0, 0, -1, x, y + TOTAL_SIZE.height);
    doc.addContent(`/${TOTAL_NAME} Do`);
    doc.restore();
  }

  finish(text: string, color: string): void {
    const doc = this.#doc;
    const { page } = doc;
    const overrides = { content: this.#form, fonts: this.#fonts, height: TOTAL_SIZE.height };
    // pdfkit draws on `doc.page` only; this one is like the last, but what is drawn ends up in the form.
    doc.page = Object.create(page, Object.getOwnPropertyDescriptors(overrides));
    doc.save().transform(1, 0, 0, -1, 0, TOTAL_SIZE.height);
    doc.fillColor(color).text(text, 0, 0, { lineBreak: false });
    doc.restore();
    doc.page = page;
    this.#form.end(undefined);
  }
}
