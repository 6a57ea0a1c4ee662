/** Invariants of schedules: each tick has its job, and one, and nothing but a tick has any. */
import { isEnd } from '../../src/job/record.js';
import { tickId } from '../../src/schedule/record.js';
import type { Call, Stretch } from './certainty.js';
import { coursesOf, isSurelyTick, mayHaveRun, restedAt, type Course, type Run } from './courses.js';
import { factsOf, type Evidence, type Finding } from './evidence.js';
import { countBetween, gridOf, isInterval, isSameRhythm, ticksBetween } from './rhythm-model.js';

/** While a schedule certainly ticked, each tick has its job that its policies do not leave out. */
export function ticksLost(evidence: Evidence): Finding[] {
  const { facts } = evidence;
  const endAt = restedAt(facts);
  // An audit that did not get so far has broken.
  if (endAt === undefined) return [];
  return coursesOf(evidence).flatMap((course) => [
    ...course.certainty.findings,
    ...course.certainty.stretches.flatMap((stretch) => missing(course, stretch, endAt)),
    ...left(course, endAt),
  ]);
}

function missing(course: Course, stretch: Stretch, endAt: number): Finding[] {
  const { asked, grid, from, until } = stretch;
  const isOpen = until === undefined;
  // What was due when it was changed, and had not ticked by then, may have been forgotten; but not what came before.
  // One that had its job at that very moment, or later, may be of what it was changed to.
  const last = course.ticks.findLast(
    ({ scheduledFor, enqueuedAt }) => Math.max(scheduledFor, enqueuedAt) < (until ?? endAt + 1),
  )?.scheduledFor;
  const end = isOpen ? endAt : course.wasSetBack ? -Infinity : (last ?? -Infinity);
  const ticks = ticksBetween(grid, asked, from, end);
  const there = new Set(course.ticks.map(({ scheduledFor }) => scheduledFor));
  return ticks
    .filter((at, i) => {
      const isLast = isOpen && i === ticks.length - 1;
      return !there.has(at) && !isLeftOut(course, stretch, at, { isLast, endAt });
    })
    .map((at) => ({
      id: tickId(course.name, at),
      message: `is missing, and ${course.name} was to tick from ${from} on as ${JSON.stringify(asked)}`,
    }));
}

/** Whether a tick that has no job need not have one. */
function isLeftOut(
  course: Course,
  { asked, grid }: Stretch,
  at: number,
  { isLast, endAt }: { isLast: boolean; endAt: number },
): boolean {
  const { misfire = 'once', maxCatchUp = 100, overlap = 'allow', maxRuns = Infinity } = asked;
  const { maxAge = misfire === 'skip' ? 60_000 : Infinity } = asked;
  // What comes of a tick was decided at the latest when the next one had its job; but that may have been before the
  // clock was set back.
  const next = course.wasSetBack ? undefined : course.ticks.find(({ scheduledFor }) => scheduledFor > at);
  const lateMs = (next?.enqueuedAt ?? endAt) - at;
  if (course.ticks.length >= maxRuns || lateMs > maxAge) return true;
  // A tick that comes again has the job that it had, and counts as another.
  if (maxRuns < Infinity && course.wasSetBack) return true;
  // Of those that are due at once the last has its job, whatever becomes of the others.
  if (misfire !== 'all' && !isLast) return true;
  if (overlap === 'cancelPrevious' && !isLast) return true;
  if (misfire === 'all' && countBetween(grid, asked, at, at + lateMs) >= maxCatchUp) return true;
  const mayBeSkipped = overlap === 'skip' || (overlap === 'queue' && !isLast);
  return mayBeSkipped && isOverlapped(course, at, at + lateMs);
}

/** Whether a job of the schedule that came before the tick may not have ended when it was its turn. */
function isOverlapped({ ticks, extras, wasSetBack }: Course, at: number, until: number): boolean {
  const before = [
    ...ticks.filter(({ scheduledFor }) => scheduledFor < at),
    ...extras.filter(({ enqueuedAt }) => enqueuedAt <= until),
  ];
  return wasSetBack || before.some(({ endedAt }) => endedAt >= at);
}

/** What is left to do of a schedule once all jobs have ended, or what was forgotten of it. */
function left({ name, certainty, progress }: Course, endAt: number): Finding[] {
  const found = (message: string): Finding[] => [{ id: name, message }];
  if (!progress) return certainty.exists === true ? found('was acknowledged and is not in the journal') : [];
  const { pausedAt, nextAt = Infinity, queuedFor, going } = progress;
  const isPaused = pausedAt !== undefined;
  return [
    ...(isPaused && certainty.isPaused === false ? found('is paused, and that was not asked for') : []),
    ...(going.length > 0
      ? found(`waits for ${going.map(({ jobId }) => jobId).join(', ')}, and all jobs have ended`)
      : []),
    ...(!isPaused && queuedFor !== undefined ? found(`holds the tick of ${queuedFor} for no job`) : []),
    ...(!isPaused && nextAt <= endAt ? found(`was due at ${nextAt}, and it was ${endAt}`) : []),
  ];
}

