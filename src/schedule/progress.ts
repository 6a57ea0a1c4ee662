/**
 * How a schedule goes on, and the only place that decides it: which ticks are due, what comes of them, and when the next
 * is. Pure: the caller journals each step together with the jobs that it makes.
 */
import type { Draft } from '../job/record.js';
import type { Definition, Progress, Run, Schedule } from './record.js';
import { rhythmOf, type Rhythm } from './rhythm.js';

/** What is done so soon after its time was not missed: a restart, or an event loop that was busy, skips nothing. */
export const ON_TIME_MS = 60_000;
/** A clock that is set back by more was wrong, and its new time counts at once: Vixie cron's rule, and its three hours. */
const MAX_REST_MS = 10_800_000;
/** How many ticks are looked for at once: a few milliseconds of work. */
const CHUNK = 32;

/** A schedule that is new. */
export function begun(definition: Definition, now: number): Progress {
  const anchorAt = definition.startAt ?? now;
  return withNext(definition, { anchorAt, decidedAt: now, runCount: 0, going: [] }, now);
}

/** It is described anew. Only another rhythm makes it forget a tick that is due. */
export function redefined(
  { definition: before, progress }: Schedule,
  definition: Definition,
  now: number,
): Progress {
  const isSame = isSameRhythm(before, definition);
  const next = draftOf(progress);
  if (definition.overlap === 'allow') next.going = [];
  else if (before.overlap === 'allow') next.going = goingOf(progress.lastRun);
  if (!isSame) next.anchorAt = definition.startAt ?? now;
  if (progress.pausedAt !== undefined) return next;
  const isPending =
    isSame && progress.nextAt !== undefined && isWithin(definition, progress, progress.nextAt);
  return isPending ? next : withNext(definition, next, now);
}

/**
 * The ticks that are due and made up for, the newest first. All but the last that is due were missed, and the last one,
 * too, where it is not on time. One by one, for to find many takes its time.
 */
export function* dueTicks({ definition, progress }: Schedule, now: number): Generator<number, undefined> {
  const { timing, misfire, maxCatchUp, maxAgeMs = misfire === 'skip' ? ON_TIME_MS : Infinity } = definition;
  const { anchorAt, nextAt = Infinity } = progress;
  const oldest = Math.max(nextAt, now - maxAgeMs);
  const rhythm = rhythmOf(timing, anchorAt);
  let left = misfire === 'all' ? maxCatchUp : 1;
  for (let until = now; left > 0;) {
    const ticks = rhythm.upTo(until, Math.min(left, CHUNK));
    for (const tick of ticks) {
      if (tick < oldest) return;
      if (isBefore(tick, definition.endAt)) {
        left--;
        yield tick;
      }
      until = tick - 1;
    }
    if (ticks.length === 0) return;
  }
}

/** What comes of ticks that are due. */
export interface Plan {
  /** Those that enqueue a job, the oldest first. */
  readonly ticks: readonly number[];
  /** Without these jobs: {@link started} adds them. */
  readonly progress: Progress;
}

/** @param due The oldest first. */
export function planned({ definition, progress }: Schedule, due: readonly number[], now: number): Plan {
  const { overlap, maxRuns = Infinity } = definition;
  const isBusy = progress.going.length > 0;
  const left = maxRuns - countOf(progress);
  const [first] = due;
  const last = due.at(-1);
  const next = draftOf(progress);
  let ticks: readonly number[] = [];
  if (first === undefined || last === undefined) return { ticks, progress: withNext(definition, next, now) };
  if (overlap === 'allow') ticks = due.slice(0, left);
  // Of several at once the last would cancel all others before they began.
  else if (!isBusy && left > 0) ticks = [overlap === 'cancelPrevious' ? last : first];
  const isLeft = ticks.at(-1) !== last && left - ticks.length > 0;
  const mayWait = overlap === 'queue' || overlap === 'cancelPrevious';
  if (mayWait && (isLeft || progress.queuedFor !== undefined)) next.queuedFor = last;
  next.runCount += ticks.length;
  return { ticks, progress: withNext(definition, next, now) };
}

/** Its ticks have enqueued these jobs. */
export function started({ definition, progress }: Schedule, runs: readonly Run[]): Progress {
  const last = runs.at(-1);
  if (!last) return progress;
  const ids = runs.map(({ jobId }) => jobId);
  const going = definition.overlap === 'allow' ? [] : [...progress.going, ...ids];
  return { ...progress, lastRun: last, going };
}

