/** Evidence of a schedule that ticked as it should, for tests to plant violations in, and some that are planted. */
import { tickId, type Progress } from '../../src/schedule/record.js';
import type { FinalJob } from './contents.js';
import type { Evidence } from './evidence.js';
import type { Changing, Fact } from './facts.js';
import { completed, evidence, factsWith, finalJob, soundJobs } from './plant.js';
import type { AskedSchedule } from './rhythm-model.js';

/** What a schedule is to be like: it ticks at 20, 40, 60, 80 and 100, and the audit is over at 110. */
export const EVERY_20: AskedSchedule = { every: 20, startAt: 0, misfire: 'all' };
export const TICKS = [20, 40, 60, 80, 100];
export const END_AT = 110;
export const NAME = 'nightly';

/** A fact that says when it happened. */
export type Timed = Fact & { readonly at?: number };

export const changing = (change: Changing['change'], at: number, as?: AskedSchedule): Timed => ({
  kind: 'changing',
  schedule: NAME,
  change,
  call: `${change} at ${at}`,
  at,
  ...(as && { as }),
});

/** That a call is over, as soon as it was made or later. */
export const answered = (
  change: Changing['change'],
  asked: number,
  { at = asked, ...more }: { at?: number; code?: string; jobId?: string } = {},
): Timed => ({ kind: 'answered', schedule: NAME, call: `${change} at ${asked}`, at, ...more });

/** A call that is done at once. */
export const did = (change: Changing['change'], at: number, as?: AskedSchedule): Timed[] => [
  changing(change, at, as),
  answered(change, at),
];

/** The process is followed by another one, and whatever it has not answered is over. */
export const restarted = (at: number): Timed[] => [
  { kind: 'spawned', cycle: 1, role: 'workload', at },
  { kind: 'opened', tookMs: 3, isFirst: true, at },
];

/** The job of a tick. */
export const tickJob = (scheduledFor: number, fields: Partial<FinalJob> = {}): FinalJob => {
  const id = fields.id ?? tickId(NAME, scheduledFor);
  const run = { schedule: NAME, scheduledFor, enqueuedAt: scheduledFor };
  return finalJob(id, { token: NAME, result: { id, token: NAME, attempt: 1 }, run, ...fields });
};

const DONE: Progress = { anchorAt: 0, decidedAt: 100, nextAt: 120, runCount: 5, skipCount: 0, going: [] };

interface Parts {
  /** What was asked, and what came of it. */
  readonly facts?: readonly Timed[];
  readonly jobs?: readonly FinalJob[];
  /** What is stored of the schedule; nothing where it is null. */
  readonly progress?: Partial<Progress> | null;
}

/** All went well but for what is given. */
export function ticking({
  facts = did('upsert', 10, EVERY_20),
  jobs = TICKS.map((at) => tickJob(at)),
  progress = {},
}: Parts = {}): Evidence {
  const all = [...soundJobs(), ...jobs];
  const counts = completed(all.length);
  const isFirst = (fact: Fact): boolean => fact.kind === 'opened' && fact.tookMs === 1;
  const OVER: ReadonlySet<Fact['kind']> = new Set(['counted', 'closed', 'finished']);
  const timed = factsWith(isFirst, ...facts).map((fact) => ({
    ...fact,
    ...(fact.kind === 'counted' && { counts }),
    ...(OVER.has(fact.kind) && { at: END_AT }),
  }));
  const schedules = new Map(progress ? [[NAME, { ...DONE, ...progress }]] : []);
  return evidence(timed, all, { counters: new Map([['default', counts]]), schedules });
}

/** The jobs of all ticks but some. */
export const without = (...missing: readonly number[]): FinalJob[] =>
  TICKS.filter((at) => !missing.includes(at)).map((at) => tickJob(at));

