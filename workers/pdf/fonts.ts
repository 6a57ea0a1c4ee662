/**
 * The two fonts of a document, and which characters they have. A character that a font lacks would be drawn as
 * nothing or as an empty box, so it is refused before anything is drawn, by name and place.
 */
import { UnrecoverableError } from '../../src/errors.js';
import { show } from '../payload.js';
import { readInput } from '../read-input.js';
import type { RenderPdfPayload } from './payload.js';

export type FontName = 'regular' | 'bold';

export interface Fonts {
  /** @throws UnrecoverableError when `font` cannot draw all of `text`, which stands at `where`. */
  assertDrawable(text: string, font: FontName, where: string): void;
  /** `text` as it is handed to pdfkit. */
  prepare(text: string): string;
}

/** Registers the document's fonts under their {@link FontName}s. */
export async function openFonts(
  doc: PDFKit.PDFDocument,
  { font, boldFont }: RenderPdfPayload,
): Promise<Fonts> {
  if (font === undefined) {
    doc.registerFont('regular', 'Helvetica').registerFont('bold', 'Helvetica-Bold');
    return new BuiltInFonts();
  }
  const regular = await openFontFile(doc, 'regular', font, 'font');
  if (boldFont === undefined) doc.registerFont('bold', regular.file);
  const bold = boldFont === undefined ? regular : await openFontFile(doc, 'bold', boldFont, 'boldFont');
  return new FontFiles({ regular, bold });
}

/** Line ends as `\n`, and spaces for a tab, which no font has a glyph for. */
function plainText(text: string): string {
  return text.replaceAll(/\r\n?/g, '\n').replaceAll('\t', '    ');
}

/** Helvetica, in the encoding that every viewer knows (WinAnsi, also called Windows-1252). */
class BuiltInFonts implements Fonts {
  // What is outside: controls but the line feed, and whatever comes after U+00FF but these.
  static readonly #outside = /[^\n\u0020-\u007E\u00A0-\u00FFŒœŠšŸŽžƒˆ˜\u2013\u2014‘’‚“”„†‡•…‰‹›€™]/u;

  prepare(text: string): string {
    // Narrow spaces come with what Intl formats ("3:04 PM", "1 234,50"); the encoding has wide ones only.
    return plainText(text).replaceAll(/[\u2007\u2009\u200A\u202F]/g, '\u00A0');
  }

  assertDrawable(text: string, _font: FontName, where: string): void {
    const character = BuiltInFonts.#outside.exec(this.prepare(text))?.[0];
    if (character === undefined) return;
    throw new UnrecoverableError(
      `Expected \`${where}\` to have only Western European characters, as the built-in font has no others, ` +
        `got: ${describe(character)}. Pass \`font\`, a .ttf or .otf file that has it`,
    );
  }
}

interface FontFile {
  readonly path: string;
  readonly file: Buffer;
  readonly internals: FontInternals;
}

/** What is used of pdfkit's font object, which its types leave out. Optional, as it is no promise of pdfkit's. */
interface FontInternals {
  font?: { hasGlyphForCodePoint?: (codePoint: number) => boolean };
}

class FontFiles implements Fonts {
  readonly #files: Readonly<Record<FontName, FontFile>>;

  constructor(files: Readonly<Record<FontName, FontFile>>) {
    this.#files = files;
  }

  prepare(text: string): string {
    return plainText(text);
  }

  assertDrawable(text: string, name: FontName, where: string): void {
    const { path, internals } = this.#files[name];
    for (const character of this.prepare(text)) {
      if (character === '\n' || /\p{Default_Ignorable_Code_Point}/u.test(character)) continue;
      const codePoint = character.codePointAt(0) ?? 0;
      if (internals.font?.hasGlyphForCodePoint?.(codePoint) ?? true) continue;
      throw new UnrecoverableError(
        `Expected \`${where}\` to have only characters of the font ${show(path)}, got: ${describe(character)}`,
      );
    }
  }
}

async function openFontFile(
  doc: PDFKit.PDFDocument,
  name: FontName,
  path: string,
  where: string,
): Promise<FontFile> {
  const file = Buffer.from(await readInput(path, where));
  try {
    doc.registerFont(name, file).font(name);
  } catch (error) {
    throw new UnrecoverableError(
      `Expected \`${where}\` to be a TrueType or OpenType file with a single font, got: ${show(path)}`,
      { cause: error },
    );
  }
  // pdfkit has no public way to ask a font for its characters. All of it is optional, so a pdfkit without it
  // only loses the check.
  const internals: FontInternals | undefined = Reflect.get(doc, '_font');
  return { path, file, internals: internals ?? {} };
}

/** U+4E2D "中"; without the character where it cannot be shown. */
function describe(character: string): string {
  const code = `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')}`;
  return /[\p{C}\p{Z}]/u.test(character) ? code : `${code} "${character}"`;
}
