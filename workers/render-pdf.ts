/**
 * A ready-made handler that renders a document, described as data, to a PDF file with pdfkit
 * (`npm install pdfkit`): headings, paragraphs, tables that run over pages, images, contact sheets.
 *
 * ```ts
 * renderPdf: threadJob<typeof import('millrace/workers/render-pdf')>(
 *   new URL(import.meta.resolve('millrace/workers/render-pdf')))
 * ```
 *
 * - The file is written whole or not at all, and again on a retry; missing directories are created.
 * - Finished pages go to the file as they come, so memory holds one page and not the document.
 * - What trying again cannot help fails the job at once: a payload that makes no sense, a character that the
 *   font lacks, an image that is missing, damaged or neither JPEG nor PNG. A full disk is tried again.
 * - With `createdAt`, the same payload makes the same bytes.
 */
import type { JobContext } from '../src/index.js';
import { assertDrawable } from './pdf/characters.js';
import { openFonts } from './pdf/fonts.js';
import { Images } from './pdf/images.js';
import { PAGE_NUMBER_CHARACTERS, PageFlow } from './pdf/page-flow.js';
import { checkPayload } from './pdf/payload.js';
import type { Block, RenderPdfPayload, RenderPdfResult } from './pdf/payload.js';
import { drawImage, drawImageGrid } from './pdf/pictures.js';
import { ProgressMeter } from './pdf/progress.js';
import { drawTable } from './pdf/table.js';
import { drawHeading, drawParagraph, Outline } from './pdf/text.js';
import { loadPeer } from './peer.js';
import { writeWholeFile } from './safe-file.js';
import type { FileSink } from './safe-file.js';

export type * from './pdf/payload.js';

const DEFAULT_MARGIN = 50;
const DEFAULT_MAX_IMAGE_PIXELS = 50_000_000;

/**
 * Renders `payload.content` to `payload.path`. Reports `{ done, total }` as progress, about a hundred times at
 * most, counting blocks, rows of tables and rows of images.
 *
 * @throws UnrecoverableError for what trying again cannot help; MillraceError
 *   `MILLRACE_WORKER_DEPENDENCY_MISSING` without pdfkit; what the file system says; the reason of an abort,
 *   after which nothing is put in place.
 */
export default async function renderPdf(
  payload: RenderPdfPayload,
  job: JobContext,
): Promise<RenderPdfResult> {
  checkPayload(payload);
  const doc = await openDocument(payload);
  const fonts = await openFonts(doc, payload);
  const { margin = DEFAULT_MARGIN, pageNumbers = true } = payload;
  assertDrawable(payload.content, fonts);
  if (pageNumbers) fonts.assertDrawable(PAGE_NUMBER_CHARACTERS, 'regular', 'pageNumbers');
  const beforePage = () => job.throwIfAborted();
  const flow = new PageFlow(doc, fonts, { margin, pageNumbers, beforePage });
  const bytes = await writeWholeFile(payload.path, job, (sink) => drawDocument(flow, payload, job, sink));
  return { path: payload.path, pages: flow.pages, bytes };
}

async function openDocument(payload: RenderPdfPayload): Promise<PDFKit.PDFDocument> {
  const { default: PDFDocument } = await loadPeer('pdfkit', () => import('pdfkit'));
  const { title, author, pageSize = 'A4', landscape = false, createdAt = Date.now() } = payload;
  return new PDFDocument({
    size: pageSize,
    layout: landscape ? 'landscape' : 'portrait',
    // Lines are placed by `PageFlow`; a margin of pdfkit's own could only make it break pages.
    margin: 0,
    autoFirstPage: false,
    // It keeps every word ever measured: 2 kB each, 500 MB for 270,000 different ones.
    fontLayoutCache: false,
    info: {
      CreationDate: new Date(createdAt),
      ...(title === undefined ? {} : { Title: title }),
      ...(author === undefined ? {} : { Author: author }),
    },
  });
}

async function drawDocument(
  flow: PageFlow,
  payload: RenderPdfPayload,
  job: JobContext,
  sink: FileSink,
): Promise<void> {
  const { content, maxImagePixels = DEFAULT_MAX_IMAGE_PIXELS } = payload;
  const images = new Images(flow.doc, maxImagePixels);
  const outline = new Outline();
  const meter = new ProgressMeter(content, job);
  const step = async () => {
    meter.advance();
    await writeFinished(flow.doc, sink);
  };
  for (const [index, block] of content.entries()) {
    await step();
    await drawBlock({ flow, images, outline, step }, block, `content[${index}]`);
  }
  meter.finish();
  flow.finish();
  flow.doc.end();
  for await (const chunk of flow.doc) await sink.write(chunk);
}

interface Drawing {
  readonly flow: PageFlow;
  readonly images: Images;
  readonly outline: Outline;
  readonly step: () => Promise<void>;
}

async function drawBlock(drawing: Drawing, block: Block, where: string): Promise<void> {
  const { flow, images, outline, step } = drawing;
  switch (block.type) {
    case 'heading':
      return drawHeading(flow, block, outline);
    case 'paragraph':
      return drawParagraph(flow, block);
    case 'table':
      return await drawTable(flow, block, where, step);
    case 'image':
      return await drawImage(flow, images, block, where);
    case 'imageGrid':
      return await drawImageGrid(flow, images, block, where, step);
    case 'pageBreak':
      return flow.breakPage();
  }
}

/** Takes from pdfkit what it has finished; the next block waits until the file has taken it. */
async function writeFinished(doc: PDFKit.PDFDocument, sink: FileSink): Promise<void> {
  for (let chunk: Uint8Array | null; (chunk = doc.read()) !== null;) await sink.write(chunk);
}
