/** A job that was enqueued, as its caller holds it: everything is asked of the engine, by the job's id. */
import type { JobHandle, JobSnapshot } from './engine.js';
import { MillraceError } from './errors.js';
import type { JobState } from './job/record.js';
import type { EmbeddedEngine } from './runtime/embedded-engine.js';

export class Handle<Name extends string, Result> implements JobHandle<Name, Result> {
  readonly id: string;
  readonly name: Name;
  readonly #engine: EmbeddedEngine;
  /** How many jobs had ended when this one was acknowledged by this engine. */
  readonly #endsBefore: number | undefined;

  constructor(engine: EmbeddedEngine, name: Name, id: string, endsBefore?: number) {
    this.#engine = engine;
    this.name = name;
    this.id = id;
    this.#endsBefore = endsBefore;
  }

  result({ signal }: { signal?: AbortSignal } = {}): Promise<Result> {
    // The result was encoded by the handler of this name, whose result type this is.
    return this.#engine.result(this.id, signal, this.#endsBefore) as Promise<Result>;
  }

  progress(): AsyncIterable<unknown> {
    return this.#engine.progress(this.id);
  }

  cancel(): Promise<JobState> {
    return this.#engine.cancel(this.id);
  }

  async snapshot(): Promise<JobSnapshot> {
    const snapshot = await this.#engine.snapshot(this.id);
    if (snapshot) return snapshot;
    throw new MillraceError(
      'MILLRACE_JOB_NOT_FOUND',
      `There is no job ${this.id}: it never was, or is no longer kept`,
    );
  }
}
