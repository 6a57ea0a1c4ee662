/** A schedule as a caller sees it: decoded, and detached from everything. */
import { decode } from '../job/codec.js';
import { upcoming } from '../schedule/progress.js';
import type { Schedule } from '../schedule/record.js';
import type { ScheduleSnapshot } from '../schedules.js';

/** @param count How many ticks it tells of. */
export function scheduleSnapshotOf(
  schedule: Schedule,
  count: number,
  heldBecause: string | undefined,
): ScheduleSnapshot {
  const { name, definition, progress } = schedule;
  const { job, payload, timing, startAt, endAt, maxRuns, misfire, overlap, isDeclared } = definition;
  const { runCount, lastRun, queuedFor } = progress;
  return {
    name,
    job,
    ...(payload && { payload: decode(payload) }),
    state: stateOf(schedule, heldBecause),
    ...(heldBecause !== undefined && { heldBecause }),
    ...timing,
    ...(startAt !== undefined && { startAt }),
    ...(endAt !== undefined && { endAt }),
    ...(maxRuns !== undefined && { maxRuns }),
    misfire,
    overlap,
    upcoming: firstOf(schedule, count),
    runCount,
    ...(lastRun && { lastRun: { ...lastRun } }),
    ...(queuedFor !== undefined && { queuedFor }),
    declared: isDeclared,
  };
}

function stateOf({ progress }: Schedule, heldBecause: string | undefined): ScheduleSnapshot['state'] {
  if (progress.pausedAt !== undefined) return 'paused';
  if (heldBecause !== undefined) return 'held';
  return progress.nextAt === undefined && progress.queuedFor === undefined ? 'over' : 'active';
}

function firstOf(schedule: Schedule, count: number): number[] {
  const ticks: number[] = [];
  if (count === 0) return ticks;
  for (const tick of upcoming(schedule)) {
    ticks.push(tick);
    if (ticks.length === count) break;
  }
  return ticks;
}
