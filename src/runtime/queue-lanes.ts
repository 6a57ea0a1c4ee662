/**
 * The lanes of one queue, and which of their jobs is next.
 *
 * Jobs without a concurrency key come in one order of priority and enqueue, whatever their types. They are one line; the
 * jobs of a type that have keys are another, in which the keys take turns (keyed-lanes.ts); and so do the lines of a
 * queue, so that none waits for another's end, however old or urgent that one's jobs are.
 */
import { orderOf } from '../journal/keys.js';
import type { QueueSettings } from '../options.js';
import type { ReadyEntry } from '../queue/entry-list.js';
import type { Weighted } from '../queue/selector.js';
import type { KeyedLane } from './keyed-lanes.js';
import type { LaneReads } from './lane-reads.js';
import type { StartLimits } from './start-limits.js';
import type { LaneInfo, TypeLane } from './type-lane.js';

/** The queue's next job; `unread`: it has yet to be read from the journal. */
export type Head = Found | 'unread' | undefined;

export interface Found {
  readonly entry: ReadyEntry;
  readonly lane: TypeLane;
  /** Where it has a concurrency key. */
  readonly keyed?: KeyedLane;
}

export class QueueLanes implements Weighted {
  readonly name: string;
  readonly weight: number;
  /** By job type. */
  readonly lanes: ReadonlyMap<string, TypeLane>;
  readonly #limits: StartLimits;
  readonly #reads: LaneReads;
  #head: Head;
  /** How many turns its lines have had. */
  #turns = 0;
  /** When those without concurrency keys had their last turn. */
  #turn = 0;

  constructor(
    { name, weight }: QueueSettings,
    lanes: readonly TypeLane[],
    limits: StartLimits,
    reads: LaneReads,
  ) {
    this.name = name;
    this.weight = weight;
    this.lanes = new Map(lanes.map((lane) => [lane.name, lane]));
    this.#limits = limits;
    this.#reads = reads;
  }

  /** What {@link look} has found. */
  get head(): Head {
    return this.#head;
  }

  /** No job waits in the queue. */
  get isExhausted(): boolean {
    for (const lane of this.lanes.values()) if (!lane.isExhausted) return false;
    return true;
  }

  /** Looks for its next job that no limit holds back, among those whose type has room. */
  look(hasRoom: (lane: LaneInfo) => boolean, accepts: (entry: ReadyEntry) => boolean): Head {
    this.#head = this.#limits.allowsQueue(this.name) ? this.#next(hasRoom, accepts) : undefined;
    return this.#head;
  }

  /** The job that was found is chosen, and its line had its turn. */
  serve({ entry, lane, keyed }: Found): void {
    const turn = ++this.#turns;
    if (keyed) {
      lane.keyed.lanes.serve(keyed, entry);
      lane.keyed.turn = turn;
    } else {
      lane.window.take(entry.key);
      this.#turn = turn;
    }
  }

  /** Whether a job that no limit holds back waits in a lane for which `isStuck` says yes. */
  hasStuck(isStuck: (lane: LaneInfo) => boolean, accepts: (entry: ReadyEntry) => boolean): boolean {
    if (!this.#limits.allowsQueue(this.name)) return false;
    for (const lane of this.lanes.values()) {
      if (lane.rest.timer || !this.#limits.allowsType(lane.name)) continue;
      if (isStuck(lane) && lane.window.first(accepts)) return true;
      const { info, lanes } = lane.keyed;
      if (lanes.isIdle || !isStuck(info)) continue;
      const head = lanes.head(accepts);
      if (head && head !== 'unread') return true;
    }
    return false;
  }

  /** Its job types that no limit of their own holds back. */
  openTypes(): string[] {
    return [...this.lanes.values()]
      .filter((lane) => !lane.rest.timer && this.#limits.allowsType(lane.name))
      .map(({ name }) => name);
  }

  /** The job of the line whose turn it is. */
  #next(hasRoom: (lane: LaneInfo) => boolean, accepts: (entry: ReadyEntry) => boolean): Head {
    const plain = this.#nextPlain(hasRoom, accepts);
    let head = plain === 'unread' ? undefined : plain;
    let turn = head ? this.#turn : Infinity;
    let isUnread = plain === 'unread';
    for (const lane of this.lanes.values()) {
      const { keyed } = lane;
      if (
        keyed.lanes.isIdle ||
        keyed.turn >= turn ||
        !this.#limits.allowsType(lane.name) ||
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

  /** The first job without a concurrency key. */
  #nextPlain(hasRoom: (lane: LaneInfo) => boolean, accepts: (entry: ReadyEntry) => boolean): Head {
    let head: Found | undefined;
    let isUnread = false;
    for (const lane of this.lanes.values()) {
      if (lane.rest.timer || !this.#limits.allowsType(lane.name) || !hasRoom(lane)) continue;
      this.#reads.wantMore(lane);
      isUnread ||= lane.window.isUnread;
      const entry = lane.window.first(accepts);
      if (entry && (!head || orderOf(entry.key) < orderOf(head.entry.key))) head = { entry, lane };
    }
    // What is still to be read may come first.
    return isUnread ? 'unread' : head;
  }
}
