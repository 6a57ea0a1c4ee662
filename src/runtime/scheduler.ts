/**
 * Ticks: at a schedule's time it enqueues the schedule's job, in the same commit that moves the schedule on, so that
 * whatever happens in between, a tick is neither lost nor doubled.
 *
 * A schedule is changed by one at a time, who holds its name: this loop, or a caller (schedule-control.ts).
 */
import type { Clock } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import { hasEnded, type Job } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import { ended, obstacles, readyTick, setBack } from '../schedule/progress.js';
import type { Schedule } from '../schedule/record.js';
import { encodeSchedule } from '../schedule/record-format.js';
import type { Alarm, Bell } from './alarm.js';
import type { Arrivals } from './arrivals.js';
import type { ArrivingIds } from './arriving-ids.js';
import { Holds } from './holds.js';
import { clockSetBack, held, ticksMissed } from './schedule-warnings.js';
import type { ScheduledJobs } from './scheduled-jobs.js';
import { Slices } from './slices.js';
import { reconciled, settledBy, tick, type EndedRun, type Step } from './ticker.js';
import { Timetable } from './timetable.js';

export interface SchedulerLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly alarm: Alarm;
  readonly arrivals: Arrivals;
  readonly arriving: ArrivingIds;
  readonly jobs: ScheduledJobs;
  /** Cancels a job that a schedule has enqueued. */
  readonly cancel: (id: string) => Promise<unknown>;
  readonly onWarning: (error: MillraceError) => void;
}

/** How many schedules are looked after in one commit, and about how many jobs go into it. */
const PAGE = 500;
const MAX_JOBS = 1_000;
/** A schedule that cannot tick is tried again so long after. */
const RETRY_MS = 60_000;
/** And all of them, where the journal could not be read. */
const READ_RETRY_MS = 1_000;

export class Scheduler {
  readonly timetable = new Timetable();
  readonly holds = new Holds();
  readonly #links: SchedulerLinks;
  readonly #bell: Bell;
  /** Those that were not yet looked after, by the names of their schedules. */
  readonly #endedRuns = new Map<string, readonly EndedRun[]>();
  /** Why schedules that are due cannot tick. */
  readonly #reasons = new Map<string, string>();
  /** Those that the clock has left behind. */
  #leftBehind = new Set<string>();
  #pass: Promise<void> | undefined;
  /** Before that nothing is tried again. */
  #retryAt = -Infinity;
  #isStopped = true;
  #isAwake = false;

