/** The schedules of a simulated app: those that it may declare, and those that it may be asked for. */
import type { AnySchedule } from '../../src/schedule-options.js';
import type { JobOverrides } from '../../src/index.js';
import { tokenOf } from '../crash/promises.js';
import type { AskedSchedule } from '../crash/rhythm-model.js';
import { NOW } from '../fixtures/jobs.js';
import type { Name, Queue, Work } from './catalogue.js';

export interface Plan extends AskedSchedule {
  readonly job: Name;
  readonly options?: JobOverrides<Queue>;
  /** In milliseconds. */
  readonly jitter?: number;
}

/** Schedules that are upserted have one of these. The code's own is among them, so that it is changed, too. */
export const DECLARED_NAME = 'declared';
export const NAMES = ['one', 'two', DECLARED_NAME] as const;

export const nameOf = (n: number): string => NAMES[n % NAMES.length] ?? NAMES[0];

const EACH = { misfire: 'all', maxCatchUp: 10_000 } as const;
/** For those that tick often: more than they tick, unless the clock is set back and they begin anew. */
const EACH_OF_FEW = { misfire: 'all', maxCatchUp: 20 } as const;

/**
 * What a schedule can be like, by the moment at which it is asked for. Of some every tick must have its job, however late;
 * those that tick often soon come to their end, for each job takes the simulation its time.
 */
export const PLANS: readonly ((now: number) => Plan)[] = [
  (now) => ({ ...EACH_OF_FEW, job: 'work', every: 15, startAt: now, endAt: now + 100 }),
  (now) => ({ ...EACH_OF_FEW, job: 'work', every: 15, startAt: now + 20, endAt: now + 100 }),
  (now) => ({
    ...EACH_OF_FEW,
    job: 'work',
    every: 25,
    endAt: now + 150,
    jitter: 30,
    options: { durability: 'os' },
  }),
  (now) => ({ ...EACH, job: 'mail', pattern: '*/20 * * * * *', endAt: now + 300_000 }),
  (now) => ({ ...EACH_OF_FEW, job: 'mail', every: 700, startAt: now, endAt: now + 4_000 }),
  () => ({ ...EACH, job: 'narrow', pattern: '0 */10 * * * *' }),
  () => ({ ...EACH, job: 'work', every: 600_000, startAt: NOW }),
  () => ({ ...EACH_OF_FEW, job: 'work', every: 5, maxRuns: 6 }),
  (now) => ({ ...EACH_OF_FEW, job: 'work', every: 30, startAt: now, endAt: now + 200, overlap: 'skip' }),
  () => ({ ...EACH_OF_FEW, job: 'work', every: 20, maxRuns: 5, overlap: 'queue' }),
  () => ({ job: 'work', every: 10, maxRuns: 4, overlap: 'queue' }),
  (now) => ({ job: 'call', every: 40, startAt: now, overlap: 'queue', endAt: now + 400 }),
  () => ({ job: 'narrow', every: 15_000, overlap: 'queue', options: { durability: 'os' } }),
  () => ({ job: 'work', pattern: '*/30 * * * * *', overlap: 'cancelPrevious' }),
  (now) => ({
    ...EACH_OF_FEW,
    job: 'call',
    every: 15,
    startAt: now,
    endAt: now + 80,
    overlap: 'cancelPrevious',
  }),
  () => ({ job: 'work', every: 15_000 }),
  () => ({ job: 'mail', pattern: '*/20 * * * * *', misfire: 'skip' }),
  () => ({ job: 'work', pattern: '*/15 * * * * *', misfire: 'all', maxCatchUp: 3 }),
  (now) => ({ ...EACH_OF_FEW, job: 'work', every: 20, startAt: now, endAt: now + 200, maxAge: 60 }),
];

/** What the code declares, where it declares any; a function makes the payloads. */
export const DECLARED: readonly Plan[] = [
  { ...EACH_OF_FEW, job: 'work', every: 25, startAt: NOW, endAt: NOW + 150 },
  { ...EACH, job: 'work', pattern: '0 */10 * * * *' },
  { job: 'mail', every: 50, startAt: NOW, endAt: NOW + 500, overlap: 'queue' },
];

/** What its ticks follow from. */
export function asAsked({ job: _job, options: _options, jitter: _jitter, ...as }: Plan): AskedSchedule {
  return as;
}

export const described = (plan: Plan, payload: unknown): AnySchedule =>
  // Safe: it says when it ticks.
  ({ ...plan, ...(plan.pattern !== undefined && { timezone: 'UTC' }), payload }) as AnySchedule;

/** @param n Of {@link DECLARED}. */
export function declaredSchedules(n: number | undefined): { [name: string]: AnySchedule } {
  const plan = n === undefined ? undefined : DECLARED[n];
  if (!plan) return {};
  const payload = (scheduledFor: number): Work => ({ token: tokenOf(DECLARED_NAME, scheduledFor) });
  return { [DECLARED_NAME]: described(plan, payload) };
}
