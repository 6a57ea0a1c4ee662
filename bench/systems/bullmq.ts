/** BullMQ as its guide runs it fastest: handlers in this process, several at a time. */
import noop from '../handlers/noop.js';
import { openQueue } from './bullmq-worker.js';
import type { OpenSystem } from './contract.js';

/** The guide calls 100 to 300 usual where jobs wait rather than compute. */
const CONCURRENCY = 200;

export const open: OpenSystem = (setup) =>
  openQueue(setup, { processor: async (job) => noop(job.data), concurrency: CONCURRENCY });
