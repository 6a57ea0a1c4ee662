/**
 * Removes jobs that have ended once they were kept for as long as their type says, or are more than it says. One timer,
 * for the first of them.
 *
 * A type's ended jobs lie in a lane per state, the oldest first: only what goes is read. A job goes in one batch, so that
 * whoever reads it, such as an enqueue with its id, finds it whole or not at all; and it is held meanwhile, for somebody
 * may be about to retry it. How many there are is counted only where a type has a bound, and once: from then on it is
 * known what comes and goes. Those that open flows hold are no part of a bound, and are free once their flow has ended.
 */
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import { ENDED_STATES, hasEnded, type EndedState, type Job } from '../job/record.js';
import type { RetentionPolicy } from '../job/retention.js';
import { listedJobs } from '../journal/listed-jobs.js';
import { endedLaneSpan, finishedAtOf, isEndOf } from '../journal/keys.js';
import { EndedCount, type CountedJob, type CountedPage } from './ended-count.js';
import { stillOpen } from './open-flows.js';
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
  /** Those that are not looked at for a while, for all that are left of them are held by their flows. */
  held: Held | undefined;
  /** Before that (monotonic) they are not counted again. */
  countedAgainMs: number;
}

/** The first rosters of a lane. */
interface Held {
  /** The last of them. */
  readonly to: string;
  /** How many jobs are left on them. */
  readonly count: number;
  /** Since when, and until when (monotonic). */
  readonly sinceMs: number;
  readonly untilMs: number;
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
/** Or, once one of the flows has ended, so long after the last look: for each job that is to be passed over. */
const PASSED_OVER_MS = 1;
/** For each job that was counted they are not counted again so long. */
const COUNTED_MS = 0.1;

export class Pruner {
  readonly #links: PrunerLinks;
  readonly #remover: Remover;
  readonly #lanes: Readonly<Record<EndedState, Map<string, Lane>>> = {
    completed: new Map(),
    failed: new Map(),
    cancelled: new Map(),
  };
  /** Those that have a bound. */
  readonly #bounded: Lane[] = [];
  /** Flows that may have ended since the last pass. */
  readonly #flows = new Set<string>();
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
      lane.countedAgainMs = -Infinity;
    }
    this.#flows.clear();
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
    if (lane.maxCount < Infinity) lane.count.came(spec.id, spec.flow);
    this.#noticeFlow(spec.flow);
    const dueAt = mayBeOverfull(lane) ? -Infinity : status.finishedAt + lane.keptMs;
    this.#dueBy(lane, dueAt);
  }

  /** A job was removed by somebody else, and that is committed. @param job As it was. */
  left(job: Job): void {
    const { spec, status } = job;
    const lane = hasEnded(status) ? this.#laneOf(status.state, spec.name) : undefined;
    if (lane && lane.maxCount < Infinity) lane.count.left(job);
    // One that had not ended may have been the last of them.
    this.#noticeFlow(spec.flow);
  }

  /** Somebody has changed a job, and that is committed. */
  changed(job: Job, before: Job): void {
    if (!hasEnded(before.status)) return;
    if (!hasEnded(job.status)) this.#reopen(job.spec.flow);
    this.left(before);
  }

  /** A job came that may have ended long ago. */
  imported(job: Job): void {
    if (hasEnded(job.status)) this.notice(job);
    else this.#reopen(job.spec.flow);
  }

  /** A job of the flow has ended, or left it: whether that was the last one the next pass sees. */
  #noticeFlow(flow: string | undefined): void {
    if (flow === undefined) return;
    if (!this.#bounded.some(({ count }) => count.isCounting || count.holds(flow))) return;
    this.#flows.add(flow);
    this.#arm(-Infinity);
  }

  /** There is a job of the flow that has not ended: how many others of it are held again nobody knows, if it had ended. */
  #reopen(flow: string | undefined): void {
    if (flow === undefined || this.#bounded.some(({ count }) => count.holds(flow))) return;
    for (const lane of this.#bounded) {
      if (lane.count.free === 0) continue;
      lane.count.forget();
      this.#dueBy(lane, this.#toClock(lane.countedAgainMs));
    }
  }

  #dueBy(lane: Lane, dueAt: number): void {
    if (dueAt >= lane.dueAt) return;
    lane.dueAt = dueAt;
    this.#arm(dueAt);
  }

  /** When the clock will show a monotonic instant. */
  #toClock(atMs: number): number {
    const { clock } = this.#links;
    return clock.now() + atMs - clock.monotonic();
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
        countedAgainMs: -Infinity,
        batch: FIRST_BATCH,
      };
      lanes.set(name, lane);
      if (lane.maxCount < Infinity) this.#bounded.push(lane);
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
      const isDue = !this.#hasLooked || this.#flows.size > 0;
      this.#arm(isDue ? -Infinity : Math.min(...this.#allLanes().map((lane) => lane.dueAt)));
    });
  }

  async #run(): Promise<void> {
    const { journal, clock, onWarning } = this.#links;
    try {
      if (!this.#hasLooked) await this.#look();
      await this.#closeFlows();
      const now = clock.now();
      for (const lane of this.#allLanes()) if (lane.dueAt <= now) await this.#prune(lane, now);
      for (const lane of this.#bounded) await this.#bound(lane);
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

  /** Sees which flows have ended, of those that may have. */
  async #closeFlows(): Promise<void> {
    const { indexes } = this.#links.journal;
    // Those that are added meanwhile are for the next pass.
    const flows = [...this.#flows];
    for (const flow of flows) {
      if (this.#isStopped) return;
      this.#flows.delete(flow);
      try {
        // Who comes meanwhile, or is retried, has it looked at again.
        if ((await indexes.isFlowOpen(flow)) || this.#flows.has(flow)) continue;
      } catch (thrown) {
        this.#flows.add(flow);
        throw thrown;
      }
      for (const lane of this.#bounded) if (lane.count.close(flow)) this.#lookSooner(lane);
    }
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
      isHeld ||= removed.held > 0;
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
    // Of flows that have ended some may be among them, and would be passed over for others that ended later.
    if (!lane.held) lane.count.admit();
    return lane.held?.to;
  }

  /** All up to there were looked at from the beginning on, and some of them stay. */
  #holdTo(lane: Lane, { held, seenTo }: Removed): void {
    if (seenTo === undefined || (held === 0 && !lane.held)) return;
    const sinceMs = lane.held?.sinceMs ?? this.#links.clock.monotonic();
    const untilMs = lane.held?.untilMs ?? sinceMs + HELD_MS;
    lane.held = { to: seenTo, count: (lane.held?.count ?? 0) + held, sinceMs, untilMs };
  }

  #lookLater(lane: Lane): void {
    const { clock } = this.#links;
    this.#dueBy(lane, this.#toClock(lane.held ? lane.held.untilMs : clock.monotonic() + HELD_MS));
  }

  /** As soon as that costs little, seeing how many are looked at in vain. */
  #lookSooner(lane: Lane): void {
    if (!lane.held) return;
    const { sinceMs, untilMs, count } = lane.held;
    lane.held = { ...lane.held, untilMs: Math.min(untilMs, sinceMs + count * PASSED_OVER_MS) };
    this.#lookLater(lane);
  }

  /** Sees to it that no more are kept than may be, beside those that flows hold: those that ended first go. */
  async #bound(lane: Lane): Promise<void> {
    try {
      await this.#count(lane);
      if (this.#isStopped || lane.count.free === undefined) return;
      await this.#removeExcess(lane);
      if (lane.count.hasClosed) this.#lookLater(lane);
    } catch (thrown) {
      lane.dueAt = -Infinity;
      throw thrown;
    }
  }

  async #removeExcess(lane: Lane): Promise<void> {
    const { state, name, maxCount, count } = lane;
    const begin = this.#behindHeld(lane);
    for (let after = begin; (count.free ?? 0) > maxCount;) {
      const excess = (count.free ?? 0) - maxCount;
      const { rosters, next } = await this.#links.journal.ended.pageBehind(state, name, {
        after,
        limit: PAGE,
      });
      const removed = await this.#remover.remove(lane, rosters, () => this.#isStopped, excess);
      count.removed(removed.count);
      this.#holdTo(lane, removed);
      if (this.#isStopped) return;
      if (next === undefined) {
        if (removed.count < excess) this.#miss(lane, begin !== undefined);
        return;
      }
      after = next;
    }
  }

  /** Fewer were found than there should be. @param isPart Whether some were not looked at. */
  #miss(lane: Lane, isPart: boolean): void {
    if (isPart) {
      this.#lookSooner(lane);
      return;
    }
    lane.count.forget();
    this.#dueBy(lane, this.#toClock(lane.countedAgainMs));
  }

  /** Where it is not known how many there are; not all the time, for it takes long where they are many. */
  async #count(lane: Lane): Promise<void> {
    const { clock } = this.#links;
    const { count } = lane;
    if (count.free !== undefined && !count.isRough) return;
    if (clock.monotonic() >= lane.countedAgainMs) {
      let size = 0;
      await count.count(async (after) => {
        const page = await this.#countPage(lane, after);
        size += page?.jobs.length ?? 0;
        return page;
      });
      lane.countedAgainMs = clock.monotonic() + Math.max(REST_MS, size * COUNTED_MS);
      lane.held = undefined;
    }
    if (count.free === undefined || count.isRough) this.#dueBy(lane, this.#toClock(lane.countedAgainMs));
  }

  async #countPage({ state, name }: Lane, after: string | undefined): Promise<CountedPage | undefined> {
    const { journal } = this.#links;
    const { rosters, next } = await journal.ended.pageBehind(state, name, { after, limit: PAGE });
    const jobs: CountedJob[] = [];
    for await (const { key, read } of listedJobs(journal, rosters)) {
      if (this.#isStopped) return undefined;
      if (!read || read instanceof MillraceError || !isEndOf(read, key)) continue;
      jobs.push({ id: read.spec.id, flow: read.spec.flow });
    }
    const open = await stillOpen(
      journal,
      jobs.map(({ flow }) => flow),
    );
    const last = rosters.at(-1);
    const page = {
      jobs: jobs.map(({ id, flow }) => (flow !== undefined && open.has(flow) ? { id, flow } : { id })),
      until: last ? finishedAtOf(last.key) : -Infinity,
    };
    return next === undefined ? page : { ...page, next };
  }
}

const mayBeOverfull = ({ count, maxCount }: Lane): boolean =>
  maxCount < Infinity && (count.free === undefined || count.free > maxCount);
