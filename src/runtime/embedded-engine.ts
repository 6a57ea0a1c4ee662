/**
 * The embedded engine: what `Millrace` does, without its types. It passes each request to the part whose duty it
 * is, and each part's news to whoever needs it.
 */
import { checkQueueName } from '../checks.js';
import { MillraceError } from '../errors.js';
import type { Explanation } from '../explanation.js';
import type { AnyFlow } from '../flow.js';
import { checkFilter, type JobFilter } from '../job-filter.js';
import type { CancelOptions, JobLogLine, JobSnapshot } from '../job-handle.js';
import type { EnqueueOptions } from '../job-options.js';
import { isEnd, type Job, type JobCounts, type JobState } from '../job/record.js';
import { composeParts, type EngineParts, type Parts } from './engine-parts.js';
import type { Executor } from './executor.js';
import { assertName, Handle, jobNotFound, type JobAccess } from './handle.js';
import type { ImportLinks } from './import.js';
import type { EnqueueItem } from './intake.js';
import { Lifecycle } from './lifecycle.js';
import type { Notes } from './notes.js';
import type { Pauses } from './pauses.js';
import type { Requests } from './requests.js';
import type { ScheduleControl } from './schedule-control.js';
import type { Items } from './streams.js';

export class EmbeddedEngine implements JobAccess {
  readonly #own: EngineParts;
  readonly #parts: Parts;
  readonly #lifecycle: Lifecycle;

