/**
 * The same work without Millrace: the same handlers, called in the main thread, as many at a time as ran in
 * threads. What is interrupted here begins anew the next time, as nothing remembers it.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobContext } from 'millrace';
import renderPdf from 'millrace/workers/render-pdf';
import resizeImage from 'millrace/workers/resize-image';
import type { Display } from './display.js';
import { formatDelay, formatMs, formatTable } from './format.js';
import { measure, type Measure } from './loop-delay.js';
import { SHEET_FILE } from './make-sheet.js';
import { MOST_AT_ONCE } from './options.js';
import type { Outcome } from './outcome.js';
import { planJobs, TARGETS, type PlannedJob } from './plan.js';
import { run, type RunOptions, type RunReport } from './run.js';
import { contactSheet } from './sheet.js';

export const COMPARE_FOLDER = 'compare';

interface Measures {
  readonly sizes: Measure;
  readonly sheet: Measure;
}

/** @returns the comparison as text. */
export async function compare(
  report: RunReport,
  options: RunOptions,
  display: Display,
  signal: AbortSignal,
): Promise<string> {
  const folder = join(options.output, COMPARE_FOLDER);
  await rm(folder, { recursive: true, force: true });
  const withMillrace = await withMillraceFrom(
    report,
    { ...options, output: join(folder, 'with') },
    display,
    signal,
  );
  display.say('The same without Millrace, in the main thread');
  const without = await inMainThread(
    report,
    { ...options, output: join(folder, 'without') },
    display,
    signal,
  );
  return tableOf(withMillrace, without, report.images.length);
}

/** A run that found work done has measured only the rest of it, so it is made again for the comparison. */
async function withMillraceFrom(
  report: RunReport,
  options: RunOptions,
  display: Display,
  signal: AbortSignal,
): Promise<Measures> {
  const { sizes, hasMadeSheet } = report.now;
  if (sizes === report.outcomes.length && hasMadeSheet) return report.measures;
  // The engine would make it for itself alone, as it does a journal's folder.
  await mkdir(options.output, { recursive: true });
  display.say('All of it once more with Millrace, as an earlier run has done a part');
  return (await run({ ...options, images: report.images }, display, signal)).measures;
}

async function inMainThread(
  { images }: RunReport,
  { output, threads }: RunOptions,
  display: Display,
  signal: AbortSignal,
): Promise<Measures> {
  const plan = planJobs(images, output);
  const outcomes: Outcome[] = [];
  const waiting = plan.values();
  const lane = async (): Promise<void> => {
    for (const job of waiting) {
      signal.throwIfAborted();
      outcomes.push(await resize(job, signal));
      display.step({ label: 'Main thread', done: outcomes.length, total: plan.length });
    }
  };
  const [, sizes] = await measure(() =>
    Promise.all(Array.from({ length: Math.min(threads, MOST_AT_ONCE) }, lane)),
  );
  const document = contactSheet(join(output, SHEET_FILE), outcomes);
  const [, sheet] = await measure(() => renderPdf(document, plainContext(SHEET_FILE, signal)));
  return { sizes, sheet };
}

async function resize(job: PlannedJob, signal: AbortSignal): Promise<Outcome> {
  const startedAt = performance.now();
  const base = { job, id: job.id, finishedAt: Date.now() };
  try {
    const result = await resizeImage(job.payload, plainContext(job.id, signal));
    return { ...base, kind: 'made', result, durationMs: performance.now() - startedAt };
  } catch (error) {
    signal.throwIfAborted();
    return { ...base, kind: 'failed', reason: error instanceof Error ? error.message : String(error) };
  }
}

/** A handler is a plain function: all it needs besides a payload is this. */
function plainContext(id: string, signal: AbortSignal): JobContext {
  return {
    id,
    name: id,
    queue: 'default',
    attempt: 1,
    maxAttempts: 1,
    signal,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    progress: () => signal.throwIfAborted(),
    snooze() {
      throw new Error('Without an engine nothing can be put off');
    },
    throwIfAborted: () => signal.throwIfAborted(),
    resumeFrom: undefined,
    parentResults: () => Promise.resolve({}),
    checkpoint: async () => {},
    enqueue: async () => ({ id: 'none' }),
  };
}

function tableOf(withMillrace: Measures, without: Measures, images: number): string {
  return formatTable([
    [`Event loop late by`, 'wall time', 'p50', 'p99', 'max'],
    [`${images} images, ${TARGETS.length} sizes each`],
    row('  with Millrace', withMillrace.sizes),
    row('  without', without.sizes),
    ['Contact sheet (PDF)'],
    row('  with Millrace', withMillrace.sheet),
    row('  without', without.sheet),
  ]);
}

const row = (title: string, { wallMs, delay }: Measure): string[] => [
  title,
  formatMs(wallMs),
  formatDelay(delay.p50),
  formatDelay(delay.p99),
  formatDelay(delay.max),
];
