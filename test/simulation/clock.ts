/**
 * Time of a simulated machine: it stands still until a history moves it, and goes on from process to process. What the
 * machine's clock shows can be set besides.
 */
import { MAX_TIMER_MS, type Clock, type Timer } from '../../src/clock.js';
import { NOW } from '../fixtures/jobs.js';

interface Pending extends Timer {
  readonly dueAt: number;
  readonly callback: () => void;
}

export class SimulatedClock implements Clock {
  #monotonic = 0;
  #aheadMs = 0;
  #mostAheadMs = 0;
  #timers: Pending[] = [];

  now(): number {
    return NOW + this.#aheadMs + this.#monotonic;
  }

  monotonic(): number {
    return this.#monotonic;
  }

  setTimer(callback: () => void, delayMs: number): Timer {
    const dueAt = this.#monotonic + Math.max(0, Math.min(delayMs, MAX_TIMER_MS));
    const timer: Pending = {
      dueAt,
      callback,
      cancel: () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      },
    };
    // Timers of one instant fire in the order in which they were set.
    const at = this.#timers.findLastIndex((other) => other.dueAt <= dueAt);
    this.#timers.splice(at + 1, 0, timer);
    return timer;
  }

  /** Somebody sets it, forward or back: no time passes, and no timer notices. */
  set(ms: number): void {
    this.#aheadMs += ms;
    this.#mostAheadMs = Math.max(this.#mostAheadMs, this.#aheadMs);
  }

  /** By how much it would have to be set forward to be past all that it has shown. */
  get behindMs(): number {
    return this.#mostAheadMs - this.#aheadMs;
  }

  /** When the next timer fires, as the monotonic time. */
  get nextAt(): number | undefined {
    return this.#timers[0]?.dueAt;
  }

  /** Time passes, at most until the next timer, which fires. @returns whether one did. */
  advanceTo(until: number): boolean {
    const [next] = this.#timers;
    if (!next || next.dueAt > until) {
      this.#monotonic = Math.max(this.#monotonic, until);
      return false;
    }
    this.#monotonic = Math.max(this.#monotonic, next.dueAt);
    this.#timers.shift();
    next.callback();
    return true;
  }

  /** The process that set them has died. */
  dropTimers(): void {
    this.#timers = [];
  }
}
