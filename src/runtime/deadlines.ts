/**
 * Has what runs stop at its job's deadline. It goes by the attempts in memory alone, and so also while the engine closes, and
 * while the journal cannot be read. What has not started is the expirer's.
 */
import type { Clock } from '../clock.js';
import { deadlineOf, type Job } from '../job/record.js';
import type { Alarm, Bell } from './alarm.js';
import type { Attempt } from './attempt.js';
import type { Attempts } from './attempts.js';

export interface DeadlinesLinks {
  readonly clock: Clock;
  readonly alarm: Alarm;
  readonly attempts: Attempts;
  /** The attempt's deadline has come, and nothing else stopped it before. */
  readonly onOverdue: (attempt: Attempt) => void;
}

export class Deadlines {
  readonly #links: DeadlinesLinks;
  readonly #bell: Bell;
  /** No deadline of an attempt that is to be stopped comes before. */
  #nextAt = Infinity;

  constructor(links: DeadlinesLinks) {
    this.#links = links;
    // What runs keeps the process alive where anything does; its deadline alone does not.
    this.#bell = links.alarm.bell(() => this.#look(), { keepsAlive: false });
  }

  /** An attempt of the job goes on from here, and nothing has told it to stop. */
  watch(job: Job): void {
    this.#wait(deadlineOf(job));
  }

  /** Everything was told to stop. */
  stop(): void {
    this.#nextAt = Infinity;
    this.#bell.set(Infinity);
  }

  #wait(at: number | undefined): void {
    if (at === undefined || at >= this.#nextAt) return;
    this.#nextAt = at;
    this.#bell.set(at);
  }

  /** All attempts: they are no more than run at once, and nobody has to keep those with a deadline apart. */
  #look(): void {
    const { clock, attempts, onOverdue } = this.#links;
    this.#nextAt = Infinity;
    const now = clock.now();
    let nextAt = Infinity;
    for (const attempt of attempts.all()) {
      const { job, outcome, stopReason } = attempt;
      const at = job && !outcome && !stopReason ? deadlineOf(job) : undefined;
      if (at === undefined) continue;
      if (at <= now) onOverdue(attempt);
      else nextAt = Math.min(nextAt, at);
    }
    this.#wait(nextAt);
  }
}