/** A job of its has ended. @returns the same progress where that changes nothing. */
export function ended(progress: Progress, run: Omit<Run, 'scheduledFor'>): Progress {
  const { lastRun, going } = progress;
  const isLast = lastRun?.jobId === run.jobId && lastRun.outcome === undefined;
  if (!isLast && !going.includes(run.jobId)) return progress;
  const left = going.filter((id) => id !== run.jobId);
  return isLast
    ? { ...progress, going: left, lastRun: { ...lastRun, ...run } }
    : { ...progress, going: left };
}

/** The tick that has waited for its predecessor and need not any more. */
export function readyTick({ definition, progress }: Schedule): number | undefined {
  const { queuedFor, going, pausedAt } = progress;
  const isFree = going.length === 0 || definition.overlap === 'allow';
  return isFree && pausedAt === undefined ? queuedFor : undefined;
}

/** It goes on; its job is still to be added by {@link started}. */
export function dequeued(progress: Progress): Progress {
  const next = draftOf(progress);
  delete next.queuedFor;
  next.runCount++;
  return next;
}

/** The jobs that stand in the way of a tick that cancels them. */
export function obstacles({ definition, progress }: Schedule): readonly string[] {
  return definition.overlap === 'cancelPrevious' && progress.queuedFor !== undefined ? progress.going : [];
}

export function paused(progress: Progress, now: number): Progress {
  const { nextAt: _, ...rest } = progress;
  return { ...rest, pausedAt: now };
}

/** What its ticks would have been meanwhile is past: a pause is no misfire. Nor does one tick again that has ticked. */
export function resumed(schedule: Schedule, now: number): Progress {
  const { pausedAt: _, ...rest } = schedule.progress;
  const progress = withNext(schedule.definition, rest, Math.max(now, rest.decidedAt));
  return setBack({ ...schedule, progress }, now) ?? progress;
}

/**
 * The clock was set back. What has ticked does not tick again, so a schedule rests until the clock is where it was; but
 * an interval not longer than itself, and a pattern not where the clock was set back by hours.
 * @returns nothing where it just goes on.
 */
export function setBack({ definition, progress }: Schedule, now: number): Progress | undefined {
  const { timing, startAt = 0 } = definition;
  const { decidedAt, nextAt, againUntil = 0 } = progress;
  if (nextAt === undefined || now >= decidedAt || startAt > now) return undefined;
  const isInterval = 'everyMs' in timing;
  const rests = isInterval ? nextAt - now <= timing.everyMs : decidedAt - now <= MAX_REST_MS;
  if (rests) return undefined;
  const anchorAt = isInterval ? now : progress.anchorAt;
  return withNext(definition, { ...progress, anchorAt, againUntil: Math.max(decidedAt, againUntil) }, now);
}

/** The ticks that follow, the first of them the next; at most so many. */
export function* upcoming({ definition, progress }: Schedule): Generator<number, undefined> {
  const { maxRuns = Infinity, timing, endAt } = definition;
  const left = maxRuns - countOf(progress);
  let rhythm: Rhythm | undefined;
  let tick = progress.nextAt;
  for (let n = 0; n < left && tick !== undefined && isBefore(tick, endAt); n++) {
    yield tick;
    rhythm ??= rhythmOf(timing, progress.anchorAt);
    tick = rhythm.after(tick);
  }
}

export const isSameRhythm = (a: Definition, b: Definition): boolean =>
  JSON.stringify([a.timing, a.startAt]) === JSON.stringify([b.timing, b.startAt]);

const draftOf = (progress: Progress): Draft<Progress> => ({ ...progress });
const isBefore = (tick: number, endAt = Infinity): boolean => tick < endAt;
/** How many ticks have enqueued a job, or are going to. */
const countOf = ({ runCount, queuedFor }: Progress): number => runCount + (queuedFor === undefined ? 0 : 1);
const goingOf = (run: Run | undefined): string[] => (run && run.outcome === undefined ? [run.jobId] : []);

function isWithin({ endAt, maxRuns = Infinity }: Definition, progress: Progress, tick: number): boolean {
  return countOf(progress) < maxRuns && isBefore(tick, endAt);
}

/** The progress with the first tick after an instant. */
function withNext(definition: Definition, progress: Progress, now: number): Progress {
  const next = draftOf(progress);
  next.decidedAt = now;
  delete next.nextAt;
  const { timing, startAt = 0 } = definition;
  const tick = rhythmOf(timing, progress.anchorAt).after(Math.max(now, startAt - 1));
  if (tick !== undefined && isWithin(definition, progress, tick)) next.nextAt = tick;
  return next;
}
