/** The schedules of the workload: they tick often enough that each process has some ticks, and leaves some behind. */
import type { Schedule as ScheduleOf } from '../../src/schedule-options.js';
import type { jobs, Name, queues } from './catalogue.js';
import type { Act } from './handler.js';
import { isInterval, type AskedSchedule } from './rhythm-model.js';

interface Described {
  /** One whose jobs are kept. */
  readonly job: Name;
  /** What its jobs do. */
  readonly act: Act;
  /** What it can be like. */
  readonly as: readonly [AskedSchedule, ...AskedSchedule[]];
}

const START_AT = Date.UTC(2024, 0, 1);
/** Every tick has its job, however long nobody was there. */
const EACH = { startAt: START_AT, misfire: 'all', maxCatchUp: 10_000 } as const;

export const SCHEDULES = {
  /** The code declares it, and makes a payload for each tick. */
  beat: { job: 'mail', act: { do: 'return' }, as: [{ ...EACH, pattern: '@every 300ms' }] },
  pulse: {
    job: 'work',
    act: { do: 'return' },
    as: [
      { ...EACH, every: 250 },
      { ...EACH, every: 400 },
    ],
  },
  second: { job: 'narrow', act: { do: 'return' }, as: [{ ...EACH, pattern: '*/1 * * * * *' }] },
  /** Its jobs take longer than its interval. */
  chain: {
    job: 'mail',
    act: { do: 'wait', ms: 300 },
    as: [{ startAt: START_AT, every: 200, overlap: 'queue' }],
  },
} as const satisfies Readonly<Record<string, Described>>;

export type ScheduleName = keyof typeof SCHEDULES;
export const DECLARED = 'beat';
/** Safe: these are its keys. */
export const SCHEDULE_NAMES = Object.keys(SCHEDULES) as [ScheduleName, ...ScheduleName[]];

/** A schedule of the workload, as the engine takes it. */
export type Schedule = ScheduleOf<typeof jobs, keyof typeof queues>;

export const scheduleOf = (name: ScheduleName, as: AskedSchedule, payload: Schedule['payload']): Schedule =>
  // Safe: it says when it ticks.
  ({
    ...as,
    ...(!isInterval(as) && { timezone: 'UTC' }),
    job: SCHEDULES[name].job,
    payload,
  }) as Schedule;
