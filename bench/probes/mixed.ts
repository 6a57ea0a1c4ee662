/** An engine with two queues, one of tiny jobs and one of long ones, and bursts of both. */
import { setTimeout as sleep } from 'node:timers/promises';
import { handlerUrl } from '../handlers/locate.js';
import { loadEngine } from '../systems/engine.js';
import { serve } from './serve.js';

export interface MixedSetup {
  readonly engine: string;
  readonly directory: string;
  readonly threads: number;
  /** How many tiny jobs a thread may be sent in one message; the engine's default where absent. */
  readonly batchSize?: number;
  /** Of a long job. */
  readonly iterations: number;
}

export interface MixedTurn {
  readonly bursts: number;
  readonly everyMs: number;
  /** Tiny jobs in a burst; one long job comes in their middle. */
  readonly tiny: number;
}

serve(async ({ engine, directory, threads, batchSize, iterations }: MixedSetup) => {
  const { Millrace, defineJobs, threadJob } = await loadEngine(engine);
  // A variable: an engine of a commit without `batchSize` ignores it.
  const threadOptions = { count: threads, ...(batchSize !== undefined && { batchSize }) };
  const mill = await Millrace.open({
    directory,
    queues: { tiny: {}, long: {} },
    jobs: defineJobs({
      tiny: threadJob(handlerUrl('noop'), { queue: 'tiny' }),
      long: threadJob(handlerUrl('heavy'), { queue: 'long' }),
    }),
    threads: threadOptions,
  });

  async function tiny(id: number): Promise<number> {
    const startedAt = performance.now();
    await (await mill.enqueue('tiny', { id })).result();
    return performance.now() - startedAt;
  }
  const long = async (): Promise<unknown> => (await mill.enqueue('long', { iterations })).result();

  async function turn({ bursts, everyMs, tiny: count }: MixedTurn): Promise<number[]> {
    const waits: Promise<number>[] = [];
    const longs: Promise<unknown>[] = [];
    for (let burst = 0; burst < bursts; burst++) {
      for (let i = 0; i < count; i++) {
        waits.push(tiny(i));
        if (i === count >> 1) longs.push(long());
      }
      await sleep(everyMs);
    }
    await Promise.all(longs);
    return Promise.all(waits);
  }
  return { turn, stop: () => mill.close({ timeout: 0 }) };
});
