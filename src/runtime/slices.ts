/** Long work on the event loop, in slices: between two of them everything else has its turn. */
import { systemClock, type Clock } from '../clock.js';

const SLICE_MS = 5;

export class Slices {
  readonly #clock: Clock;
  #startedAt: number;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
    this.#startedAt = clock.monotonic();
  }

  get isOver(): boolean {
    return this.#clock.monotonic() - this.#startedAt >= SLICE_MS;
  }

  async next(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    this.#startedAt = this.#clock.monotonic();
  }
}
