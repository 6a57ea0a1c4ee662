/** Concurrency keys whose rate limits hold them back, and the one timer that tells when the first of them are free. */
import type { Clock, Timer } from '../clock.js';

export class KeyWaits {
  readonly #clock: Clock;
  readonly #onFree: (lanes: Iterable<string>) => void;
  /** By when, in monotonic time: there are few such instants, for windows are counted in steps. */
  readonly #lanes = new Map<number, Set<string>>();
  #timer: Timer | undefined;
  #timerAt = Infinity;
  /** Jobs wait for it, so the process has to stay. */
  #isAwaited = true;

  /** @param onFree Some may be free by now, or wait longer after all. */
  constructor(clock: Clock, onFree: (lanes: Iterable<string>) => void) {
    this.#clock = clock;
    this.#onFree = onFree;
  }

  add(lane: string, delayMs: number): void {
    // Rounded up, so that nobody looks again before the time.
    const at = Math.ceil(this.#clock.monotonic() + delayMs);
    const others = this.#lanes.get(at);
    if (others) others.add(lane);
    else this.#lanes.set(at, new Set([lane]));
    this.#arm(at);
  }

  /** Whether jobs wait for one of them: where none does, nobody stays for the timer. */
  set isAwaited(isAwaited: boolean) {
    if (isAwaited === this.#isAwaited) return;
    this.#isAwaited = isAwaited;
    const at = this.#timerAt;
    this.#disarm();
    this.#arm(at);
  }

  /** Nobody waits any more. */
  clear(): void {
    this.#lanes.clear();
    this.#disarm();
  }

  #arm(at: number): void {
    if (at >= this.#timerAt) return;
    this.#disarm();
    this.#timerAt = at;
    const delayMs = Math.max(0, Math.ceil(at - this.#clock.monotonic()));
    this.#timer = this.#clock.setTimer(() => this.#fire(), delayMs, { keepsAlive: this.#isAwaited });
  }

  #disarm(): void {
    this.#timer?.cancel();
    this.#timerAt = Infinity;
  }

  #fire(): void {
    this.#timerAt = Infinity;
    const now = this.#clock.monotonic();
    const free: Set<string>[] = [];
    for (const [at, lanes] of this.#lanes) {
      if (at > now) continue;
      this.#lanes.delete(at);
      free.push(lanes);
    }
    if (this.#lanes.size > 0) this.#arm(Math.min(...this.#lanes.keys()));
    for (const lanes of free) this.#onFree(lanes);
  }
}
