/** Headings and paragraphs. */
import type { HeadingBlock, ParagraphBlock } from './payload.js';
import type { PageFlow, TextStyle } from './page-flow.js';

const INK = '#1f2328';

const HEADINGS = {
  1: { style: { font: 'bold', size: 20, color: INK, leading: 1.05 }, before: 18, after: 8 },
  2: { style: { font: 'bold', size: 14, color: INK, leading: 1.05 }, before: 14, after: 6 },
  3: { style: { font: 'bold', size: 11.5, color: INK, leading: 1.05 }, before: 10, after: 4 },
} as const;

const PARAGRAPH_SIZE = 10.5;
const PARAGRAPH_LEADING = 1.2;
const PARAGRAPH_AFTER = 8;

/** The document's outline: headings below each other by level. */
export class Outline {
  readonly #open: { level: number; item: PDFKit.PDFOutline }[] = [];

  /** Adds a heading that stands on the current page. */
  add(doc: PDFKit.PDFDocument, text: string, level: number): void {
    while ((this.#open.at(-1)?.level ?? 0) >= level) this.#open.pop();
    const parent = this.#open.at(-1)?.item ?? doc.outline;
    this.#open.push({ level, item: parent.addItem(text.replaceAll(/\s+/g, ' ')) });
  }
}

/** Draws the heading together with what comes next, so that it never stands alone at the foot of a page. */
export function drawHeading(flow: PageFlow, { text, level = 1 }: HeadingBlock, outline: Outline): void {
  const { style, before, after } = HEADINGS[level];
  const lines = flow.lines(text, style, flow.width);
  flow.keepWithNext(before + lines.length * flow.lineHeight(style) + after, () => {
    flow.space(before);
    outline.add(flow.doc, text, level);
    drawFlowing(flow, lines, style);
    flow.space(after);
  });
}

export function drawParagraph(flow: PageFlow, block: ParagraphBlock): void {
  const { text, align, size = PARAGRAPH_SIZE, bold = false, color = INK } = block;
  const style: TextStyle = { font: bold ? 'bold' : 'regular', size, color, leading: PARAGRAPH_LEADING };
  drawFlowing(flow, flow.lines(text, style, flow.width), style, align);
  flow.space(PARAGRAPH_AFTER);
}

/** Fills page after page. Of several lines, at least two stand at the foot of a page. */
function drawFlowing(
  flow: PageFlow,
  lines: readonly string[],
  style: TextStyle,
  align?: ParagraphBlock['align'],
): void {
  const lineHeight = flow.lineHeight(style);
  flow.ensureRoom(Math.min(lines.length, 2) * lineHeight);
  for (let next = 0; next < lines.length;) {
    flow.ensureRoom(lineHeight);
    // At least one line, even on a page too low for it, so that this ends.
    const count = Math.max(1, Math.floor(flow.room / lineHeight));
    const part = lines.slice(next, next + count);
    flow.drawLines(part, style, { x: flow.left, y: flow.y, width: flow.width }, align);
    flow.y += part.length * lineHeight;
    next += part.length;
    if (next < lines.length) flow.newPage();
  }
}
