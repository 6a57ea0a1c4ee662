/**
 * The available jobs of all queues, and the choice of the next one. A queue's jobs lie in lanes, one per job type,
 * each with a window in memory that is refilled from the journal: so a type that cannot run now (no thread is
 * free, its limit is reached) neither holds up the others nor fills their place. Jobs of types that the code does
 * not know stay in the journal.
 */
import type { Timer } from '../clock.js';
import type { MillraceError } from '../errors.js';
import type { Job, JobSpec } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { laneNameOf, readyKey, typeOf } from '../journal/keys.js';
import { selector, type Selection, type Selector } from '../queue/selector.js';
import type { ReadyEntry } from '../queue/entry-list.js';
import { WINDOW_SIZE } from '../queue/window.js';
import { LaneReads } from './lane-reads.js';
import { QueueLanes } from './queue-lanes.js';
import type { Permit } from './rate-limits.js';
import { StartLimits, type StartLimitsOptions } from './start-limits.js';
import { TypeLane, type LaneInfo } from './type-lane.js';

/** A job that was chosen, and where it came from. */
export interface Choice extends ReadyEntry, LaneInfo {
  /** Where a rate limit counts it. */
  readonly permit: Permit | undefined;
  /** The journal's name of its lane, where it has a concurrency key. */
  readonly keyed: string | undefined;
}

export interface BacklogOptions extends StartLimitsOptions {
  readonly journal: Journal;
  readonly selection: Selection;
  /** How many entries a lane's window holds. */
  readonly windowSize?: number | undefined;
  /** There are entries that were not there before. */
  readonly onRefill: () => void;
  readonly onWarning: (error: MillraceError) => void;
}

export class Backlog {
  readonly #options: BacklogOptions;
  readonly #queues = new Map<string, QueueLanes>();
  readonly #selector: Selector<QueueLanes>;
  /** What those that were chosen, and have not ended, leave to the others. */
  readonly limits: StartLimits;
  readonly #reads: LaneReads;
  /** Set while jobs wait for a rate limit. */
  #rateTimer: Timer | undefined;

  constructor(options: BacklogOptions) {
    this.#options = options;
    this.#reads = new LaneReads(options);
    this.limits = new StartLimits(options, (lanes) => {
      for (const lane of lanes) this.#release(lane);
      options.onRefill();
    });
    const names = [...options.typeConcurrency.keys()];
    const { journal, windowSize = WINDOW_SIZE, onRefill } = options;
    const { limits } = this;
    const reads = this.#reads;
    for (const settings of options.queues) {
      const lanes = names.map(
        (name) => new TypeLane(name, settings, { journal, reads, limits, windowSize, onRefill }),
      );
      this.#queues.set(settings.name, new QueueLanes(settings, lanes, limits, reads));
    }
    this.#selector = selector(options.selection, [...this.#queues.values()]);
  }

