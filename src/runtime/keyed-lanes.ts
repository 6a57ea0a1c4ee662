/**
 * The available jobs of one type in a queue that have a concurrency key: a lane in the journal for each key, and in
 * memory a bounded number of them, which share the room of one window. While all keys with jobs have their lanes here,
 * they take turns here. While there are more, each lane has one turn, and makes room for those that the scan
 * (lane-scan.ts) brings next: so the turns go round however many keys there are. A key that is at a limit is out of all
 * that until it may be below it again.
 */
import type { Journal } from '../journal/journal.js';
import type { ReadyEntry } from '../queue/entry-list.js';
import { Turns } from '../queue/turns.js';
import { Window } from '../queue/window.js';
import type { LaneReads, ReadLane, Rest } from './lane-reads.js';
import { LaneScan } from './lane-scan.js';

export interface KeyedLanesOptions {
  readonly journal: Journal;
  readonly reads: LaneReads;
  readonly queue: string;
  /** The job type. */
  readonly name: string;
  readonly rest: Rest;
  /** How many entries the windows hold together. */
  readonly windowSize: number;
  /** Whether the key of the lane is below its limit. */
  readonly allows: (lane: string) => boolean;
  readonly onRefill: () => void;
}

/** The jobs of one key. */
export interface KeyedLane extends ReadLane {
  page: number;
  /** In this round. */
  hadTurn: boolean;
}

export type KeyedHead = { readonly entry: ReadyEntry; readonly lane: KeyedLane } | 'unread' | undefined;

/** The least that the window of a lane holds. */
const MIN_WINDOW = 4;
/** So many lanes the scan need not find again: more of them cost less to be found than to be kept in order. */
const MAX_SKIPPED = 2_000;

export class KeyedLanes {
  readonly #options: KeyedLanesOptions;
  readonly #maxLanes: number;
  /** How many entries of each lane are here at most. */
  #share: number;
  readonly #lanes = new Map<string, KeyedLane>();
  readonly #turns = new Turns<KeyedLane>();
  /** Lanes of keys that are at their limits, until {@link release}; they may have jobs in the journal. */
  readonly #blocked = new Set<string>();
  readonly #scan: LaneScan;
  /** No lane can make room, until something becomes of one. */
  #isFull = false;

