/** A job that was enqueued, as its caller holds it: everything is asked of the engine, by the job's id. */
import { checkSignal } from '../checks.js';
import type { Explanation } from '../explanation.js';
import type { CancelOptions, JobHandle, JobSnapshot } from '../job-handle.js';
import { MillraceError, show } from '../errors.js';
import type { JobState } from '../job/record.js';

/** What a handle asks of the engine. */
export interface JobAccess {
  /** @param name Rejects where the job is of another. */
  result(id: string, signal?: AbortSignal, endsBefore?: number, name?: string): Promise<unknown>;
  progress(id: string, signal?: AbortSignal, name?: string): AsyncIterable<unknown>;
  /** Rejects where the job is of another name. */
  assertNamed(id: string, name: string): Promise<void>;
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

  result(options?: { signal?: AbortSignal }): Promise<unknown> {
    let signal: AbortSignal | undefined;
    try {
      signal = checkSignal(options);
    } catch (thrown) {
      return Promise.reject(thrown);
    }
    // This very promise: one that nobody looks at is never an unhandled rejection.
    return this.#jobs.result(this.id, signal, this.#endsBefore, this.name);
  }

  progress(options?: { signal?: AbortSignal }): AsyncIterable<unknown> {
    return this.#jobs.progress(this.id, checkSignal(options), this.name);
  }

  async cancel(options?: CancelOptions): Promise<JobState> {
    // Whoever enqueued it knows what it is.
    if (this.#endsBefore === undefined) await this.#jobs.assertNamed(this.id, this.name);
    return this.#jobs.cancel(this.id, options);
  }

  async snapshot(): Promise<JobSnapshot> {
    const snapshot = await this.#jobs.snapshot(this.id);
    if (!snapshot) throw jobNotFound(this.id);
    assertName(this.id, this.name, snapshot.name);
    return snapshot;
  }

  async explain(): Promise<Explanation> {
    const explanation = await this.#jobs.explain(this.id);
    assertName(this.id, this.name, explanation.name);
    return explanation;
  }
}

/** @param known The name of the job that has the id. @throws MillraceError `MILLRACE_ID_CONFLICT` */
export function assertName(id: string, name: string, known: string): void {
  if (name === known) return;
  const message = `Expected the id ${show(id)} to be that of a job of ${name}, but it is a job of ${known}`;
  throw new MillraceError('MILLRACE_ID_CONFLICT', message);
}

export function jobNotFound(id: string): MillraceError {
  const message = `There is no job ${id}: it never was, or is no longer kept`;
  return new MillraceError('MILLRACE_JOB_NOT_FOUND', message);
}
