/** Goes through every text of a document, so that a character it cannot show is found before anything is drawn. */
import type { FontName, Fonts } from './fonts.js';
import type { Block } from './payload.js';

/** @throws UnrecoverableError that names the first character without a glyph, and where it stands. */
export function assertDrawable(content: readonly Block[], fonts: Fonts): void {
  for (const [index, block] of content.entries()) {
    for (const { text, font, where } of textsOf(block)) {
      fonts.assertDrawable(text, font, `content[${index}].${where}`);
    }
  }
}

interface Text {
  readonly text: string;
  readonly font: FontName;
  readonly where: string;
}

function* textsOf(block: Block): Generator<Text> {
  switch (block.type) {
    case 'heading':
      yield { text: block.text, font: 'bold', where: 'text' };
      return;
    case 'paragraph':
      yield { text: block.text, font: block.bold === true ? 'bold' : 'regular', where: 'text' };
      return;
    case 'table':
      for (const [index, { header }] of block.columns.entries()) {
        yield { text: header, font: 'bold', where: `columns[${index}].header` };
      }
      for (const [row, cells] of block.rows.entries()) {
        for (const [cell, text] of cells.entries()) {
          yield { text, font: 'regular', where: `rows[${row}][${cell}]` };
        }
      }
      return;
    case 'image':
      yield { text: block.caption ?? '', font: 'regular', where: 'caption' };
      return;
    case 'imageGrid':
      for (const [index, { caption = '' }] of block.images.entries()) {
        yield { text: caption, font: 'regular', where: `images[${index}].caption` };
      }
      return;
    case 'pageBreak':
  }
}
