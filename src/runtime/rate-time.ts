/**
 * Keeps the time of rate limits in the journal: with whatever is kept of their windows, and as long as anything counts
 * there, once the clock is found to have been set. So that makes no room in the next process either.
 */
import type { Clock, Timer } from '../clock.js';
import { pack, unpack } from '../job/packer.js';
import type { Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import { RateClock, type RateClockRecord } from '../queue/rate-clock.js';

export interface RateTimeLinks {
  readonly journal: Journal;
  readonly clock: Clock;
}

/** The name of its record, which sorts before those of all windows. */
export const RATE_TIME = '';
/** How often, while anything counts, it is looked whether the clock was set. */
const LOOK_EVERY_MS = 10_000;

export class RateTime {
  readonly #links: RateTimeLinks;
  readonly #time: RateClock;
  readonly #longestMs: number;
  /** Nothing counts any more then. */
  #countsUntil = 0;
  #timer: Timer | undefined;
  #isClosed = false;
  /** The journal's generation when it was last kept: after an outage it may not be there. */
  #keptIn: number | undefined;

  /** @param longestMs No window counts anything for longer. */
  constructor(links: RateTimeLinks, longestMs: number) {
    this.#links = links;
    this.#time = new RateClock(links.clock);
    this.#longestMs = longestMs;
  }

  now(): number {
    return this.#time.now();
  }

  /** See {@link RateClock.keptAt}. */
  get keptAt(): number | undefined {
    return this.#time.keptAt;
  }

  /** @param record Safe for bytes whose checksum held: {@link addTo} made them. */
  restore(record: Uint8Array): void {
    this.#time.restore(unpack(record) as RateClockRecord);
    this.#keptIn = this.#links.journal.generation;
    this.#countsUntil = this.#time.now() + this.#longestMs;
  }

  /** Keeps the time as of now, where that of what is kept was lost. @throws MillraceError */
  async begin(): Promise<void> {
    await this.#write();
    this.counts(this.now());
  }

  /** To be called when the transaction is written that keeps a window. */
  addTo(change: Transaction): void {
    change.putRate(RATE_TIME, pack(this.#time.record()));
    this.#keptIn = this.#links.journal.generation;
  }

  /** Something starts, or is about to. */
  counts(now: number): void {
    this.#countsUntil = now + this.#longestMs;
    this.watch(now);
  }

  /** Sees to it that somebody looks at the clock while anything counts. */
  watch(now: number): void {
    if (this.#timer || this.#isClosed || now >= this.#countsUntil) return;
    const look = (): void => {
      this.#timer = undefined;
      void this.#keep();
      this.watch(this.now());
    };
    this.#timer = this.#links.clock.setTimer(look, LOOK_EVERY_MS, { keepsAlive: false });
  }

  /** Nothing starts any more. It never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#timer?.cancel();
    await this.#keep();
  }

  /** Where what is kept does not hold any more. It never rejects. */
  async #keep(): Promise<void> {
    const { journal } = this.#links;
    const isKept = this.#keptIn === journal.generation && !this.#time.wasSet;
    if (isKept || journal.failure || this.now() >= this.#countsUntil) return;
    // Where it cannot be written, the journal has said so itself.
    await this.#write().catch(() => {});
  }

  async #write(): Promise<void> {
    const change = new Transaction(() => this.addTo(change));
    await this.#links.journal.commit(change);
  }
}
