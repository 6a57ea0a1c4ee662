/**
 * A rate limit's sliding window: how many started in the last while. Starts are counted by steps of time, and each counts
 * until its whole step has left the window: so there are never more than the limit says, and there is a number of steps
 * to keep and not of starts.
 *
 * Its time is its own: it passes as monotonic time does, so that no clock that is set makes room. Between two processes
 * it passes as the wall clock does, for nothing else tells; where that was set back, no time has passed.
 */
import type { RatePolicy } from '../job/rate-limit.js';

/** Into so many steps a window is cut. */
const STEPS = 32;

/** Starts in one step. */
interface Step {
  /** When the step is over, in the window's own time. */
  readonly endAt: number;
  count: number;
}

/** What is kept of a window. */
export interface RateRecord {
  /** The wall clock when this was so, in epoch milliseconds. */
  readonly wallAt: number;
  /** The window's own time then. */
  readonly ownAt: number;
  readonly steps: readonly (readonly [endAt: number, count: number])[];
}

/** What two clocks say at one moment. */
export interface Moment {
  readonly wall: number;
  readonly monotonic: number;
}

export class RateWindow {
  readonly #policy: RatePolicy;
  readonly #stepMs: number;
  readonly #steps: Step[] = [];
  #count = 0;
  /** Allowed, and not begun yet. */
  #pending = 0;
  /** From monotonic time to its own. */
  #aheadMs = 0;

  /** @param record What an earlier process left. */
  constructor(policy: RatePolicy, record?: RateRecord, now: Moment = { wall: 0, monotonic: 0 }) {
    this.#policy = policy;
    this.#stepMs = Math.ceil(policy.perMs / STEPS);
    if (!record) return;
    // Both were rounded, so a millisecond less may have passed.
    const passedMs = Math.max(0, now.wall - record.wallAt - 1);
    this.#aheadMs = record.ownAt + passedMs - now.monotonic;
    for (const [endAt, count] of record.steps) {
      this.#steps.push({ endAt, count });
      this.#count += count;
    }
  }

  /** One as if all that it allows had just started: where nobody knows. */
  static full(policy: RatePolicy, { monotonic }: Moment): RateWindow {
    const window = new RateWindow(policy);
    window.#add(monotonic, policy.max);
    return window;
  }

  /** How long until one more may start, as things are; 0: now. */
  delayMs(monotonic: number): number {
    const { max, perMs } = this.#policy;
    const now = this.#ownAt(monotonic);
    this.#forget(now);
    let excess = this.#count + this.#pending - max;
    if (excess < 0) return 0;
    for (const { endAt, count } of this.#steps) {
      excess -= count;
      if (excess < 0) return endAt + perMs - now;
    }
    // Those that are about to begin, as if they did so now.
    return this.#endOf(now) + perMs - now;
  }

  /** How long something counts here yet, if nothing more starts; Infinity where something is about to. */
  countsForMs(monotonic: number): number {
    const last = this.#steps.at(-1);
    if (this.#pending > 0) return Infinity;
    return last ? Math.max(0, last.endAt + this.#policy.perMs - this.#ownAt(monotonic)) : 0;
  }

  /** One more is going to start: it counts from now on. */
  take(): void {
    this.#pending++;
  }

  /** One that was going to starts now, or does not after all. */
  begin(monotonic: number): void {
    this.#pending--;
    this.#add(monotonic, 1);
  }

  /** With those that are going to start, as if they did now. */
  record({ wall, monotonic }: Moment): RateRecord {
    const now = this.#ownAt(monotonic);
    this.#forget(now);
    const steps = this.#steps.map(({ endAt, count }) => [endAt, count] as const);
    if (this.#pending > 0) steps.push([Math.max(this.#endOf(now), steps.at(-1)?.[0] ?? 0), this.#pending]);
    return { wallAt: Math.floor(wall), ownAt: Math.floor(now), steps };
  }

  #add(monotonic: number, count: number): void {
    const endAt = this.#endOf(this.#ownAt(monotonic));
    const last = this.#steps.at(-1);
    // The steps of an earlier process may have been longer.
    if (last && last.endAt >= endAt) last.count += count;
    else this.#steps.push({ endAt, count });
    this.#count += count;
  }

  #ownAt(monotonic: number): number {
    return monotonic + this.#aheadMs;
  }

  #endOf(now: number): number {
    return (Math.floor(now / this.#stepMs) + 1) * this.#stepMs;
  }

  #forget(now: number): void {
    for (
      let first = this.#steps[0];
      first && first.endAt + this.#policy.perMs <= now;
      first = this.#steps[0]
    ) {
      this.#count -= first.count;
      this.#steps.shift();
    }
  }
}
