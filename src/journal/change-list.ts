/**
 * A plain list of changes to the journal: the keys that are written, with their sealed values, and those that are
 * removed; by how much the queues' counters change; and which of the keys the low-water marks must know of. What a
 * change means is for others to say.
 */
import { JOB_STATES, type JobState } from '../job/record.js';
import { seal, sealBytes, sealText } from './integrity.js';
import { sealRoster } from './roster.js';

/** By how much the number of jobs in each state changes, in the order of {@link JOB_STATES}. */
export type CountChange = number[];

export class ChangeList {
  /** The keys that change; `undefined` among the values removes one. */
  readonly keys: string[] = [];
  readonly values: (Uint8Array | undefined)[] = [];
  /** By queue. */
  readonly counts = new Map<string, CountChange>();
  /** The keys of places and rosters among the changes, which the low-water marks must know of. */
  readonly places: string[] = [];

  /** @param value Sealed. */
  put(key: string, value: Uint8Array): this {
    this.keys.push(key);
    this.values.push(value);
    return this;
  }

  /** @param record Encoded, with room for its checksum. */
  putRecord(key: string, record: Uint8Array): this {
    return this.put(key, seal(key, record));
  }

  putBytes(key: string, bytes: Uint8Array): this {
    return this.put(key, sealBytes(key, bytes));
  }

  putText(key: string, text: string): this {
    return this.put(key, sealText(key, text));
  }

  /** A text under a key that sorts among those behind a low-water mark. */
  putPlace(key: string, text: string): this {
    this.putText(key, text);
    this.places.push(key);
    return this;
  }

  /** The ids that stay on a roster. */
  keepRoster(key: string, ids: readonly string[]): this {
    this.put(key, sealRoster(key, ids));
    this.places.push(key);
    return this;
  }

  /** Removes a key that no longer stands for a job. */
  forget(key: string): this {
    this.keys.push(key);
    this.values.push(undefined);
    return this;
  }

  /** There is one job more, or less, of the queue in the state. */
  count(queue: string, state: JobState, by: 1 | -1): void {
    let change = this.counts.get(queue);
    if (!change) {
      change = JOB_STATES.map(() => 0);
      this.counts.set(queue, change);
    }
    const at = JOB_STATES.indexOf(state);
    change[at] = (change[at] ?? 0) + by;
  }
}
