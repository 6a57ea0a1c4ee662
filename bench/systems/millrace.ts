/** Millrace with its defaults: each job is synced to disk before it is acknowledged, and so is each result. */
import { handlerUrl } from '../handlers/locate.js';
import type { OpenSystem } from './contract.js';
import { bulkOf, loadEngine } from './engine.js';

export const open: OpenSystem = async ({ directory, handler, threads, consumes, engine }) => {
  const { Millrace, defineJobs, inlineJob, threadJob } = await loadEngine(engine);
  // A job that holds its queue's only place keeps those behind it waiting, as a queue without a worker would.
  const hold = inlineJob(
    (_payload: object, job) =>
      new Promise<never>((_, reject) => {
        job.signal.addEventListener('abort', () => reject(job.signal.reason));
      }),
    { grace: 0 },
  );
  // Only where it is needed: an engine to compare with may not know the option.
  const work = threadJob(handlerUrl(handler), handler === 'bytes' ? { maxPayloadBytes: 16_000_000 } : {});
  const mill = await Millrace.open({
    directory,
    jobs: defineJobs({ work, hold }),
    threads: { count: threads },
    queues: { default: consumes ? {} : { concurrency: 1 } },
  });
  if (!consumes) {
    const held = new Promise<void>((resolve) => mill.on('started', () => resolve()));
    await mill.enqueue('hold', {});
    await held;
  }
  const addMany = bulkOf(mill);
  return {
    run: async (payload) => (await mill.enqueue('work', payload)).result(),
    add: (payload) => mill.enqueue('work', payload),
    ...(addMany && {
      addMany: (payloads) => addMany(payloads.map((payload) => ({ name: 'work', payload }))),
    }),
    stop: () => mill.close({ timeout: 0 }),
  };
};
