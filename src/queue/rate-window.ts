/**
 * A rate limit's sliding window: how many started in the last while. Starts are counted by steps of time, and each counts
 * until its whole step has left the window: so there are never more than the limit says, and there is a number of steps
 * to keep and not of starts. Its time is that of the {@link RateClock}.
 */
import type { RatePolicy } from '../job/rate-limit.js';

/** Into so many steps a window is cut. */
const STEPS = 32;

/** Starts in one step. */
interface Step {
  readonly endAt: number;
  count: number;
}

/** What is kept of a window. */
export interface RateRecord {
  readonly steps: readonly (readonly [endAt: number, count: number])[];
}

export class RateWindow {
  readonly #policy: RatePolicy;
  readonly #stepMs: number;
  readonly #steps: Step[] = [];
  #count = 0;
  /** Allowed, and not begun yet. */
  #pending = 0;

  /**
   * @param record What an earlier process left.
   * @param keptAt By when that had all started.
   */
  constructor(policy: RatePolicy, record?: RateRecord, keptAt = 0) {
    this.#policy = policy;
    this.#stepMs = Math.ceil(policy.perMs / STEPS);
    // The steps of an earlier limit may have been longer, and what starts now must not count for as long as those.
    const latest = this.#endOf(keptAt);
    for (const [endAt, count] of record?.steps ?? []) this.#add(Math.min(endAt, latest), count);
  }

  /**
   * @param record Nothing where it is damaged.
   * @param keptAt Nothing where that is not known.
   */
  static restored(
    policy: RatePolicy,
    record: RateRecord | undefined,
    keptAt: number | undefined,
    now: number,
  ): RateWindow {
    if (record && keptAt !== undefined) return new RateWindow(policy, record, keptAt);
    return RateWindow.full(policy, now);
  }

  /** One as if all that it allows had just started: where nobody knows. */
  static full(policy: RatePolicy, now: number): RateWindow {
    const window = new RateWindow(policy);
    window.#add(window.#endOf(now), policy.max);
    return window;
  }

  /** How long until one more may start, as things are; 0: now. */
  delayMs(now: number): number {
    const { max, perMs } = this.#policy;
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
  countsForMs(now: number): number {
    const last = this.#steps.at(-1);
    if (this.#pending > 0) return Infinity;
    return last ? Math.max(0, last.endAt + this.#policy.perMs - now) : 0;
  }

  /** One more is going to start: it counts from now on. */
  take(): void {
    this.#pending++;
  }

  /** One that was going to starts now. */
  begin(now: number): void {
    this.#pending--;
    this.#add(this.#endOf(now), 1);
  }

  /** One that was going to does not start after all, and counts no more. */
  giveBack(): void {
    this.#pending--;
  }

  /** With those that are going to start, as if they did now. */
  record(now: number): RateRecord {
    this.#forget(now);
    const steps = this.#steps.map(({ endAt, count }) => [endAt, count] as const);
    if (this.#pending > 0) steps.push([this.#endOf(now), this.#pending]);
    return { steps };
  }

  #add(endAt: number, count: number): void {
    const last = this.#steps.at(-1);
    // What was kept is rounded, so that it may be a step ahead.
    if (last && last.endAt >= endAt) last.count += count;
    else this.#steps.push({ endAt, count });
    this.#count += count;
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
