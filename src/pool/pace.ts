/**
 * How long the handlers of each job type take, as far as was measured. It decides which jobs are tiny: only those
 * share a message to a thread, for of each it is expected that it is soon over. And it tells when a thread will be
 * through with what it does.
 */

/** On average; a type that takes longer runs alone. */
const TINY_MS = 0.5;
/** Before so many attempts a type is not known. */
const MIN_SAMPLES = 5;
/**
 * The weight of the newest attempt. A single one of 200 ms among tiny ones makes its type slow for a hundred more,
 * while a thread that was not scheduled for a moment does not.
 */
const NEWEST = 0.02;

/** What is taken for its time where a thread did not live. */
const DISTRUSTED_MS = 100;

interface Measured {
  samples: number;
  meanMs: number;
}

export class Pace {
  readonly #types = new Map<string, Measured>();

  /** An attempt of the type is over. */
  note(name: string, tookMs: number): void {
    const type = this.#types.get(name);
    if (!type) {
      this.#types.set(name, { samples: 1, meanMs: tookMs });
      return;
    }
    type.samples++;
    const weight = Math.max(NEWEST, 1 / type.samples);
    type.meanMs += (tookMs - type.meanMs) * weight;
  }

  /** The thread of such a job did not live: for its next few hundred attempts the type is not tiny. */
  distrust(name: string): void {
    this.note(name, DISTRUSTED_MS / NEWEST);
  }

  /** What a job of the type is expected to take, or `undefined`: it is not known yet. */
  expectedMs(name: string): number | undefined {
    const type = this.#types.get(name);
    return type && type.samples >= MIN_SAMPLES ? type.meanMs : undefined;
  }

  /** What a job of a tiny type is expected to take; `undefined` of all others. */
  tinyMs(name: string): number | undefined {
    const expectedMs = this.expectedMs(name);
    return expectedMs !== undefined && expectedMs <= TINY_MS ? expectedMs : undefined;
  }
}
