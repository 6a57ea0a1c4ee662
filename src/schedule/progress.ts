/**
 * How a schedule goes on, and the only place that decides it: which ticks are due, what comes of them, and when the next
 * is. Pure: the caller journals each step together with the jobs that it makes.
 */
import type { Draft } from '../job/record.js';
import type { Definition, EndedRun, Progress, Run, Schedule } from './record.js';
import { rhythmOf, type ReadRhythm, type Rhythm } from './rhythm.js';

/** What is done so soon after its time was not missed: a restart, or an event loop that was busy, skips nothing. */
export const ON_TIME_MS = 60_000;
/** A clock that is set back by more was wrong, and its new time counts at once: Vixie cron's rule, and its three hours. */
const MAX_REST_MS = 10_800_000;
/** How many ticks are looked for at once: a few milliseconds of work. */
const CHUNK = 32;

/** What a schedule is and how far it has come, whatever its name is. */
type Course = Pick<Schedule, 'definition' | 'progress'>;

/** A schedule that is new. */
export function begun(definition: Definition, now: number, readRhythm: ReadRhythm = rhythmOf): Progress {
  const anchorAt = definition.startAt ?? now;
  const progress: Progress = { anchorAt, decidedAt: now, runCount: 0, skipCount: 0, going: [] };
  return withNext(definition, progress, now, beforeFirst(definition, progress, now), readRhythm);
}

/** It is described anew. Only another rhythm makes it forget a tick that is due. */
export function redefined(
  { definition: before, progress }: Schedule,
  definition: Definition,
  now: number,
  readRhythm: ReadRhythm = rhythmOf,
): Progress {
  const isSame = isSameRhythm(before, definition);
  const next = draftOf(progress);
  if (definition.overlap === 'allow') next.going = [];
  else if (before.overlap === 'allow') next.going = goingOf(progress.lastRun);
  if (progress.runCount >= (definition.maxRuns ?? Infinity)) delete next.queuedFor;
  if (!isSame) {
    next.anchorAt = definition.startAt ?? now;
    // Of the new rhythm nothing has ticked, whatever the clock showed when that was decided last.
    next.decidedAt = now;
  }
  if (progress.pausedAt !== undefined) return next;
  if (!isSame) return withNext(definition, next, now, beforeFirst(definition, next, now), readRhythm);
  const isPending = progress.nextAt !== undefined && isWithin(definition, next, progress.nextAt);
  return isPending ? next : withNext(definition, next, now, now, readRhythm);
}

/**
 * The ticks that are due and made up for, the newest first. All but the last that is due were missed, and the last one,
 * too, where it is not on time. One by one, for to find many takes its time.
 */
