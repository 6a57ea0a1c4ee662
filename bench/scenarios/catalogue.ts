/** Every scenario, in the order in which they run. */
import { backlog } from './backlog.js';
import { enqueue } from './enqueue.js';
import { eventloop } from './eventloop.js';
import { heavy } from './heavy.js';
import { latency } from './latency.js';
import { mixed } from './mixed.js';
import { native } from './native.js';
import { payload } from './payload.js';
import { schedules } from './schedules.js';
import type { Scenario } from './stage.js';
import { throughput } from './throughput.js';

export const SCENARIOS: readonly Scenario[] = [
  throughput,
  enqueue,
  heavy,
  latency,
  mixed,
  eventloop,
  native,
  backlog,
  payload,
  schedules,
];
