/** Cancels the jobs of a schedule that a tick of its waits for, where its overlap policy says so. */
import { asError, MillraceError } from '../errors.js';
import { obstacles } from '../schedule/progress.js';
import type { EndedRun, Schedule } from '../schedule/record.js';
import { uncancelled } from './schedule-warnings.js';

export interface ObstaclesLinks {
  readonly cancel: (id: string) => Promise<unknown>;
  /** A job will not be heard of again. */
  readonly onGone: (name: string, run: EndedRun) => void;
  readonly onWarning: (error: MillraceError) => void;
}

export class Obstacles {
  readonly #links: ObstaclesLinks;

  constructor(links: ObstaclesLinks) {
    this.#links = links;
  }

  /** The tick has its job when they have ended. */
  remove(schedule: Schedule): void {
    for (const id of obstacles(schedule)) void this.#cancel(schedule.name, id);
  }

  async #cancel(name: string, id: string): Promise<void> {
    const { cancel, onGone, onWarning } = this.#links;
    try {
      await cancel(id);
    } catch (thrown) {
      const cause = asError(thrown);
      const code = cause instanceof MillraceError ? cause.code : undefined;
      // The engine closes, or the journal is opened again: then it is cancelled after the next start.
      if (code === 'MILLRACE_CLOSED' || code === 'MILLRACE_JOURNAL_WRITE_FAILED') return;
      if (code !== 'MILLRACE_JOB_NOT_FOUND') onWarning(uncancelled(name, id, cause));
      // Nor must it stand in the way for ever.
      onGone(name, { jobId: id, outcome: 'unknown' });
    }
  }
}