const [first = tickJob(20)] = without();
/** What is wrong, by what it is found with. */
export const PLANTED_TICKS = {
  mixedUp: {
    'the job of a tick has the payload of another': () =>
      ticking({
        jobs: without(20).concat(
          tickJob(20, { token: `${NAME}@40`, result: { id: first.id, token: `${NAME}@40`, attempt: 1 } }),
        ),
      }),
  },
  misreported: {
    'a schedule says that its last run has not ended': () =>
      ticking({ progress: { lastRun: { jobId: first.id, scheduledFor: 20 } } }),
    'a schedule says that its last run has ended otherwise': () =>
      ticking({ progress: { lastRun: { jobId: first.id, scheduledFor: 20, outcome: 'failed' } } }),
  },
  ticksLost: {
    'a tick has no job': () => ticking({ jobs: without(60) }),
    'the last tick has no job': () => ticking({ jobs: without(100) }),
    'no missed tick is made up for': () =>
      ticking({ facts: did('upsert', 10, { ...EVERY_20, misfire: 'once' }), jobs: [] }),
    'a tick was left out before the schedule was described anew': () =>
      ticking({
        facts: [...did('upsert', 10, EVERY_20), ...did('upsert', 90, { every: 1_000, startAt: 0 })],
        jobs: without(40, 100),
      }),
    'a schedule does not go on after it was resumed': () =>
      ticking({
        facts: [...did('upsert', 10, EVERY_20), ...did('pause', 30), ...did('resume', 50)],
        jobs: without(40, 60, 80, 100),
      }),
    'the tick that waited last has no job': () =>
      ticking({
        facts: did('upsert', 10, { every: 20, startAt: 0, overlap: 'queue' }),
        jobs: without(40, 60, 80, 100),
      }),
    'a tick is skipped for a job that had ended': () =>
      ticking({
        facts: [
          ...did('upsert', 10, { ...EVERY_20, overlap: 'skip' }),
          { kind: 'ended', id: first.id, state: 'completed', by: 'cancel', at: 39 },
        ],
        jobs: without(40),
      }),
    'more ticks are left out than cannot be made up for': () =>
      ticking({
        facts: did('upsert', 10, { ...EVERY_20, maxCatchUp: 3 }),
        jobs: [tickJob(100, { run: { schedule: NAME, scheduledFor: 100, enqueuedAt: 100 } })],
      }),
    'a tick is forgotten that waits for none': () => ticking({ progress: { queuedFor: 100 } }),
    'a schedule waits for a job that has ended': () =>
      ticking({ progress: { going: [{ jobId: first.id, scheduledFor: 20 }] } }),
    'a schedule is due and does not tick': () => ticking({ progress: { nextAt: 105 } }),
    'a schedule that was acknowledged is gone': () => ticking({ progress: null }),
    'a schedule that was acknowledged is not found': () =>
      ticking({
        facts: [
          ...did('upsert', 10, EVERY_20),
          changing('pause', 105),
          answered('pause', 105, { code: 'MILLRACE_SCHEDULE_NOT_FOUND' }),
          ...did('upsert', 106, EVERY_20),
        ],
      }),
    'a schedule is paused that nobody has paused': () => ticking({ progress: { pausedAt: 105 } }),
  },
  ticksDoubled: {
    'a tick has two jobs': () => ticking({ jobs: [...without(), tickJob(60, { id: 'another' })] }),
    'a tick has a job besides one that it was told to have': () =>
      ticking({
        facts: [
          ...did('upsert', 10, EVERY_20),
          changing('runNow', 55),
          answered('runNow', 55, { jobId: 'called' }),
        ],
        jobs: [...without(), tickJob(60, { id: 'called' }), tickJob(60, { id: 'another' })],
      }),
    'the job of a tick is announced as new twice': () =>
      ticking({
        facts: [
          ...did('upsert', 10, EVERY_20),
          { kind: 'enqueued', id: first.id, name: 'tiny' },
          { kind: 'enqueued', id: first.id, name: 'tiny' },
        ],
      }),
  },
  ticksInvented: {
    'a tick is beside the rhythm': () => ticking({ jobs: [...without(), tickJob(70)] }),
    'a tick is of a time before the schedule': () =>
      ticking({ facts: did('upsert', 30, EVERY_20), jobs: without() }),
    'a tick is of the end': () => ticking({ facts: did('upsert', 10, { ...EVERY_20, endAt: 100 }) }),
    'a schedule ticks while it is paused': () =>
      ticking({ facts: [...did('upsert', 10, EVERY_20), ...did('pause', 50), ...did('resume', 70)] }),
    'a schedule ticks when it was removed': () =>
      ticking({ facts: [...did('upsert', 10, EVERY_20), ...did('remove', 50)], progress: null }),
    'a schedule ticks more often than it may': () =>
      ticking({ facts: did('upsert', 10, { ...EVERY_20, maxRuns: 4 }) }),
    'a schedule was removed and is there': () =>
      ticking({ facts: [...did('upsert', 10, EVERY_20), ...did('remove', 105)] }),
    'a schedule was paused and is not': () =>
      ticking({ facts: [...did('upsert', 10, EVERY_20), ...did('pause', 105)] }),
  },
} as const;
