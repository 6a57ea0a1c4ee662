/** A job that was enqueued, as its caller holds it: everything is asked of the engine, by the job's id. */
import type { Explanation } from '../explanation.js';
import type { CancelOptions, JobHandle, JobSnapshot } from '../job-handle.js';
import { MillraceError } from '../errors.js';
import type { JobState } from '../job/record.js';

/** What a handle asks of the engine. */
export interface JobAccess {
  result(id: string, signal?: AbortSignal, endsBefore?: number): Promise<unknown>;
  progress(id: string): AsyncIterable<unknown>;
  cancel(id: string, options?: CancelOptions): Promise<JobState>;
  snapshot(id: string): Promise<JobSnapshot | undefined>;
  explain(id: string): Promise<Explanation>;
}

export class Handle implements JobHandle {
  readonly id: string;
  readonly name: string;
  readonly #jobs: JobAccess;
  readonly #endsBefore: number | undefined;

  /** @param endsBefore How many jobs had ended before this one could; absent where it may have ended long ago. */
  constructor(jobs: JobAccess, name: string, id: string, endsBefore?: number) {
    this.#jobs = jobs;
    this.name = name;
    this.id = id;
    this.#endsBefore = endsBefore;
  }

  result({ signal }: { signal?: AbortSignal } = {}): Promise<unknown> {
    return this.#jobs.result(this.id, signal, this.#endsBefore);
  }

  progress(): AsyncIterable<unknown> {
    return this.#jobs.progress(this.id);
  }

  cancel(options?: CancelOptions): Promise<JobState> {
    return this.#jobs.cancel(this.id, options);
  }

  async snapshot(): Promise<JobSnapshot> {
    const snapshot = await this.#jobs.snapshot(this.id);
    if (snapshot) return snapshot;
    throw jobNotFound(this.id);
  }

  explain(): Promise<Explanation> {
    return this.#jobs.explain(this.id);
  }
}

export function jobNotFound(id: string): MillraceError {
  const message = `There is no job ${id}: it never was, or is no longer kept`;
  return new MillraceError('MILLRACE_JOB_NOT_FOUND', message);
}
