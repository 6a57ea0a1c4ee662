/** Time of a simulated machine: it stands still until a history moves it, and goes on from process to process. */
import { MAX_TIMER_MS, type Clock, type Timer } from '../../src/clock.js';
import { NOW } from '../fixtures/jobs.js';

interface Pending extends Timer {
  readonly dueAt: number;
  readonly callback: () => void;
}

export class SimulatedClock implements Clock {
  #monotonic = 0;
  #timers: Pending[] = [];

  now(): number {
    return NOW + this.#monotonic;
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
