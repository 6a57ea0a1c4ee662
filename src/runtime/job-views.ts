/** Jobs as callers see them: each with its payload, which may lie in a file, and what it has told of itself. */
import { MillraceError } from '../errors.js';
import type { JobCriteria } from '../job-filter.js';
import type { JobLogLine, JobSnapshot } from '../job-handle.js';
import { decodeNotes, type JobNotes } from '../job/notes.js';
import { isPayloadLost } from '../job/payload-file.js';
import type { Job } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { notesKey } from '../journal/keys.js';
import type { Executor } from './executor.js';
import type { JobSearch } from './job-search.js';
import { logOf, snapshotOf } from './snapshot.js';

export interface JobViewsLinks {
  readonly journal: Journal;
  readonly executor: Executor;
  readonly search: JobSearch;
  /** The job, or a rejection that says why there is none. */
  readonly read: (id: string) => Promise<Job>;
  readonly onWarning: (error: MillraceError) => void;
}

export class JobViews {
  readonly #links: JobViewsLinks;

  constructor(links: JobViewsLinks) {
    this.#links = links;
  }

  /** @throws MillraceError where it cannot be read. */
  async snapshot(id: string): Promise<JobSnapshot | undefined> {
    const { journal, executor, onWarning } = this.#links;
    const running = executor.running(id);
    if (running) return this.#whole(running.job, running.stopping, running.notes);
    const job = await journal.job(id);
    if (job instanceof MillraceError) throw job;
    if (!job?.status.hasNotes) return job && this.#whole(job, false);
    const notes = await this.#notesOf(job);
    // That what it told of itself is damaged hides nothing else of it.
    if (notes instanceof MillraceError) onWarning(notes);
    return this.#whole(job, false, notes instanceof MillraceError ? undefined : notes);
  }

  async logs(id: string): Promise<JobLogLine[]> {
    const { executor, read } = this.#links;
    const running = executor.running(id);
    if (running) return logOf(running.notes ?? {});
    const notes = await this.#notesOf(await read(id));
    if (notes instanceof MillraceError) throw notes;
    return logOf(notes);
  }

  async *found(criteria: JobCriteria): AsyncGenerator<JobSnapshot, undefined> {
    for await (const found of this.#links.search.pages(criteria))
      for (const { job, stopping } of found) {
        const snapshot = job.spec.payloadFile ? await this.#listed(job, stopping) : snapshotOf(job, stopping);
        if (snapshot) yield snapshot;
      }
  }

  /** One whose payload is lost must not keep the others from being listed. */
  async #listed(job: Job, stopping: boolean): Promise<JobSnapshot | undefined> {
    try {
      return await this.#whole(job, stopping);
    } catch (thrown) {
      if (!isPayloadLost(thrown)) throw thrown;
      this.#links.onWarning(thrown);
      return snapshotOf(job, stopping);
    }
  }

  async #whole({ spec, status }: Job, stopping: boolean, notes?: JobNotes): Promise<JobSnapshot | undefined> {
    if (!spec.payloadFile) return snapshotOf({ spec, status }, stopping, notes);
    const { journal } = this.#links;
    try {
      const payload = await journal.payloadOf(spec);
      return snapshotOf({ spec: { ...spec, payload }, status }, stopping, notes);
    } catch (thrown) {
      // It may have been removed meanwhile, and its payload with it.
      if ((await journal.job(spec.id)) === undefined) return undefined;
      throw thrown;
    }
  }

  /** What a job that is not running has told of itself. */
  async #notesOf({ spec, status }: Job): Promise<JobNotes | MillraceError> {
    if (!status.hasNotes) return {};
    const [record] = await this.#links.journal.records([notesKey(spec.id)]);
    return record === undefined || record instanceof MillraceError ? (record ?? {}) : decodeNotes(record);
  }
}
