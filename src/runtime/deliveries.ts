/**
 * Hands news to those who await them, in the order of the commits, and a few per turn of the event loop: each sets off
 * code of the app, and a commit may bring thousands.
 */

/** With what a small handler of the app's does on hearing of it, about a millisecond. */
const PER_TURN = 64;
/** Of many that wait, so large a part goes at once, so that they cannot pile up for ever. */
const PART = 1 / 8;

export class Deliveries {
  readonly #waiting: (() => void)[] = [];
  #isScheduled = false;
  #onIdle: (() => void)[] = [];

  add(deliver: () => void): void {
    this.#waiting.push(deliver);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    // Everything of this turn has come by then; where that is much, it has been long enough.
    queueMicrotask(() => {
      if (this.#waiting.length > PER_TURN) setImmediate(() => this.#deliver());
      else this.#deliver();
    });
  }

  /** Resolves once nothing waits. */
  whenIdle(): Promise<void> {
    return this.#isScheduled ? new Promise((resolve) => this.#onIdle.push(resolve)) : Promise.resolve();
  }

  #deliver(): void {
    const some = this.#waiting.splice(0, Math.max(PER_TURN, Math.ceil(this.#waiting.length * PART)));
    try {
      for (let deliver = some.shift(); deliver; deliver = some.shift()) deliver();
    } finally {
      // What throws here is for the process to hear of; the others get theirs all the same.
      this.#waiting.unshift(...some);
      if (this.#waiting.length > 0) setImmediate(() => this.#deliver());
      else this.#rest();
    }
  }

  #rest(): void {
    this.#isScheduled = false;
    for (const resolve of this.#onIdle.splice(0)) resolve();
  }
}
