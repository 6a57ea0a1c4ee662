/** Puts new jobs together: what they are asked to have, and for the rest what their type or the engine says. */
import { instantAfter } from '../checks.js';
import type { Clock } from '../clock.js';
import { isInstance, MillraceError } from '../errors.js';
import { acceptEncoded, acceptPayload } from '../job/payload.js';
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

  /**
   * A job of a payload that nobody has looked at: that is checked, encoded, and, where it is large, written to its file.
   * Then the job must be committed, or {@link discard}ed.
   * @param id By default one that no other job has.
   * @returns a promise where the type's schema gave one, or there is a file to be written: the engine may have closed when
   *   it resolves.
   * @throws PayloadInvalidError
   */
  make(
    type: JobTypeSettings,
    payload: unknown,
    own: JobOwn,
    id?: string,
  ): Draft<JobSpec> | Promise<Draft<JobSpec>> {
    return this.#stored(type, acceptPayload(type, payload), own, id);
  }

  /** The same for a payload that is encoded already, such as one that came from a thread. */
  makeOfEncoded(
    type: JobTypeSettings,
    payload: Uint8Array,
    own: JobOwn,
    id?: string,
  ): Draft<JobSpec> | Promise<Draft<JobSpec>> {
    return this.#stored(type, acceptEncoded(type, payload), own, id);
  }

  /** These are not committed after all, and certainly never were. */
  discard(specs: readonly JobSpec[]): void {
    this.#links.journal.discardPayloads(specs);
  }

  /** They were not enqueued for that reason; where it is that a write failed, they may be there all the same. */
  discardAfter(thrown: unknown, specs: readonly JobSpec[]): void {
    const isInDoubt = isInstance(thrown, MillraceError) && thrown.code === 'MILLRACE_JOURNAL_WRITE_FAILED';
    if (!isInDoubt) this.discard(specs);
  }

  #stored(
    type: JobTypeSettings,
    payload: Uint8Array | Promise<Uint8Array>,
    own: JobOwn,
    id: string | undefined,
  ): Draft<JobSpec> | Promise<Draft<JobSpec>> {
    const { journal } = this.#links;
    return payload instanceof Promise
      ? payload.then((accepted) => journal.storePayload(this.specOf(type, accepted, own, id)))
      : journal.storePayload(this.specOf(type, payload, own, id));
  }

  /**
   * @param payload Accepted for the type, and small, or to be kept in the record whatever it takes.
   * @param id By default one that no other job has.
   */
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
    if (type.version > 1) spec.payloadVersion = type.version;
    if (own.uniqueKey !== undefined) spec.uniqueKey = own.uniqueKey;
    if (own.uniqueWhile !== undefined) spec.uniqueWhile = own.uniqueWhile;
    if (own.concurrencyKey !== undefined) spec.concurrencyKey = own.concurrencyKey;
    return spec;
  }
}
