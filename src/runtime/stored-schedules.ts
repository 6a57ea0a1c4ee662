/** The schedules that the journal holds when it is opened, brought together with those that the code declares. */
import type { Clock } from '../clock.js';
import { MillraceError } from '../errors.js';
import { pack } from '../job/packer.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import type { ScheduleSettings } from '../schedule-options.js';
import { begun, redefined } from '../schedule/progress.js';
import { endedRunOf, type Definition, type EndedRun, type Schedule } from '../schedule/record.js';
import { decodeSchedule, encodeSchedule } from '../schedule/record-format.js';
import { rhythmReader } from '../schedule/rhythm.js';
import { Slices } from './slices.js';

/** How many are read, or written, at once. */
const PAGE = 500;

/** Those that can be read: the journal tells of others. */
export async function readSchedules(journal: Journal): Promise<Schedule[]> {
  const schedules: Schedule[] = [];
  for (let after: string | undefined; ;) {
    const page = await journal.indexes.schedules(after, PAGE);
    for (const { name, record } of page.schedules) schedules.push(decodeSchedule(name, record));
    if (page.next === undefined) return schedules;
    after = page.next;
  }
}

/** Tells of each job of a schedule that has ended as far as the schedule does not know. */
export async function findEndedRuns(
  journal: Journal,
  schedules: readonly Schedule[],
  onEnded: (name: string, run: EndedRun) => void,
): Promise<void> {
  const runs = schedules.flatMap((schedule) => openRuns(schedule).map((id) => ({ id, name: schedule.name })));
  for (let from = 0; from < runs.length; from += PAGE) {
    const some = runs.slice(from, from + PAGE);
    const reads = await journal.jobs(some.map(({ id }) => id));
    for (const [i, { id, name }] of some.entries()) {
      const run = endOf(id, reads[i]);
      if (run) onEnded(name, run);
    }
  }
}

function openRuns({ progress }: Schedule): string[] {
  const { lastRun, going } = progress;
  const last = lastRun && lastRun.outcome === undefined ? [lastRun.jobId] : [];
  return [...new Set([...going.map(({ jobId }) => jobId), ...last])];
}

/** A job that cannot be read will not be heard of again: it must not stand in the way of others. */
function endOf(jobId: string, read: JobRead): EndedRun | undefined {
  if (read === undefined || read instanceof MillraceError) return { jobId, outcome: 'unknown' };
  return endedRunOf(read);
}

export interface Declared {
  /** All there are now. */
  readonly schedules: readonly Schedule[];
  /** Those that an earlier declaration named, and this one does not. */
  readonly vanished: readonly string[];
}

/** Stores what the code declares, and removes what it does not declare any more, where that is wanted. */
export async function declareSchedules(
  journal: Journal,
  stored: readonly Schedule[],
  declared: ReadonlyMap<string, ScheduleSettings>,
  { prune, clock }: { prune: boolean; clock: Clock },
): Promise<Declared> {
  const known = new Map(stored.map((schedule) => [schedule.name, schedule]));
  const changed: Schedule[] = [];
  const slices = new Slices(clock);
  const readRhythm = rhythmReader();
  const now = clock.now();
  for (const { name, definition } of declared.values()) {
    const before = known.get(name);
    if (before && isSame(before.definition, definition)) continue;
    const progress = before
      ? redefined(before, definition, now, readRhythm)
      : begun(definition, now, readRhythm);
    const next = { name, definition, progress };
    known.set(name, next);
    changed.push(next);
    if (slices.isOver) await slices.next();
  }
  const vanished = stored.filter(({ name, definition }) => definition.isDeclared && !declared.has(name));
  const removed = prune ? vanished : [];
  for (const { name } of removed) known.delete(name);
  await write(journal, changed, removed);
  return { schedules: [...known.values()], vanished: prune ? [] : vanished.map(({ name }) => name) };
}

async function write(
  journal: Journal,
  changed: readonly Schedule[],
  removed: readonly Schedule[],
): Promise<void> {
  const transaction = new Transaction().withSync();
  for (const schedule of changed) transaction.putSchedule(schedule.name, encodeSchedule(schedule));
  for (const { name } of removed) transaction.removeSchedule(name);
  if (transaction.keys.length > 0) await journal.commit(transaction);
}

const isSame = (a: Definition, b: Definition): boolean => Buffer.compare(pack(a), pack(b)) === 0;
