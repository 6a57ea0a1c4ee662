/**
 * What callers do to jobs from outside: cancel, retry, promote and remove them, one by its id, or all that a filter means
 * (bulk.ts). Each is decided on by the state that the job has at that moment.
 */
import type { Clock } from '../clock.js';
import { MillraceError } from '../errors.js';
import { checkBulkFilter, checkCancel, type JobFilter } from '../job-filter.js';
import type { CancelOptions } from '../job-handle.js';
import { hasEnded, isEnd, type JobState } from '../job/record.js';
import { cancelled, promoted, retried } from '../job/transitions.js';
import type { Journal } from '../journal/journal.js';
import { Bulk, type Change, type Decide, type EndRunning } from './bulk.js';
import type { Executor } from './executor.js';
import { jobNotFound } from './handle.js';
import type { IdleJobs, IdleResult } from './idle-jobs.js';
import { isAwaited, openFlows } from './open-flows.js';
import type { JobSearch } from './job-search.js';
import type { UniqueKeys } from './unique-keys.js';

export interface ControlLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly executor: Executor;
  readonly idle: IdleJobs;
  readonly search: JobSearch;
  readonly keys: UniqueKeys;
  /** Throws where nothing can be changed now. */
  readonly assertWritable: () => void;
}

export class Control {
  readonly #links: ControlLinks;
  readonly #bulk: Bulk;

  constructor(links: ControlLinks) {
    this.#links = links;
    this.#bulk = new Bulk(links);
  }

  /** @returns the state that resulted; of a filter, how many jobs are cancelled by it. */
  async cancel(job: string | JobFilter, options: CancelOptions = {}): Promise<JobState | number> {
    const reason = checkCancel(options);
    const { clock, executor } = this.#links;
    const decide: Decide = ({ status }) =>
      hasEnded(status) ? undefined : cancelled(status, clock.now(), reason);
    if (typeof job !== 'string') return this.#all(job, decide, (id) => executor.cancel(id, reason));
    for (;;) {
      this.#links.assertWritable();
      // An outcome that was on its way into the journal may have left the job another attempt.
      const state = executor.has(job) ? await executor.cancel(job, reason) : await this.#change(job, decide);
      if (state !== undefined && state !== 'removed' && isEnd(state)) return state;
    }
  }

  /** A job whose unique key another one holds by now is refused; of a filter, it stays as it is. */
  async retry(job: string | JobFilter): Promise<JobState | number> {
    const { idle, keys } = this.#links;
    const decide: Decide = ({ spec, status }) =>
      status.state === 'failed' || status.state === 'cancelled'
        ? retried(status, spec.parents !== undefined)
        : undefined;
    const again = (ids: readonly string[], given: Decide) =>
      keys.again(ids, given, (own) => idle.change(ids, { decide: own }));
    if (typeof job !== 'string') {
      return this.#all(job, decide, undefined, async (ids, given) => (await again(ids, given)).value);
    }
    const { value, conflicts } = await again([job], decide);
    const conflict = conflicts.get(job);
    if (conflict) throw conflict;
    // Nothing that it is given here removes a job.
    return stateIn(value, job) as JobState;
  }

  promote(job: string | JobFilter): Promise<JobState | number> {
    return this.#each(job, ({ status }) =>
      status.state === 'scheduled' || status.state === 'retryable' ? promoted(status) : undefined,
    );
  }

  /** One whose result others of its flow may ask for is refused; of a filter, it stays as it is. */
  async remove(job: string | JobFilter): Promise<boolean | number> {
    const { idle, journal } = this.#links;
    let hasLeft = false;
    const change: Change = (ids, decide) => {
      let open: ReadonlySet<string>;
      return idle.change(ids, {
        look: async (reads) => void (open = await openFlows(journal, reads.values())),
        decide: (one) => {
          const next = decide(one);
          if (next === undefined || !isAwaited(one, open)) return next;
          hasLeft = true;
          return undefined;
        },
      });
    };
    const decide: Decide = () => 'removed';
    if (typeof job === 'string') {
      const state = stateIn(await change([job], decide), job, false);
      if (state === 'running') throw runs(job);
      if (hasLeft) throw awaited(job);
      return state === 'removed';
    }
    const count = await this.#all(job, decide, undefined, change);
    // Those that asked for them may have been removed behind them.
    return hasLeft ? count + (await this.#all(job, decide, undefined, change)) : count;
  }

  async #all(filter: JobFilter, decide: Decide, endRunning?: EndRunning, change?: Change): Promise<number> {
    const criteria = checkBulkFilter(filter);
    this.#links.assertWritable();
    return this.#bulk.change(criteria, decide, endRunning, change);
  }

  async #each(job: string | JobFilter, decide: Decide): Promise<JobState | number> {
    if (typeof job !== 'string') return this.#all(job, decide);
    const state = await this.#change(job, decide);
    // Nothing that it is given here removes a job.
    return state as JobState;
  }

  /**
   * @returns the state that resulted: `running` where it has an attempt, and stays as it is.
   */
  async #change(id: string, decide: Decide): Promise<JobState | 'removed' | undefined> {
    return stateIn(await this.#links.idle.change([id], { decide }), id);
  }
}

function runs(id: string): MillraceError {
  const message = `Job ${id} is running: cancel it first, or wait until it has ended`;
  return new MillraceError('MILLRACE_JOB_RUNNING', message);
}

function awaited(id: string): MillraceError {
  const message = `Job ${id} has completed, and jobs of its flow that have not ended may ask for its result: cancel them first, or wait until they have ended`;
  return new MillraceError('MILLRACE_JOB_AWAITED', message);
}

/** @returns the state that resulted, as {@link Control} tells it. */
function stateIn(
  { reads, changed, removed, running }: IdleResult,
  id: string,
  mustExist = true,
): JobState | 'removed' | undefined {
  if (running.length > 0) return 'running';
  if (removed.has(id)) return 'removed';
  const read = reads.get(id);
  if (read instanceof MillraceError) throw read;
  const job = changed.get(id) ?? read;
  if (!job && mustExist) throw jobNotFound(id);
  return job?.status.state;
}
