/** A pool of threads for a test of its own. */
import { Pace } from '../../src/pool/pace.js';
import { ThreadPool, type ThreadPoolSettings } from '../../src/pool/thread-pool.js';
import { systemClock, type Clock } from '../../src/clock.js';
import { poolBench, type PoolBench } from './news.js';

export const scriptedUrl = new URL('../fixtures/scripted.js', import.meta.url).href;

/** Takes every job for a tiny one, so that those of one turn share a message. */
class Hasty extends Pace {
  override tinyMs(): number {
    return 0;
  }
}

/** @param settings By default one thread, with scripted.ts as the handler of jobs named `scripted`; all jobs are tiny. */
export function threads(
  settings: Partial<ThreadPoolSettings> = {},
  clock: Clock = systemClock,
  pace: Pace = new Hasty(),
): Promise<PoolBench<ThreadPool>> {
  return poolBench(async (events, given) => {
    const handlers = { scripted: scriptedUrl };
    const pool = new ThreadPool(
      { handlers, count: 1, nice: 0, batchSize: 100, ...settings },
      events,
      given,
      pace,
    );
    await pool.start();
    pool.fill();
    return pool;
  }, clock);
}
