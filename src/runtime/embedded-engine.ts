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
import { hasEnded, isEnd, type Job, type JobCounts, type JobState } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import type { Announcer } from './announcer.js';
import { Drain } from './drain.js';
import { composeParts, type EngineParts, type Parts } from './engine-parts.js';
import { enqueueStream, type StreamOptions } from './enqueue-stream.js';
import type { Executor } from './executor.js';
import { Handle, jobNotFound, type JobAccess } from './handle.js';
import type { ImportLinks } from './import.js';
import type { EnqueueItem } from './intake.js';
import { tellMissedEnds } from './missed-ends.js';
import type { Notes } from './notes.js';
import { Outage } from './outage.js';
import type { Pauses } from './pauses.js';
import { sweepPayloads } from './payload-sweep.js';
import { recover } from './recovery.js';
import type { Requests } from './requests.js';
import type { ScheduleControl } from './schedule-control.js';
import { strayQueues, strayTypes } from './strays.js';

export class EmbeddedEngine implements JobAccess {
  readonly #own: EngineParts;
  readonly #parts: Parts;
  readonly #outage: Outage;
  readonly #drain: Drain;
  /** What happened while the engine opened, told once somebody can listen. */
  #news: (() => void)[] = [];
  #hasBegun = false;
  /** The journal says so: if the process dies, it has crashed. */
  #isAtWork = false;
  #reporting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(own: EngineParts) {
    this.#own = own;
    const { journal, clock, announcer } = own;
    const onWarning = (error: MillraceError): void => this.#warn(error);
    this.#drain = new Drain({
      isActive: () => isActive(journal) || this.#parts.releaser.isBusy,
      onDrained: () => announcer.drained(),
    });
    this.#outage = new Outage({
      clock,
      suspend: async () => {
        const { executor, backlog } = this.#parts;
        await Promise.all([executor.suspend(), backlog.stop(), this.#stopLoops()]);
      },
      reopen: (error) => this.#reopen(error),
      resume: () => this.#resume(),
      giveUp: (error) => this.executor.giveUp(error),
      onWarning,
    });
    this.#parts = composeParts(own, {
      outage: () => this.#outage,
      mayClaim: () => this.#hasBegun && !this.#closing && !this.#outage.error,
      isClosing: () => this.#closing !== undefined,
      refusal: () => this.#refusal(),
      assertWritable: () => this.#assertWritable(),
      assertOpen: () => this.#assertOpen(),
      placed: (job, place) => this.#placed(job, place),
      onPass: () => this.#drain.check(this.executor.size === 0),
      onWarning,
      handleOf: (name, id, endsBefore) => this.handle(name, id, endsBefore),
      read: (id) => this.#existing(id),
      cancel: (id) => this.cancel(id),
    });
    journal.onCorrupt = onWarning;
    journal.onFailure = (error) => this.#outage.begin(error);
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

  /** Makes orphans available again, and stores the schedules that the code declares. */
  async recover(): Promise<void> {
    const { journal, clock, announcer, settings } = this.#own;
    const hasCrashed = await journal.hasCrashed();
    // Of a type that the code does not know nothing runs, and so nothing fails.
    const maxCrashesOf = (name: string): number => settings.types.get(name)?.maxCrashes ?? Infinity;
    const { jobs, damaged } = await recover(journal, clock.now(), {
      maxCrashesOf: hasCrashed ? maxCrashesOf : undefined,
    });
    await this.#parts.suspects.load();
    if (!hasCrashed) await journal.noteWork(true);
    this.#isAtWork = true;
    for (const error of [...damaged, ...strayQueues(journal, settings.queues)]) this.#warn(error);
    for (const job of jobs) {
      this.#news.push(() => tellRecovered(announcer, job));
    }
    await this.pauses.load();
    await this.#parts.rates?.load();
    await this.#parts.scheduling.declare();
    this.#drain.notice();
  }

  /** Starts to work. By now listeners have had the chance to subscribe. */
  begin(): void {
    if (this.#closing) return;
    this.#hasBegun = true;
    for (const tell of this.#news.splice(0)) tell();
    if (!this.#outage.error) this.#startLoops();
    this.#reporting = this.#reportStrays();
  }

  get schedules(): ScheduleControl {
    return this.#parts.scheduling.control;
  }

  /** There may be room or jobs that were not there before. */
  wake(): void {
    this.#parts.dispatcher.wake();
  }

  enqueue(name: string, payload: unknown, options?: EnqueueOptions): Promise<Handle> {
    const refusal = this.#refusal();
    return refusal ? Promise.reject(refusal) : this.#parts.intake.enqueue(name, payload, options);
  }

  enqueueMany(items: readonly EnqueueItem[]): Promise<Handle[]> {
    this.#assertWritable();
    return this.#parts.intake.enqueueMany(items);
  }

  enqueueStream(
    items: AsyncIterable<EnqueueItem> | Iterable<EnqueueItem>,
    { signal }: StreamOptions,
  ): Promise<number> {
    const enqueueMany = (chunk: readonly EnqueueItem[], first: number): Promise<Handle[]> => {
      this.#assertWritable();
      return this.#parts.intake.enqueueMany(chunk, first, signal);
    };
    return enqueueStream(items, enqueueMany, {
      signal,
      portion: this.#parts.entrance && (() => this.#parts.intake.portion()),
    });
  }

  enqueueFlow(flow: AnyFlow, id: string | undefined): Promise<Record<string, Handle>> {
    this.#assertWritable();
    return this.#parts.flows.enqueue(flow, id);
  }

  /** @param endsBefore See {@link Handle}. */
  handle(name: string, id: string, endsBefore?: number): Handle {
    return new Handle(this, name, id, endsBefore);
  }

  /** @param endsBefore See {@link Handle}. */
  result(id: string, signal?: AbortSignal, endsBefore?: number): Promise<unknown> {
    const { results } = this.#own.announcer;
    return results.wait(id, () => this.#awaited(id), signal, this.#closing ? undefined : endsBefore);
  }

  progress(id: string): AsyncIterable<unknown> {
    return this.#own.announcer.results.progress(id, () => this.#existing(id));
  }

  async snapshot(id: string): Promise<JobSnapshot | undefined> {
    this.#assertOpen();
    return this.#parts.views.snapshot(id);
  }

  async logs(id: string): Promise<JobLogLine[]> {
    this.#assertOpen();
    return this.#parts.views.logs(id);
  }

  /** Also while the engine closes, as long as the journal can be read. */
  explain(id: string): Promise<Explanation> {
    return this.#parts.explainer.explain(id);
  }

  async counts(queue?: string): Promise<JobCounts> {
    this.#assertOpen();
    if (queue !== undefined) checkQueueName(queue, this.#own.settings.queues, 'queue');
    return this.#own.journal.counts(queue);
  }

  async isPaused(queue?: string): Promise<boolean> {
    this.#assertOpen();
    return this.pauses.isPaused(queue);
  }

  /** @see JobEngine.jobs */
  jobs(filter: JobFilter = {}): AsyncGenerator<JobSnapshot, undefined> {
    this.#assertOpen();
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
    this.#assertOpen();
    try {
      return await change();
    } finally {
      // Whatever came of it: jobs were held meanwhile, and no pass could take them.
      this.wake();
    }
  }

  drain(): Promise<void> {
    this.#assertOpen();
    return this.#drain.wait();
  }

  /**
   * @param timeoutMs How long running jobs may take to finish on their own.
   * @param isEnd Whether the process ends with it, so that nobody who waits is to be told anything.
   */
  close(timeoutMs: number, isEnd = false): Promise<void> {
    this.#closing ??= this.#close(timeoutMs, isEnd);
    return this.#closing;
  }

  async #close(timeoutMs: number, isEnd: boolean): Promise<void> {
    const { journal, pools, announcer, clock } = this.#own;
    // From here on the process is about to end, and whoever ends it sooner means no job. Where it cannot be written, the
    // journal has said so.
    if (this.#isAtWork) void journal.noteWork(false).catch(() => {});
    this.#parts.entrance?.close(closedError());
    await this.#stopLoops();
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(resolve, timeoutMs);
      void this.executor.whenIdle().then(() => {
        timer.cancel();
        resolve();
      });
    });
    await this.#outage.stop();
    this.executor.shutDown();
    await this.executor.whenIdle();
    this.notes.stop();
    await Promise.all([
      pools.thread.close(),
      pools.inline.close(),
      this.#parts.backlog.stop(),
      this.#reporting,
    ]);
    try {
      await journal.close();
      // Who awaits what is committed hears of that, and not that the engine is closed.
      await announcer.results.deliveries.whenIdle();
    } finally {
      // Last of all: whoever leaves this rejection unhandled ends the process, and by now that does no harm.
      if (!isEnd) {
        const error = closedError();
        announcer.results.close(error);
        this.#drain.close(error);
      }
    }
  }

  async #reportStrays(): Promise<void> {
    const { journal, settings } = this.#own;
    const strays = await strayTypes(journal, settings.queues.keys(), settings.types);
    // A journal that was closed meanwhile could not be read.
    if (!this.#closing) for (const error of strays) this.#warn(error);
    const isStopped = (): boolean => this.#closing !== undefined || journal.failure !== undefined;
    await sweepPayloads(journal, isStopped, (error) => this.#warn(error));
  }

  #warn(error: MillraceError): void {
    const { announcer } = this.#own;
    if (this.#hasBegun) announcer.warning(error);
    else this.#news.push(() => announcer.warning(error));
  }

  /** A committed job: from here on somebody looks after it. */
  #placed(job: Job, place?: string): void {
    const { state, runAt } = job.status;
    this.#parts.suspects.note(job);
    if (job.spec.deadlineAt !== undefined && !isEnd(state)) this.#parts.expirer.notice(job.spec.deadlineAt);
    if (state === 'available' || state === 'running') this.#drain.notice(true);
    if (state === 'available') this.#parts.backlog.add(job, place);
    else if (runAt !== undefined) this.#parts.stager.notice(runAt);
    else {
      this.#parts.pruner.notice(job);
      this.#parts.scheduling.notice(job);
      this.#parts.releaser.notice(job);
    }
    this.wake();
  }

  async #existing(id: string): Promise<Job> {
    this.#assertOpen();
    const job = await this.#own.journal.job(id);
    if (job instanceof MillraceError) throw job;
    if (job) return job;
    throw jobNotFound(id);
  }

  /** A job whose end somebody waits for; while the journal cannot be read for an outage, until that is over. */
  async #awaited(id: string): Promise<Job> {
    for (;;) {
      try {
        return await this.#existing(id);
      } catch (thrown) {
        if (!this.#outage.error || this.#closing) throw thrown;
        await this.#outage.over();
      }
    }
  }

  /** What was in memory may have been ahead of the disk: from here on the engine goes by what the disk holds. */
  async #reopen(error: MillraceError): Promise<void> {
    const { journal, clock, announcer } = this.#own;
    await journal.reopen();
    const { executor } = this;
    const isLive = (id: string, claim: number): boolean => executor.isLive(id, claim);
    const { jobs, damaged, claims } = await recover(journal, clock.now(), { isLive });
    await this.#parts.suspects.load();
    if (!this.#closing) await journal.noteWork(true);
    for (const one of damaged) this.#warn(one);
    for (const job of jobs) if (hasEnded(job.status)) announcer.cancelled(job);
    await this.#parts.idle.settleDoubts();
    await tellMissedEnds(journal, announcer.results, (id) => executor.has(id));
    await executor.resume(claims, error);
    await this.pauses.load();
    await this.#parts.scheduling.reload();
  }

  #resume(): void {
    this.#drain.notice();
    this.#parts.entrance?.wake();
    if (!this.#closing) this.#startLoops();
  }

  async #stopLoops(): Promise<void> {
    this.#parts.suspects.stop();
    const loops = [
      this.#parts.scheduling,
      this.#parts.releaser,
      this.#parts.stager,
      this.#parts.expirer,
      this.#parts.pruner,
      this.#parts.compactor,
      this.#parts.sweeper,
    ];
    await Promise.all(loops.map((loop) => loop.stop()));
  }

  /** By what the journal holds now. */
  #startLoops(): void {
    // Not awaited by open(): a long backlog must not make it slow. It never rejects.
    void this.#parts.backlog.load();
    this.#parts.stager.start();
    this.#parts.expirer.start();
    this.#parts.scheduling.start();
    this.#parts.releaser.start();
    this.#parts.compactor.start();
    this.#parts.sweeper.start();
    this.#parts.pruner.start();
    this.wake();
  }

  /** Why nothing can be changed now. */
  #refusal(): MillraceError | undefined {
    return this.#closing ? closedError() : this.#outage.error;
  }

  #assertWritable(): void {
    const refusal = this.#refusal();
    if (refusal) throw refusal;
  }

  #assertOpen(): void {
    if (this.#closing) throw closedError();
  }
}

function isActive(journal: Journal): boolean {
  const { available, running } = journal.counts();
  return available + running > 0;
}

function closedError(): MillraceError {
  return new MillraceError(
    'MILLRACE_CLOSED',
    'The engine is closed, or closing; what was enqueued runs after the next open()',
  );
}

function tellRecovered(announcer: Announcer, job: Job): void {
  // No attempt of it errored since: what it failed with is its own.
  if (job.status.state === 'failed') announcer.settled(job, job);
  else if (hasEnded(job.status)) announcer.cancelled(job);
  else announcer.rescued(job);
}