  /**
   * Forgets what waits and reads the heads of all queues anew; each is of use as soon as it is there. What runs goes on
   * counting in its limits.
   */
  async load(): Promise<void> {
    this.#reads.start();
    this.limits.stopWaiting();
    for (const { lanes } of this.#queues.values()) for (const lane of lanes.values()) lane.load();
    await this.#reads.whenIdle();
  }

  /** Reads no more pages, and waits for those that are being read. */
  async stop(): Promise<void> {
    this.#reads.stop();
    this.#rateTimer?.cancel();
    this.limits.stopWaiting();
    for (const { lanes } of this.#queues.values())
      for (const { rest } of lanes.values()) rest.timer?.cancel();
    await this.#reads.whenIdle();
  }

  /** A committed, available job. */
  add(job: Job, key = readyKey(job.spec)): void {
    this.#lane(job.spec)?.add(job, key);
  }

  /**
   * Chooses a job that is not in the journal yet, where nothing waits that could come before it and no limit holds it
   * back; it counts in its limits until {@link end}.
   */
  chooseNew(job: Job): Choice | undefined {
    const { id, name, queue } = job.spec;
    const lane = this.#lane(job.spec);
    this.limits.look();
    if (!lane || !this.limits.allowsQueue(queue) || !this.limits.allowsType(name)) return undefined;
    const keyed = job.spec.concurrencyKey === undefined ? undefined : laneNameOf(job.spec);
    if (keyed !== undefined && !this.limits.allowsKey(keyed)) return undefined;
    for (const other of this.#queues.values())
      if (!this.#options.isPaused(other.name) && !other.isExhausted) return undefined;
    const { isLimited } = keyed === undefined ? lane : lane.keyed.info;
    const permit = this.limits.start({ queue, name, keyed });
    return { key: readyKey(job.spec), id, name, job, queue, isLimited, keyed, permit };
  }

  /**
   * The next job that can run now; it is hidden until {@link settle}, and counts in its limits until {@link end}.
   * @param hasRoom Whether a job of that type could start.
   * @param accepts Whether this very job could.
   * @param mayStart Asked of the one that is chosen: if not, it stays where it is, and there is no next one.
   */
  next(
    hasRoom: (lane: LaneInfo) => boolean,
    accepts: (entry: ReadyEntry) => boolean,
    mayStart: (entry: ReadyEntry) => boolean = () => true,
  ): Choice | undefined {
    this.limits.look();
    const queue = this.#selector.next((candidate) => {
      const head = candidate.look(hasRoom, accepts);
      // With weights the others go on meanwhile; strictly, a lighter queue waits for what a heavier one may have.
      if (head === 'unread') return this.#options.selection === 'strict';
      return head !== undefined;
    });
    const head = queue?.head;
    if (!head || head === 'unread') {
      this.#awaitRates();
      return undefined;
    }
    const { entry, lane, keyed } = head;
    if (!mayStart(entry)) return undefined;
    queue.serve(head);
    return {
      key: entry.key,
      id: entry.id,
      name: entry.name,
      job: entry.job,
      queue: lane.queue,
      isLimited: keyed ? lane.keyed.info.isLimited : lane.isLimited,
      keyed: keyed?.lane,
      permit: this.limits.start({ queue: lane.queue, name: entry.name, keyed: keyed?.lane }),
    };
  }

  /** Whether a job that no limit holds back waits in a lane for which `isStuck` says yes. */
  hasStuck(isStuck: (lane: LaneInfo) => boolean, accepts: (entry: ReadyEntry) => boolean): boolean {
    this.limits.look();
    for (const queue of this.#queues.values()) if (queue.hasStuck(isStuck, accepts)) return true;
    return false;
  }

  /** Whether the jobs of a type in a queue could not be read, which waits to be tried again. */
  isResting(job: { readonly queue: string; readonly name: string }): boolean {
    return this.#lane(job)?.rest.timer !== undefined;
  }

  /** The job types of a queue that no limit of their own holds back. */
  openTypes(queue: string): string[] {
    this.limits.look();
    return this.#queues.get(queue)?.openTypes() ?? [];
  }

  /** The job that was chosen does not run any more. */
  end(choice: Choice): void {
    this.limits.end(choice);
  }

  /** Hides a job that somebody else than a claim takes away. */
  take(spec: JobSpec): void {
    this.#lane(spec)?.take(spec);
  }

  /** A job that was taken stays where it is after all. */
  keep({ spec }: Job): void {
    this.#lane(spec)?.keep(spec);
  }

  /** The journal no longer holds the entry. */
  settle(job: { readonly queue: string; readonly name: string }, key: string): void {
    this.#lane(job)?.settle(key);
  }

  /** The entry stays in the journal after all: a job that was chosen and could not be read. */
  giveBack({ queue, key, id, name, job, keyed }: Choice): void {
    const lane = this.#lane({ queue, name });
    if (!lane) return;
    lane.giveBack({ key, id, name, job }, keyed);
    this.#options.onRefill();
  }

  #lane({ queue, name }: { readonly queue: string; readonly name: string }): TypeLane | undefined {
    return this.#queues.get(queue)?.lanes.get(name);
  }

  /** Jobs of the key may start again, as far as is known: it is the same in all queues. */
  #release(lane: string): void {
    const name = typeOf(lane);
    for (const { lanes } of this.#queues.values()) lanes.get(name)?.keyed.lanes.release(lane);
  }

  /** Nothing can start: where jobs wait for nothing but a rate limit, the first of those is waited for, and else for none. */
  #awaitRates(): void {
    const { rates, isPaused, clock, onRefill } = this.#options;
    this.#rateTimer?.cancel();
    this.#rateTimer = undefined;
    if (!rates || this.#reads.isStopped) return;
    let soonestMs = Infinity;
    let isKeyed = false;
    for (const { name: queue, lanes } of this.#queues.values()) {
      if (isPaused(queue)) continue;
      for (const lane of lanes.values()) {
        const hasKeyed = !lane.keyed.lanes.isExhausted;
        isKeyed ||= hasKeyed;
        const delayMs = hasKeyed || !lane.window.isExhausted ? rates.delayMs(lane) : 0;
        if (delayMs > 0) soonestMs = Math.min(soonestMs, delayMs);
      }
    }
    this.limits.isWaiting = isKeyed;
    // Rounded up, so that it is not looked again before the time.
    if (soonestMs < Infinity) this.#rateTimer = clock.setTimer(onRefill, Math.ceil(soonestMs));
  }
}
