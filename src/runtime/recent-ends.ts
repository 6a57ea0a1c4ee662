/**
 * The jobs that ended last. Whoever asks for a result right after an enqueue learns from here that the job is still
 * to come, or what it came to, and the journal need not be read.
 */
import type { Job } from '../job/record.js';

const SIZE = 1_000;
/** A job with more payload and result than this is read from the journal, so that this stays small. */
const MAX_KEPT_BYTES = 4_096;

export class RecentEnds {
  readonly #ids: string[] = [];
  readonly #jobs = new Map<string, Job | undefined>();
  #count = 0;

  /** How many ends there were: says later what happened since. */
  get count(): number {
    return this.#count;
  }

  add(job: Job): void {
    const { spec, status } = job;
    const at = this.#count++ % SIZE;
    const oldest = this.#ids[at];
    if (oldest !== undefined) this.#jobs.delete(oldest);
    this.#ids[at] = spec.id;
    const bytes = spec.payload.byteLength + (status.result?.byteLength ?? 0);
    this.#jobs.set(spec.id, bytes <= MAX_KEPT_BYTES ? job : undefined);
  }

  /**
   * What is known of a job that had not ended when `count` was that.
   * @returns the job as it ended; `'open'`, when it has not; `undefined` where only the journal can tell.
   */
  since(count: number, id: string): Job | 'open' | undefined {
    if (this.#count - count > SIZE) return undefined;
    return this.#jobs.has(id) ? this.#jobs.get(id) : 'open';
  }
}
