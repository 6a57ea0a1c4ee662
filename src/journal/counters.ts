/** How many jobs each queue has in each state: exact, because a change travels in the batch of what it counts. */
import { pack, unpack } from '../job/packer.js';
import { JOB_STATES, type JobCounts } from '../job/record.js';
import type { CountChange } from './change-list.js';
import { sealBytes, unsealBytes } from './integrity.js';
import { COUNTERS_SPAN, countersKey } from './keys.js';
import type { Store, StoreBatch } from './store.js';

export const noJobs = (): JobCounts => Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as JobCounts;

export class Counters {
  readonly #committed = new Map<string, JobCounts>();
  /** The counts as they are once the batch that is being written has been. */
  #writing = new Map<string, JobCounts>();

  static async load(store: Store): Promise<Counters> {
    const counters = new Counters();
    const entries = await store.page({ ...COUNTERS_SPAN, limit: Number.MAX_SAFE_INTEGER });
    for (const { key, value } of entries) {
      // Safe for bytes whose checksum held: addTo() made them.
      const counts = unpack(unsealBytes(key, value)) as JobCounts;
      counters.#committed.set(key.slice(COUNTERS_SPAN.from.length), counts);
    }
    return counters;
  }

  /** Takes changes into the batch that is being made. */
  change(changes: ReadonlyMap<string, CountChange>): void {
    for (const [queue, change] of changes) {
      let counts = this.#writing.get(queue);
      if (!counts) {
        counts = { ...(this.#committed.get(queue) ?? noJobs()) };
        this.#writing.set(queue, counts);
      }
      for (const [i, state] of JOB_STATES.entries()) counts[state] += change[i] ?? 0;
    }
  }

  /** Adds the counters that changed to the batch that is being made. */
  addTo(batch: StoreBatch): void {
    for (const [queue, counts] of this.#writing) {
      const key = countersKey(queue);
      batch.put(key, sealBytes(key, pack(counts)));
    }
  }

  /** The batch is on disk: from now on it counts. */
  written(): void {
    for (const [queue, counts] of this.#writing) this.#committed.set(queue, counts);
    this.#writing = new Map();
  }

  queues(): string[] {
    return [...this.#committed.keys()];
  }

  of(queue: string): JobCounts {
    return { ...(this.#committed.get(queue) ?? noJobs()) };
  }

  total(): JobCounts {
    const total = noJobs();
    for (const counts of this.#committed.values()) {
      for (const state of JOB_STATES) total[state] += counts[state];
    }
    return total;
  }
}
