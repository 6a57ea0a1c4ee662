/** What callers do to jobs from outside: cancel them, in whatever state they are. */
import type { Clock } from '../clock.js';
import { MillraceError } from '../errors.js';
import { hasEnded, isEnd, type JobState } from '../job/record.js';
import { cancelled } from '../job/transitions.js';
import type { Executor } from './executor.js';
import { jobNotFound } from './handle.js';
import type { IdleJobs } from './idle-jobs.js';

export interface ControlLinks {
  readonly clock: Clock;
  readonly executor: Executor;
  readonly idle: IdleJobs;
  /** Throws where nothing can be changed now. */
  readonly assertWritable: () => void;
}

export class Control {
  readonly #links: ControlLinks;

  constructor(links: ControlLinks) {
    this.#links = links;
  }

  /** @returns the state that resulted. */
  async cancel(id: string): Promise<JobState> {
    const { executor, assertWritable } = this.#links;
    for (;;) {
      assertWritable();
      // An outcome that was on its way into the journal may have left the job another attempt.
      const state = executor.has(id) ? await executor.cancel(id) : await this.#cancelIdle(id);
      if (state && isEnd(state)) return state;
    }
  }

  /** @returns nothing where it was claimed meanwhile. */
  async #cancelIdle(id: string): Promise<JobState | undefined> {
    const { clock, idle } = this.#links;
    const { reads, changed, running } = await idle.change([id], {
      decide: ({ status }) => (hasEnded(status) ? undefined : cancelled(status, clock.now())),
    });
    if (running.length > 0) return undefined;
    const read = reads.get(id);
    if (read instanceof MillraceError) throw read;
    const job = changed.get(id) ?? read;
    if (!job) throw jobNotFound(id);
    return job.status.state;
  }
}
