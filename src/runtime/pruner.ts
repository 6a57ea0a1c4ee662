/**
 * Removes jobs that have ended once they were kept for as long as their type says, or are more than it says. One timer,
 * for the first of them.
 *
 * A type's ended jobs lie in a lane per state, the oldest first: only what goes is read. A job goes in one batch, so that
 * whoever reads it, such as an enqueue with its id, finds it whole or not at all; and it is held meanwhile, for somebody
 * may be about to retry it. How many there are is counted only where a type has a bound, and once: from then on it is
 * known what comes and goes.
 */
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import { ENDED_STATES, hasEnded, type EndedState, type Job } from '../job/record.js';
import type { RetentionPolicy } from '../job/retention.js';
import { listedJobs } from '../journal/listed-jobs.js';
import { endedLaneSpan, finishedAtOf, isEndOf } from '../journal/keys.js';
import { EndedCount, type CountedPage } from './ended-count.js';
import { FIRST_BATCH, Remover, type Removed, type RemovalLane, type RemoverLinks } from './remover.js';

export interface PrunerLinks extends RemoverLinks {
  readonly clock: Clock;
  /** Of a job type, whether the code knows it or not. */
  readonly retentionOf: (name: string) => RetentionPolicy;
  /** A pass is over. */
  readonly onPass: () => void;
}

interface Lane extends RemovalLane {
  readonly keptMs: number;
  /** How many are kept at most. */
  readonly maxCount: number;
  /** How many there are; of use where there is a bound. */
  readonly count: EndedCount;
  /** When the first of its jobs is to go, as far as is known. */
  dueAt: number;
  /** The last roster on which all that are left are held by their flows, and until when (monotonic) they are not looked at. */
  held: { readonly to: string; readonly untilMs: number } | undefined;
}

/** How many rosters are read at once. */
const PAGE = 100;
/** Between two passes, so that jobs that end one by one go together. */
const REST_MS = 1_000;
/** And at most so long where one pass after the other fails. */
const MAX_REST_MS = 60_000;
/** While jobs are kept the clock is looked at this often, for it may be set forward. */
const LOOK_EVERY_MS = 3_600_000;
/** Jobs of flows that have yet to end are looked at this often. */
const HELD_MS = 60_000;

