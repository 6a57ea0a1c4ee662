/**
 * What one look after a schedule comes to: how it goes on, and the jobs that it enqueues. What decides that is pure
 * (schedule/progress.ts); here ticks get their jobs. Nothing is committed here.
 */
import { asError, MillraceError } from '../errors.js';
import type { Job, JobSpec } from '../job/record.js';
import type { JobRead } from '../journal/journal.js';
import {
  afresh,
  cutShort,
  dequeued,
  dueTicks,
  ended,
  planned,
  readyTick,
  started,
} from '../schedule/progress.js';
import {
  endedRunOf,
  tickId,
  type EndedRun,
  type Progress,
  type Run,
  type Schedule,
} from '../schedule/record.js';
import type { ReadRhythm } from '../schedule/rhythm.js';
import type { ScheduledJobs } from './scheduled-jobs.js';
import type { Slices } from './slices.js';

export interface Look {
  readonly jobs: ScheduledJobs;
  readonly now: number;
  readonly slices: Slices;
  readonly readRhythm: ReadRhythm;
}

/** What it is known by that a schedule is to be looked after. */
export interface Occasion {
  /** Jobs of its that have ended. */
  readonly runs: readonly EndedRun[];
  /** The clock was set back, and has left it behind. */
  readonly isLeftBehind: boolean;
}

export interface Step {
  readonly before: Schedule;
  readonly schedule: Schedule;
  readonly specs: readonly JobSpec[];
  /** Whether ticks were missed that are not made up for. */
  readonly hasMissed: boolean;
  /** Why a tick that is due could not have its job, and is still due. */
  readonly problem?: Error;
}

export async function lookAfter(before: Schedule, occasion: Occasion, look: Look): Promise<Step> {
  const ticker = new Ticker(before, look);
  ticker.settle(occasion.runs);
  await ticker.tick(occasion.isLeftBehind);
  return ticker.step(before);
}

class Ticker {
  readonly #look: Look;
  readonly #specs = new Map<string, JobSpec>();
  #schedule: Schedule;
  #hasMissed = false;
  #problem: Error | undefined;

  constructor(schedule: Schedule, look: Look) {
    this.#schedule = schedule;
    this.#look = look;
  }

  settle(runs: readonly EndedRun[]): void {
    this.#go(runs.reduce(ended, this.#schedule.progress));
  }

  async tick(isLeftBehind: boolean): Promise<void> {
    try {
      if (isLeftBehind) this.#go(afresh(this.#schedule, this.#look.now));
      await this.#tickThatWaited();
      await this.#tickDue();
    } catch (thrown) {
      // A zone, say, that this Node does not know: that is this schedule's affair, and no other's.
      this.#problem = asError(thrown);
    }
  }

  /** Where it cannot have its job, it goes on waiting, and a later tick may take its place. */
  async #tickThatWaited(): Promise<void> {
    const tick = readyTick(this.#schedule);
    if (tick === undefined) return;
    const runs = await this.#enqueue([tick]);
    if (runs.length === 0) return;
    this.#go(dequeued(this.#schedule.progress));
    this.#go(started(this.#schedule, runs));
  }

  async #tickDue(): Promise<void> {
    const { now, readRhythm } = this.#look;
    const { nextAt = Infinity } = this.#schedule.progress;
    if (nextAt > now) return;
    const due = await this.#due();
    const plan = planned(this.#schedule, due, now, readRhythm);
    const runs = await this.#enqueue(plan.ticks);
    if (runs.length === plan.ticks.length) this.#hasMissed = due[0] !== nextAt;
    this.#go(cutShort(this.#schedule, plan, runs.length));
    this.#go(started(this.#schedule, runs));
  }

  step(before: Schedule): Step {
    const step = {
      before,
      schedule: this.#schedule,
      specs: [...this.#specs.values()],
      hasMissed: this.#hasMissed,
    };
    return this.#problem ? { ...step, problem: this.#problem } : step;
  }

  #go(progress: Progress): void {
    if (progress !== this.#schedule.progress) this.#schedule = { ...this.#schedule, progress };
  }

  /** The oldest first. */
  async #due(): Promise<number[]> {
    const { now, slices, readRhythm } = this.#look;
    const due: number[] = [];
    for (const tick of dueTicks(this.#schedule, now, readRhythm)) {
      due.push(tick);
      if (slices.isOver) await slices.next();
    }
    return due.toReversed();
  }

  /** @returns the jobs of the first ticks, up to one that cannot have its own. */
  async #enqueue(ticks: readonly number[]): Promise<Run[]> {
    const { jobs, slices } = this.#look;
    const runs: Run[] = [];
    for (const scheduledFor of ticks) {
      const id = tickId(this.#schedule.name, scheduledFor);
      try {
        this.#specs.set(id, jobs.specOf(this.#schedule, scheduledFor, { id }));
      } catch (thrown) {
        this.#problem = asError(thrown);
        break;
      }
      runs.push({ jobId: id, scheduledFor });
      if (slices.isOver) await slices.next();
    }
    return runs;
  }
}

/**
 * The id of a tick's job is taken. By the tick's own job: then it has it, and no other. By a caller's job, or, where the
 * clock was set far back, by that of the first time: that stays as it is, and the tick has its job under another id.
 * @param reads What is there, by id.
 */
export function untangled(step: Step, reads: ReadonlyMap<string, JobRead>, newId: () => string): Step {
  let { schedule } = step;
  const specs = step.specs.flatMap((spec): JobSpec[] => {
    const found = reads.get(spec.id);
    if (found === undefined) return [spec];
    if (isSameTick(found, spec, schedule.progress)) {
      const run = endedRunOf(found);
      if (run) schedule = { ...schedule, progress: ended(schedule.progress, run) };
      return [];
    }
    const id = newId();
    schedule = renamed(schedule, spec.id, id);
    return [{ ...spec, id }];
  });
  return { ...step, schedule, specs };
}

function isSameTick(found: Job | MillraceError, spec: JobSpec, progress: Progress): found is Job {
  if (found instanceof MillraceError) return false;
  const { schedule, scheduledFor = 0 } = spec;
  const isSame = found.spec.schedule === schedule && found.spec.scheduledFor === scheduledFor;
  return isSame && scheduledFor > (progress.repeatsUntil ?? 0);
}

function renamed(schedule: Schedule, from: string, to: string): Schedule {
  const rename = (run: Run): Run => (run.jobId === from ? { ...run, jobId: to } : run);
  const { lastRun, going } = schedule.progress;
  const progress = {
    ...schedule.progress,
    going: going.map(rename),
    ...(lastRun && { lastRun: rename(lastRun) }),
  };
  return { ...schedule, progress };
}
