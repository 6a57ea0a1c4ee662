/**
 * Ticks: at a schedule's time it enqueues the schedule's job, in the same commit that moves the schedule on, so that
 * whatever happens in between, a tick is neither lost nor doubled.
 *
 * A schedule is changed by one at a time, who holds its name: this loop, or a caller (schedule-control.ts).
 */
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import type { Job } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import { ended, isLeftBehind, readyTick } from '../schedule/progress.js';
import { endedRunOf, type EndedRun, type Schedule } from '../schedule/record.js';
import { encodeSchedule } from '../schedule/record-format.js';
import { rhythmReader } from '../schedule/rhythm.js';
import type { Alarm, Bell } from './alarm.js';
import type { Arrivals } from './arrivals.js';
import type { ArrivingIds } from './arriving-ids.js';
import { Holds } from './holds.js';
import { Obstacles } from './obstacles.js';
import { Occasions } from './occasions.js';
import { blocked, clockSetBack, ticksMissed } from './schedule-warnings.js';
import type { ScheduledJobs } from './scheduled-jobs.js';
import { Slices } from './slices.js';
import { lookAfter, untangled, type Occasion, type Step } from './ticker.js';
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
/** A schedule that cannot tick is tried again so long after: before its tick is late. */
const RETRY_MS = 30_000;
/** And all of them, where the journal could not be read. */
const READ_RETRY_MS = 1_000;
/** Missed ticks are told no more often. */
const TELL_EVERY_MS = 60_000;

export class Scheduler {
  readonly timetable = new Timetable();
  readonly holds = new Holds();
  readonly #links: SchedulerLinks;
  readonly #bell: Bell;
  readonly #occasions = new Occasions();
  readonly #obstacles: Obstacles;
  /** Why schedules that are due cannot tick. */
  readonly #reasons = new Map<string, string>();
  #pass: Promise<void> | undefined;
  /** Set while nothing is tried again, for the journal could not be read. */
  #retry: Timer | undefined;
  /** Schedules of which ticks were missed, and were not told yet; and when that was told last. */
  readonly #missed = new Set<string>();
  #toldAt = -Infinity;
  #isStopped = true;
  #isAwake = false;

  constructor(links: SchedulerLinks) {
    this.#links = links;
    const onGone = (name: string, run: EndedRun): void => this.noticeRun(name, run);
    this.#obstacles = new Obstacles({ ...links, onGone });
    this.#bell = links.alarm.bell(() => this.wake(), { onSetBack: (byMs) => this.#lookBack(byMs) });
  }

  /** Begins with what the journal holds: nothing else is known of any schedule. */
  load(schedules: readonly Schedule[]): void {
    this.#occasions.clear();
    this.#reasons.clear();
    this.timetable.fill(schedules.map((schedule) => ({ schedule, at: timeOf(schedule) })));
  }

  start(): void {
    this.#isStopped = false;
    for (const schedule of this.timetable.all()) this.#obstacles.remove(schedule);
    this.#lookBack();
  }

