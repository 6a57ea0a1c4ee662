/** What became of each schedule: what was asked of it, and what it has enqueued. */
import { tickId, type Progress } from '../../src/schedule/record.js';
import { callsIn, certaintyOf, setBacksIn, type Call, type Certainty } from './certainty.js';
import type { FinalJob, FinalRun } from './contents.js';
import type { Evidence } from './evidence.js';
import { isInterval } from './rhythm-model.js';

/** A job that a schedule has enqueued. */
export interface Run extends FinalRun {
  readonly id: string;
  /** When its end was told first; Infinity where it was not. */
  readonly endedAt: number;
  /** A disk that errs may lose it. */
  readonly isUnsynced: boolean;
}

export interface Course {
  readonly name: string;
  readonly calls: readonly Call[];
  readonly certainty: Certainty;
  /** What the journal says of it; absent where it has no such schedule. */
  readonly progress: Progress | undefined;
  /** The jobs of its ticks, in the order of these. */
  readonly ticks: readonly Run[];
  /** The jobs that callers had it enqueue at once. */
  readonly extras: readonly Run[];
  /** Whether the clock was ever set back. */
  readonly wasSetBack: boolean;
  /** How often an instant may have come again, and been ticked at again. */
  readonly comebacks: number;
  /** Up to when a disk that erred may have lost what was not synced, while its process went on. */
  readonly unsureUntil: number;
}

export function coursesOf({ facts, contents }: Evidence): Course[] {
  const calls = callsIn(facts);
  const names = new Set([...calls.map(({ asked }) => asked.schedule), ...contents.schedules.keys()]);
  if (names.size === 0) return [];
  const ends = facts.flatMap((fact) => (fact.kind === 'ended' ? [[fact.id, fact.at] as const] : []));
  const endedAt = new Map(ends.toReversed());
  const all = [...contents.jobs.values()].flatMap((job) => runOf(job, endedAt.get(job.id)));
  const setBacks = setBacksIn(facts);
  const erred = facts.findLast(
    (fact) => fact.kind === 'warned' && fact.code === 'MILLRACE_JOURNAL_WRITE_FAILED',
  );
  return Array.from(names, (name) => {
    const own = calls.filter(({ asked }) => asked.schedule === name);
    const runs = all.filter(({ schedule }) => schedule === name);
    runs.sort((a, b) => a.scheduledFor - b.scheduledFor);
    const isEverInterval = own.some(({ asked: { as } }) => as && isInterval(as));
    const extras = new Set(own.flatMap(({ answered }) => answered?.jobId ?? []));
    return {
      name,
      calls: own,
      certainty: certaintyOf(own, facts),
      progress: contents.schedules.get(name),
      ticks: runs.filter(({ id }) => !extras.has(id)),
      extras: runs.filter(({ id }) => extras.has(id)),
      wasSetBack: setBacks.length > 0,
      unsureUntil: !erred ? -Infinity : setBacks.length > 0 ? Infinity : erred.at,
      comebacks: setBacks.filter(({ isFar }) => isFar || isEverInterval).length,
    };
  });
}

const runOf = ({ id, run, durability }: FinalJob, endedAt = Infinity): Run[] =>
  run ? [{ ...run, id, endedAt, isUnsynced: durability === 'os' }] : [];

/** Calls that may have enqueued a job for that instant, of whose id nobody was told. */
export const mayHaveRun = ({ calls, wasSetBack }: Course, at: number): Call[] =>
  calls.filter(
    ({ asked, answered, askedAt, settledAt }) =>
      asked.change === 'runNow' &&
      answered?.jobId === undefined &&
      (wasSetBack || (askedAt <= at && at <= settledAt)),
  );

/** Whether the job can be of nothing but a tick. */
export const isSurelyTick = ({ id, schedule, scheduledFor }: Run): boolean =>
  id === tickId(schedule, scheduledFor);

/** When the engine told, in the audit, that nothing was left to do. */
export const restedAt = (facts: Evidence['facts']): number | undefined =>
  facts.findLast(({ kind }) => kind === 'counted')?.at;
