/**
 * A BullMQ queue and its worker in one process, over a private Redis. A job counts as done when the worker says
 * `completed`, which is sooner than `waitUntilFinished()` would say it. Ended jobs are removed, as its guide for
 * production advises, so that Redis does not grow.
 */
import { Queue, Worker, type Job } from 'bullmq';
import type { Setup, System } from './contract.js';

const ENDED = { removeOnComplete: true, removeOnFail: true };

/** A function that runs here, or the module of a sandboxed processor. */
export type Processor = ((job: Job<object>) => Promise<unknown>) | URL;

export interface WorkerSettings {
  readonly processor: Processor;
  readonly concurrency: number;
  readonly useWorkerThreads?: boolean;
}

/** Outcomes by job, whichever is first: the worker's word or the answer to `add`. */
class Outcomes {
  readonly #early = new Map<string, Promise<unknown>>();
  readonly #waiting = new Map<string, (outcome: Promise<unknown>) => void>();

  ended(id: string, outcome: Promise<unknown>): void {
    const resolve = this.#waiting.get(id);
    if (!resolve) this.#early.set(id, outcome);
    else if (this.#waiting.delete(id)) resolve(outcome);
  }

  of(id: string): Promise<unknown> {
    const early = this.#early.get(id);
    if (!early) return new Promise((resolve) => this.#waiting.set(id, resolve));
    this.#early.delete(id);
    return early;
  }
}

export async function openQueue(setup: Setup, settings: WorkerSettings): Promise<System> {
  const connection = { host: '127.0.0.1', port: setup.redisPort ?? 0 };
  const name = `bench-${process.pid}`;
  const queue = new Queue<object>(name, { connection, defaultJobOptions: ENDED });
  await queue.waitUntilReady();
  const outcomes = new Outcomes();
  const worker = setup.consumes ? await startWorker(name, connection, settings, outcomes) : undefined;
  return {
    run: async (payload) => outcomes.of(String((await queue.add('work', payload)).id)),
    add: (payload) => queue.add('work', payload),
    addMany: (payloads) => queue.addBulk(payloads.map((data) => ({ name: 'work', data }))),
    stop: async () => {
      await worker?.close(true);
      await queue.close();
    },
  };
}

async function startWorker(
  name: string,
  connection: { host: string; port: number },
  { processor, concurrency, useWorkerThreads = false }: WorkerSettings,
  outcomes: Outcomes,
): Promise<Worker<object>> {
  const worker = new Worker<object>(name, processor, { connection, concurrency, useWorkerThreads });
  worker.on('completed', (job, result: unknown) => outcomes.ended(String(job.id), Promise.resolve(result)));
  worker.on('failed', (job, error) => {
    const failure = Promise.reject(error);
    // Whoever waits for the job is told; where nobody does yet, it is no unhandled rejection.
    failure.catch(() => {});
    outcomes.ended(String(job?.id), failure);
  });
  worker.on('error', (error) => console.error(error));
  await worker.waitUntilReady();
  return worker;
}
