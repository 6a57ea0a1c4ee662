/** Every scenario, in the order in which they run. */
import { enqueue } from './enqueue.js';
import { heavy } from './heavy.js';
import { latency } from './latency.js';
import type { Scenario } from './stage.js';
import { throughput } from './throughput.js';

export const SCENARIOS: readonly Scenario[] = [throughput, enqueue, heavy, latency];
