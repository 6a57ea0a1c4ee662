/**
 * Changes all jobs that a filter means: some hundreds in one commit, one commit after the other. A job that has changed
 * since it was found is changed only where the filter still means it.
 */
import { matches, type JobCriteria } from '../job-filter.js';
import { isEnd, type Job, type JobState, type JobStatus } from '../job/record.js';
import type { Executor } from './executor.js';
import type { IdleJobs, IdleResult } from './idle-jobs.js';
import type { JobSearch } from './job-search.js';

export interface BulkLinks {
  readonly search: JobSearch;
  readonly idle: IdleJobs;
  readonly executor: Executor;
}

/** How many jobs are changed in one commit, and about how many bytes of payloads are read for that. */
const BATCH = 300;
const BATCH_BYTES = 4 << 20;

/** What becomes of a job; nothing, where it stays as it is. */
export type Decide = (job: Job) => JobStatus | 'removed' | undefined;
/** Ends a job that runs. @returns what it came to. */
export type EndRunning = (id: string) => Promise<JobState>;

/** Changes jobs in one commit. */
export type Change = (ids: readonly string[], decide: Decide) => Promise<IdleResult>;

export class Bulk {
  readonly #links: BulkLinks;

  constructor(links: BulkLinks) {
    this.#links = links;
  }

  /**
   * @param end Absent where jobs that run stay as they are.
   * @param change By default that alone.
   * @returns how many were changed.
   */
  async change(criteria: JobCriteria, decide: Decide, end?: EndRunning, change?: Change): Promise<number> {
    const own: Decide = (job) => (matches(job, criteria) ? decide(job) : undefined);
    const run = new Run(this.#links, own, mayEnd(criteria) ? end : undefined, change);
    for await (const found of this.#links.search.pages(criteria)) {
      for (const { job } of found) await run.add(job);
    }
    return run.finish();
  }
}

/** One call. */
class Run {
  readonly #links: BulkLinks;
  readonly #decide: Decide;
  readonly #end: EndRunning | undefined;
  readonly #change: Change;
  /** Jobs that run and were asked to stop. */
  readonly #ending = new Set<Promise<void>>();
  #problem: { readonly thrown: unknown } | undefined;
  #ids: string[] = [];
  #bytes = 0;
  #count = 0;

  constructor(
    links: BulkLinks,
    decide: Decide,
    end: EndRunning | undefined,
    change: Change = (ids, own) => links.idle.change(ids, { decide: own }),
  ) {
    this.#links = links;
    this.#decide = decide;
    this.#end = end;
    this.#change = change;
  }

  async add(job: Job): Promise<void> {
    const { spec, status } = job;
    if (status.state === 'running' ? !this.#end : this.#decide(job) === undefined) return;
    this.#ids.push(spec.id);
    this.#bytes += spec.payload.byteLength + (status.result?.byteLength ?? 0);
    if (this.#ids.length >= BATCH || this.#bytes >= BATCH_BYTES) await this.#commit();
  }

  /** @throws what kept a batch, or the end of a job that ran, from being committed; all others are by then. */
  async finish(): Promise<number> {
    await this.#commit();
    await Promise.all(this.#ending);
    if (this.#problem) throw this.#problem.thrown;
    return this.#count;
  }

  async #commit(): Promise<void> {
    const ids = this.#ids;
    this.#ids = [];
    this.#bytes = 0;
    if (ids.length === 0) return;
    const { changed, removed, running } = await this.#change(ids, this.#decide);
    this.#count += changed.size + removed.size;
    const end = this.#end;
    if (!end) return;
    for (const id of running) {
      const ending = this.#endAndCount(id, end).finally(() => this.#ending.delete(ending));
      this.#ending.add(ending);
    }
  }

  /** It never rejects: what went wrong is told when all is done. */
  async #endAndCount(id: string, end: EndRunning): Promise<void> {
    try {
      const count = await this.#endOne(id, end);
      this.#count += count;
    } catch (thrown) {
      this.#problem ??= { thrown };
    }
  }

  async #endOne(id: string, end: EndRunning): Promise<number> {
    const { executor, idle } = this.#links;
    for (;;) {
      if (executor.has(id)) {
        // Somebody else is at it: then it is not by this that it ends.
        const isCounted = executor.running(id)?.job.status.cancelRequestedAt === undefined;
        const state = await end(id);
        if (isEnd(state)) return state === 'cancelled' && isCounted ? 1 : 0;
      }
      // It has another attempt to come, or had ended before.
      const { changed, running } = await idle.change([id], { decide: this.#decide });
      if (running.length === 0) return changed.size;
    }
  }
}

/** Whether a job that runs is meant, too. */
const mayEnd = ({ states }: JobCriteria): boolean => states === undefined || states.has('running');
