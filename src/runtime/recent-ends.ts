/**
 * The jobs that ended last. Whoever asks for a result right after an enqueue learns from here that the job is still
 * to come, or what it came to, and the journal need not be read.
 */
import type { Job } from '../job/record.js';

const SIZE = 1_000;
/** A job with more payload and result than this is read from the journal, so that this stays small. */
const MAX_KEPT_BYTES = 4_096;

interface End {
  /** Which end it was. */
  readonly number: number;
  /** Absent where the job is too large to be kept. */
  readonly job: Job | undefined;
}

export class RecentEnds {
  readonly #ids: string[] = [];
  readonly #ends = new Map<string, End>();
  #count = 0;

  /** How many ends there were: says later what happened since. */
  get count(): number {
    return this.#count;
  }

  add(job: Job): void {
    const number = this.#count++;
    const at = number % SIZE;
    const oldest = this.#ids[at];
    // A job can end twice, and its later end is younger.
    if (oldest !== undefined && this.#ends.get(oldest)?.number === number - SIZE) this.#ends.delete(oldest);
    this.#ids[at] = job.spec.id;
    this.#ends.set(job.spec.id, { number, job: kept(job) });
  }

  /**
   * What is known of a job that had not ended when `count` was that.
   * @returns the job as it ended; `'open'`, when it has not; `undefined` where only the journal can tell.
   */
  since(count: number, id: string): Job | 'open' | undefined {
    if (this.#count - count > SIZE) return undefined;
    const end = this.#ends.get(id);
    return end ? end.job : 'open';
  }
}

/** The job with a result of its own: that of a thread is a view of all answers of a message. */
function kept(job: Job): Job | undefined {
  const { spec, status } = job;
  const { result, errors } = status;
  if (errors || spec.payload.byteLength + (result?.byteLength ?? 0) > MAX_KEPT_BYTES) return undefined;
  if (!result || result.buffer.byteLength <= MAX_KEPT_BYTES) return job;
  return { spec, status: { ...status, result: new Uint8Array(result) } };
}
