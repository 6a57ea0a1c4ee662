/** Reads back what a PDF says, through its cross-reference table, so that a wrong one is noticed. */
import { inflateSync } from 'node:zlib';

/** A line of text as drawn: its start in points from the page's bottom left. */
export interface DrawnText {
  readonly text: string;
  readonly x: number;
  readonly y: number;
}

export interface PdfPage {
  /** In the order drawn; the number of pages, which all pages share, where it stands. */
  readonly texts: readonly DrawnText[];
  /** How many images are drawn. */
  readonly images: number;
  readonly width: number;
  readonly height: number;
}

export interface PdfContent {
  readonly pages: readonly PdfPage[];
  /** The titles of the outline, in document order. */
  readonly outline: readonly string[];
  /** Dictionaries of the images stored. */
  readonly images: readonly string[];
  /** All objects, for whatever else is of interest. */
  readonly objects: ReadonlyMap<number, PdfObject>;
}

export interface PdfObject {
  readonly dictionary: string;
  readonly stream: Buffer | undefined;
}

export function readPdf(file: Buffer): PdfContent {
  const objects = readObjects(file);
  const all = [...objects.values()].map(({ dictionary }) => dictionary);
  const kids = referencesIn(all.find((dictionary) => dictionary.includes('/Type /Pages')) ?? '', 'Kids');
  return {
    objects,
    pages: kids.map((kid) => readPage(objects, dictionaryOf(objects, kid))),
    outline: all
      .flatMap(
        (dictionary) =>
          /\/Title \(([^)]*)\)\n.*\/Dest|\/Dest[^]*\/Title \(([^)]*)\)/.exec(dictionary)?.slice(1) ?? [],
      )
      .filter(Boolean),
    images: all.filter((dictionary) => dictionary.includes('/Subtype /Image')),
  };
}

/** All texts of a page, each on a line. */
export function textOf(page: PdfPage | undefined): string {
  return page?.texts.map(({ text }) => text).join('\n') ?? '';
}

function readObjects(file: Buffer): Map<number, PdfObject> {
  const source = file.toString('latin1');
  const xref = Number(/startxref\n(\d+)\n%%EOF\n$/.exec(source)?.[1]);
  const table = source.slice(xref, source.indexOf('trailer', xref));
  const offsets = [...table.matchAll(/^(\d{10}) 00000 n /gm)].map((match) => Number(match[1]));
  return new Map(offsets.map((offset, index) => [index + 1, readObject(source, file, offset, index + 1)]));
}

function readObject(source: string, file: Buffer, offset: number, id: number): PdfObject {
  const start = `${id} 0 obj\n`;
  if (!source.startsWith(start, offset)) throw new Error(`no object ${id} at ${offset}`);
  const begin = offset + start.length;
  const stream = source.indexOf('stream\n', begin);
  const end = source.indexOf('endobj', begin);
  if (stream === -1 || stream > end) return { dictionary: source.slice(begin, end), stream: undefined };
  const dictionary = source.slice(begin, stream);
  const length = Number(/\/Length (\d+)/.exec(dictionary)?.[1]);
  const from = stream + 'stream\n'.length;
  const bytes = file.subarray(from, from + length);
  return { dictionary, stream: dictionary.includes('/Filter /FlateDecode') ? inflateSync(bytes) : bytes };
}

function readPage(objects: ReadonlyMap<number, PdfObject>, dictionary: string): PdfPage {
  const [, width = 0, height = 0] =
    /\/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]/.exec(dictionary)?.map(Number) ?? [];
  const content = streamOf(objects, referenceIn(dictionary, 'Contents'));
  const resources = dictionaryOf(objects, referenceIn(dictionary, 'Resources'));
  const total = /\/PageTotal (\d+) 0 R/.exec(resources)?.[1];
  const totalText = total === undefined ? '' : drawnIn(streamOf(objects, Number(total)))[0]?.text;
  const texts = drawnIn(content.replace('/PageTotal Do', `1 0 0 1 0 0 Tm\n[<${hex(totalText ?? '')}> 0] TJ`));
  return { texts, images: [...content.matchAll(/\/I\d+ Do/g)].length, width, height };
}

/** Text in a standard font: each hex pair is a character. */
function drawnIn(content: string): DrawnText[] {
  const pattern = /1 0 0 1 (-?[\d.]+) (-?[\d.]+) Tm|\[((?:<[0-9a-f]*> -?[\d.]+ ?)+)\] TJ/g;
  const texts: DrawnText[] = [];
  let position = { x: 0, y: 0 };
  for (const [, x, y, parts] of content.matchAll(pattern)) {
    if (parts === undefined) position = { x: Number(x), y: Number(y) };
    else texts.push({ ...position, text: decode(parts) });
  }
  return texts;
}

/** What Windows-1252 has from 0x80 to 0x9F, where Latin-1 has controls. */
const WINDOWS_1252 = '€\u0081‚ƒ„…†‡ˆ‰Š‹Œ\u008DŽ\u008F\u0090‘’“”•–—˜™š›œ\u009DžŸ';

function decode(parts: string): string {
  const digits = [...parts.matchAll(/<([0-9a-f]*)>/g)].map((match) => match[1]).join('');
  return Array.from(
    Buffer.from(digits, 'hex'),
    (byte) => WINDOWS_1252[byte - 0x80] ?? String.fromCharCode(byte),
  ).join('');
}

function hex(text: string): string {
  return Buffer.from(text, 'latin1').toString('hex');
}

function streamOf(objects: ReadonlyMap<number, PdfObject>, id: number): string {
  return objects.get(id)?.stream?.toString('latin1') ?? '';
}

function dictionaryOf(objects: ReadonlyMap<number, PdfObject>, id: number): string {
  return objects.get(id)?.dictionary ?? '';
}

function referenceIn(dictionary: string, key: string): number {
  return Number(new RegExp(`/${key} (\\d+) 0 R`).exec(dictionary)?.[1]);
}

function referencesIn(dictionary: string, key: string): number[] {
  const list = new RegExp(`/${key} \\[([^\\]]*)\\]`).exec(dictionary)?.[1] ?? '';
  return [...list.matchAll(/(\d+) 0 R/g)].map((match) => Number(match[1]));
}
