/** The changes that one step of a job, or of several, makes to the journal: all of them or none. */
import { encodeSpec, encodeStatus, type Job, type JobSpec, type JobStatus } from '../job/record.js';
import type { CountChange } from './counters.js';
import { seal } from './integrity.js';
import { placeOf, specKey, statusKey } from './keys.js';

export type Change = readonly [key: string, value: Uint8Array | undefined];

export class Transaction {
  readonly changes: Change[] = [];
  readonly counts: CountChange[] = [];
  /** The place keys among the changes, which the low-water marks must know of. */
  readonly places: string[] = [];
  #sync = false;

  /** Whether it must have reached the disk, and not just the operating system, to count as committed. */
  get sync(): boolean {
    return this.#sync;
  }

  /** Makes the commit last through a power cut. */
  withSync(): this {
    this.#sync = true;
    return this;
  }

  /** A new job, in the status that follows from its spec. */
  enqueue(spec: JobSpec, status: JobStatus): this {
    this.#put(specKey(spec.id), encodeSpec(spec));
    this.#place({ spec, status });
    this.counts.push({ queue: spec.queue, state: status.state, by: 1 });
    if (spec.durability === 'fsync') this.withSync();
    return this;
  }

  /**
   * A job's next status. A claim moves the job and leaves its stored status alone: what is marked as running
   * is, when the journal opens, an orphan in the status it had before.
   */
  move(spec: JobSpec, from: JobStatus, to: JobStatus): this {
    const left = placeOf({ spec, status: from });
    const place = placeOf({ spec, status: to });
    if (left?.key !== place?.key) {
      if (left) this.changes.push([left.key, undefined]);
      this.#place({ spec, status: to });
    }
    const isClaim = to.state === 'running' && from.state !== 'running';
    if (!isClaim) this.#put(statusKey(spec.id), encodeStatus(to));
    if (from.state !== to.state) {
      this.counts.push(
        { queue: spec.queue, state: from.state, by: -1 },
        { queue: spec.queue, state: to.state, by: 1 },
      );
    }
    return this;
  }

  /** A marker that no longer stands for a job: what is left when a job's own records are damaged. */
  forget(key: string): this {
    this.changes.push([key, undefined]);
    return this;
  }

  #place(job: Job): void {
    const place = placeOf(job);
    if (!place) return;
    this.#put(place.key, Buffer.from(place.value));
    this.places.push(place.key);
  }

  #put(key: string, value: Uint8Array): void {
    this.changes.push([key, seal(key, value)]);
  }
}
