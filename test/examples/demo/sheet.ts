/** The contact sheet, as the data that `render-pdf` takes. Pure: the same outcomes, the same document. */
import type { RenderPdfPayload } from 'millrace/workers/render-pdf';
import { formatBytes, formatCount, formatMs } from './format.js';
import { bytesOf, failuresOf, isMade, type Made, type Outcome } from './outcome.js';
import { TARGETS, THUMBNAIL } from './plan.js';

type Block = RenderPdfPayload['content'][number];

const COLUMNS = 6;
const GAP = 10;

export function contactSheet(path: string, outcomes: readonly Outcome[]): RenderPdfPayload {
  const made = outcomes.filter(isMade);
  const failures = failuresOf(outcomes);
  return {
    path,
    title: 'Contact sheet',
    // Part of the document, so it has to come from what the document is made of.
    createdAt: Math.max(0, ...outcomes.map(({ finishedAt }) => finishedAt)),
    content: [
      { type: 'heading', text: 'Contact sheet' },
      { type: 'paragraph', text: summaryOf(outcomes), color: '#57606a' },
      thumbnails(made),
      ...(failures.length === 0 ? [] : damages(failures)),
      { type: 'heading', level: 2, text: 'What was done' },
      table(made),
    ],
  };
}

function summaryOf(outcomes: readonly Outcome[]): string {
  const images = new Set(outcomes.map(({ job }) => job.image.name)).size;
  const made = outcomes.filter(isMade);
  const failed = failuresOf(outcomes).length;
  const damage =
    failed === 0 ? '' : ` ${failed} could not be done and ${failed === 1 ? 'is' : 'are'} listed.`;
  return `${formatCount(images, 'image')}, ${formatCount(made.length, 'file')} made of them, ${formatBytes(bytesOf(made))}.${damage}`;
}

function thumbnails(made: readonly Made[]): Block {
  const images = made
    .filter(({ job }) => job.target === THUMBNAIL)
    .map(({ job }) => ({ path: job.path, caption: drawable(job.image.name) }));
  // Squares: as high as a sixth of an A4 page is wide.
  return { type: 'imageGrid', columns: COLUMNS, gap: GAP, imageHeight: 74, images };
}

function damages(failures: readonly { name: string; reason: string }[]): Block[] {
  const rows = failures.map(({ name, reason }) => [drawable(name), drawable(reason)]);
  return [
    { type: 'heading', level: 2, text: 'What could not be done' },
    { type: 'table', columns: [{ header: 'Image', width: 120 }, { header: 'Reason' }], rows },
  ];
}

function table(made: readonly Made[]): Block {
  const images = new Map<string, Made[]>();
  for (const one of made) {
    const { name } = one.job.image;
    images.set(name, [...(images.get(name) ?? []), one]);
  }
  return {
    type: 'table',
    columns: [
      { header: 'Image' },
      right('Pixels', 80),
      right('Original', 60),
      ...TARGETS.map(({ folder }) =>
        right(
          folder.replace(/^./, (first) => first.toUpperCase()),
          66,
        ),
      ),
      right('Time', 56),
    ],
    rows: [...images].map(([name, sizes]) => row(name, sizes)),
  };
}

const right = (header: string, width: number) => ({ header, width, align: 'right' as const });

function row(name: string, sizes: readonly Made[]): string[] {
  const input = sizes[0]?.result.input;
  const files = TARGETS.map((target) => {
    const file = sizes.find(({ job }) => job.target === target)?.result.outputs[0];
    return file ? formatBytes(file.bytes) : '–';
  });
  return [
    drawable(name),
    input ? `${input.width} × ${input.height}` : '–',
    input ? formatBytes(input.bytes) : '–',
    ...files,
    formatMs(sizes.reduce((sum, { durationMs }) => sum + durationMs, 0)),
  ];
}

/** The fonts that every PDF reader has know Western characters only; a file can be named anything. */
function drawable(text: string): string {
  return text.normalize('NFC').replaceAll(/[^\u0020-\u007e\u00a0-\u00ac\u00ae-\u00ff–—‘’“”…]/gu, '?');
}