  constructor(own: EngineParts) {
    this.#own = own;
    const lifecycle = new Lifecycle(own, () => this.#parts);
    this.#lifecycle = lifecycle;
    this.#parts = composeParts(own, {
      outage: () => lifecycle.outage,
      mayClaim: () => lifecycle.mayClaim,
      isClosing: () => lifecycle.isClosing,
      refusal: () => lifecycle.refusal(),
      assertWritable: () => lifecycle.assertWritable(),
      assertOpen: () => lifecycle.assertOpen(),
      placed: (job, place) => this.#placed(job, place),
      onPass: () => lifecycle.drain.check(this.executor.size === 0),
      onWarning: (error) => lifecycle.warn(error),
      handleOf: (name, id, endsBefore) => this.handle(name, id, endsBefore),
      read: (id) => this.#existing(id),
      cancel: (id) => this.cancel(id),
    });
  }

  get executor(): Executor {
    return this.#parts.executor;
  }

  get pauses(): Pauses {
    return this.#parts.pauses;
  }

  get requests(): Requests {
    return this.#parts.requests;
  }

  get notes(): Notes {
    return this.#parts.notes;
  }

  get imports(): ImportLinks {
    return this.#parts.imports;
  }

  /** Whether anybody waits for what is yet to happen. */
  get isAwaited(): boolean {
    const { results } = this.#own.announcer;
    return results.isAwaited || this.#lifecycle.drain.isAwaited || this.#parts.entrance?.isAwaited === true;
  }

  /** Makes orphans available again, and stores the schedules that the code declares. */
  recover(): Promise<void> {
    return this.#lifecycle.recover();
  }

  /** Starts to work. By now listeners have had the chance to subscribe. */
  begin(): void {
    this.#lifecycle.begin();
  }

  get schedules(): ScheduleControl {
    return this.#parts.scheduling.control;
  }

  /** There may be room or jobs that were not there before. */
  wake(): void {
    this.#parts.dispatcher.wake();
  }

  enqueue(name: string, payload: unknown, options?: EnqueueOptions): Promise<Handle> {
    const refusal = this.#lifecycle.refusal();
    return refusal ? Promise.reject(refusal) : this.#parts.intake.enqueue(name, payload, options);
  }

  enqueueMany(items: readonly EnqueueItem[]): Promise<Handle[]> {
    this.#lifecycle.assertWritable();
    return this.#parts.intake.enqueueMany(items);
  }

  enqueueStream(items: Items, signal: AbortSignal | undefined): Promise<number> {
    return this.#parts.streams.enqueue(items, signal);
  }

  enqueueFlow(flow: AnyFlow, id: string | undefined): Promise<Record<string, Handle>> {
    this.#lifecycle.assertWritable();
    return this.#parts.flows.enqueue(flow, id);
  }

  /** @param endsBefore See {@link Handle}. */
  handle(name: string, id: string, endsBefore?: number): Handle {
    return new Handle(this, name, id, endsBefore);
  }

  /** @param endsBefore See {@link Handle}. */
  result(id: string, signal?: AbortSignal, endsBefore?: number, name?: string): Promise<unknown> {
    const { results } = this.#own.announcer;
    return results.wait(
      id,
      () => this.#awaited(id, name),
      signal,
      this.#lifecycle.isClosing ? undefined : endsBefore,
    );
  }

  progress(id: string, signal?: AbortSignal, name?: string): AsyncIterable<unknown> {
    return this.#own.announcer.results.progress(id, () => this.#existing(id, name), signal);
  }

  /** One that cannot be read, or is not there, is left to what is asked of it then. */
  async assertNamed(id: string, name: string): Promise<void> {
    this.#lifecycle.assertWritable();
    const job = this.executor.running(id)?.job ?? (await this.#own.journal.job(id));
    if (job && !(job instanceof MillraceError)) assertName(id, name, job.spec.name);
  }

  async snapshot(id: string): Promise<JobSnapshot | undefined> {
    this.#lifecycle.assertReadable();
    return this.#parts.views.snapshot(id);
  }

  async logs(id: string): Promise<JobLogLine[]> {
    this.#lifecycle.assertReadable();
    return this.#parts.views.logs(id);
  }

  async explain(id: string): Promise<Explanation> {
    this.#lifecycle.assertReadable();
    return this.#parts.explainer.explain(id);
  }

  async counts(queue?: string): Promise<JobCounts> {
    this.#lifecycle.assertReadable();
    if (queue !== undefined) checkQueueName(queue, this.#own.settings.queues, 'queue');
    return this.#own.journal.counts(queue);
  }

  async isPaused(queue?: string): Promise<boolean> {
    this.#lifecycle.assertOpen();
    return this.pauses.isPaused(queue);
  }

  /** @see JobEngine.jobs */
  jobs(filter: JobFilter = {}): AsyncGenerator<JobSnapshot, undefined> {
    this.#lifecycle.assertOpen();
    return this.#parts.views.found(checkFilter(filter));
  }

  cancel(id: string, options?: CancelOptions): Promise<JobState>;
  cancel(job: string | JobFilter, options?: CancelOptions): Promise<JobState | number>;
  cancel(job: string | JobFilter, options?: CancelOptions): Promise<JobState | number> {
    return this.#controlled(() => this.#parts.control.cancel(job, options));
  }

  retry(job: string | JobFilter): Promise<JobState | number> {
    return this.#controlled(() => this.#parts.control.retry(job));
  }

  promote(job: string | JobFilter): Promise<JobState | number> {
    return this.#controlled(() => this.#parts.control.promote(job));
  }

  async remove(job: string | JobFilter): Promise<boolean | number> {
    try {
      return await this.#controlled(() => this.#parts.control.remove(job));
    } finally {
      this.#parts.compactor.begin();
    }
  }

  async #controlled<Value>(change: () => Promise<Value>): Promise<Value> {
    this.#lifecycle.assertOpen();
    try {
      return await change();
    } finally {
      // Whatever came of it: jobs were held meanwhile, and no pass could take them.
      this.wake();
    }
  }

  drain(): Promise<void> {
    this.#lifecycle.assertOpen();
    return this.#lifecycle.drain.wait();
  }

  /**
   * @param timeoutMs How long running jobs may take to finish on their own.
   * @param isEnd Whether the process ends with it, so that nobody who waits is to be told anything.
   */
  close(timeoutMs: number, isEnd = false): Promise<void> {
    return this.#lifecycle.close(timeoutMs, isEnd);
  }

  /** A committed job: from here on somebody looks after it. */
  #placed(job: Job, place?: string): void {
    const { state, runAt } = job.status;
    this.#parts.suspects.note(job);
    if (job.spec.deadlineAt !== undefined && !isEnd(state)) this.#parts.expirer.notice(job.spec.deadlineAt);
    if (state === 'available' || state === 'running') this.#lifecycle.drain.notice(true);
    if (state === 'available') this.#parts.backlog.add(job, place);
    else if (runAt !== undefined) this.#parts.stager.notice(runAt);
    else {
      this.#parts.pruner.notice(job);
      this.#parts.scheduling.notice(job);
      this.#parts.releaser.notice(job);
    }
    this.wake();
  }

  /** @param name What it must be called; absent: anything. */
  async #existing(id: string, name?: string): Promise<Job> {
    this.#lifecycle.assertReadable();
    const job = await this.#own.journal.job(id);
    if (job instanceof MillraceError) throw job;
    if (!job) throw jobNotFound(id);
    if (name !== undefined) assertName(id, name, job.spec.name);
    return job;
  }

  /** A job whose end somebody waits for; while the journal cannot be read for an outage, until that is over. */
  async #awaited(id: string, name?: string): Promise<Job> {
    for (;;) {
      try {
        return await this.#existing(id, name);
      } catch (thrown) {
        const { outage } = this.#lifecycle;
        if (!outage.error) throw thrown;
        this.#lifecycle.assertOpen();
        await outage.over();
      }
    }
  }
}
