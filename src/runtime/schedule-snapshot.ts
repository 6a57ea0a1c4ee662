/** A schedule as a caller sees it: decoded, and detached from everything. */
import { decode } from '../job/codec.js';
import { upcoming } from '../schedule/progress.js';
import type { Schedule } from '../schedule/record.js';
import type { ScheduleSnapshot } from '../schedules.js';
import type { Slices } from './slices.js';

export function scheduleSnapshotOf(
  schedule: Schedule,
  ticks: readonly number[],
  blockedBecause: string | undefined,
): ScheduleSnapshot {
  const { name, definition, progress } = schedule;
  const { payload, timing, isDeclared, ...described } = definition;
  const { runCount, skipCount, lastRun, queuedFor } = progress;
  return {
    name,
    ...described,
    options: { ...described.options },
    ...timing,
    ...(payload && { payload: decode(payload) }),
    state: stateOf(schedule, blockedBecause),
    ...(blockedBecause !== undefined && { blockedBecause }),
    upcoming: ticks,
    runCount,
    skipCount,
    ...(lastRun && { lastRun: { ...lastRun } }),
    ...(queuedFor !== undefined && { queuedFor }),
    declared: isDeclared,
  };
}

function stateOf({ progress }: Schedule, blockedBecause: string | undefined): ScheduleSnapshot['state'] {
  if (progress.pausedAt !== undefined) return 'paused';
  if (blockedBecause !== undefined) return 'blocked';
  return progress.nextAt === undefined && progress.queuedFor === undefined ? 'over' : 'active';
}

/** The next ticks: each takes a while. */
export async function upcomingOf(schedule: Schedule, count: number, slices: Slices): Promise<number[]> {
  const ticks: number[] = [];
  if (count === 0) return ticks;
  for (const tick of upcoming(schedule)) {
    ticks.push(tick);
    if (ticks.length === count) break;
    if (slices.isOver) await slices.next();
  }
  return ticks;
}
