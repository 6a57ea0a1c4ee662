/**
 * The available jobs of one type in a queue that have a concurrency key: a lane in the journal for each key, and in
 * memory a bounded number of them, which share the room of one window. While all keys with jobs have their lanes here,
 * they take turns here. While there are more, each lane makes room once it had its turn, and a scan of the journal, in a
 * circle, brings the next: so the turns go round however many keys there are. A key that is at its limit is out of all
 * that until one of its jobs has ended.
 */
import { keyedSpan, laneSpan } from '../journal/keys.js';
import type { Journal } from '../journal/journal.js';
import type { ReadyEntry } from '../queue/entry-list.js';
import { Turns } from '../queue/turns.js';
import { Window } from '../queue/window.js';
import type { LaneReads, ReadLane, Rest } from './lane-reads.js';

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
  hadTurn: boolean;
}

export type KeyedHead = { readonly entry: ReadyEntry; readonly lane: KeyedLane } | 'unread' | undefined;

/** The least that the window of a lane holds. */
const MIN_WINDOW = 4;
/** How many keys of the journal a step of the scan reads. */
const SCAN_PAGE = 32;

export class KeyedLanes {
  readonly #options: KeyedLanesOptions;
  readonly #maxLanes: number;
  /** How many entries of each lane are here at most. */
  #share: number;
  readonly #lanes = new Map<string, KeyedLane>();
  readonly #turns = new Turns<KeyedLane>();
  /** Lanes of keys that are at their limits, and so have a job that runs; they may have others in the journal. */
  readonly #blocked = new Set<string>();
  /** All other lanes that have something in the journal are here. */
  #isComplete = false;
  /** No lane can make room, until something becomes of one. */
  #isFull = false;
  /** Where the scan goes on. */
  #cursor: string;
  /** Since it began this round, nothing has been left in the journal that it does not come by. */
  #isClean = false;
  #isScanning = false;
  /** Somebody was told to wait for what it finds. */
  #isAwaited = false;
  /** Changes with each {@link load}. */
  #epoch = 0;

  constructor(options: KeyedLanesOptions) {
    this.#options = options;
    this.#share = Math.max(MIN_WINDOW, options.windowSize);
    this.#maxLanes = Math.max(1, Math.floor(options.windowSize / MIN_WINDOW));
    this.#cursor = this.#span.from;
  }

  /** There are no jobs with keys: neither here nor in the journal. */
  get isIdle(): boolean {
    return this.#isComplete && this.#lanes.size === 0 && this.#blocked.size === 0;
  }

  /** No job with a key waits. */
  get isExhausted(): boolean {
    if (!this.#isComplete || this.#blocked.size > 0) return false;
    for (const { window } of this.#lanes.values()) if (!window.isExhausted) return false;
    return true;
  }

  /** Forgets what waits, and looks for it anew. */
  load(): void {
    this.#epoch++;
    this.#lanes.clear();
    this.#turns.clear();
    this.#blocked.clear();
    this.#isScanning = false;
    this.#isComplete = false;
    this.#isFull = false;
    this.#cursor = this.#span.from;
    this.#isClean = true;
    this.#scan();
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
    if (this.#isComplete && this.#hasRoom()) {
      const own = this.#activate(lane);
      own.window.add(entry);
      this.#turns.join(own);
    } else {
      this.#leaveSome();
      this.#scan();
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
    if (!this.#isComplete) this.#scan();
  }

  /** The entry stays in the journal after all. */
  giveBack(lane: string, entry: ReadyEntry): void {
    const known = this.#known(lane);
    known.window.giveBack(entry);
    if (!this.#turns.has(known)) this.#turns.rejoin(known);
  }

  /** A job of the key has ended: it may be below its limit again. */
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
    if (!this.#isComplete) this.#scan();
    let isUnread = false;
    for (const lane of this.#turns) {
      const { window } = lane;
      // Its turn has come, and it may not, or has nothing.
      if (!allows(lane.lane) || window.isExhausted) {
        this.#leave(lane);
        continue;
      }
      reads.wantMore(lane);
      const entry = window.first(accepts);
      if (entry) return { entry, lane };
      isUnread ||= window.isUnread;
    }
    this.#isAwaited ||= this.#isScanning;
    return isUnread || this.#isScanning ? 'unread' : undefined;
  }

  /** The entry is chosen, and its lane had its turn. */
  serve(lane: KeyedLane, { key }: ReadyEntry): void {
    lane.window.take(key);
    lane.hadTurn = true;
    this.#isFull = false;
    this.#turns.served(lane);
  }

  get #span(): { readonly from: string; readonly to: string } {
    return keyedSpan(this.#options.queue, this.#options.name);
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
  #activate(lane: string, isKnown = this.#isComplete && !this.#blocked.has(lane)): KeyedLane {
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
    this.#isFull &&= !this.#isComplete;
    this.#isComplete = false;
    this.#isClean = false;
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
      } else if (!this.#isComplete && lane.hadTurn) {
        this.#leaveSome();
        this.#drop(lane);
      }
      if (this.#lanes.size < this.#maxLanes) return true;
    }
    this.#isFull = true;
    return false;
  }

  #scan(): void {
    const { reads, rest } = this.#options;
    if (this.#isScanning || this.#isComplete || rest.timer || reads.isStopped || !this.#hasRoom()) return;
    this.#isScanning = true;
    const epoch = this.#epoch;
    const scanning = this.#goRound(epoch)
      .catch((thrown: unknown) => reads.failed(this.#options, thrown))
      .then(() => {
        if (epoch !== this.#epoch) return;
        this.#isScanning = false;
        if (this.#isAwaited) this.#options.onRefill();
        this.#isAwaited = false;
      });
    reads.track(scanning);
  }

  /** As far as there is room for what it finds. */
  async #goRound(epoch: number): Promise<void> {
    const { journal, reads, queue } = this.#options;
    let here = this.#here();
    while (!this.#isComplete && this.#hasRoom()) {
      // What is here is not read again: before the first key of a lane there may be very many that are gone.
      while (here[0] !== undefined && laneSpan(queue, here[0]).from < this.#cursor) here.shift();
      const [next] = here;
      const to = next === undefined ? this.#span.to : laneSpan(queue, next).from;
      const { lanes, isLast } = await journal.readyLanes({ from: this.#cursor, to }, SCAN_PAGE);
      if (epoch !== this.#epoch || reads.isStopped) return;
      if (!lanes.every((lane) => this.#found(lane))) return;
      if (!isLast) continue;
      if (next !== undefined) this.#cursor = laneSpan(queue, next).to;
      else {
        this.#isComplete = this.#isClean;
        this.#isClean = true;
        this.#cursor = this.#span.from;
        here = this.#here();
      }
    }
  }

  /** The lanes that need not be found, in the order of the journal. */
  #here(): string[] {
    return [...this.#lanes.keys(), ...this.#blocked].sort();
  }

  /** @returns whether there was room for it. */
  #found(lane: string): boolean {
    if (!this.#lanes.has(lane) && !this.#blocked.has(lane)) {
      if (!this.#options.allows(lane)) this.#blocked.add(lane);
      else if (this.#hasRoom()) this.#bring(lane);
      else return false;
    }
    this.#cursor = laneSpan(this.#options.queue, lane).to;
    return true;
  }
}
