/**
 * Whether sending a thread several tiny jobs at once makes them wait behind long ones: bursts of 99 tiny jobs and
 * one of 200 ms, in two queues, for an engine with its defaults and for one that sends jobs one by one. Two threads,
 * for with one every tiny job waits for the long one that runs.
 *
 *   npm run bench -- mixed
 */
import { iterationsFor } from '../measure/calibrate.js';
import { quantile, round } from '../measure/statistics.js';
import type { MixedSetup, MixedTurn } from '../probes/mixed.js';
import { Field } from './field.js';
import type { Scenario, Stage } from './stage.js';

const THREADS = 2;
const LONG_MS = 200;
const TURN: MixedTurn = { bursts: 10, everyMs: 300, tiny: 99 };

function entry(stage: Stage, system: string, iterations: number, batchSize?: number) {
  const setup: MixedSetup = {
    engine: stage.engine,
    directory: stage.workspace.directory('mixed'),
    threads: THREADS,
    iterations,
    ...(batchSize !== undefined && { batchSize }),
  };
  return stage.entry({ system, durability: 'fsync', runsIn: 'thread', threads: THREADS }, 'mixed', setup);
}

export const mixed: Scenario = {
  name: 'mixed',
  what: 'how long tiny jobs wait among 1 % jobs of 200 ms, with batching and without',
  async run(stage) {
    const iterations = iterationsFor(LONG_MS);
    const field = await Field.open<readonly number[]>([
      entry(stage, 'millrace', iterations),
      entry(stage, 'millrace unbatched', iterations, 1),
    ]);
    try {
      await field.warmUp(TURN);
      await field.takeTurns(TURN, stage);
      const rows = field.rows((answers) => ({
        waitP50Ms: round(quantile(answers.flat(), 0.5)),
        waitP99Ms: round(quantile(answers.flat(), 0.99)),
      }));
      const ratios = field.ratio('batched/unbatched', 'millrace', 'millrace unbatched', (waits) =>
        quantile(waits, 0.99),
      );
      return { scenario: 'mixed', rows, ratios: new Map(ratios) };
    } finally {
      await field.close();
    }
  },
};
