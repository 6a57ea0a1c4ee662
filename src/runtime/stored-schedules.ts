/** The schedules that the journal holds when it is opened, brought together with those that the code declares. */
import type { Clock } from '../clock.js';
import { MillraceError } from '../errors.js';
import { pack } from '../job/packer.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import type { ScheduleSettings } from '../schedule-options.js';
import { begun, redefined } from '../schedule/progress.js';
import type { Definition, Schedule } from '../schedule/record.js';
import { decodeSchedule, encodeSchedule } from '../schedule/record-format.js';
import { Slices } from './slices.js';
import { endOf, type EndedRun } from './ticker.js';

/** How many are read, or written, at once. */
const PAGE = 500;

/** @param onDamaged Told of each that cannot be read; it stays in the journal, and does not tick. */
export async function readSchedules(
  journal: Journal,
  onDamaged: (error: MillraceError) => void,
): Promise<Schedule[]> {
  const schedules: Schedule[] = [];
  for (let after: string | undefined; ;) {
    const page = await journal.schedules(after, PAGE);
    for (const { name, record } of page.schedules) {
      try {
        schedules.push(decodeSchedule(name, record));
      } catch (thrown) {
        if (!(thrown instanceof MillraceError)) throw thrown;
        onDamaged(thrown);
      }
    }
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
  return [...new Set([...going, ...last])];
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
  const now = clock.now();
  for (const { name, definition } of declared.values()) {
    const before = known.get(name);
    if (before && isSame(before.definition, definition)) continue;
    const progress = before ? redefined(before, definition, now) : begun(definition, now);
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
