/**
 * How long one job takes an idle engine, from enqueue to committed result.
 *
 *   npm run bench -- latency
 */
import { quantile, round } from '../measure/statistics.js';
import { Field } from './field.js';
import type { Scenario } from './stage.js';

const NAMES = ['millrace', 'bullmq-fsync', 'bullmq', 'bullmq-threads', 'plainjob', 'piscina'] as const;
const TURN = { drive: 'latency', samples: 100, gapMs: 3 };
const MOST_ROUNDS = 12;

export const latency: Scenario = {
  name: 'latency',
  what: 'an idle engine, one job from enqueue to committed result',
  async run(stage) {
    const field = await Field.open<readonly number[]>(stage.systems(NAMES, { handler: 'noop' }));
    try {
      await field.warmUp(TURN);
      await field.takeTurns(TURN, { deadline: stage.deadline, most: MOST_ROUNDS });
      const rows = field.rows((answers) => ({
        p50Ms: round(quantile(answers.flat(), 0.5)),
        p99Ms: round(quantile(answers.flat(), 0.99)),
      }));
      const p50 = (samples: readonly number[]): number => quantile(samples, 0.5);
      const ratios = field.ratio('millrace/bullmq', 'millrace', 'bullmq-fsync', p50);
      return { scenario: 'latency', rows, ratios: new Map(ratios) };
    } finally {
      await field.close();
    }
  },
};
