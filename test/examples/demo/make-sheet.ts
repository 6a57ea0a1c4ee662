/** Makes the contact sheet: anew when what it shows has changed, and not at all when nothing has. */
import { join } from 'node:path';
import type { RenderPdfResult } from 'millrace/workers/render-pdf';
import { formatBytes, formatCount, formatMs } from './format.js';
import { once } from './once.js';
import type { Outcome } from './outcome.js';
import { jobId } from './plan.js';
import { contactSheet } from './sheet.js';
import { endingOf, type Ending, type Work } from './work.js';

export const SHEET_FILE = 'contact-sheet.pdf';
const LABEL = 'Contact sheet';

export interface Sheet {
  readonly ending: Ending<RenderPdfResult>;
  /** Whether an earlier run has made it. */
  readonly wasDone: boolean;
}

export async function makeSheet(work: Work, outcomes: readonly Outcome[]): Promise<Sheet> {
  const { mill, output, display, signal } = work;
  const document = contactSheet(join(output, SHEET_FILE), outcomes);
  // Of the jobs, too: an image that was made again may look the same in the document.
  const id = jobId('contact-sheet', { document, jobs: outcomes.map((outcome) => outcome.id) });
  const show = new Progress(work);
  const { handle, wasDone } = await once(mill, id, document.path, (id) =>
    mill.enqueue('renderPdf', document, { id }),
  );
  const ending = await endingOf(handle, signal);
  if (ending.kind === 'failed') display.warn(`The contact sheet failed: ${ending.reason}`);
  else if (!wasDone) show.done(ending.result, ending.durationMs);
  return { ending, wasDone };
}

/** `render-pdf` reports `{ done, total }`. */
class Progress {
  readonly #display: Work['display'];
  #total = 1;

  constructor({ mill, display }: Work) {
    this.#display = display;
    // One sheet at a time is made, so every such event is its own; the engine's end is that of the listening, too.
    mill.on('started', ({ name }) => {
      if (name === 'renderPdf') display.step({ label: LABEL, done: 0, total: this.#total }, 'started');
    });
    mill.on('progress', ({ name, value }) => {
      if (name === 'renderPdf' && isStep(value)) this.#advance(value.done, value.total);
    });
  }

  done({ pages, bytes }: RenderPdfResult, durationMs: number): void {
    const text = `${formatCount(pages, 'page')}, ${formatBytes(bytes)} in ${formatMs(durationMs)}`;
    const total = this.#total;
    this.#display.step({ label: LABEL, done: total, total, note: text }, text);
  }

  #advance(done: number, total: number): void {
    this.#total = total;
    if (done < total) this.#display.step({ label: LABEL, done, total });
  }
}

function isStep(value: unknown): value is { done: number; total: number } {
  return (
    typeof value === 'object' &&
    value !== null &&
    'done' in value &&
    typeof value.done === 'number' &&
    'total' in value &&
    typeof value.total === 'number'
  );
}
