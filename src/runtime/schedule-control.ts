/** What callers do with schedules: describe, list, pause, remove them, and have them run now. */
import type { Clock } from '../clock.js';
import { invalidOption, MillraceError, show } from '../errors.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import type { Settings } from '../options.js';
import { checkSchedule, checkScheduledPayload, type AnySchedule } from '../schedule-options.js';
import { begun, paused, redefined, resumed, started } from '../schedule/progress.js';
import type { Progress, Schedule } from '../schedule/record.js';
import { encodeSchedule } from '../schedule/record-format.js';
import type { ScheduleSnapshot } from '../schedules.js';
import type { Arrivals } from './arrivals.js';
import type { Handle } from './handle.js';
import { scheduleSnapshotOf, upcomingOf } from './schedule-snapshot.js';
import type { ScheduledJobs } from './scheduled-jobs.js';
import type { Scheduler } from './scheduler.js';
import { Slices } from './slices.js';

export interface ScheduleControlLinks {
  readonly settings: Settings;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly arrivals: Arrivals;
  readonly scheduler: Scheduler;
  readonly jobs: ScheduledJobs;
  /** Throws where nothing can be changed now. */
  readonly assertWritable: () => void;
  /** Throws where the engine is closed. */
  readonly assertOpen: () => void;
}

const MAX_UPCOMING = 1_000;

export class ScheduleControl {
  readonly #links: ScheduleControlLinks;

  constructor(links: ScheduleControlLinks) {
    this.#links = links;
  }

  async upsert(name: string, schedule: AnySchedule): Promise<void> {
    const { settings, clock, scheduler, jobs } = this.#links;
    const own = { option: 'schedule', isDeclared: false, now: clock.now() };
    const checked = checkSchedule(name, schedule, settings, own);
    const { definition, makePayload } = checked;
    await this.#alone(name, async () => {
      const checking = checkScheduledPayload(checked, settings.types, own.option);
      if (checking) await checking;
      const now = clock.now();
      const before = scheduler.timetable.get(name);
      const progress = before ? redefined(before, definition, now) : begun(definition, now);
      const next = { name, definition, progress };
      await this.#put(next, () => jobs.setMaker(name, makePayload));
    });
  }

  async list({ upcoming = 1 }: { upcoming?: number } = {}): Promise<ScheduleSnapshot[]> {
    const { scheduler, clock, assertOpen } = this.#links;
    if (!Number.isInteger(upcoming) || upcoming < 0 || upcoming > MAX_UPCOMING)
      throw invalidOption('upcoming', `an integer from 0 to ${MAX_UPCOMING}`, upcoming);
    assertOpen();
    const slices = new Slices(clock);
    const snapshots: ScheduleSnapshot[] = [];
    for (const schedule of scheduler.timetable.all()) {
      const ticks = await upcomingOf(schedule, upcoming, slices);
      snapshots.push(scheduleSnapshotOf(schedule, ticks, scheduler.blockedBecause(schedule.name)));
      if (slices.isOver) await slices.next();
    }
    return snapshots;
  }

  async pause(name: string): Promise<void> {
    const { clock } = this.#links;
    await this.#change(name, ({ progress }) =>
      progress.pausedAt === undefined ? paused(progress, clock.now()) : progress,
    );
  }

  async resume(name: string): Promise<void> {
    const { clock } = this.#links;
    await this.#change(name, (schedule) =>
      schedule.progress.pausedAt === undefined ? schedule.progress : resumed(schedule, clock.now()),
    );
  }

  async remove(name: string): Promise<boolean> {
    const { scheduler, jobs } = this.#links;
    return this.#alone(name, async () => {
      if (!scheduler.timetable.get(name)) return false;
      await this.#links.journal.commit(this.#transaction().removeSchedule(name));
      jobs.setMaker(name, undefined);
      scheduler.release(name);
      scheduler.timetable.remove(name);
      return true;
    });
  }

  async runNow(name: string): Promise<Handle> {
    const { clock, arrivals, scheduler, jobs } = this.#links;
    return this.#alone(name, async () => {
      const schedule = this.#existing(name);
      const scheduledFor = clock.now();
      const spec = jobs.specOf(schedule, scheduledFor, { jitterMs: 0 });
      const next = { ...schedule, progress: started(schedule, [{ jobId: spec.id, scheduledFor }]) };
      const transaction = this.#transaction().putSchedule(name, encodeSchedule(next));
      const [handle] = await arrivals.addAll([spec], { transaction });
      // What makes a job now can make that of a tick.
      scheduler.release(name);
      scheduler.committed(next);
      // Safe: there is one for each.
      return handle as Handle;
    });
  }

  async #change(name: string, change: (schedule: Schedule) => Progress): Promise<void> {
    await this.#alone(name, async () => {
      const schedule = this.#existing(name);
      const progress = change(schedule);
      if (progress !== schedule.progress) await this.#put({ ...schedule, progress });
    });
  }

  async #put(schedule: Schedule, onCommit = (): void => {}): Promise<void> {
    const { journal, scheduler } = this.#links;
    await journal.commit(this.#transaction().putSchedule(schedule.name, encodeSchedule(schedule)));
    onCommit();
    scheduler.release(schedule.name);
    scheduler.committed(schedule);
  }

  #transaction(): Transaction {
    const { journal, settings } = this.#links;
    const transaction = new Transaction().readIn(journal.generation);
    return settings.durability === 'fsync' ? transaction.withSync() : transaction;
  }

  #existing(name: string): Schedule {
    const schedule = this.#links.scheduler.timetable.get(name);
    if (schedule) return schedule;
    throw new MillraceError('MILLRACE_SCHEDULE_NOT_FOUND', `There is no schedule named ${show(name)}`);
  }

  /** While nobody else changes it. */
  async #alone<Value>(name: string, work: () => Promise<Value>): Promise<Value> {
    const { scheduler, assertWritable } = this.#links;
    const { holds } = scheduler;
    while (holds.has(name)) await holds.free(name);
    assertWritable();
    try {
      return await holds.hold(name, work);
    } finally {
      scheduler.wake();
    }
  }
}