  constructor(options: KeyedLanesOptions) {
    this.#options = options;
    this.#share = Math.max(MIN_WINDOW, options.windowSize);
    this.#maxLanes = Math.max(1, Math.floor(options.windowSize / MIN_WINDOW));
    this.#scan = new LaneScan({
      ...options,
      hasRoom: () => this.#hasRoom(),
      here: () => [...this.#lanes.keys(), ...this.#blocked].slice(0, MAX_SKIPPED),
      isHere: (lane) => this.#lanes.has(lane) || this.#blocked.has(lane),
      found: (lane) => this.#found(lane),
      onRound: () => this.#beginRound(),
    });
  }

  /** There are no jobs with keys: neither here nor in the journal. */
  get isIdle(): boolean {
    return this.#scan.isComplete && this.#lanes.size === 0 && this.#blocked.size === 0;
  }

  /** No job with a key waits. */
  get isExhausted(): boolean {
    if (!this.#scan.isComplete || this.#blocked.size > 0) return false;
    for (const { window } of this.#lanes.values()) if (!window.isExhausted) return false;
    return true;
  }

  /** Forgets what waits, and looks for it anew. */
  load(): void {
    this.#lanes.clear();
    this.#turns.clear();
    this.#blocked.clear();
    this.#isFull = false;
    this.#scan.restart();
  }

  /** A committed entry. */
  add(lane: string, entry: ReadyEntry): void {
    const known = this.#lanes.get(lane);
    if (known) {
      known.window.add(entry);
      if (!this.#turns.has(known)) this.#turns.join(known);
      return;
    }
    if (this.#blocked.has(lane)) return;
    // While others wait in the journal for their turn, it does so, too.
    if (this.#scan.isComplete && this.#hasRoom()) {
      const own = this.#activate(lane);
      own.window.add(entry);
      this.#turns.join(own);
    } else {
      this.#leaveSome();
      this.#scan.goOn();
    }
  }

  /** Hides an entry until {@link settle}, wherever it is. */
  take(lane: string, key: string): void {
    this.#known(lane).window.take(key);
  }

  /** The journal no longer holds the entry. */
  settle(lane: string, key: string): void {
    const known = this.#lanes.get(lane);
    if (!known) return;
    known.window.settle(key);
    this.#isFull = false;
    if (!this.#turns.has(known)) this.#leave(known);
    this.#scan.goOn();
  }

  /** The entry stays in the journal after all. */
  giveBack(lane: string, entry: ReadyEntry): void {
    const known = this.#known(lane);
    known.window.giveBack(entry);
    if (!this.#turns.has(known)) this.#turns.rejoin(known);
  }

  /** The key may be below its limits again: a job of it has ended, or as much time has passed as it had to wait. */
  release(lane: string): void {
    const known = this.#lanes.get(lane);
    if (known) {
      if (!this.#turns.has(known) && !known.window.isExhausted) this.#turns.rejoin(known);
    } else if (this.#blocked.has(lane)) {
      if (this.#hasRoom()) this.#bring(lane);
      else {
        this.#blocked.delete(lane);
        this.#leaveSome();
      }
    }
  }

  /** The first entry of the lane whose turn it is, among those that have one. */
  head(accepts: (entry: ReadyEntry) => boolean): KeyedHead {
    const { reads, rest, allows } = this.#options;
    if (rest.timer) return undefined;
    this.#scan.goOn();
    let isUnread = false;
    for (const lane of this.#turns) {
      const { window } = lane;
      // Its turn has come, and it has nothing, or may not.
      if (window.isExhausted || !allows(lane.lane)) {
        this.#leave(lane);
        continue;
      }
      reads.wantMore(lane);
      const isOver = lane.hadTurn && !this.#scan.isComplete;
      const entry = isOver ? undefined : window.first(accepts);
      if (entry) return { entry, lane };
      isUnread ||= isOver || window.isUnread;
    }
    return this.#scan.isAwaited() || isUnread ? 'unread' : undefined;
  }

  /** The entry is chosen, and its lane had its turn. */
  serve(lane: KeyedLane, { key }: ReadyEntry): void {
    lane.window.take(key);
    lane.hadTurn = true;
    this.#isFull = false;
    this.#turns.served(lane);
  }

  #known(lane: string): KeyedLane {
    const known = this.#lanes.get(lane);
    if (known) return known;
    const own = this.#activate(lane);
    this.#turns.rejoin(own);
    return own;
  }

  /** Reads a lane that is in the journal. */
  #bring(lane: string): void {
    const own = this.#activate(lane, false);
    this.#turns.rejoin(own);
    this.#options.reads.wantMore(own);
  }

  /** @param isKnown Whether it is known that nothing of it is in the journal. */
  #activate(lane: string, isKnown = this.#scan.isComplete && !this.#blocked.has(lane)): KeyedLane {
    const { queue, name, rest } = this.#options;
    const own: KeyedLane = {
      queue,
      name,
      lane,
      rest,
      window: new Window(this.#share, isKnown),
      page: this.#share,
      hadTurn: false,
    };
    this.#blocked.delete(lane);
    this.#lanes.set(lane, own);
    this.#resize();
    return own;
  }

  /** It has no turn until something comes to it. */
  #leave(lane: KeyedLane): void {
    this.#isFull = false;
    this.#turns.leave(lane);
    if (lane.window.isExhausted && !lane.window.hasTaken) this.#drop(lane);
  }

  #drop(lane: KeyedLane): void {
    this.#turns.leave(lane);
    this.#lanes.delete(lane.lane);
    this.#resize();
  }

  /** The lanes share the room; in steps, so that it is seldom that all have to give way. */
  #resize(): void {
    const halvings = Math.ceil(Math.log2(Math.max(1, this.#lanes.size)));
    const share = Math.max(MIN_WINDOW, this.#options.windowSize >> halvings);
    if (share === this.#share) return;
    this.#share = share;
    for (const lane of this.#lanes.values()) {
      lane.window.resize(share);
      lane.page = share;
    }
  }

  /** Something is in the journal whose lane is not here. */
  #leaveSome(): void {
    this.#isFull &&= !this.#scan.isComplete;
    this.#scan.miss();
  }

  #beginRound(): void {
    let hasWaited = false;
    for (const lane of this.#lanes.values()) {
      hasWaited ||= lane.hadTurn;
      lane.hadTurn = false;
    }
    if (hasWaited) this.#options.onRefill();
  }

  /** Whether there is a place for another lane, or one can be made. */
  #hasRoom(): boolean {
    if (this.#lanes.size < this.#maxLanes) return true;
    if (this.#isFull) return false;
    for (const lane of this.#lanes.values()) {
      if (lane.window.hasTaken) continue;
      if (lane.window.isExhausted) this.#drop(lane);
      else if (!this.#options.allows(lane.lane)) {
        this.#blocked.add(lane.lane);
        this.#drop(lane);
      } else if (!this.#scan.isComplete && lane.hadTurn) {
        this.#leaveSome();
        this.#drop(lane);
      }
      if (this.#lanes.size < this.#maxLanes) return true;
    }
    this.#isFull = true;
    return false;
  }

  /** @returns whether there was room for it. */
  #found(lane: string): boolean {
    if (this.#lanes.has(lane) || this.#blocked.has(lane)) return true;
    if (!this.#options.allows(lane)) this.#blocked.add(lane);
    else if (this.#hasRoom()) this.#bring(lane);
    else return false;
    return true;
  }
}
