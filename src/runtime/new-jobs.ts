/** Puts new jobs together: what they are asked to have, and for the rest what their type or the engine says. */
import { instantAfter } from '../checks.js';
import type { Clock } from '../clock.js';
import type { Draft, JobOwn, JobSpec } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import type { JobTypeSettings } from '../job-options.js';
import type { Settings } from '../options.js';
import { JobIds } from './job-ids.js';

export interface NewJobsLinks {
  readonly settings: Settings;
  readonly journal: Journal;
  readonly clock: Clock;
}

export class NewJobs {
  readonly #links: NewJobsLinks;
  readonly #ids = new JobIds();

  constructor(links: NewJobsLinks) {
    this.#links = links;
  }

  /** An id that no other job has. */
  newId(): string {
    const { clock, journal } = this.#links;
    return this.#ids.next(clock.now(), journal.nextSequence());
  }

  /** @param id By default one that no other job has. */
  specOf(type: JobTypeSettings, payload: Uint8Array, own: JobOwn, id?: string): Draft<JobSpec> {
    const { settings, journal, clock } = this.#links;
    const enqueuedAt = clock.now();
    const sequence = journal.nextSequence();
    const spec: Draft<JobSpec> = {
      id: id ?? this.#ids.next(enqueuedAt, sequence),
      name: type.name,
      queue: own.queue ?? type.queue,
      priority: own.priority ?? type.priority,
      sequence,
      enqueuedAt,
      durability: own.durability ?? settings.durability,
      payload,
    };
    // Field by field, as few jobs have any, and this is done for each.
    if (own.runAt !== undefined) spec.runAt = own.runAt;
    if (own.maxAttempts !== undefined) spec.maxAttempts = own.maxAttempts;
    if (own.timeoutMs !== undefined) spec.timeoutMs = own.timeoutMs;
    const expiresInMs = own.expiresInMs ?? type.expiresInMs;
    if (own.deadlineAt !== undefined) spec.deadlineAt = own.deadlineAt;
    else if (expiresInMs !== undefined) spec.deadlineAt = instantAfter(enqueuedAt, expiresInMs);
    return spec;
  }
}
