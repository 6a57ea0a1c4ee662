/** Schedules, as the engine has them: the loop that ticks, what callers do, and what journal and code say of them. */
import type { Job } from '../job/record.js';
import type { Schedule } from '../schedule/record.js';
import { ScheduleControl, type ScheduleControlLinks } from './schedule-control.js';
import { undeclared } from './schedule-warnings.js';
import { ScheduledJobs, type ScheduledJobsLinks } from './scheduled-jobs.js';
import { Scheduler, type SchedulerLinks } from './scheduler.js';
import { declareSchedules, findEndedRuns, readSchedules } from './stored-schedules.js';

export type SchedulingLinks = ScheduledJobsLinks &
  Omit<SchedulerLinks, 'jobs'> &
  Omit<ScheduleControlLinks, 'jobs' | 'scheduler'>;

export class Scheduling {
  readonly control: ScheduleControl;
  readonly #links: SchedulingLinks;
  readonly #scheduler: Scheduler;

  constructor(links: SchedulingLinks) {
    this.#links = links;
    const jobs = new ScheduledJobs(links);
    this.#scheduler = new Scheduler({ ...links, jobs });
    this.control = new ScheduleControl({ ...links, jobs, scheduler: this.#scheduler });
  }

  /** Takes what the journal holds, and stores what the code declares. */
  async declare(): Promise<void> {
    const { settings, journal, clock, onWarning } = this.#links;
    const how = { prune: settings.pruneSchedules, clock };
    const stored = await readSchedules(journal);
    const { schedules, vanished } = await declareSchedules(journal, stored, settings.schedules, how);
    if (vanished.length > 0) onWarning(undeclared(vanished));
    await this.#load(schedules);
  }

  /** The journal was opened again: takes what it holds now. To be called while it is stopped. */
  async reload(): Promise<void> {
    const { journal } = this.#links;
    await this.#load(await readSchedules(journal));
  }

  start(): void {
    this.#scheduler.start();
  }

  /** Waits for a pass that is under way. */
  async stop(): Promise<void> {
    await this.#scheduler.stop();
  }

  /** A job was committed that has ended. */
  notice(job: Job): void {
    this.#scheduler.notice(job);
  }

  /** A job was removed, and that is committed: its schedule must not wait for it any more. */
  noticeRemoved({ spec }: Job): void {
    const { id, schedule } = spec;
    if (schedule !== undefined) this.#scheduler.noticeRun(schedule, { jobId: id, outcome: 'unknown' });
  }

  async #load(schedules: readonly Schedule[]): Promise<void> {
    this.#scheduler.load(schedules);
    await findEndedRuns(this.#links.journal, schedules, (name, run) => this.#scheduler.noticeRun(name, run));
  }
}
