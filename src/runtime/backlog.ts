/**
 * The available jobs of all queues, and the choice of the next one. A queue's jobs lie in lanes, one per job type,
 * each with a window in memory that is refilled from the journal: so a type that cannot run now (no thread is
 * free, its limit is reached) neither holds up the others nor fills their place. Jobs of types that the code does
 * not know stay in the journal.
 *
 * Jobs without a concurrency key come in one order of priority and enqueue, whatever their types. They are one line; the
 * jobs of a type that have keys are another, in which the keys take turns (keyed-lanes.ts); and so do the lines of a
 * queue, so that none waits for another's end, however old or urgent that one's jobs are.
 */
import type { Timer } from '../clock.js';
import type { MillraceError } from '../errors.js';
import type { Job, JobSpec } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { keyedLaneOf, laneNameOf, laneSpan, orderOf, readyKey, typeOf } from '../journal/keys.js';
import type { QueueSettings } from '../options.js';
import { selector, type Selection, type Selector } from '../queue/selector.js';
import type { ReadyEntry } from '../queue/entry-list.js';
import { Window, WINDOW_SIZE } from '../queue/window.js';
import { KeyedLanes, type KeyedLane } from './keyed-lanes.js';
import { cached, LaneReads, type ReadLane } from './lane-reads.js';
import type { Permit } from './rate-limits.js';
import { StartLimits, type StartLimitsOptions } from './start-limits.js';

/** The jobs of one type in a queue. */
export interface LaneInfo {
  readonly queue: string;
  readonly name: string;
  /** How many of them run at once, or start in a time, is limited: one that is claimed must not wait behind others. */
  readonly isLimited: boolean;
}

interface Lane extends LaneInfo, ReadLane {
  /** Jobs taken since the low-water mark was last raised, which is done once per window. */
  taken: number;
  /** Those that have a concurrency key. */
  readonly keyed: Keyed;
}

/** The jobs of a type in a queue that have concurrency keys. */
interface Keyed {
  readonly info: LaneInfo;
  readonly lanes: KeyedLanes;
  /** When they had their last turn among the lines of the queue. */
  turn: number;
}

interface Line extends QueueSettings {
  readonly lanes: ReadonlyMap<string, Lane>;
  /** When those without concurrency keys had their last turn. */
  turn: number;
  /** What {@link Backlog.next} found to be its next job. */
  head: Head;
}

/** A line's next job; `unread`: it has yet to be read from the journal. */
type Head = Found | 'unread' | undefined;

