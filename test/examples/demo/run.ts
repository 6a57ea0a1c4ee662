/**
 * One run with Millrace: opens the journal, makes photographs if there are none, then the sizes, then the contact
 * sheet. It holds nothing that must survive: whatever an earlier run has done is in the journal, under ids made
 * of the work itself, so a run that carries on is the same as one that begins.
 */
import { join } from 'node:path';
import type { JobCounts } from 'millrace';
import type { RenderPdfResult } from 'millrace/workers/render-pdf';
import type { Display } from './display.js';
import { formatMs } from './format.js';
import type { InputImage } from './images.js';
import { openEngine, QUEUE_NAMES, type QueueName } from './jobs.js';
import { findLeftovers, removeLeftovers } from './leftovers.js';
import { measure, type Measure } from './loop-delay.js';
import { makeSheet } from './make-sheet.js';
import { bytesOf, isMade, type Outcome } from './outcome.js';
import { makePhotographs, PHOTOGRAPHS_FOLDER } from './photographs.js';
import { planJobs, TARGETS } from './plan.js';
import { makeSizes } from './sizes.js';
import type { Ending, Work } from './work.js';

export interface RunOptions {
  readonly output: string;
  readonly threads: number;
  /** Absent: as many photographs are made. */
  readonly images: readonly InputImage[] | undefined;
  readonly photographs: number;
}

export interface RunReport {
  readonly images: readonly InputImage[];
  readonly outcomes: readonly Outcome[];
  readonly sheet: Ending<RenderPdfResult>;
  /** What this run has done itself, and not found done. */
  readonly now: {
    readonly sizes: number;
    readonly hasMadeSheet: boolean;
    readonly files: number;
    readonly bytes: number;
  };
  /** All that the journal holds. */
  readonly counts: ReadonlyMap<QueueName, JobCounts>;
  readonly measures: {
    readonly photographs: Measure | undefined;
    readonly sizes: Measure;
    readonly sheet: Measure;
    readonly total: Measure;
  };
}

const JOURNAL_FOLDER = '.millrace';
/** How long jobs that run may take to finish after Ctrl-C. */
const CLOSE_TIMEOUT = '5s';

export async function run(options: RunOptions, display: Display, signal: AbortSignal): Promise<RunReport> {
  const [report, total] = await measure(() => runWithEngine(options, display, signal));
  return { ...report, measures: { ...report.measures, total } };
}

type Part = Omit<RunReport, 'measures'> & { measures: Omit<RunReport['measures'], 'total'> };

async function runWithEngine(options: RunOptions, display: Display, signal: AbortSignal): Promise<Part> {
  const { output, threads } = options;
  const folders = ['', PHOTOGRAPHS_FOLDER, ...TARGETS.map(({ folder }) => folder)];
  const leftovers = await findLeftovers(folders.map((folder) => join(output, folder)));
  const startedAt = performance.now();
  display.say(`Opening the journal in ${join(output, JOURNAL_FOLDER)}`);
  const mill = await openEngine(join(output, JOURNAL_FOLDER), threads);
  try {
    const work = { mill, output, display, signal };
    listen(work);
    await removeLeftovers(leftovers);
    const { completed, available } = await mill.counts();
    const openMs = formatMs(performance.now() - startedAt);
    display.say(`Opened in ${openMs}: ${completed} jobs completed, ${available} to do`);
    return await makeAll(work, options);
  } finally {
    await mill.close({ timeout: CLOSE_TIMEOUT });
  }
}

async function makeAll(work: Work, options: RunOptions): Promise<Part> {
  const { images, photographs } = await provideImages(work, options);
  const plan = planJobs(images, work.output);
  const [{ outcomes, now }, sizes] = await measure(() => makeSizes(work, plan));
  const [{ ending, wasDone }, sheet] = await measure(() => makeSheet(work, outcomes));
  const sheetBytes = ending.kind === 'completed' && !wasDone ? ending.result.bytes : 0;
  return {
    images,
    outcomes,
    sheet: ending,
    now: {
      sizes: now.length,
      hasMadeSheet: !wasDone,
      files: (photographs?.files ?? 0) + now.filter(isMade).length + (sheetBytes > 0 ? 1 : 0),
      bytes: (photographs?.bytes ?? 0) + bytesOf(now) + sheetBytes,
    },
    counts: await countAll(work),
    measures: { photographs: photographs?.measure, sizes, sheet },
  };
}

async function provideImages(work: Work, { images, photographs }: RunOptions) {
  if (images) return { images, photographs: undefined };
  const [made, taken] = await measure(() => makePhotographs(work, photographs));
  const written = { measure: taken, files: made.filesWritten, bytes: made.bytesWritten };
  return { images: made.images, photographs: written };
}

/** Tells of what happens beside the plan. */
function listen({ mill, display }: Work): void {
  mill.on('rescued', ({ id }) => display.say(`Available again, as its process died: ${id}`));
  mill.on('retrying', ({ id, error }) => display.warn(`To be tried again: ${id}: ${error.message}`));
  mill.on('warning', (error) => display.warn(`Warning: ${error.message}`));
}

async function countAll({ mill }: Work): Promise<Map<QueueName, JobCounts>> {
  const counts = new Map<QueueName, JobCounts>();
  for (const queue of QUEUE_NAMES) counts.set(queue, await mill.counts(queue));
  return counts;
}