  /** Waits for a pass that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#bell.set(Infinity);
    this.#retry?.cancel();
    this.#retry = undefined;
    await this.#pass;
    this.#tellMissed(0);
  }

  /** Something may be due that was not before. */
  wake(): void {
    this.#isAwake = true;
    if (this.#isStopped || this.#pass || this.#retry) return;
    this.#pass = this.#run().finally(() => {
      this.#pass = undefined;
      this.#arm();
    });
  }

  /** A job was committed. */
  notice(job: Job): void {
    const { schedule } = job.spec;
    const run = schedule === undefined ? undefined : endedRunOf(job);
    if (schedule !== undefined && run) this.noticeRun(schedule, run);
  }

  noticeRun(name: string, run: EndedRun): void {
    const known = this.timetable.get(name);
    // Of a schedule whose runs may overlap only the last one matters. While somebody changes it, this may be a new one.
    if (known && !this.holds.has(name) && ended(known.progress, run) === known.progress) return;
    this.#occasions.ended(name, run);
    this.wake();
  }

  /** A schedule is, from now on, this, and that is committed. To be called by whoever holds its name. */
  committed(schedule: Schedule): void {
    const isBlocked = this.#reasons.has(schedule.name);
    this.timetable.put(schedule, isBlocked ? this.#links.clock.now() + RETRY_MS : timeOf(schedule));
  }

  /** It may be able to tick, whatever kept it from that. To be called before {@link committed}. */
  release(name: string): void {
    this.#reasons.delete(name);
  }

  /** Why a schedule that is due does not tick. */
  blockedBecause(name: string): string | undefined {
    return this.#reasons.get(name);
  }

  #arm(): void {
    if (this.#isStopped) return;
    const due = this.timetable.due(this.#links.clock.now(), PAGE);
    // Whoever holds what is due wakes this loop.
    const isLeft = due.length > 0 && due.every((name) => this.holds.has(name));
    const nextAt = this.#isAwake ? -Infinity : isLeft ? Infinity : this.timetable.nextAt;
    this.#bell.set(this.#retry ? Infinity : nextAt);
  }

  async #run(): Promise<void> {
    const { journal, clock, onWarning } = this.#links;
    this.#isAwake = false;
    try {
      while (!this.#isStopped && (await this.#advanceSome()));
    } catch (thrown) {
      this.#isAwake = true;
      // A journal that has stopped writing has said so itself.
      if (journal.failure) return;
      const cause = asError(thrown);
      const message = `Schedules could not be looked after, and are tried again: ${cause.message}`;
      onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
      if (!this.#isStopped) this.#retry = clock.setTimer(() => this.#tryAgain(), READ_RETRY_MS);
    } finally {
      this.#tellMissed(TELL_EVERY_MS);
    }
  }

  /** @returns whether there may be more to do. */
  async #advanceSome(): Promise<boolean> {
    const now = this.#links.clock.now();
    const due = this.timetable.due(now, PAGE);
    const names = new Set([...this.#occasions.names(), ...due]);
    // Who holds one wakes this loop afterwards.
    const free = [...names].filter((name) => !this.holds.has(name)).slice(0, PAGE);
    if (free.length === 0) return false;
    // Not before they are held: a payload function may call for a change of its own schedule.
    const advance = Promise.resolve().then(() => this.#advance(free, now));
    await Promise.all(free.map((name) => this.holds.hold(name, () => advance)));
    return true;
  }

  async #advance(names: readonly string[], now: number): Promise<void> {
    const { generation } = this.#links.journal;
    const occasions = new Map<string, Occasion>();
    try {
      const steps = await this.#lookAfter(names, now, occasions);
      await this.#commit(steps, generation);
      for (const { hasMissed, before } of steps) if (hasMissed) this.#missed.add(before.name);
      for (const { schedule } of steps) this.#obstacles.remove(schedule);
    } catch (thrown) {
      for (const [name, occasion] of occasions) this.#occasions.giveBack(name, occasion);
      throw thrown;
    }
  }

  /** @param occasions Gets what is taken of them. @returns steps of the first ones, as many as one commit takes. */
  async #lookAfter(names: readonly string[], now: number, occasions: Map<string, Occasion>): Promise<Step[]> {
    const { clock, jobs } = this.#links;
    const look = { jobs, now, slices: new Slices(clock), readRhythm: rhythmReader() };
    const steps: Step[] = [];
    let count = 0;
    for (const name of names) {
      const occasion = this.#occasions.take(name);
      const before = this.timetable.get(name);
      if (!before) continue;
      occasions.set(name, occasion);
      const step = await lookAfter(before, occasion, look);
      steps.push(step);
      count += step.specs.length;
      if (count >= MAX_JOBS) break;
      if (look.slices.isOver) await look.slices.next();
    }
    return steps;
  }

  async #commit(steps: readonly Step[], generation: number): Promise<void> {
    const { arriving, journal, arrivals, jobs } = this.#links;
    const ids = steps.flatMap(({ specs }) => specs.map(({ id }) => id));
    await arriving.alone(ids, async () => {
      const reads = await journal.jobs(ids);
      const found = new Map(ids.map((id, i) => [id, reads[i]]));
      const own = steps.map((step) => untangled(step, found, () => jobs.newId()));
      const transaction = new Transaction().readIn(generation);
      for (const { before, schedule } of own)
        if (schedule !== before) transaction.putSchedule(schedule.name, encodeSchedule(schedule));
      const specs = own.flatMap((step) => step.specs);
      if (transaction.keys.length > 0) await arrivals.addAll(specs, { transaction, named: new Set(specs) });
      for (const { schedule, problem } of own) {
        if (problem) this.#block(schedule.name, problem);
        else this.release(schedule.name);
        this.committed(schedule);
      }
    });
  }

  /** It keeps no other from ticking; its ticks are late, and its misfire policy says what comes of that. */
  #block(name: string, cause: Error): void {
    const isNews = this.#reasons.get(name) !== cause.message;
    this.#reasons.set(name, cause.message);
    if (isNews) this.#links.onWarning(blocked(name, cause));
  }

  /** All together, and now and then: a schedule of seconds can miss some again and again. */
  #tellMissed(everyMs: number): void {
    const now = this.#links.clock.monotonic();
    if (this.#missed.size === 0 || now - this.#toldAt < everyMs) return;
    this.#links.onWarning(ticksMissed([...this.#missed]));
    this.#missed.clear();
    this.#toldAt = now;
  }

  #tryAgain(): void {
    this.#retry = undefined;
    this.wake();
  }

  /** @param byMs By how much the clock was set back, where that was seen. */
  #lookBack(byMs = 0): void {
    const now = this.#links.clock.now();
    const schedules = this.timetable.all();
    const decidedAt = schedules.reduce((latest, { progress }) => Math.max(latest, progress.decidedAt), 0);
    const behindMs = Math.max(byMs, decidedAt - now);
    const isLeft = (schedule: Schedule): boolean => isLeftBehind(schedule, now, behindMs);
    const left = schedules.filter(isLeft).map(({ name }) => name);
    this.#occasions.leftBehind(left);
    // When they are tried again was said by the clock.
    for (const name of this.#reasons.keys()) this.#again(name);
    const warning = clockSetBack(behindMs, left);
    if (warning) this.#links.onWarning(warning);
    this.wake();
  }

  #again(name: string): void {
    const schedule = this.timetable.get(name);
    if (schedule) this.committed(schedule);
  }
}

/** When a schedule is to be looked after next. */
const timeOf = (schedule: Schedule): number =>
  readyTick(schedule) === undefined ? (schedule.progress.nextAt ?? Infinity) : 0;
