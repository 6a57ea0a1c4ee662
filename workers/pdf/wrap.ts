/**
 * Breaks text into lines that fit a width. Where a line may end follows the common cases of Unicode's rules: at
 * spaces, after hyphens and dashes inside words, at soft hyphens, and between the words of scripts that write
 * without spaces. A word wider than the line is cut between characters as a reader sees them.
 *
 * pdfkit's own wrapping is not used: it can lose text beside soft hyphens, tears accents off letters where it cuts
 * a word, takes 50 seconds for a word of 200,000 letters, and does not know where Thai or Khmer words end.
 */

/** How wide a text is, in the unit of the line's width. */
export type Measure = (text: string) => number;

const SOFT_HYPHEN = '\u00AD';
/** Where a line may end: the hyphen of "-5" and those of "2024-11-22" are no such place. */
const BREAKS = /(?<= )(?! )|(?<=\u00AD)|(?<=\S[-\u2010\u2013\u2014])(?=\p{L})/u;
const WRITTEN_WITHOUT_SPACES =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
/** What may not stand at the start of a line: closing brackets and punctuation, marks, small kana, spaces. */
const CLINGS = /^[\s\p{Pe}\p{Pf}\p{Po}\p{M}\p{Lm}ぁぃぅぇぉっゃゅょァィゥェォッャュョ]/u;
/** What may not stand at the end of one. */
const OPENS = /[\p{Ps}\p{Pi}]$/u;

const SEGMENTER_WINDOW = 1_024;
const graphemes = new Intl.Segmenter('und', { granularity: 'grapheme' });
const words = new Intl.Segmenter('und', { granularity: 'word' });

/** @returns at least one line, without the spaces at its end; a `\n` always ends one. */
export function wrap(text: string, width: number, measure: Measure): string[] {
  return text.split('\n').flatMap((paragraph) => {
    const fits = !paragraph.includes(SOFT_HYPHEN) && measure(paragraph) <= width;
    return fits ? [asLine(paragraph)] : wrapParagraph(paragraph, width, measure);
  });
}

function wrapParagraph(text: string, width: number, measure: Measure): string[] {
  const lines: string[] = [];
  let line = '';
  let lineWidth = 0;
  for (const piece of pieces(text)) {
    const needed = measure(asLine(piece));
    if (line !== '' && lineWidth + needed > width) {
      lines.push(asLine(line));
      line = '';
      lineWidth = 0;
    }
    if (needed > width) {
      const cut = cutToWidth(piece, width, measure);
      lines.push(...cut.slice(0, -1));
      line = cut.at(-1) ?? '';
      lineWidth = measure(line);
    } else {
      line += piece;
      lineWidth += measure(withoutSoftHyphens(piece));
    }
  }
  lines.push(asLine(line));
  return lines;
}

function pieces(text: string): string[] {
  return text
    .split(BREAKS)
    .flatMap((piece) => (WRITTEN_WITHOUT_SPACES.test(piece) ? splitWords(piece) : [piece]));
}

function splitWords(piece: string): string[] {
  const result: string[] = [];
  for (const segment of segmentsOf(piece, words)) {
    const before = result.at(-1);
    if (before !== undefined && (CLINGS.test(segment) || OPENS.test(before))) {
      result[result.length - 1] = before + segment;
    } else {
      result.push(segment);
    }
  }
  return result;
}

/** At least one character to a line, however narrow it is, so that this ends. */
function cutToWidth(piece: string, width: number, measure: Measure): string[] {
  const lines: string[] = [];
  let line = '';
  let lineWidth = 0;
  for (const segment of segmentsOf(withoutSoftHyphens(piece), graphemes)) {
    const needed = measure(segment);
    if (line !== '' && segment !== ' ' && lineWidth + needed > width) {
      lines.push(line);
      line = '';
      lineWidth = 0;
    }
    line += segment;
    lineWidth += needed;
  }
  return [...lines, line];
}

/** Looks at a part of the text at a time: the time that a segmenter takes grows with the square of the length. */
function* segmentsOf(text: string, segmenter: Intl.Segmenter): Generator<string> {
  for (let start = 0; start < text.length;) {
    const end = start + SEGMENTER_WINDOW;
    const found = Array.from(segmenter.segment(text.slice(start, end)), ({ segment }) => segment);
    // The last may go on behind the window's end.
    if (end < text.length && found.length > 1) found.pop();
    yield* found;
    start += found.reduce((length, segment) => length + segment.length, 0);
  }
}

/** As it looks when the line ends here: no spaces, and a hyphen if the break is at a soft one. */
function asLine(text: string): string {
  const hyphen = text.endsWith(SOFT_HYPHEN) ? '-' : '';
  return withoutSoftHyphens(text).replace(/ +$/, '') + hyphen;
}

function withoutSoftHyphens(text: string): string {
  return text.replaceAll(SOFT_HYPHEN, '');
}
