/**
 * What is left of the event loop while jobs saturate the process: its delay, and the answers of an HTTP server in it
 * to a bounded load from a second process, beside raw Piscina and beside doing the work in the main thread.
 *
 *   npm run bench -- eventloop
 */
import { iterationsFor } from '../measure/calibrate.js';
import { median, quantile, round } from '../measure/statistics.js';
import type { AppAnswer, AppTurn } from '../probes/eventloop.js';
import { Field } from './field.js';
import type { Scenario, Stage } from './stage.js';

const NAMES = ['millrace', 'piscina', 'main-thread'] as const;
const JOB_MS = 20;
/** 200 requests a second, for 1.2 s; the jobs go on a little longer. */
const LOAD = { requests: 240, everyMs: 5 };
const FOR_MS = 1_300;
/** Long enough for V8 to compile an engine. */
const WARM_UP_MS = 2_000;

function entries(stage: Stage) {
  const payload = { iterations: iterationsFor(JOB_MS) };
  return NAMES.flatMap((name) => [
    stage.system(name, { handler: 'heavy', payload }, { as: `${name} heavy`, program: 'eventloop' }),
    stage.system(name, { handler: 'noop' }, { as: `${name} tiny`, program: 'eventloop' }),
  ]);
}

export const eventloop: Scenario = {
  name: 'eventloop',
  what: 'event-loop delay and HTTP answers while heavy and tiny jobs saturate the process',
  async run(stage) {
    const command = (system: string): AppTurn => {
      const inFlight = system.endsWith('tiny') ? 500 : 4 * stage.threads;
      return { loop: { forMs: FOR_MS, inFlight }, load: LOAD };
    };
    const field = await Field.open<AppAnswer>(entries(stage));
    try {
      await field.warmUp((system) => ({
        ...command(system),
        loop: { ...command(system).loop, forMs: WARM_UP_MS },
      }));
      await field.takeTurns(command, stage);
      const rows = field.rows((answers) => {
        const requests = answers.flatMap(({ requestsMs }) => requestsMs);
        return {
          loopP99Ms: round(median(answers.map(({ loopP99Ms }) => loopP99Ms))),
          loopMaxMs: round(Math.max(...answers.map(({ loopMaxMs }) => loopMaxMs))),
          requestP50Ms: round(quantile(requests, 0.5)),
          requestP99Ms: round(quantile(requests, 0.99)),
        };
      });
      const delay = ({ loopP99Ms }: AppAnswer): number => loopP99Ms;
      const ratios = (['heavy', 'tiny'] as const).flatMap((work) =>
        field.ratio(`${work}/piscina`, `millrace ${work}`, `piscina ${work}`, delay),
      );
      return { scenario: 'eventloop', rows, ratios: new Map(ratios) };
    } finally {
      await field.close();
    }
  },
};