export class Pruner {
  readonly #links: PrunerLinks;
  readonly #remover: Remover;
  readonly #lanes: Readonly<Record<EndedState, Map<string, Lane>>> = {
    completed: new Map(),
    failed: new Map(),
    cancelled: new Map(),
  };
  #restMs = REST_MS;
  /** Whether it is known what earlier processes have left. */
  #hasLooked = false;
  #timer: Timer | undefined;
  /** When the timer fires, in monotonic time. */
  #timerAt = Infinity;
  #pass: Promise<void> | undefined;
  #isStopped = true;

  constructor(links: PrunerLinks) {
    this.#links = links;
    this.#remover = new Remover(links);
  }

  start(): void {
    this.#isStopped = false;
    this.#hasLooked = false;
    // What the disk holds may be other than what was known.
    for (const lane of this.#allLanes()) {
      lane.count.forget();
      lane.held = undefined;
    }
    this.#begin();
  }

  /** Waits for a batch that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#disarm();
    await this.#pass;
  }

  /** A job has ended, and that is committed. */
  notice({ spec, status }: Job): void {
    if (!hasEnded(status) || status.finishedAt === undefined) return;
    const lane = this.#laneOf(status.state, spec.name);
    if (lane.maxCount < Infinity) lane.count.came(spec.id);
    const dueAt = mayBeOverfull(lane) ? -Infinity : status.finishedAt + lane.keptMs;
    if (dueAt >= lane.dueAt) return;
    lane.dueAt = dueAt;
    this.#arm(dueAt);
  }

  /** A job that had ended was removed by somebody else, or retried, and that is committed. @param job As it was. */
  left(job: Job): void {
    const { spec, status } = job;
    const lane = hasEnded(status) ? this.#laneOf(status.state, spec.name) : undefined;
    if (lane && lane.maxCount < Infinity) lane.count.left(job);
  }

  /** Resolves once no pass is under way. */
  async passed(): Promise<void> {
    await this.#pass;
  }

  #laneOf(state: EndedState, name: string): Lane {
    const lanes = this.#lanes[state];
    let lane = lanes.get(name);
    if (!lane) {
      const retention = this.#links.retentionOf(name);
      lane = {
        state,
        name,
        keptMs: retention[state],
        maxCount: retention.maxCount,
        count: new EndedCount(),
        dueAt: Infinity,
        held: undefined,
        batch: FIRST_BATCH,
      };
      lanes.set(name, lane);
    }
    return lane;
  }

  #allLanes(): Lane[] {
    return ENDED_STATES.flatMap((state) => [...this.#lanes[state].values()]);
  }

  /** Where nothing else is to be done, a process does not stay for it. */
  #arm(dueAt: number): void {
    const { clock, journal } = this.#links;
    if (this.#isStopped || this.#pass || dueAt === Infinity || journal.failure) return;
    const delayMs = Math.max(this.#restMs, Math.min(dueAt - clock.now(), LOOK_EVERY_MS));
    const at = clock.monotonic() + delayMs;
    if (at >= this.#timerAt) return;
    this.#disarm();
    this.#timerAt = at;
    this.#timer = clock.setTimer(() => this.#begin(), delayMs, { keepsAlive: false });
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timerAt = Infinity;
  }

  #begin(): void {
    this.#disarm();
    this.#pass = this.#run().finally(() => {
      this.#pass = undefined;
      this.#links.onPass();
      const dueAt = this.#hasLooked ? Math.min(...this.#allLanes().map((lane) => lane.dueAt)) : 0;
      this.#arm(dueAt);
    });
  }

  async #run(): Promise<void> {
    const { journal, clock, onWarning } = this.#links;
    try {
      if (!this.#hasLooked) await this.#look();
      const now = clock.now();
      for (const lane of this.#allLanes()) if (lane.dueAt <= now) await this.#prune(lane, now);
      for (const lane of this.#allLanes()) if (lane.maxCount < Infinity) await this.#bound(lane);
      this.#restMs = REST_MS;
    } catch (thrown) {
      // A journal that has stopped writing has said so itself.
      if (journal.failure || this.#isStopped) return;
      const cause = asError(thrown);
      const message = `Jobs that are kept no longer could not be removed, and are tried again: ${cause.message}`;
      onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
      this.#restMs = Math.min(2 * this.#restMs, MAX_REST_MS);
    }
  }

  /** Finds what earlier processes have left. */
  async #look(): Promise<void> {
    for (const state of ENDED_STATES) {
      for (const { name, finishedAt } of await this.#links.journal.ended.lanes(state)) {
        const lane = this.#laneOf(state, name);
        lane.dueAt = Math.min(lane.dueAt, finishedAt + lane.keptMs);
      }
    }
    this.#hasLooked = true;
  }

  async #prune(lane: Lane, now: number): Promise<void> {
    const { keptMs, dueAt } = lane;
    // What is kept for ever is looked at for its number alone.
    if (keptMs === Infinity) {
      lane.dueAt = Infinity;
      return;
    }
    // What is noticed from here on may come too late for this pass.
    lane.dueAt = Infinity;
    try {
      await this.#pruneUntil(lane, now - keptMs);
    } catch (thrown) {
      lane.dueAt = Math.min(lane.dueAt, dueAt);
      throw thrown;
    }
  }

  async #pruneUntil(lane: Lane, until: number): Promise<void> {
    const { journal } = this.#links;
    const { state, name, keptMs } = lane;
    let last: string | undefined;
    let after = this.#behindHeld(lane);
    let isHeld = after !== undefined;
    for (;;) {
      const { rosters, next } = await journal.ended.page(state, name, { after, until, limit: PAGE });
      const removed = await this.#remover.remove(lane, rosters, () => this.#isStopped);
      lane.count.removed(removed.count);
      isHeld ||= removed.isHeld;
      this.#holdTo(lane, removed);
      if (this.#isStopped) return;
      last = next ?? rosters.at(-1)?.key ?? last;
      if (next === undefined) break;
      after = next;
    }
    const first = await journal.ended.firstAfter(state, name, until);
    if (first) lane.dueAt = Math.min(lane.dueAt, first.finishedAt + keptMs);
    if (isHeld) {
      // Below the first that is later they have stayed.
      this.#lookLater(lane);
      return;
    }
    const live = first?.key ?? last;
    if (live !== undefined) journal.raiseMark(endedLaneSpan(state, name).from, live);
  }

  /** Where a pass begins that need not look at those again that the one before found held. */
  #behindHeld(lane: Lane): string | undefined {
    if (lane.held && lane.held.untilMs <= this.#links.clock.monotonic()) lane.held = undefined;
    return lane.held?.to;
  }

  /** All up to there were looked at from the beginning on, and some of them stay. */
  #holdTo(lane: Lane, { isHeld, seenTo }: Removed): void {
    if (seenTo === undefined || (!isHeld && !lane.held)) return;
    const untilMs = lane.held?.untilMs ?? this.#links.clock.monotonic() + HELD_MS;
    lane.held = { to: seenTo, untilMs };
  }

  #lookLater(lane: Lane): void {
    const { clock } = this.#links;
    const inMs = lane.held ? lane.held.untilMs - clock.monotonic() : HELD_MS;
    lane.dueAt = Math.min(lane.dueAt, clock.now() + inMs);
  }

  /** Sees to it that no more are kept than may be: those that ended first go. */
  async #bound(lane: Lane): Promise<void> {
    const { state, name, maxCount, count } = lane;
    try {
      if (count.known === undefined) await count.count((after) => this.#countPage(lane, after));
      for (let after = this.#behindHeld(lane); (count.known ?? 0) > maxCount;) {
        const excess = (count.known ?? 0) - maxCount;
        const { rosters, next } = await this.#links.journal.ended.pageBehind(state, name, {
          after,
          limit: PAGE,
        });
        const removed = await this.#remover.remove(lane, rosters, () => this.#isStopped, excess);
        count.removed(removed.count);
        this.#holdTo(lane, removed);
        if (removed.isHeld || lane.held) this.#lookLater(lane);
        if (this.#isStopped || next === undefined) return;
        after = next;
      }
    } catch (thrown) {
      lane.dueAt = -Infinity;
      throw thrown;
    }
  }

  async #countPage({ state, name }: Lane, after: string | undefined): Promise<CountedPage | undefined> {
    const { journal } = this.#links;
    const { rosters, next } = await journal.ended.pageBehind(state, name, { after, limit: PAGE });
    const ids: string[] = [];
    for await (const { key, read } of listedJobs(journal, rosters)) {
      if (this.#isStopped) return undefined;
      if (read && !(read instanceof MillraceError) && isEndOf(read, key)) ids.push(read.spec.id);
    }
    const last = rosters.at(-1);
    const until = last ? finishedAtOf(last.key) : -Infinity;
    return next === undefined ? { ids, until } : { ids, until, next };
  }
}

const mayBeOverfull = ({ count, maxCount }: Lane): boolean =>
  maxCount < Infinity && (count.known === undefined || count.known > maxCount);
