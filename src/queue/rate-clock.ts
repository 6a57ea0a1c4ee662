/**
 * The time of rate limits. It passes as monotonic time does, so that no clock that is set makes room. Between two
 * processes it passes as the wall clock does, for nothing else tells; where that was set back, no time has passed.
 */
import type { Clock } from '../clock.js';

/** Less than this is how clocks are kept right. */
const SET_MS = 100;

/** What is kept of it. */
export interface RateClockRecord {
  /** The wall clock when this was so, in epoch milliseconds. */
  readonly wallAt: number;
  /** Its own time then. */
  readonly ownAt: number;
}

export class RateClock {
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>;
  /** From monotonic time to its own, which begins at 0: whatever is kept by a time that is lost has been later. */
  #aheadMs: number;
  #kept: RateClockRecord | undefined;

  constructor(clock: Pick<Clock, 'now' | 'monotonic'>) {
    this.#clock = clock;
    this.#aheadMs = -clock.monotonic();
  }

  /** Goes on where an earlier process left it. */
  restore(record: RateClockRecord): void {
    // Both were rounded, so a millisecond less may have passed.
    const passedMs = Math.max(0, this.#clock.now() - record.wallAt - 1);
    this.#aheadMs = record.ownAt + passedMs - this.#clock.monotonic();
    this.#kept = record;
  }

  now(): number {
    return this.#clock.monotonic() + this.#aheadMs;
  }

  /** By when all had happened that was kept together with it, or before; nothing where that is not known. */
  get keptAt(): number | undefined {
    return this.#kept && this.#kept.ownAt + 1;
  }

  /** Whether the wall clock was set since it was kept: then a later process would take that for time that has passed. */
  get wasSet(): boolean {
    if (!this.#kept) return true;
    const { wallAt, ownAt } = this.#kept;
    return Math.abs(this.#clock.now() - wallAt - (this.now() - ownAt)) > SET_MS;
  }

  /** To be kept whenever a window is, in the same commit. */
  record(): RateClockRecord {
    this.#kept = { wallAt: Math.floor(this.#clock.now()), ownAt: Math.floor(this.now()) };
    return this.#kept;
  }
}
