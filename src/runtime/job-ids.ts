/** New job ids: UUIDs of version 7, which sort by time, and within a millisecond by the order of enqueue. */
import { randomFillSync } from 'node:crypto';
import { v7 as uuidv7 } from 'uuid';

const UUID_BYTES = 16;
/** Where the groups of a UUID's text begin, each but the first behind a dash. */
const TEXT_LENGTH = 36;
const DASHES: ReadonlySet<number> = new Set([8, 13, 18, 23]);
const HEX = Buffer.from('0123456789abcdef', 'latin1');

export class JobIds {
  /** Random bytes for many ids: asking the system for each takes longer than all the rest of an id. */
  readonly #random = Buffer.alloc(256 * UUID_BYTES);
  #used = this.#random.length;
  /** Those of the next id: a copy, for a view of a part would take longer to make. */
  readonly #own = Buffer.alloc(UUID_BYTES);
  readonly #bytes = Buffer.alloc(UUID_BYTES);
  readonly #text = Buffer.alloc(TEXT_LENGTH, '-');

  /** @param sequence The job's own. */
  next(now: number, sequence: number): string {
    if (this.#used === this.#random.length) {
      randomFillSync(this.#random);
      this.#used = 0;
    }
    for (let i = 0; i < UUID_BYTES; i++) this.#own[i] = this.#random[this.#used++] ?? 0;
    uuidv7({ random: this.#own, msecs: now, seq: sequence % 2 ** 32 }, this.#bytes);
    return this.#format();
  }

  /** In one piece: a text that is put together from parts is copied wherever it becomes a part of a key. */
  #format(): string {
    let at = 0;
    for (let i = 0; i < UUID_BYTES; i++) {
      const byte = this.#bytes[i] ?? 0;
      if (DASHES.has(at)) at++;
      this.#text[at++] = HEX[byte >>> 4] ?? 0;
      this.#text[at++] = HEX[byte & 15] ?? 0;
    }
    return this.#text.toString('latin1');
  }
}
