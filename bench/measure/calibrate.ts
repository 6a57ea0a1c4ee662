/** Finds how many iterations of the heavy handler take a given time on this machine, when nothing disturbs. */
import { spin } from '../handlers/heavy.js';

const PROBE_ITERATIONS = 2_000_000;
const PROBES = 12;

export function iterationsFor(ms: number): number {
  let best = Infinity;
  for (let probe = 0; probe < PROBES; probe++) {
    const startedAt = performance.now();
    spin(PROBE_ITERATIONS);
    best = Math.min(best, performance.now() - startedAt);
  }
  return Math.round((PROBE_ITERATIONS * ms) / best);
}
