/** BullMQ with a sandboxed processor in worker threads: its way to keep CPU-heavy work off the event loop. */
import { handlerUrl } from '../handlers/locate.js';
import { openQueue } from './bullmq-worker.js';
import type { OpenSystem } from './contract.js';

export const open: OpenSystem = (setup) =>
  openQueue(setup, {
    processor: handlerUrl(`bullmq-${setup.handler}`),
    concurrency: setup.threads,
    useWorkerThreads: true,
  });
