/** Every job type of the demo, and its queues. */
import { defineJobs, Millrace, threadJob } from 'millrace';

/** In the order in which they are shown. While all have jobs, previews get 6 of 10 turns and prints 1. */
export const QUEUES = {
  photographs: { weight: 1 },
  thumbnails: { weight: 6 },
  web: { weight: 3 },
  prints: { weight: 1 },
  documents: { weight: 1 },
} as const;

export type QueueName = keyof typeof QUEUES;

// This object has exactly those keys.
export const QUEUE_NAMES = Object.keys(QUEUES) as QueueName[];

const backoff = { type: 'exponential', delay: '200ms' } as const;

export const jobs = defineJobs({
  makePhotograph: threadJob<typeof import('./make-photograph.js')>(
    new URL('./make-photograph.js', import.meta.url),
    { queue: 'photographs', backoff },
  ),
  resizeImage: threadJob<typeof import('millrace/workers/resize-image')>(
    new URL(import.meta.resolve('millrace/workers/resize-image')),
    { queue: 'thumbnails', timeout: '2m', backoff },
  ),
  renderPdf: threadJob<typeof import('millrace/workers/render-pdf')>(
    new URL(import.meta.resolve('millrace/workers/render-pdf')),
    { queue: 'documents', timeout: '2m', backoff },
  ),
});

/** The demo's engine. */
export type Engine = Millrace<typeof jobs, QueueName>;

export function openEngine(directory: string, threads: number): Promise<Engine> {
  return Millrace.open({
    directory,
    jobs,
    queues: QUEUES,
    threads: { count: threads },
    // The one before may still be closing, after Ctrl-C.
    lockTimeout: '3s',
    // The demo shows what the log would tell, from events.
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  });
}
