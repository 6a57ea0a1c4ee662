/**
 * What one look after a schedule comes to: how it goes on, and the jobs that it enqueues. What decides that is pure
 * (schedule/progress.ts); here ticks get their jobs. Nothing is committed here.
 */
import { MillraceError } from '../errors.js';
import { hasEnded, type JobSpec } from '../job/record.js';
import type { JobRead } from '../journal/journal.js';
import {
  dequeued,
  dueTicks,
  ended,
  ON_TIME_MS,
  planned,
  readyTick,
  setBack,
  started,
} from '../schedule/progress.js';
import { tickId, type Progress, type Run, type Schedule } from '../schedule/record.js';
import type { ScheduledJobs } from './scheduled-jobs.js';
import type { Slices } from './slices.js';

/** A job of a schedule that has ended. */
export type EndedRun = Omit<Run, 'scheduledFor'>;

export interface Step {
  readonly before: Schedule;
  readonly schedule: Schedule;
  readonly specs: readonly JobSpec[];
  /** Whether ticks were missed that are not made up for. */
  readonly hasMissed: boolean;
}

/** A step that only says which of its jobs have ended. */
export function settledBy(before: Schedule, runs: readonly EndedRun[]): Step {
  const progress = runs.reduce(ended, before.progress);
  const schedule = progress === before.progress ? before : { ...before, progress };
  return { before, schedule, specs: [], hasMissed: false };
}

/** Goes on from a step. @throws what keeps its jobs from being made: then there is no tick. */
export async function tick(
  { before, schedule }: Step,
  jobs: ScheduledJobs,
  now: number,
  slices: Slices,
): Promise<Step> {
  const specs: JobSpec[] = [];
  const enqueue = async (next: Schedule, ticks: readonly number[]): Promise<Schedule> => {
    const runs: Run[] = [];
    for (const at of ticks) {
      const id = tickId(next.name, at);
      specs.push(jobs.specOf(next, at, { id }));
      runs.push({ jobId: id, scheduledFor: at });
      if (slices.isOver) await slices.next();
    }
    return { ...next, progress: started(next, runs) };
  };
  let next = schedule;
  let hasMissed = false;
  const ready = readyTick(next);
  if (ready !== undefined) next = await enqueue({ ...next, progress: dequeued(next.progress) }, [ready]);
  const fresh = setBack(next, now);
  if (fresh) next = { ...next, progress: fresh };
  const { nextAt = Infinity } = next.progress;
  if (nextAt <= now) {
    const due = await dueOf(next, now, slices);
    const { ticks, progress } = planned(next, due, now);
    hasMissed = due[0] !== nextAt && now - nextAt > ON_TIME_MS;
    next = await enqueue({ ...next, progress }, ticks);
  }
  return { before, schedule: next, specs, hasMissed };
}

/**
 * What is under the ids of its jobs stays as it is. It may be such a job itself: one that went on while the disk lost its
 * tick, or whose tick comes again because the schedule was changed while the clock was behind; then the tick has it. A
 * job of a caller that chose the id, or of the first time where the clock was set far back, has not; then the tick's is
 * another one.
 * @param reads What the journal holds, by id.
 */
export function reconciled(step: Step, reads: ReadonlyMap<string, JobRead>, newId: () => string): Step {
  const { before, schedule, specs } = step;
  const names = new Map<string, string>();
  const own: JobSpec[] = [];
  const runs: EndedRun[] = [];
  for (const spec of specs) {
    const read = reads.get(spec.id);
    if (isRunOf(schedule, spec, read)) {
      const run = endOf(spec.id, read);
      if (run) runs.push(run);
      continue;
    }
    const id = read === undefined ? spec.id : newId();
    names.set(spec.id, id);
    own.push({ ...spec, id });
  }
  const progress = runs.reduce(ended, renamed(schedule.progress, names));
  return { ...step, specs: own, schedule: schedule === before ? schedule : { ...schedule, progress } };
}

function isRunOf({ name, progress }: Schedule, { scheduledFor = 0 }: JobSpec, read: JobRead): boolean {
  if (read === undefined || read instanceof MillraceError || scheduledFor <= (progress.againUntil ?? 0))
    return false;
  return read.spec.schedule === name && read.spec.scheduledFor === scheduledFor;
}

function renamed(progress: Progress, names: ReadonlyMap<string, string>): Progress {
  const nameOf = (id: string): string => names.get(id) ?? id;
  const { lastRun, going } = progress;
  return {
    ...progress,
    going: going.map(nameOf),
    ...(lastRun && { lastRun: { ...lastRun, jobId: nameOf(lastRun.jobId) } }),
  };
}

/** What a run has come to; absent where it has not ended. */
export function endOf(jobId: string, read: JobRead): EndedRun | undefined {
  if (read === undefined) return { jobId, outcome: 'unknown' };
  // A job that cannot be read fails when it is to be claimed.
  if (read instanceof MillraceError || !hasEnded(read.status)) return undefined;
  const { state, finishedAt } = read.status;
  return { jobId, outcome: state, ...(finishedAt !== undefined && { finishedAt }) };
}

/** The oldest first. */
async function dueOf(schedule: Schedule, now: number, slices: Slices): Promise<number[]> {
  const due: number[] = [];
  for (const at of dueTicks(schedule, now)) {
    due.push(at);
    if (slices.isOver) await slices.next();
  }
  return due.toReversed();
}