export function* dueTicks(
  { definition, progress }: Schedule,
  now: number,
  readRhythm: ReadRhythm = rhythmOf,
): Generator<number, undefined> {
  const { timing, misfire, maxCatchUp, maxAgeMs = misfire === 'skip' ? ON_TIME_MS : Infinity } = definition;
  const { anchorAt, nextAt = Infinity } = progress;
  const oldest = Math.max(nextAt, now - maxAgeMs);
  let until = Math.min(now, (definition.endAt ?? Infinity) - 1);
  if (until < nextAt) return;
  const rhythm = readRhythm(timing, anchorAt);
  // Mostly there is one, and to look forward is cheaper.
  if ((rhythm.after(nextAt) ?? Infinity) > until) {
    if (nextAt >= oldest) yield nextAt;
    return;
  }
  let left = misfire === 'all' ? maxCatchUp : 1;
  while (left > 0) {
    const ticks = rhythm.upTo(until, Math.min(left, CHUNK));
    if (ticks.length === 0) return;
    for (const tick of ticks) {
      if (tick < oldest) return;
      yield tick;
      left--;
      until = tick - 1;
    }
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
export function planned(
  { definition, progress }: Schedule,
  due: readonly number[],
  now: number,
  readRhythm: ReadRhythm = rhythmOf,
): Plan {
  const { overlap, maxRuns = Infinity } = definition;
  const isBusy = progress.going.length > 0 || progress.queuedFor !== undefined;
  const left = maxRuns - countOf(progress);
  const [first] = due;
  const last = due.at(-1);
  const next = draftOf(progress);
  let ticks: readonly number[] = [];
  if (first === undefined || last === undefined)
    return { ticks, progress: withNext(definition, next, now, now, readRhythm) };
  if (overlap === 'allow') ticks = due.slice(0, left);
  // Of several at once the last would cancel all others before they began.
  else if (!isBusy && left > 0) ticks = [overlap === 'cancelPrevious' ? last : first];
  const isLeft = ticks.at(-1) !== last && left - ticks.length > 0;
  const mayWait = overlap === 'queue' || overlap === 'cancelPrevious';
  if (mayWait && (isLeft || progress.queuedFor !== undefined)) next.queuedFor = last;
  next.runCount += ticks.length;
  const waiting = Number(next.queuedFor !== undefined) - Number(progress.queuedFor !== undefined);
  next.skipCount += due.length - ticks.length - waiting;
  return { ticks, progress: withNext(definition, next, now, now, readRhythm) };
}

/** Only so many of a plan's ticks could have their jobs: those after them are still due. */
export function cutShort({ progress }: Schedule, plan: Plan, count: number): Progress {
  const next = plan.ticks[count];
  if (next === undefined) return plan.progress;
  if (count === 0) return progress;
  const { runCount, skipCount } = progress;
  return { ...plan.progress, runCount: runCount + count, skipCount, nextAt: next };
}

/** Its ticks have enqueued these jobs. */
export function started({ definition, progress }: Schedule, runs: readonly Run[]): Progress {
  const last = runs.at(-1);
  if (!last) return progress;
  const going = definition.overlap === 'allow' ? [] : [...progress.going, ...runs];
  return { ...progress, lastRun: last, going };
}

/** A job of its has ended. @returns the same progress where that changes nothing. */
export function ended(progress: Progress, run: EndedRun): Progress {
  const { lastRun, going } = progress;
  const isLast = lastRun?.jobId === run.jobId && lastRun.outcome === undefined;
  const left = going.filter(({ jobId }) => jobId !== run.jobId);
  if (!isLast && left.length === going.length) return progress;
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

/** The ids of the jobs that a tick which waits cancels: those that were there before it. */
export function obstacles({ definition, progress }: Schedule): readonly string[] {
  const { queuedFor, going, pausedAt } = progress;
  if (definition.overlap !== 'cancelPrevious' || queuedFor === undefined || pausedAt !== undefined) return [];
  return going.filter(({ scheduledFor }) => scheduledFor < queuedFor).map(({ jobId }) => jobId);
}

export function paused(progress: Progress, now: number): Progress {
  const { nextAt: _, ...rest } = progress;
  return { ...rest, pausedAt: now };
}

/** What its ticks would have been meanwhile is past: a pause is no misfire. Nor does one tick again that has ticked. */
export function resumed({ definition, progress }: Schedule, now: number): Progress {
  const { pausedAt: _, ...rest } = progress;
  const { decidedAt } = rest;
  const next = withNext(definition, rest, now, Math.max(now, decidedAt));
  const isBehind = isLeftBehind({ definition, progress: { ...next, decidedAt } }, now, decidedAt - now);
  return isBehind ? afresh({ definition, progress: rest }, now) : next;
}

/**
 * Whether the clock has left a schedule behind when it was set back. What has ticked does not tick again, so mostly a
 * schedule rests until the clock is where it was; but not where that takes hours, for then the clock was wrong, and an
 * interval that counts from when it was stored not longer than itself, for what it measures has passed.
 * @param behindMs By how much the clock was set back.
 */
export function isLeftBehind({ definition, progress }: Course, now: number, behindMs: number): boolean {
  const { timing, startAt } = definition;
  const { decidedAt, nextAt = Infinity, pausedAt } = progress;
  if (now >= decidedAt || pausedAt !== undefined) return false;
  const isElapsing = 'everyMs' in timing && startAt === undefined;
  return isElapsing ? nextAt - now > timing.everyMs : behindMs > MAX_REST_MS;
}

/** A schedule that was left behind goes by the new time. */
export function afresh({ definition, progress }: Course, now: number): Progress {
  const { decidedAt, repeatsUntil = 0 } = progress;
  const anchorAt = definition.startAt ?? now;
  const repeats = Math.max(repeatsUntil, decidedAt);
  return withNext(definition, { ...progress, anchorAt, repeatsUntil: repeats }, now);
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

const isSameRhythm = (a: Definition, b: Definition): boolean =>
  JSON.stringify([a.timing, a.startAt]) === JSON.stringify([b.timing, b.startAt]);

const draftOf = (progress: Progress): Draft<Progress> => ({ ...progress });
const isBefore = (tick: number, endAt = Infinity): boolean => tick < endAt;
/** How many ticks have enqueued a job, or are going to. */
const countOf = ({ runCount, queuedFor }: Progress): number => runCount + (queuedFor === undefined ? 0 : 1);
const goingOf = (run: Run | undefined): Run[] => (run && run.outcome === undefined ? [run] : []);

function isWithin({ endAt, maxRuns = Infinity }: Definition, progress: Progress, tick: number): boolean {
  return countOf(progress) < maxRuns && isBefore(tick, endAt);
}

/** A schedule whose beginning is said may begin with this moment, unless it has ticked at it. */
function beforeFirst({ startAt }: Definition, { lastRun, queuedFor }: Progress, now: number): number {
  const hasTicked = lastRun?.scheduledFor === now || queuedFor === now;
  return startAt === undefined || hasTicked ? now : now - 1;
}

/** The progress with the first tick after an instant. */
function withNext(
  definition: Definition,
  progress: Progress,
  now: number,
  after = now,
  readRhythm: ReadRhythm = rhythmOf,
): Progress {
  const { timing, startAt = 0 } = definition;
  const next = draftOf(progress);
  // Stored by a clock that was wrong.
  next.anchorAt = Math.min(progress.anchorAt, Math.max(now, startAt));
  next.decidedAt = now;
  delete next.nextAt;
  const tick = readRhythm(timing, next.anchorAt).after(Math.max(after, startAt - 1));
  if (tick !== undefined && isWithin(definition, progress, tick)) next.nextAt = tick;
  return next;
}
