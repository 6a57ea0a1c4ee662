/**
 * Jobs per second that are added and acknowledged while none runs: one by one with 500 in flight, and in arrays.
 *
 *   npm run bench -- enqueue
 */
import { median, round } from '../measure/statistics.js';
import type { Rate } from '../systems/contract.js';
import { Field } from './field.js';
import type { Scenario, Stage } from './stage.js';

const SINGLE = ['millrace', 'bullmq', 'bullmq-fsync', 'plainjob'] as const;
const ARRAY_LENGTHS = [1_000, 10_000] as const;
/** Two, so that one is made while the other is written. */
const ARRAYS_IN_FLIGHT = 2;
const FOR_MS = 500;

/** Entries named after what they do, such as `millrace ×1000`: the same system is measured in several ways. */
function entries(stage: Stage) {
  const work = { handler: 'noop', consumes: false } as const;
  return SINGLE.flatMap((name) => [
    stage.system(name, work, { as: `${name} single` }),
    ...ARRAY_LENGTHS.map((length) => stage.system(name, work, { as: `${name} ×${length}` })),
  ]);
}

function command(system: string): object {
  const [, arrayLength] = system.split('×');
  if (arrayLength === undefined) return { drive: 'add', forMs: FOR_MS, inFlight: 500 };
  return { drive: 'addMany', forMs: FOR_MS, inFlight: ARRAYS_IN_FLIGHT, arrayLength: Number(arrayLength) };
}

const perSec = (answer: Rate): number => answer.perSec;

export const enqueue: Scenario = {
  name: 'enqueue',
  what: 'jobs per second added and acknowledged, one by one (500 in flight) and in arrays',
  async run(stage) {
    const field = await Field.open<Rate>(entries(stage));
    try {
      await field.warmUp(command);
      await field.takeTurns(command, stage);
      const rows = field.rows((answers) => ({
        jobsPerSec: round(median(answers.map(perSec))),
        loopP99Ms: round(median(answers.map(({ loopP99Ms }) => loopP99Ms))),
      }));
      const ratios = [
        ...field.ratio('single/bullmq', 'millrace single', 'bullmq single', perSec),
        ...field.ratio('bulk/bullmq', 'millrace ×1000', 'bullmq ×1000', perSec),
        ...field.ratio('bulk/plainjob', 'millrace ×1000', 'plainjob ×1000', perSec),
      ];
      return { scenario: 'enqueue', rows, ratios: new Map(ratios) };
    } finally {
      await field.close();
    }
  },
};
