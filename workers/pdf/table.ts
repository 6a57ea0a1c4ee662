/**
 * Tables: rows of wrapped cells that run over pages, each page with the header on top.
 *
 * pdfkit's own `table()` is not used: it repeats no header, drops what of a row is beyond the page, with a warning
 * on the console, and wraps as `wrap.ts` says.
 */
import { UnrecoverableError } from '../../src/errors.js';
import type { PageFlow, TextStyle } from './page-flow.js';
import type { HorizontalAlign, TableBlock, TableColumn } from './payload.js';

const HEADER_STYLE: TextStyle = { font: 'bold', size: 9.5, color: '#1f2328', leading: 1.1 };
const CELL_STYLE: TextStyle = { font: 'regular', size: 9.5, color: '#1f2328', leading: 1.1 };
const HEADER_FILL = '#e6eaef';
const RULE = { color: '#d0d7de', width: 0.5 };
const HEADER_RULE = { color: '#8c959f', width: 0.75 };
const PADDING = { x: 6, y: 4 };
const AFTER_TABLE = 12;
/** What a column has to leave for text between its paddings. */
const MIN_TEXT_WIDTH = 8;

interface Column {
  readonly header: string;
  readonly align: HorizontalAlign;
  readonly x: number;
  readonly width: number;
}

/** The lines of each cell of one row. */
type Cells = readonly (readonly string[])[];

/**
 * @param where Where in the payload the table stands.
 * @param step Called before each row; waits for what has been drawn to be written.
 */
export async function drawTable(
  flow: PageFlow,
  block: TableBlock,
  where: string,
  step: () => Promise<void>,
): Promise<void> {
  const table = new TableLayout(flow, layOut(flow, block.columns, where));
  table.assertHeaderFits(where);
  table.begin(block.rows[0]);
  for (const [index, row] of block.rows.entries()) {
    await step();
    table.drawRow(row, index === 0);
  }
  flow.space(AFTER_TABLE);
}

class TableLayout {
  readonly #flow: PageFlow;
  readonly #columns: readonly Column[];
  readonly #header: Cells;

  constructor(flow: PageFlow, columns: readonly Column[]) {
    this.#flow = flow;
    this.#columns = columns;
    this.#header = this.#wrap(
      columns.map((column) => column.header),
      HEADER_STYLE,
    );
  }

  /** A header that fills its page would leave no room for rows, page after page. */
  assertHeaderFits(where: string): void {
    const height = this.#heightOf(this.#header, HEADER_STYLE);
    if (height <= this.#flow.pageHeight / 2) return;
    throw new UnrecoverableError(
      `Expected the headers of \`${where}\` to take at most half a page, got: ${Math.ceil(height)} points ` +
        `of ${Math.floor(this.#flow.pageHeight)}. Shorten them or give their columns more width`,
    );
  }

  drawHeader(): void {
    const flow = this.#flow;
    const height = this.#heightOf(this.#header, HEADER_STYLE);
    flow.doc.save().rect(flow.left, flow.y, this.#width, height).fill(HEADER_FILL).restore();
    this.#drawCells(this.#header, HEADER_STYLE, HEADER_RULE);
  }

  /** The header never stands alone at the foot of a page, unless `firstRow` is missing. */
  begin(firstRow: readonly string[] | undefined): void {
    const flow = this.#flow;
    const header = this.#heightOf(this.#header, HEADER_STYLE);
    const row = firstRow === undefined ? 0 : this.#heightOf(this.#wrap(firstRow, CELL_STYLE), CELL_STYLE);
    flow.ensureRoom(Math.min(header + row, flow.largestRoom));
    this.drawHeader();
  }

  drawRow(row: readonly string[], isFirst: boolean): void {
    const cells = this.#wrap(row, CELL_STYLE);
    // Room for the first row was made with the header.
    if (!isFirst && this.#heightOf(cells, CELL_STYLE) > this.#flow.room) this.#continueOnNewPage();
    this.#drawOverPages(cells);
  }

  #continueOnNewPage(): void {
    this.#flow.newPage();
    this.drawHeader();
  }

  /** A row that not even an empty page can hold goes on, line by line, on the next. */
  #drawOverPages(cells: Cells): void {
    const flow = this.#flow;
    const lineHeight = flow.lineHeight(CELL_STYLE);
    const lineCount = Math.max(...cells.map((lines) => lines.length));
    for (let next = 0; next < lineCount;) {
      // At least one line, even on a page too low for it, so that this ends.
      const fitting = Math.max(1, Math.floor((flow.room - 2 * PADDING.y) / lineHeight));
      this.#drawCells(
        cells.map((lines) => lines.slice(next, next + fitting)),
        CELL_STYLE,
        RULE,
      );
      next += fitting;
      if (next < lineCount) this.#continueOnNewPage();
    }
  }

  #drawCells(cells: Cells, style: TextStyle, rule: typeof RULE): void {
    const flow = this.#flow;
    const height = this.#heightOf(cells, style);
    for (const [index, { x, width, align }] of this.#columns.entries()) {
      const box = { x: x + PADDING.x, y: flow.y + PADDING.y, width: width - 2 * PADDING.x };
      flow.drawLines(cells[index] ?? [], style, box, align);
    }
    flow.y += height;
    flow.doc
      .save()
      .lineWidth(rule.width)
      .moveTo(flow.left, flow.y)
      .lineTo(flow.left + this.#width, flow.y);
    flow.doc.stroke(rule.color).restore();
  }

  get #width(): number {
    return this.#columns.reduce((total, column) => total + column.width, 0);
  }

  #wrap(row: readonly string[], style: TextStyle): Cells {
    return this.#columns.map(({ width }, index) =>
      this.#flow.lines(row[index] ?? '', style, width - 2 * PADDING.x),
    );
  }

  #heightOf(cells: Cells, style: TextStyle): number {
    const lineCount = Math.max(...cells.map((lines) => lines.length));
    return lineCount * this.#flow.lineHeight(style) + 2 * PADDING.y;
  }
}

/** Columns without a width share what the others leave. */
function layOut(flow: PageFlow, columns: readonly TableColumn[], where: string): Column[] {
  const fixed = columns.reduce((total, { width = 0 }) => total + width, 0);
  const sharing = columns.filter(({ width }) => width === undefined).length;
  const share = sharing === 0 ? 0 : (flow.width - fixed) / sharing;
  const narrowest = Math.min(...columns.map(({ width = share }) => width));
  if (fixed > flow.width + 0.01 || narrowest < 2 * PADDING.x + MIN_TEXT_WIDTH) {
    throw new UnrecoverableError(
      `Expected the columns of \`${where}\` to fit the page, ${Math.floor(flow.width)} points wide between ` +
        `its margins, with at least ${2 * PADDING.x + MIN_TEXT_WIDTH} for each, got: ${columns.length} columns, ` +
        `${Math.ceil(fixed)} points given as \`width\``,
    );
  }
  let x = flow.left;
  return columns.map(({ header, width = share, align = 'left' }) => {
    const column = { header, align, x, width };
    x += width;
    return column;
  });
}
