/** The suite of all pools, on each of them. */
import { InlinePool } from '../../src/pool/inline-pool.js';
import { ThreadPool } from '../../src/pool/thread-pool.js';
import type { PoolEvents } from '../../src/pool/contract.js';
import type { Clock } from '../../src/clock.js';
import scripted from '../fixtures/scripted.js';
import { poolSuite } from './suite.js';

poolSuite('threads', async (events: PoolEvents, clock: Clock) => {
  const handlers = { scripted: new URL('../fixtures/scripted.js', import.meta.url).href };
  const pool = new ThreadPool({ handlers, count: 2, nice: 0, batchSize: 1 }, events, clock);
  await pool.start();
  pool.fill();
  return pool;
});

poolSuite('inline', async (events: PoolEvents, clock: Clock) => {
  return new InlinePool({ scripted: { handler: scripted, concurrency: 2 } }, events, clock);
});
