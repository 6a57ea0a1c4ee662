/**
 * Jobs per second from enqueue to committed result: a handler that does nothing, a small payload, 500 in flight.
 *
 *   npm run bench -- throughput
 */
import { median, round } from '../measure/statistics.js';
import type { Rate } from '../systems/contract.js';
import { Field } from './field.js';
import type { Scenario } from './stage.js';

const NAMES = [
  'millrace',
  'piscina',
  'piscina-tuned',
  'workerpool',
  'poolifier',
  'bullmq',
  'bullmq-fsync',
  'bullmq-threads',
  'plainjob',
  'prototype',
] as const;
/** What Millrace is held against. */
const RIVALS = ['piscina', 'piscina-tuned', 'bullmq', 'bullmq-threads', 'plainjob', 'prototype'] as const;
const TURN = { drive: 'loop', forMs: 500, inFlight: 500 };
/** Long enough for V8 to compile an engine: what is meant is the figure of a server that is up. */
const WARM_UP = { ...TURN, forMs: 1_500 };

export const throughput: Scenario = {
  name: 'throughput',
  what: 'jobs per second from enqueue to committed result, no-op handler, 500 in flight',
  async run(stage) {
    const field = await Field.open<Rate>(stage.systems(NAMES, { handler: 'noop' }));
    try {
      await field.warmUp(WARM_UP);
      await field.takeTurns(TURN, stage);
      const rows = field.rows((answers) => ({
        jobsPerSec: round(median(answers.map(({ perSec }) => perSec))),
        loopP99Ms: round(median(answers.map(({ loopP99Ms }) => loopP99Ms))),
      }));
      const ratios = RIVALS.flatMap((rival) =>
        field.ratio(`millrace/${rival}`, 'millrace', rival, ({ perSec }) => perSec),
      );
      return { scenario: 'throughput', rows, ratios: new Map(ratios) };
    } finally {
      await field.close();
    }
  },
};
