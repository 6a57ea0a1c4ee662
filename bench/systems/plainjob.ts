/**
 * plainjob over better-sqlite3, with the settings that it makes itself: write-ahead log, synced at checkpoints
 * only. It adds synchronously and runs one job at a time in the main thread.
 */
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { better, defineQueue, defineWorker, type Logger } from 'plainjob';
import noop from '../handlers/noop.js';
import type { OpenSystem } from './contract.js';

const ignore = (): void => {};
const SILENT: Logger = { error: ignore, warn: ignore, info: ignore, debug: ignore };
/** A worker that found nothing sleeps so long: short, so that none of it is in a turn. */
const POLL_MS = 10;

export const open: OpenSystem = async ({ directory, consumes }) => {
  const connection = better(new Database(join(directory, 'jobs.db')));
  const queue = defineQueue({ connection, logger: SILENT });
  const waiting = new Map<number, (result: unknown) => void>();
  const worker = defineWorker(
    'work',
    async (job) => {
      noop(JSON.parse(job.data));
    },
    {
      queue,
      logger: SILENT,
      pollIntervall: POLL_MS,
      onCompleted: ({ id }) => {
        waiting.get(id)?.(undefined);
        waiting.delete(id);
      },
    },
  );
  const working = consumes ? worker.start() : Promise.resolve();
  return {
    run: (payload) => new Promise((resolve) => waiting.set(queue.add('work', payload).id, resolve)),
    add: async (payload) => queue.add('work', payload),
    addMany: async (payloads) => queue.addMany('work', [...payloads]),
    stop: async () => {
      if (consumes) await worker.stop();
      await working;
      queue.close();
    },
  };
};