/** No tick has two jobs, and none is announced twice. */
export function ticksDoubled(evidence: Evidence): Finding[] {
  return coursesOf(evidence).flatMap((course) => {
    const instants = new Set(course.ticks.map(({ scheduledFor }) => scheduledFor));
    const doubled = [...instants].flatMap((at) => {
      const runs = course.ticks.filter(({ scheduledFor }) => scheduledFor === at);
      if (runs.length <= 1 + course.comebacks + mayHaveRun(course, at).length) return [];
      return [
        { id: tickId(course.name, at), message: `has ${runs.length} jobs: ${runs.map(idOf).join(', ')}` },
      ];
    });
    const told = new Set<string>();
    const again = factsOf(evidence.facts, 'enqueued').flatMap(({ id, token }) => {
      // An event, for whoever enqueues a job knows its token.
      if (token !== undefined || !id.startsWith(`${course.name}@`)) return [];
      if (told.has(id)) return [{ id, message: 'was announced as new twice' }];
      told.add(id);
      return [];
    });
    return [...doubled, ...again];
  });
}

const idOf = ({ id }: Run): string => id;

/** No job is of an instant at which its schedule does not tick: by its rhythm, before it was described, or while it rests. */
export function ticksInvented(evidence: Evidence): Finding[] {
  return coursesOf(evidence).flatMap((course) => {
    const { name, ticks, certainty, progress } = course;
    const sure = ticks.filter(
      (run) => isSurelyTick(run) || mayHaveRun(course, run.scheduledFor).length === 0,
    );
    const invented = sure.flatMap((run) => {
      const why = wrongWith(course, run.scheduledFor);
      return why === undefined ? [] : [{ id: run.id, message: `is of ${run.scheduledFor}, and ${why}` }];
    });
    const found = (message: string): Finding[] => [{ id: name, message }];
    return [
      ...invented,
      ...tooMany(course),
      ...(progress && certainty.exists === false ? found('was removed and is in the journal') : []),
      ...(progress && certainty.isPaused === true && progress.pausedAt === undefined
        ? found('was paused and is not')
        : []),
    ];
  });
}

function wrongWith(course: Course, at: number): string | undefined {
  if (!course.calls.some((call) => mayTick(course, call, at))) return 'nobody asked for a tick then';
  if (course.wasSetBack) return undefined;
  const silence = course.certainty.silences.find(({ from, until = Infinity }) => from < at && at < until);
  return silence && `from ${silence.from} on it was not to tick`;
}

/** Whether a schedule that was asked for may tick at that instant. */
function mayTick({ calls, wasSetBack }: Course, { asked: { as }, askedAt }: Call, at: number): boolean {
  if (!as) return false;
  const { startAt = -Infinity, endAt = Infinity } = as;
  // One whose beginning is said may begin with the moment at which it is asked for.
  const isBefore = as.startAt === undefined ? at <= askedAt : at < askedAt;
  if (isBefore && !wasSetBack) return false;
  if (at < startAt || at >= endAt) return false;
  if (wasSetBack && isInterval(as)) return true;
  // Where it had this rhythm before, it began then.
  const begun = calls.filter(({ asked }) => asked.as && isSameRhythm(asked.as, as));
  return begun.some(({ askedAt, settledAt }) => {
    const grid = gridOf(as, askedAt === settledAt ? askedAt : undefined);
    return !grid || countBetween(grid, as, at - 1, at) > 0;
  });
}

/** Where all that was asked for ends after so many runs, there are not more. */
function tooMany({ name, calls, ticks }: Course): Finding[] {
  const asked = calls.flatMap(({ asked }) => asked.as ?? []);
  const mayBeginAnew = calls.some(({ asked }) => asked.change === 'remove');
  const most = Math.max(0, ...asked.map(({ maxRuns = Infinity }) => maxRuns));
  if (mayBeginAnew || ticks.length <= most) return [];
  return [{ id: name, message: `has had ${ticks.length} runs of ${most}` }];
}

/** What a schedule says of its last run is what came of the job. */
export function misreportedRuns({ contents: { jobs, schedules } }: Evidence): Finding[] {
  return [...schedules].flatMap(([name, { lastRun }]) => {
    const job = lastRun && jobs.get(lastRun.jobId);
    // To its schedule a job has ended once, whoever has it run again.
    if (!job || !isEnd(job.state) || lastRun.outcome === job.state || job.retries !== undefined) return [];
    const message = `is ${job.state}, and ${name} says of its last run: ${lastRun.outcome ?? 'nothing'}`;
    return [{ id: job.id, message }];
  });
}
