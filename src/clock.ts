/**
 * The engine's only source of time, injected so that tests can move it. Wall time is for what is stored,
 * monotonic time for durations.
 */
export interface Clock {
  /** Epoch milliseconds; may jump when the system clock is set. */
  now(): number;
  /** Milliseconds from an arbitrary start; never goes back. */
  monotonic(): number;
  /** Calls back once, after `delayMs`. */
  setTimer(callback: () => void, delayMs: number, options?: TimerOptions): Timer;
}

/** What may be said of a timer. */
export interface TimerOptions {
  /** Whether the process stays alive for it. Default `true`. */
  readonly keepsAlive?: boolean;
}

/** A timer that was set. */
export interface Timer {
  cancel(): void;
}

/** `setTimeout` takes 32 bits and fires at once above that; whoever waits longer sets the timer again. */
export const MAX_TIMER_MS = 2 ** 31 - 1;

/** The machine's own time. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimer(callback, delayMs, { keepsAlive = true } = {}) {
    const timeout = setTimeout(callback, Math.max(0, Math.min(delayMs, MAX_TIMER_MS)));
    if (!keepsAlive) timeout.unref();
    return { cancel: () => clearTimeout(timeout) };
  },
};
