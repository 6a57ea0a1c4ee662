/**
 * The available jobs of one type in a queue: those without a concurrency key in one window, and those that have one in
 * lanes of their own (keyed-lanes.ts). Whatever becomes of a job goes to where its key puts it.
 */
import type { Job, JobSpec } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { keyedLaneOf, laneNameOf, laneSpan, readyKey } from '../journal/keys.js';
import type { QueueSettings } from '../options.js';
import type { ReadyEntry } from '../queue/entry-list.js';
import { Window } from '../queue/window.js';
import { KeyedLanes } from './keyed-lanes.js';
import { cached, type LaneReads, type ReadLane, type Rest } from './lane-reads.js';
import type { StartLimits } from './start-limits.js';

/** The jobs of one type in a queue. */
export interface LaneInfo {
  readonly queue: string;
  readonly name: string;
  /** How many of them run at once, or start in a time, is limited: one that is claimed must not wait behind others. */
  readonly isLimited: boolean;
}

/** The jobs of a type in a queue that have concurrency keys. */
interface Keyed {
  readonly info: LaneInfo;
  readonly lanes: KeyedLanes;
  /** When they had their last turn among the lines of the queue. */
  turn: number;
}

export interface TypeLaneLinks {
  readonly journal: Journal;
  readonly reads: LaneReads;
  readonly limits: StartLimits;
  /** How many entries its window holds. */
  readonly windowSize: number;
  readonly onRefill: () => void;
}

export class TypeLane implements LaneInfo, ReadLane {
  readonly queue: string;
  readonly name: string;
  readonly lane: string;
  readonly isLimited: boolean;
  window: Window;
  readonly page: number;
  readonly rest: Rest = {};
  /** Those that have a concurrency key. */
  readonly keyed: Keyed;
  readonly #journal: Journal;
  readonly #reads: LaneReads;
  /** Jobs taken since the low-water mark was last raised, which is done once per window. */
  #taken = 0;

  constructor(
    name: string,
    settings: QueueSettings,
    { journal, reads, limits, windowSize, onRefill }: TypeLaneLinks,
  ) {
    const queue = settings.name;
    const { rest } = this;
    const isLimited = limits.isLimited(name, settings);
    const allows = (lane: string): boolean => limits.allowsKey(lane);
    this.queue = queue;
    this.name = name;
    this.lane = name;
    this.isLimited = isLimited;
    this.window = new Window(windowSize);
    this.page = windowSize;
    this.keyed = {
      info: { queue, name, isLimited: isLimited || limits.limitsKeys(name) },
      lanes: new KeyedLanes({ journal, reads, queue, name, rest, windowSize, allows, onRefill }),
      turn: 0,
    };
    this.#journal = journal;
    this.#reads = reads;
  }

  /** No job of the type waits in the queue. */
  get isExhausted(): boolean {
    return this.window.isExhausted && this.keyed.lanes.isExhausted;
  }

  /** Forgets what waits, and reads it anew. */
  load(): void {
    this.window = new Window(this.page);
    this.#taken = 0;
    this.rest.timer = undefined;
    this.#reads.wantMore(this);
    this.keyed.lanes.load();
  }

  /** A committed, available job. */
  add(job: Job, key: string): void {
    const { spec } = job;
    const { id, name } = spec;
    const entry: ReadyEntry = { key, id, name, job: cached(job) };
    if (spec.concurrencyKey === undefined) this.window.add(entry);
    else this.keyed.lanes.add(laneNameOf(spec), entry);
  }

  /** Hides a job that somebody else than a claim takes away. */
  take(spec: JobSpec): void {
    if (spec.concurrencyKey === undefined) this.window.take(readyKey(spec));
    else this.keyed.lanes.take(laneNameOf(spec), readyKey(spec));
  }

  /** A job that was taken stays where it is after all. */
  keep(spec: JobSpec): void {
    const { id, name } = spec;
    const entry: ReadyEntry = { key: readyKey(spec), id, name, job: undefined };
    if (spec.concurrencyKey === undefined) this.window.giveBack(entry);
    else this.keyed.lanes.giveBack(laneNameOf(spec), entry);
  }

  /** The journal no longer holds the entry. */
  settle(key: string): void {
    const keyed = keyedLaneOf(key);
    if (keyed !== undefined) {
      this.keyed.lanes.settle(keyed, key);
      return;
    }
    this.window.settle(key);
    if (++this.#taken < this.page) return;
    this.#taken = 0;
    this.#journal.raiseMark(laneSpan(this.queue, this.name).from, this.window.lowestLive());
  }

  /**
   * The entry stays in the journal after all, for it could not be read.
   * @param keyed The journal's name of its lane, where it has a concurrency key.
   */
  giveBack(entry: ReadyEntry, keyed: string | undefined): void {
    if (keyed === undefined) this.window.giveBack(entry);
    else this.keyed.lanes.giveBack(keyed, entry);
    this.#reads.retryLater(this.rest);
  }
}
