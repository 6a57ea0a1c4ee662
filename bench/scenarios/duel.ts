/** Two engines in turns, A B A B …, at tiny and at heavy jobs. */
import { iterationsFor } from '../measure/calibrate.js';
import { median, round } from '../measure/statistics.js';
import type { Report } from '../report/report.js';
import type { HandlerName, Rate } from '../systems/contract.js';
import { Field } from './field.js';
import type { Stage } from './stage.js';

/** An engine under the name that its row gets. */
export interface Engine {
  readonly name: string;
  readonly module: string;
}

interface Work {
  readonly handler: HandlerName;
  readonly payload?: object;
  readonly turn: object;
  readonly warmUp: object;
}

const JOB_MS = 20;

/** The work of the scenarios of these names. */
export function workOf(scenario: 'throughput' | 'heavy', { threads }: Stage): Work {
  if (scenario === 'throughput') {
    const turn = { drive: 'loop', forMs: 1_000, inFlight: 500 };
    return { handler: 'noop', turn, warmUp: { ...turn, forMs: 2_000 } };
  }
  const turn = { drive: 'loop', jobs: 25 * threads, inFlight: 4 * threads };
  return { handler: 'heavy', payload: { iterations: iterationsFor(JOB_MS) }, turn, warmUp: turn };
}

export async function duel(
  stage: Stage,
  scenario: 'throughput' | 'heavy',
  [a, b]: readonly [Engine, Engine],
): Promise<Report> {
  const { turn, warmUp, ...work } = workOf(scenario, stage);
  const entries = [a, b].map(({ name, module }) =>
    stage.system('millrace', work, { as: name, engine: module }),
  );
  const field = await Field.open<Rate>(entries);
  try {
    await field.warmUp(warmUp);
    await field.takeTurns(turn, stage);
    const rows = field.rows((answers) => ({
      jobsPerSec: round(median(answers.map(({ perSec }) => perSec))),
      loopP99Ms: round(median(answers.map(({ loopP99Ms }) => loopP99Ms))),
    }));
    const ratio = field.ratio(`${b.name}/${a.name}`, b.name, a.name, ({ perSec }) => perSec);
    return { scenario, rows, ratios: new Map(ratio) };
  } finally {
    await field.close();
  }
}
