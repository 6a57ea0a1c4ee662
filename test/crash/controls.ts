/** What operators do to the engine of the workload: they stop queues and let them go on. */
import { setTimeout as wait } from 'node:timers/promises';
import { HALTABLE } from './catalogue.js';
import { operation, type Operation } from './operation.js';

/** For how long nothing starts: mostly until something else would have. */
const PAUSED_MS = 120;

export const CONTROLS: readonly Operation[] = [
  operation('pause for a while', 4, ['halting', 'halted'], async ({ session, random }) => {
    const queue = random.pick(HALTABLE);
    const pausedMs = random.integer(0, PAUSED_MS);
    await session.halt(queue, 'pause');
    await wait(pausedMs);
    await session.halt(queue, 'resume');
  }),
  // What was paused when a process was killed is, until somebody sees to it.
  operation('resume all', 2, ['halting', 'halted'], ({ session }) => session.resumeAll()),
];
