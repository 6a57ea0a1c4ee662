/**
 * Finds the lanes of a type's concurrency keys in the journal, going round and round as long as something may be there
 * that is not known, and resting where there is no room for what it finds. It reads one key of each lane, more or less,
 * and nothing of those that are known.
 */
import { keyedSpan, laneSpan } from '../journal/keys.js';
import type { Journal } from '../journal/journal.js';
import type { LaneReads, Rest } from './lane-reads.js';

export interface LaneScanLinks {
  readonly journal: Journal;
  readonly reads: LaneReads;
  readonly queue: string;
  /** The job type. */
  readonly name: string;
  readonly rest: Rest;
  readonly hasRoom: () => boolean;
  /** The lanes that need not be found, as a round begins; there may be very many. */
  readonly here: () => readonly string[];
  /** Whether one of them is so still. */
  readonly isHere: (lane: string) => boolean;
  /** @returns whether there was room for it. */
  readonly found: (lane: string) => boolean;
  /** It has come by all lanes, and begins another round or is complete. */
  readonly onRound: () => void;
  readonly onRefill: () => void;
}

/** How many keys of the journal are read at once. */
const PAGE = 32;

export class LaneScan {
  readonly #links: LaneScanLinks;
  #isComplete = false;
  /** Where it goes on. */
  #cursor: string;
  /** Of the lanes that need not be found those that the round has not come by yet, the next one last; asked for when needed. */
  #known: string[] | undefined;
  /** Since this round began, nothing has been missed. */
  #isClean = false;
  #isScanning = false;
  /** Somebody was told to wait for what it finds. */
  #isAwaited = false;
  /** Changes with each {@link restart}. */
  #epoch = 0;

  constructor(links: LaneScanLinks) {
    this.#links = links;
    this.#cursor = this.#span.from;
  }

  /** All lanes that have something in the journal are known, until {@link miss}. */
  get isComplete(): boolean {
    return this.#isComplete;
  }

  /** Begins anew: nothing is known. */
  restart(): void {
    this.#epoch++;
    this.#isScanning = false;
    this.#isComplete = false;
    this.#isClean = true;
    this.#beginRound();
    this.goOn();
  }

  /** Something is in the journal whose lane is not known. */
  miss(): void {
    this.#isComplete = false;
    this.#isClean = false;
  }

  /** There may be room. */
  goOn(): void {
    const { reads, rest, hasRoom, onRefill } = this.#links;
    if (this.#isScanning || this.#isComplete || rest.timer || reads.isStopped || !hasRoom()) return;
    this.#isScanning = true;
    const epoch = this.#epoch;
    const scanning = this.#goRound(epoch)
      .catch((thrown: unknown) => reads.failed(this.#links, thrown))
      .then(() => {
        if (epoch !== this.#epoch) return;
        this.#isScanning = false;
        if (this.#isAwaited) onRefill();
        this.#isAwaited = false;
      });
    reads.track(scanning);
  }

  /** Whether somebody has to wait for what it finds; then it tells when it is there. */
  isAwaited(): boolean {
    this.#isAwaited ||= this.#isScanning;
    return this.#isScanning;
  }

  get #span(): { readonly from: string; readonly to: string } {
    return keyedSpan(this.#links.queue, this.#links.name);
  }

  async #goRound(epoch: number): Promise<void> {
    const { journal, reads, queue, hasRoom, onRound } = this.#links;
    while (!this.#isComplete && hasRoom()) {
      // What is known is not read again: before the first key of a lane there may be very many that are gone.
      const next = this.#nextKnown();
      const to = next === undefined ? this.#span.to : laneSpan(queue, next).from;
      const { lanes, isLast } = await journal.indexes.readyLanes({ from: this.#cursor, to }, PAGE);
      if (epoch !== this.#epoch || reads.isStopped || !this.#take(lanes)) return;
      if (!isLast) continue;
      if (next !== undefined) this.#cursor = laneSpan(queue, next).to;
      else {
        this.#isComplete = this.#isClean;
        this.#isClean = true;
        onRound();
        this.#beginRound();
      }
    }
  }

  /** @returns whether there was room for all of them. */
  #take(lanes: readonly string[]): boolean {
    for (const lane of lanes) {
      if (!this.#links.found(lane)) return false;
      this.#cursor = laneSpan(this.#links.queue, lane).to;
    }
    return true;
  }

  #beginRound(): void {
    this.#cursor = this.#span.from;
    this.#known = undefined;
  }

  /** The first behind the cursor. */
  #nextKnown(): string | undefined {
    const { queue, here, isHere } = this.#links;
    const known = (this.#known ??= [...here()].sort().toReversed());
    for (let next = known.at(-1); next !== undefined; next = known.at(-1)) {
      if (laneSpan(queue, next).from >= this.#cursor && isHere(next)) return next;
      known.pop();
    }
    return undefined;
  }
}
