/**
 * What one look after a schedule comes to: how it goes on, and the jobs that it enqueues. What decides that is pure
 * (schedule/progress.ts); here ticks get their jobs. Nothing is committed here.
 */
import type { JobSpec } from '../job/record.js';
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
import { tickId, type Run, type Schedule } from '../schedule/record.js';
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
 * The id of a tick's job can be taken: by a caller that chose it, or, where the clock was set far back, by a job of the
 * first time. What is there stays as it is, and the tick has its job all the same.
 */
export function renamed(step: Step, taken: ReadonlySet<string>, newId: () => string): Step {
  const { before, schedule, specs } = step;
  const names = new Map(specs.map(({ id }) => [id, taken.has(id) ? newId() : id]));
  const nameOf = (id: string): string => names.get(id) ?? id;
  const { lastRun, going } = schedule.progress;
  const progress = {
    ...schedule.progress,
    going: going.map(nameOf),
    ...(lastRun && { lastRun: { ...lastRun, jobId: nameOf(lastRun.jobId) } }),
  };
  const own = specs.map((spec) => ({ ...spec, id: nameOf(spec.id) }));
  return { ...step, specs: own, schedule: schedule === before ? schedule : { ...schedule, progress } };
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