  constructor(links: SchedulerLinks) {
    this.#links = links;
    this.#bell = links.alarm.bell(
      () => this.wake(),
      () => this.#lookBack(),
    );
  }

  /** Begins with what the journal holds: nothing else is known of any schedule. */
  load(schedules: readonly Schedule[]): void {
    this.#endedRuns.clear();
    this.#reasons.clear();
    this.timetable.fill(schedules.map((schedule) => ({ schedule, at: timeOf(schedule) })));
  }

  start(): void {
    this.#isStopped = false;
    for (const schedule of this.timetable.all()) this.#cancelObstacles(schedule);
    this.#lookBack();
    this.wake();
  }

  /** Waits for a pass that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#bell.set(Infinity);
    await this.#pass;
  }

  /** Something may be due that was not before. */
  wake(): void {
    this.#isAwake = true;
    if (this.#isStopped || this.#pass || this.#links.clock.now() < this.#retryAt) return;
    this.#pass = this.#run().finally(() => {
      this.#pass = undefined;
      this.#arm();
    });
  }

  /** A job was committed that has ended. */
  notice({ spec, status }: Job): void {
    const { schedule, id } = spec;
    if (schedule === undefined || !hasEnded(status)) return;
    const { state, finishedAt } = status;
    this.noticeRun(schedule, {
      jobId: id,
      outcome: state,
      ...(finishedAt !== undefined && { finishedAt }),
    });
  }

  noticeRun(name: string, run: EndedRun): void {
    const known = this.timetable.get(name);
    // Of a schedule whose runs may overlap only the last one matters; which that is, is being changed while it is held.
    if (known && !this.holds.has(name) && ended(known.progress, run) === known.progress) return;
    this.#endedRuns.set(name, [...(this.#endedRuns.get(name) ?? []), run]);
    this.wake();
  }

  /** A schedule is, from now on, this, and that is committed. To be called by whoever holds its name. */
  committed(schedule: Schedule): void {
    const isHeld = this.#reasons.has(schedule.name);
    this.timetable.put(schedule, isHeld ? this.#links.clock.now() + RETRY_MS : timeOf(schedule));
  }

  /** It may be able to tick, whatever kept it from that. */
  release(name: string): void {
    this.#reasons.delete(name);
  }

  /** Why a schedule that is due does not tick. */
  heldBecause(name: string): string | undefined {
    return this.#reasons.get(name);
  }

  #arm(): void {
    if (this.#isStopped) return;
    const due = this.timetable.due(this.#links.clock.now(), PAGE);
    // Whoever holds what is due wakes this loop.
    const isLeft = due.length > 0 && due.every((name) => this.holds.has(name));
    const nextAt = this.#isAwake ? -Infinity : isLeft ? Infinity : this.timetable.nextAt;
    this.#bell.set(Math.max(nextAt, this.#retryAt));
  }

  async #run(): Promise<void> {
    const { journal, clock, onWarning } = this.#links;
    this.#isAwake = false;
    const missed: string[] = [];
    try {
      while (!this.#isStopped && (await this.#advanceSome(missed)));
      this.#retryAt = -Infinity;
    } catch (thrown) {
      this.#isAwake = true;
      // A journal that has stopped writing has said so itself.
      if (journal.failure) return;
      const cause = asError(thrown);
      const message = `Schedules could not be looked after, and are tried again: ${cause.message}`;
      onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
      this.#retryAt = clock.now() + READ_RETRY_MS;
    } finally {
      if (missed.length > 0) onWarning(ticksMissed(missed));
    }
  }

  /** @returns whether there may be more to do. */
  async #advanceSome(missed: string[]): Promise<boolean> {
    const now = this.#links.clock.now();
    const due = this.timetable.due(now, PAGE);
    const names = new Set([...this.#endedRuns.keys(), ...this.#leftBehind, ...due]);
    // Who holds one wakes this loop afterwards.
    const free = [...names].filter((name) => !this.holds.has(name)).slice(0, PAGE);
    if (free.length === 0) return false;
    const advance = this.#advance(free, now, missed);
    await Promise.all(free.map((name) => this.holds.hold(name, () => advance)));
    return true;
  }

  async #advance(names: readonly string[], now: number, missed: string[]): Promise<void> {
    const { journal, clock } = this.#links;
    const { generation } = journal;
    const slices = new Slices(clock);
    const steps: Step[] = [];
    const taken = new Map<string, readonly EndedRun[]>();
    let jobs = 0;
    for (const name of names) {
      const runs = this.#endedRuns.get(name) ?? [];
      this.#endedRuns.delete(name);
      this.#leftBehind.delete(name);
      const before = this.timetable.get(name);
      if (!before) continue;
      taken.set(name, runs);
      const step = await this.#step(settledBy(before, runs), now, slices);
      steps.push(step);
      jobs += step.specs.length;
      if (jobs >= MAX_JOBS) break;
      if (slices.isOver) await slices.next();
    }
    try {
      await this.#commit(steps, generation);
    } catch (thrown) {
      for (const [name, runs] of taken)
        if (runs.length > 0) this.#endedRuns.set(name, [...runs, ...(this.#endedRuns.get(name) ?? [])]);
      throw thrown;
    }
    missed.push(...steps.flatMap(({ hasMissed, before }) => (hasMissed ? [before.name] : [])));
    for (const { schedule } of steps) this.#cancelObstacles(schedule);
  }

  async #step(settled: Step, now: number, slices: Slices): Promise<Step> {
    const { name } = settled.before;
    try {
      const step = await tick(settled, this.#links.jobs, now, slices);
      this.#reasons.delete(name);
      return step;
    } catch (thrown) {
      this.#hold(name, asError(thrown));
      return settled;
    }
  }

  async #commit(steps: readonly Step[], generation: number): Promise<void> {
    const { arriving, journal, arrivals, jobs } = this.#links;
    const ids = steps.flatMap(({ specs }) => specs.map(({ id }) => id));
    await arriving.alone(ids, async () => {
      const found = await journal.jobs(ids);
      const reads = new Map(ids.map((id, i) => [id, found[i]]));
      const isFree = found.every((read) => read === undefined);
      const free = isFree ? steps : steps.map((step) => reconciled(step, reads, () => jobs.newId()));
      const transaction = new Transaction().readIn(generation);
      for (const { before, schedule } of free)
        if (schedule !== before) transaction.putSchedule(schedule.name, encodeSchedule(schedule));
      const specs = free.flatMap((step) => step.specs);
      if (transaction.keys.length > 0) await arrivals.addAll(specs, { transaction, named: new Set(specs) });
      for (const { schedule } of free) this.committed(schedule);
    });
  }

  /** The tick that waits for them has its job when they have ended. */
  #cancelObstacles(schedule: Schedule): void {
    for (const id of obstacles(schedule)) {
      this.#links.cancel(id).catch((thrown: unknown) => {
        const isGone = thrown instanceof MillraceError && thrown.code === 'MILLRACE_JOB_NOT_FOUND';
        // Where the engine closes or the journal fails, it is cancelled after the next start.
        if (isGone) this.noticeRun(schedule.name, { jobId: id, outcome: 'unknown' });
      });
    }
  }

  /** It keeps no other from ticking; its ticks are late, and its misfire policy says what comes of that. */
  #hold(name: string, cause: Error): void {
    const isNews = this.#reasons.get(name) !== cause.message;
    this.#reasons.set(name, cause.message);
    if (isNews) this.#links.onWarning(held(name, cause));
  }

  #lookBack(): void {
    const now = this.#links.clock.now();
    const schedules = this.timetable.all();
    const left = schedules.filter((schedule) => setBack(schedule, now)).map(({ name }) => name);
    this.#leftBehind = new Set(left);
    const decidedAt = schedules.reduce((latest, { progress }) => Math.max(latest, progress.decidedAt), 0);
    const warning = clockSetBack(decidedAt - now, left);
    if (warning) this.#links.onWarning(warning);
    this.wake();
  }
}

/** When a schedule is to be looked after next. */
const timeOf = (schedule: Schedule): number =>
  readyTick(schedule) === undefined ? (schedule.progress.nextAt ?? Infinity) : 0;
