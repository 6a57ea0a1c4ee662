/**
 * What the engine adds to jobs of 20 ms of CPU: beside raw Piscina with as many threads, in pairs. Real resizes and
 * PDFs take turns beside it.
 *
 *   npm run bench -- heavy
 */
import { iterationsFor } from '../measure/calibrate.js';
import { median, round } from '../measure/statistics.js';
import type { Row } from '../report/report.js';
import type { HandlerName, Rate } from '../systems/contract.js';
import { Field, type Rounds } from './field.js';
import { makePhotograph } from './photograph.js';
import type { Scenario, Stage } from './stage.js';

const PAIR = ['millrace', 'piscina'] as const;
/** Of the time that is left, the pairs of synthetic jobs get this much; the real ones share the rest. */
const SYNTHETIC_SHARE = 0.6;
const JOB_MS = 20;
const MIN_PAIRS = 15;
const PER_THREAD = { heavy: 20, resize: 8, pdf: 20 };
const perSec = (answer: Rate): number => answer.perSec;

async function measure(
  stage: Stage,
  handler: 'heavy' | 'resize' | 'pdf',
  payload: object,
  rounds: Rounds,
): Promise<{ rows: Row[]; field: Field<Rate> }> {
  const jobs = PER_THREAD[handler] * stage.threads;
  const turn = { drive: 'loop', jobs, inFlight: 4 * stage.threads };
  const field = await Field.open<Rate>(
    stage.systems(PAIR, { handler: handler satisfies HandlerName, payload }),
  );
  try {
    await field.warmUp(turn);
    await field.takeTurns(turn, rounds);
    const rows = field.rows((answers) => ({
      jobsPerSec: round(median(answers.map(perSec))),
      loopP99Ms: round(median(answers.map(({ loopP99Ms }) => loopP99Ms))),
    }));
    return { rows: rows.map((row) => ({ ...row, work: handler })), field };
  } finally {
    await field.close();
  }
}

export const heavy: Scenario = {
  name: 'heavy',
  what: 'jobs of 20 ms of CPU beside raw Piscina, in pairs; real resizes and PDFs',
  async run(stage) {
    const startedAt = performance.now();
    const synthetic = startedAt + (stage.deadline - startedAt) * SYNTHETIC_SHARE;
    const spin = await measure(
      stage,
      'heavy',
      { iterations: iterationsFor(JOB_MS) },
      { deadline: synthetic, least: MIN_PAIRS },
    );
    const halfway = (performance.now() + stage.deadline) / 2;
    const photograph = await makePhotograph(stage.workspace.directory('photograph')).catch(() => undefined);
    const resize = photograph
      ? await measure(stage, 'resize', { input: photograph }, { deadline: halfway })
      : undefined;
    const pdf = await measure(stage, 'pdf', { pages: 5 }, stage);
    const ratios = [
      ...spin.field.ratio('millrace/piscina', 'millrace', 'piscina', perSec),
      ...(resize?.field.ratio('resize/piscina', 'millrace', 'piscina', perSec) ?? []),
      ...pdf.field.ratio('pdf/piscina', 'millrace', 'piscina', perSec),
    ];
    const notes = photograph ? [] : ['resizes: not measured: no sharp'];
    const rows = [...spin.rows, ...(resize?.rows ?? []), ...pdf.rows];
    return { scenario: 'heavy', rows, ratios: new Map(ratios), notes };
  },
};
