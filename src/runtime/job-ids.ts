/** New job ids: UUIDs of version 7, which sort by time, and within a millisecond by the order of enqueue. */
import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

const UUID_BYTES = 16;

export class JobIds {
  /** Random bytes for many ids: asking the system for each takes longer than all the rest of an id. */
  readonly #random = Buffer.alloc(256 * UUID_BYTES);
  #used = this.#random.length;

  /** @param sequence The job's own. */
  next(now: number, sequence: number): string {
    if (this.#used === this.#random.length) {
      randomFillSync(this.#random);
      this.#used = 0;
    }
    const random = this.#random.subarray(this.#used, this.#used + UUID_BYTES);
    this.#used += UUID_BYTES;
    return uuidv7({ random, msecs: now, seq: sequence % 2 ** 32 });
  }
}
