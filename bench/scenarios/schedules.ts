/**
 * What schedules cost while none is due, and how late their ticks are: an engine without any, one with 10,000, and one with
 * as many and another that ticks each second.
 *
 *   npm run bench -- schedules
 */
import { median, quantile, round } from '../measure/statistics.js';
import type { SchedulesAnswer, SchedulesSetup, SchedulesTurn } from '../probes/schedules.js';
import { Field } from './field.js';
import type { Scenario, Stage } from './stage.js';

const MANY = 10_000;
const TURN: SchedulesTurn = { forMs: 3_000 };

function entry(stage: Stage, system: string, idle: number, ticks: boolean) {
  const directory = stage.workspace.directory('schedules');
  const setup: SchedulesSetup = { engine: stage.engine, directory, idle, ticks };
  return stage.entry({ system, durability: 'fsync', runsIn: 'main thread', threads: 0 }, 'schedules', setup);
}

export const schedules: Scenario = {
  name: 'schedules',
  what: 'idle CPU with no schedule and with 10,000, and how late the ticks of one among them are',
  async run(stage) {
    const field = await Field.open<SchedulesAnswer>([
      entry(stage, 'none', 0, false),
      entry(stage, '10,000 idle', MANY, false),
      entry(stage, '10,000 and one each second', MANY, true),
    ]);
    try {
      await field.warmUp(TURN);
      await field.takeTurns(TURN, stage);
      const rows = field.rows((answers) => {
        const lateness = answers.flatMap(({ latenessMs }) => latenessMs);
        return {
          cpuMsPerSec: round(median(answers.map(({ cpuMsPerSec }) => cpuMsPerSec))),
          ...(lateness.length > 0 && {
            ticks: lateness.length,
            lateP50Ms: round(quantile(lateness, 0.5)),
            lateP99Ms: round(quantile(lateness, 0.99)),
          }),
        };
      });
      const ratio = field.ratio('idle-10,000/none', '10,000 idle', 'none', ({ cpuMsPerSec }) => cpuMsPerSec);
      return { scenario: 'schedules', rows, ratios: new Map(ratio) };
    } finally {
      await field.close();
    }
  },
};