interface Found {
  readonly entry: ReadyEntry;
  readonly lane: Lane;
  /** Where it has a concurrency key. */
  readonly keyed?: KeyedLane;
}

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
  readonly #lines = new Map<string, Line>();
  readonly #selector: Selector<Line>;
  /** What those that were chosen, and have not ended, leave to the others. */
  readonly limits: StartLimits;
  readonly #reads: LaneReads;
  readonly #windowSize: number;
  /** How many turns lines have had. */
  #turns = 0;
  /** Set while jobs wait for a rate limit. */
  #rateTimer: Timer | undefined;

  constructor(options: BacklogOptions) {
    this.#options = options;
    this.#windowSize = options.windowSize ?? WINDOW_SIZE;
    this.#reads = new LaneReads(options);
    this.limits = new StartLimits(options, (lanes) => {
      for (const lane of lanes) this.#release(lane);
      options.onRefill();
    });
    const names = [...options.typeConcurrency.keys()];
    for (const settings of options.queues) {
      const queue = settings.name;
      const lanes = names.map((name) => this.#laneOf(name, settings));
      this.#lines.set(queue, {
        ...settings,
        lanes: new Map(lanes.map((lane) => [lane.name, lane])),
        turn: 0,
        head: undefined,
      });
    }
    const lines = [...this.#lines.values()];
    this.#selector = selector(options.selection, lines);
  }

  /**
   * Forgets what waits and reads the heads of all queues anew; each is of use as soon as it is there. What runs goes on
   * counting in its limits.
   */
  async load(): Promise<void> {
    this.#reads.start();
    this.limits.stopWaiting();
    for (const { lanes } of this.#lines.values()) {
      for (const lane of lanes.values()) {
        lane.window = new Window(this.#windowSize);
        lane.taken = 0;
        lane.rest.timer = undefined;
        this.#reads.wantMore(lane);
        lane.keyed.lanes.load();
      }
    }
    await this.#reads.whenIdle();
  }

  /** Reads no more pages, and waits for those that are being read. */
  async stop(): Promise<void> {
    this.#reads.stop();
    this.#rateTimer?.cancel();
    this.limits.stopWaiting();
    for (const { lanes } of this.#lines.values()) for (const { rest } of lanes.values()) rest.timer?.cancel();
    await this.#reads.whenIdle();
  }

  /** A committed, available job. */
  add(job: Job, key = readyKey(job.spec)): void {
    const { spec } = job;
    const { id, name } = spec;
    const lane = this.#lane(spec);
    const entry: ReadyEntry = { key, id, name, job: cached(job) };
    if (spec.concurrencyKey === undefined) lane?.window.add(entry);
    else lane?.keyed.lanes.add(laneNameOf(spec), entry);
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
    for (const { name: other, lanes } of this.#lines.values()) {
      if (this.#options.isPaused(other)) continue;
      for (const { window, keyed: others } of lanes.values())
        if (!window.isExhausted || !others.lanes.isExhausted) return undefined;
    }
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
    const line = this.#selector.next((candidate) => {
      candidate.head = this.limits.allowsQueue(candidate.name)
        ? this.#headOf(candidate, hasRoom, accepts)
        : undefined;
      // With weights the others go on meanwhile; strictly, a lighter queue waits for what a heavier one may have.
      if (candidate.head === 'unread') return this.#options.selection === 'strict';
      return candidate.head !== undefined;
    });
    if (!line?.head || line.head === 'unread') {
      this.#awaitRates();
      return undefined;
    }
    const { entry, lane, keyed } = line.head;
    if (!mayStart(entry)) return undefined;
    if (keyed) lane.keyed.lanes.serve(keyed, entry);
    else lane.window.take(entry.key);
    (keyed ? lane.keyed : line).turn = ++this.#turns;
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
    for (const line of this.#lines.values()) {
      if (!this.limits.allowsQueue(line.name)) continue;
      for (const lane of line.lanes.values()) {
        if (lane.rest.timer || !this.limits.allowsType(lane.name)) continue;
        if (isStuck(lane) && lane.window.first(accepts)) return true;
        const { info, lanes } = lane.keyed;
        if (lanes.isIdle || !isStuck(info)) continue;
        const head = lanes.head(accepts);
        if (head && head !== 'unread') return true;
      }
    }
    return false;
  }

  /** Whether the jobs of a type in a queue could not be read, which waits to be tried again. */
  isResting(job: { readonly queue: string; readonly name: string }): boolean {
    return this.#lane(job)?.rest.timer !== undefined;
  }

  /** The job types of a queue that no limit of their own holds back. */
  openTypes(queue: string): string[] {
    this.limits.look();
    const lanes = this.#lines.get(queue)?.lanes ?? new Map<string, Lane>();
    return [...lanes.values()]
      .filter((lane) => !lane.rest.timer && this.limits.allowsType(lane.name))
      .map(({ name }) => name);
  }

  /** The job that was chosen does not run any more. */
  end(choice: Choice): void {
    choice.permit?.begin();
    this.limits.end(choice);
  }

  /** Hides a job that somebody else than a claim takes away. */
  take(spec: JobSpec): void {
    const lane = this.#lane(spec);
    if (spec.concurrencyKey === undefined) lane?.window.take(readyKey(spec));
    else lane?.keyed.lanes.take(laneNameOf(spec), readyKey(spec));
  }

  /** A job that was taken stays where it is after all. */
  keep({ spec }: Job): void {
    const { id, name } = spec;
    const lane = this.#lane(spec);
    const entry: ReadyEntry = { key: readyKey(spec), id, name, job: undefined };
    if (spec.concurrencyKey === undefined) lane?.window.giveBack(entry);
    else lane?.keyed.lanes.giveBack(laneNameOf(spec), entry);
  }

  /** The journal no longer holds the entry. */
  settle(job: { readonly queue: string; readonly name: string }, key: string): void {
    const lane = this.#lane(job);
    if (!lane) return;
    const keyed = keyedLaneOf(key);
    if (keyed !== undefined) {
      lane.keyed.lanes.settle(keyed, key);
      return;
    }
    lane.window.settle(key);
    if (++lane.taken < this.#windowSize) return;
    lane.taken = 0;
    this.#options.journal.raiseMark(laneSpan(lane.queue, lane.name).from, lane.window.lowestLive());
  }

  /** The entry stays in the journal after all: a job that was chosen and could not be read. */
  giveBack({ queue, key, id, name, job, keyed }: Choice): void {
    const lane = this.#lane({ queue, name });
    if (!lane) return;
    if (keyed === undefined) lane.window.giveBack({ key, id, name, job });
    else lane.keyed.lanes.giveBack(keyed, { key, id, name, job });
    this.#reads.retryLater(lane.rest);
    this.#options.onRefill();
  }

  #lane({ queue, name }: { readonly queue: string; readonly name: string }): Lane | undefined {
    return this.#lines.get(queue)?.lanes.get(name);
  }

  #laneOf(name: string, settings: QueueSettings): Lane {
    const { journal, onRefill } = this.#options;
    const queue = settings.name;
    const isLimited = this.limits.isLimited(name, settings);
    const rest = {};
    const allows = (lane: string): boolean => this.limits.allowsKey(lane);
    const [reads, windowSize] = [this.#reads, this.#windowSize];
    return {
      queue,
      name,
      lane: name,
      isLimited,
      window: new Window(windowSize),
      page: windowSize,
      rest,
      taken: 0,
      keyed: {
        info: { queue, name, isLimited: isLimited || this.limits.limitsKeys(name) },
        lanes: new KeyedLanes({ journal, reads, queue, name, rest, windowSize, allows, onRefill }),
        turn: 0,
      },
    };
  }

  /** Jobs of the key may start again, as far as is known: it is the same in all queues. */
  #release(lane: string): void {
    const name = typeOf(lane);
    for (const { lanes } of this.#lines.values()) lanes.get(name)?.keyed.lanes.release(lane);
  }

  /** The job of the line whose turn it is, among those whose type has room. */
  #headOf(line: Line, hasRoom: (lane: LaneInfo) => boolean, accepts: (entry: ReadyEntry) => boolean): Head {
    const plain = this.#plainHeadOf(line, hasRoom, accepts);
    let head = plain === 'unread' ? undefined : plain;
    let turn = head ? line.turn : Infinity;
    let isUnread = plain === 'unread';
    for (const lane of line.lanes.values()) {
      const { keyed } = lane;
      if (
        keyed.lanes.isIdle ||
        keyed.turn >= turn ||
        !this.limits.allowsType(lane.name) ||
        !hasRoom(keyed.info)
      )
        continue;
      const found = keyed.lanes.head(accepts);
      if (found === 'unread') isUnread = true;
      else if (found) {
        head = { entry: found.entry, lane, keyed: found.lane };
        turn = keyed.turn;
      }
    }
    return head ?? (isUnread ? 'unread' : undefined);
  }

  /** The first job of a queue without a concurrency key. */
  #plainHeadOf(
    line: Line,
    hasRoom: (lane: LaneInfo) => boolean,
    accepts: (entry: ReadyEntry) => boolean,
  ): Head {
    let head: Found | undefined;
    let isUnread = false;
    for (const lane of line.lanes.values()) {
      if (lane.rest.timer || !this.limits.allowsType(lane.name) || !hasRoom(lane)) continue;
      this.#reads.wantMore(lane);
      isUnread ||= lane.window.isUnread;
      const entry = lane.window.first(accepts);
      if (entry && (!head || orderOf(entry.key) < orderOf(head.entry.key))) head = { entry, lane };
    }
    // What is still to be read may come first.
    return isUnread ? 'unread' : head;
  }

  /** Nothing can start: where jobs wait for nothing but a rate limit, the first of those is waited for, and else for none. */
  #awaitRates(): void {
    const { rates, isPaused, clock, onRefill } = this.#options;
    this.#rateTimer?.cancel();
    this.#rateTimer = undefined;
    if (!rates || this.#reads.isStopped) return;
    let soonestMs = Infinity;
    let isKeyed = false;
    for (const { name: queue, lanes } of this.#lines.values()) {
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
