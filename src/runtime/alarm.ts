/**
 * One timer for everybody who waits for an instant of the wall clock. It looks at the clock once a minute at least: a
 * timer knows nothing of a clock that was set, and of a machine that slept.
 */
import type { Clock, Timer } from '../clock.js';

/** While anybody waits. */
const LOOK_EVERY_MS = 60_000;
/** Less than this is how clocks are kept right. */
const SET_BACK_MS = 1_000;

/** What one of those who wait has of it. */
export interface Bell {
  /** When to ring next, once; `Infinity`: not at all. */
  set(at: number): void;
}

export interface BellOptions {
  /** Called where the clock is found to have been set back, while anybody waits. */
  readonly onSetBack?: (byMs: number) => void;
  /** Whether the process stays alive for it, while it is set. Default `true`. */
  readonly keepsAlive?: boolean;
}

interface Waiting {
  at: number;
  readonly ring: () => void;
  readonly onSetBack: ((byMs: number) => void) | undefined;
  readonly keepsAlive: boolean;
}

export class Alarm {
  readonly #clock: Clock;
  readonly #waiting: Waiting[] = [];
  #timer: Timer | undefined;
  /** When it is for. */
  #armedFor = Infinity;
  #isKeepingAlive = false;
  /** When it last looked, by both clocks. */
  #seenAt = -Infinity;
  #seenAtMonotonic = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  bell(ring: () => void, { onSetBack, keepsAlive = true }: BellOptions = {}): Bell {
    const waiting: Waiting = { at: Infinity, ring, onSetBack, keepsAlive };
    this.#waiting.push(waiting);
    return {
      set: (at) => {
        waiting.at = at;
        this.#arm();
      },
    };
  }

  #arm(): void {
    const first = Math.min(...this.#waiting.map(({ at }) => at));
    const keepsAlive = this.#waiting.some((one) => one.keepsAlive && one.at < Infinity);
    if (first === this.#armedFor && keepsAlive === this.#isKeepingAlive) return;
    this.#timer?.cancel();
    this.#armedFor = first;
    this.#isKeepingAlive = keepsAlive;
    if (first === Infinity) return;
    const now = this.#look();
    const delayMs = Math.max(0, Math.min(first - now, LOOK_EVERY_MS));
    this.#timer = this.#clock.setTimer(() => this.#fire(), delayMs, { keepsAlive });
  }

  #fire(): void {
    const now = this.#look();
    this.#armedFor = Infinity;
    const due = this.#waiting.filter(({ at }) => at <= now);
    for (const waiting of due) waiting.at = Infinity;
    for (const { ring } of due) ring();
    this.#arm();
  }

  #look(): number {
    const now = this.#clock.now();
    const monotonic = this.#clock.monotonic();
    const byMs = this.#seenAt + monotonic - this.#seenAtMonotonic - now;
    this.#seenAt = now;
    this.#seenAtMonotonic = monotonic;
    // In a step of its own, for whoever is told may set a bell.
    if (byMs > SET_BACK_MS) queueMicrotask(() => this.#waiting.forEach(({ onSetBack }) => onSetBack?.(byMs)));
    return now;
  }
}
