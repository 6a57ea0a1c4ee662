/**
 * The embedded engine: what `Millrace` does, without its types. It passes each request to the part whose duty it
 * is, and each part's news to whoever needs it.
 */
import { checkQueueName } from '../checks.js';
import type { Clock } from '../clock.js';
import { checkFilter, type JobCriteria, type JobFilter } from '../job-filter.js';
import type { CancelOptions, JobLogLine, JobSnapshot } from '../job-handle.js';
import { asError, MillraceError } from '../errors.js';
import type { AnyFlow } from '../flow.js';
import type { Explanation } from '../explanation.js';
import { decodeNotes, type JobNotes } from '../job/notes.js';
import { isPayloadLost } from '../job/payload-file.js';
import { hasEnded, isEnd, type Job, type JobCounts, type JobState } from '../job/record.js';
import { KEPT_FOR_EVER } from '../job/retention.js';
import type { Journal } from '../journal/journal.js';
import { notesKey } from '../journal/keys.js';
import type { Transaction } from '../journal/transaction.js';
import type { EnqueueOptions } from '../job-options.js';
import type { Settings } from '../options.js';
import type { Pool } from '../pool/contract.js';
import type { Announcer } from './announcer.js';
import { Alarm } from './alarm.js';
import { Arrivals } from './arrivals.js';
import { ArrivingIds } from './arriving-ids.js';
import { Backlog } from './backlog.js';
import { Compactor } from './compactor.js';
import { Control } from './control.js';
import { Dispatcher } from './dispatcher.js';
import { Drain } from './drain.js';
import { enqueueStream, type StreamOptions } from './enqueue-stream.js';
import { Entrance } from './entrance.js';
import { Executor, type NewClaim } from './executor.js';
import { Explainer } from './explain.js';
import { Expirer } from './expirer.js';
import { FailureHooks } from './failure-hooks.js';
import { FollowUps } from './follow-ups.js';
import { Holds } from './holds.js';
import { Flows } from './flows.js';
import { Handle, jobNotFound, type JobAccess } from './handle.js';
import { IdleJobs } from './idle-jobs.js';
import { JobSearch } from './job-search.js';
import type { ImportLinks } from './import.js';
import { Intake, type EnqueueItem } from './intake.js';
import { tellMissedEnds } from './missed-ends.js';
import { KeySweeper } from './key-sweeper.js';
import { NewJobs } from './new-jobs.js';
import { Notes } from './notes.js';
import { Outage } from './outage.js';
import { Pauses } from './pauses.js';
import { Preparation } from './preparation.js';
import { Pruner } from './pruner.js';
import { RateLimits } from './rate-limits.js';
import { recover } from './recovery.js';
import { bytesOf } from './remover.js';
import { Retries } from './retries.js';
import { Requests } from './requests.js';
import type { ScheduleControl } from './schedule-control.js';
import { Scheduling } from './scheduling.js';
import { Releaser } from './releaser.js';
import { logOf, snapshotOf } from './snapshot.js';
import { SingleArrivals } from './single-arrivals.js';
import { Stager } from './stager.js';
import { strayQueues, strayTypes } from './strays.js';
import { Suspects } from './suspects.js';
import { UniqueKeys } from './unique-keys.js';
import { heldUntil } from '../job/uniqueness.js';

/** How many threads libuv gives to file access, LevelDB and native work of the whole process; read once, as libuv does. */
const LIBUV_POOL_SIZE = Number(process.env['UV_THREADPOOL_SIZE']) || 4;

export interface EngineParts {
  readonly settings: Settings;
  readonly journal: Journal;
  readonly clock: Clock;
  readonly announcer: Announcer;
  readonly pools: Readonly<Record<'thread' | 'inline', Pool>>;
  /** Job types that work on libuv's pool, which the journal's commits need, too. */
  readonly nativeTypes: ReadonlySet<string>;
  /** In [0, 1), for the backoff's jitter. */
  readonly random: () => number;
  /** How many jobs of a type are kept in memory per queue; small where a test wants queues that are longer. */
  readonly windowSize?: number;
}

export class EmbeddedEngine implements JobAccess {
  readonly executor: Executor;
  readonly pauses: Pauses;
  readonly requests: Requests;
  readonly notes: Notes;
  readonly imports: ImportLinks;
  readonly #parts: EngineParts;
  readonly #holds = new Holds();
  readonly #intake: Intake;
  readonly #backlog: Backlog;
  readonly #suspects: Suspects;
  readonly #dispatcher: Dispatcher;
  readonly #stager: Stager;
  readonly #expirer: Expirer;
  readonly #scheduling: Scheduling;
  readonly #pruner: Pruner;
  readonly #flows: Flows;
  readonly #releaser: Releaser;
  readonly #compactor: Compactor;
  readonly #sweeper: KeySweeper;
  readonly #idle: IdleJobs;
  readonly #search: JobSearch;
  readonly #control: Control;
  readonly #outage: Outage;
  readonly #explainer: Explainer;
  readonly #drain: Drain;
  /** Absent where no rate is limited. */
  readonly #rates: RateLimits | undefined;
  /** Absent where no queue has a bound. */
  readonly #entrance: Entrance | undefined;
  /** What happened while the engine opened, told once somebody can listen. */
  #news: (() => void)[] = [];
  #hasBegun = false;
  /** The journal says so: if the process dies, it has crashed. */
  #isAtWork = false;
  #reporting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: EngineParts) {
    this.#parts = parts;
    const { settings, journal, clock, announcer, random } = parts;
    this.#drain = new Drain({
      isActive: () => isActive(journal) || this.#releaser.isBusy,
      onDrained: () => announcer.drained(),
    });
    const isHeld = (id: string): boolean => this.#holds.has(id);
    const onWarning = (error: MillraceError): void => this.#warn(error);
    this.#rates = RateLimits.of(settings, { journal, clock });
    const rates = this.#rates;
    this.#backlog = new Backlog({
      journal,
      clock,
      queues: settings.queues.values(),
      selection: settings.selection,
      typeConcurrency: new Map(
        [...settings.types.values()].map(({ name, concurrency }) => [name, concurrency]),
      ),
      nativeTypes: parts.nativeTypes,
      nativeConcurrency: Math.max(1, LIBUV_POOL_SIZE - 1),
      isPaused: (queue) => this.pauses.holds(queue),
      rates,
      windowSize: parts.windowSize,
      onRefill: () => this.wake(),
      onWarning,
    });
    const placed = (job: Job): void => this.#placed(job);
    const assertWritable = (): void => this.#assertWritable();
    const preparation = new Preparation({ journal, clock, onWarning });
    this.executor = new Executor({
      journal,
      clock,
      preparation,
      announcer,
      retries: new Retries({ random, onWarning }),
      backlog: this.#backlog,
      rates,
      onSettled: placed,
      commitFollowUps: (attempt, change) => followUps.commit(attempt, change),
      onFollowUps: (attempt) => followUps.committed(attempt),
    });
    const hooks = new FailureHooks(settings.types, journal, onWarning);
    announcer.onFailed = (job, error) => hooks.failed(job, error);
    this.pauses = new Pauses({
      journal,
      queues: settings.queues,
      durability: settings.durability,
      whenClaimed: () => this.executor.whenClaimed(),
      onResumed: () => this.wake(),
      assertWritable,
    });
    const alarm = new Alarm(clock);
    this.#stager = new Stager({
      journal,
      clock,
      alarm,
      // After a power cut a job may be listed as available as well, and be about to be claimed for that.
      isHeld: (id) => isHeld(id) || this.executor.has(id),
      onPromoted: placed,
      onWarning,
    });
    const retentionOf = (name: string) => settings.types.get(name)?.retention ?? KEPT_FOR_EVER;
    this.#compactor = new Compactor({ journal, onWarning });
    const onRemoved = (id: string, bytes: number): void => this.#compactor.removed(id, bytes);
    const onPass = (): void => {
      this.#compactor.begin();
      this.#sweeper.sweep();
    };
    const holds = this.#holds;
    this.#pruner = new Pruner({ journal, clock, holds, retentionOf, onRemoved, onPass, onWarning });
    this.#suspects = new Suspects({
      journal,
      clock,
      executor: this.executor,
      onWarning,
      wake: () => this.wake(),
    });
    this.#dispatcher = new Dispatcher({
      backlog: this.#backlog,
      executor: this.executor,
      preparation,
      suspects: this.#suspects,
      types: settings.types,
      pools: parts.pools,
      isHeld,
      mayClaim: () => this.#hasBegun && !this.#closing && !this.#outage.error,
      onPass: () => this.#drain.check(this.executor.size === 0),
    });
    const onAccepted = (job: Job, place: string | undefined): void => {
      const until = job.spec.uniqueKey === undefined ? undefined : heldUntil(job.spec);
      if (until !== undefined) this.#sweeper.notice(until);
      announcer.enqueued(job);
      this.#placed(job, place);
    };
    const { results } = announcer;
    const handleOf = (name: string, id: string, endsBefore?: number): Handle =>
      this.handle(name, id, endsBefore);
    const claimNew = (job: Job, record: Uint8Array, change: Transaction): NewClaim | undefined => {
      const start = this.#dispatcher.startNew(job);
      return start && this.executor.claimNew(start, job, record, change);
    };
    const arriving = new ArrivingIds();
    const arrivals = new Arrivals({ journal, clock, results, onAccepted, claimNew, handleOf });
    const newJobs = new NewJobs({ settings, journal, clock });
    const isOpen = (): boolean => !this.#refusal() && !journal.failure;
    this.#entrance = Entrance.of(settings.queues.values(), { journal, isOpen });
    const entrance = this.#entrance;
    const followUps = new FollowUps({
      journal,
      clock,
      settings,
      newJobs,
      arrivals,
      arriving,
      onAccepted,
      onWarning,
    });
    const outage = (): MillraceError | undefined => this.#outage.error;
    this.requests = new Requests({ journal, executor: this.executor, followUps, outage });
    this.notes = new Notes({ journal, clock, executor: this.executor, outage });
    const keys = new UniqueKeys({ journal, clock, arriving });
    this.#sweeper = new KeySweeper({ journal, clock, arriving, keys, onWarning });
    const onImported = (job: Job, place: string | undefined): void => {
      if (!hasEnded(job.status)) onAccepted(job, place);
      if (job.status.state === 'waiting') this.#releaser.look();
    };
    this.imports = { journal, settings, arriving, keys, onImported, onWarning };
    this.#idle = new IdleJobs({
      journal,
      announcer,
      backlog: this.#backlog,
      executor: this.executor,
      stager: this.#stager,
      holds: this.#holds,
      onChanged: (job, before) => {
        this.#pruner.left(before);
        placed(job);
      },
      onRemoved: (job) => this.#removed(job),
      assertWritable,
    });
    this.#releaser = new Releaser({
      journal,
      clock,
      idle: this.#idle,
      onPass: () => this.wake(),
      onWarning,
    });
    const singles = new SingleArrivals({
      journal,
      clock,
      arrivals,
      arriving,
      newJobs,
      keys,
      idle: this.#idle,
      executor: this.executor,
      handleOf,
      entrance,
      wake: () => this.wake(),
    });
    this.#intake = new Intake({ clock, settings, newJobs, arrivals, singles, entrance, assertWritable });
    this.#flows = new Flows({ journal, clock, arrivals, arriving, newJobs, intake: this.#intake, handleOf });
    const { executor } = this;
    this.#expirer = new Expirer({
      journal,
      clock,
      alarm,
      idle: this.#idle,
      executor,
      onFreed: () => this.wake(),
      onWarning,
    });
    const assertOpen = (): void => this.#assertOpen();
    this.#search = new JobSearch({ journal, executor, clock, onWarning, assertOpen });
    this.#control = new Control({
      clock,
      executor,
      idle: this.#idle,
      search: this.#search,
      keys,
      assertWritable,
    });
    this.#scheduling = new Scheduling({
      settings,
      journal,
      clock,
      newJobs,
      alarm,
      arrivals,
      arriving,
      onWarning,
      cancel: (id) => this.cancel(id),
      assertWritable,
      assertOpen,
    });
    this.#outage = new Outage({
      clock,
      suspend: async () =>
        void (await Promise.all([this.executor.suspend(), this.#backlog.stop(), this.#stopLoops()])),
      reopen: (error) => this.#reopen(error),
      resume: () => this.#resume(),
      giveUp: (error) => this.executor.giveUp(error),
      onWarning,
    });
    this.#explainer = new Explainer({
      ...parts,
      backlog: this.#backlog,
      executor: this.executor,
      holds: this.#holds,
      outage: this.#outage,
      pauses: this.pauses,
      suspects: this.#suspects,
      rates,
      isClosing: () => this.#closing !== undefined,
    });
    journal.onCorrupt = onWarning;
    journal.onFailure = (error) => this.#outage.begin(error);
  }

  /** Makes orphans available again, and stores the schedules that the code declares. */
  async recover(): Promise<void> {
    const { journal, clock, announcer, settings } = this.#parts;
    const hasCrashed = await journal.hasCrashed();
    // Of a type that the code does not know nothing runs, and so nothing fails.
    const maxCrashesOf = (name: string): number => settings.types.get(name)?.maxCrashes ?? Infinity;
    const { jobs, damaged } = await recover(journal, clock.now(), {
      maxCrashesOf: hasCrashed ? maxCrashesOf : undefined,
    });
    await this.#suspects.load();
    if (!hasCrashed) await journal.noteWork(true);
    this.#isAtWork = true;
    for (const error of [...damaged, ...strayQueues(journal, settings.queues)]) this.#warn(error);
    for (const job of jobs) {
      this.#news.push(() => tellRecovered(announcer, job));
    }
    await this.pauses.load();
    await this.#rates?.load();
    await this.#scheduling.declare();
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
    return this.#scheduling.control;
  }

  /** There may be room or jobs that were not there before. */
  wake(): void {
    this.#dispatcher.wake();
  }

  enqueue(name: string, payload: unknown, options?: EnqueueOptions): Promise<Handle> {
    const refusal = this.#refusal();
    return refusal ? Promise.reject(refusal) : this.#intake.enqueue(name, payload, options);
  }

  enqueueMany(items: readonly EnqueueItem[]): Promise<Handle[]> {
    this.#assertWritable();
    return this.#intake.enqueueMany(items);
  }

  enqueueStream(
    items: AsyncIterable<EnqueueItem> | Iterable<EnqueueItem>,
    { signal }: StreamOptions,
  ): Promise<number> {
    const enqueueMany = (chunk: readonly EnqueueItem[], first: number): Promise<Handle[]> => {
      this.#assertWritable();
      return this.#intake.enqueueMany(chunk, first, signal);
    };
    return enqueueStream(items, enqueueMany, {
      signal,
      portion: this.#entrance && (() => this.#intake.portion()),
    });
  }

  enqueueFlow(flow: AnyFlow, id: string | undefined): Promise<Record<string, Handle>> {
    this.#assertWritable();
    return this.#flows.enqueue(flow, id);
  }

  /** @param endsBefore See {@link Handle}. */
  handle(name: string, id: string, endsBefore?: number): Handle {
    return new Handle(this, name, id, endsBefore);
  }

  /** @param endsBefore See {@link Handle}. */
  result(id: string, signal?: AbortSignal, endsBefore?: number): Promise<unknown> {
    const { results } = this.#parts.announcer;
    return results.wait(id, () => this.#awaited(id), signal, this.#closing ? undefined : endsBefore);
  }

  progress(id: string): AsyncIterable<unknown> {
    return this.#parts.announcer.results.progress(id, () => this.#existing(id));
  }

  async snapshot(id: string): Promise<JobSnapshot | undefined> {
    this.#assertOpen();
    const running = this.executor.running(id);
    if (running) return this.#snapshotOf(running.job, running.stopping, running.notes);
    const job = await this.#parts.journal.job(id);
    if (job instanceof MillraceError) throw job;
    if (!job?.status.hasNotes) return job && this.#snapshotOf(job, false);
    const notes = await this.#notesOf(job);
    // That what it told of itself is damaged hides nothing else of it.
    if (notes instanceof MillraceError) this.#warn(notes);
    return this.#snapshotOf(job, false, notes instanceof MillraceError ? undefined : notes);
  }

  async #snapshotOf(
    { spec, status }: Job,
    stopping: boolean,
    notes?: JobNotes,
  ): Promise<JobSnapshot | undefined> {
    if (!spec.payloadFile) return snapshotOf({ spec, status }, stopping, notes);
    const { journal } = this.#parts;
    try {
      const payload = await journal.payloadOf(spec);
      return snapshotOf({ spec: { ...spec, payload }, status }, stopping, notes);
    } catch (thrown) {
      // It may have been removed meanwhile, and its payload with it.
      if ((await journal.job(spec.id)) === undefined) return undefined;
      throw thrown;
    }
  }

  async logs(id: string): Promise<JobLogLine[]> {
    this.#assertOpen();
    const running = this.executor.running(id);
    if (running) return logOf(running.notes ?? {});
    const notes = await this.#notesOf(await this.#existing(id));
    if (notes instanceof MillraceError) throw notes;
    return logOf(notes);
  }

  /** What a job that is not running has told of itself. */
  async #notesOf({ spec, status }: Job): Promise<JobNotes | MillraceError> {
    if (!status.hasNotes) return {};
    const [record] = await this.#parts.journal.records([notesKey(spec.id)]);
    return record === undefined || record instanceof MillraceError ? (record ?? {}) : decodeNotes(record);
  }

  /** Also while the engine closes, as long as the journal can be read. */
  explain(id: string): Promise<Explanation> {
    return this.#explainer.explain(id);
  }

  async counts(queue?: string): Promise<JobCounts> {
    this.#assertOpen();
    if (queue !== undefined) checkQueueName(queue, this.#parts.settings.queues, 'queue');
    return this.#parts.journal.counts(queue);
  }

  async isPaused(queue?: string): Promise<boolean> {
    this.#assertOpen();
    return this.pauses.isPaused(queue);
  }

  /** @see JobEngine.jobs */
  jobs(filter: JobFilter = {}): AsyncGenerator<JobSnapshot, undefined> {
    this.#assertOpen();
    return this.#found(checkFilter(filter));
  }

  async *#found(criteria: JobCriteria): AsyncGenerator<JobSnapshot, undefined> {
    for await (const found of this.#search.pages(criteria))
      for (const { job, stopping } of found) {
        const snapshot = job.spec.payloadFile ? await this.#listed(job, stopping) : snapshotOf(job, stopping);
        if (snapshot) yield snapshot;
      }
  }

  /** One whose payload is lost must not keep the others from being listed. */
  async #listed(job: Job, stopping: boolean): Promise<JobSnapshot | undefined> {
    try {
      return await this.#snapshotOf(job, stopping);
    } catch (thrown) {
      if (!isPayloadLost(thrown)) throw thrown;
      this.#warn(thrown);
      return snapshotOf(job, stopping);
    }
  }

  cancel(id: string, options?: CancelOptions): Promise<JobState>;
  cancel(job: string | JobFilter, options?: CancelOptions): Promise<JobState | number>;
  cancel(job: string | JobFilter, options?: CancelOptions): Promise<JobState | number> {
    return this.#controlled(() => this.#control.cancel(job, options));
  }

  retry(job: string | JobFilter): Promise<JobState | number> {
    return this.#controlled(() => this.#control.retry(job));
  }

  promote(job: string | JobFilter): Promise<JobState | number> {
    return this.#controlled(() => this.#control.promote(job));
  }

  async remove(job: string | JobFilter): Promise<boolean | number> {
    try {
      return await this.#controlled(() => this.#control.remove(job));
    } finally {
      this.#compactor.begin();
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
    const { journal, pools, announcer, clock } = this.#parts;
    // From here on the process is about to end, and whoever ends it sooner means no job. Where it cannot be written, the
    // journal has said so.
    if (this.#isAtWork) void journal.noteWork(false).catch(() => {});
    this.#entrance?.close(closedError());
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
    await Promise.all([pools.thread.close(), pools.inline.close(), this.#backlog.stop(), this.#reporting]);
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
    const { journal, settings } = this.#parts;
    const strays = await strayTypes(journal, settings.queues.keys(), settings.types);
    // A journal that was closed meanwhile could not be read.
    if (!this.#closing) for (const error of strays) this.#warn(error);
    await this.#sweepPayloads();
  }

  /** Removes the files of payloads that an earlier process has left without a job. */
  async #sweepPayloads(): Promise<void> {
    const { journal } = this.#parts;
    const isStopped = (): boolean => this.#closing !== undefined || journal.failure !== undefined;
    const isReferredTo = async (id: string, name: string): Promise<boolean> => {
      const job = await journal.job(id);
      // A record that is damaged may.
      return job instanceof MillraceError || job?.spec.payloadFile?.name === name;
    };
    try {
      await journal.payloadFiles?.sweep(isReferredTo, isStopped);
    } catch (thrown) {
      // It is done again after the next start.
      if (isStopped()) return;
      const cause = asError(thrown);
      const message = `Payloads without jobs could not be looked for, and are after the next start: ${cause.message}`;
      this.#warn(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
    }
  }

  #warn(error: MillraceError): void {
    const { announcer } = this.#parts;
    if (this.#hasBegun) announcer.warning(error);
    else this.#news.push(() => announcer.warning(error));
  }

  /** A committed job: from here on somebody looks after it. */
  #placed(job: Job, place?: string): void {
    const { state, runAt } = job.status;
    this.#suspects.note(job);
    if (job.spec.deadlineAt !== undefined && !isEnd(state)) this.#expirer.notice(job.spec.deadlineAt);
    if (state === 'available' || state === 'running') this.#drain.notice(true);
    if (state === 'available') this.#backlog.add(job, place);
    else if (runAt !== undefined) this.#stager.notice(runAt);
    else {
      this.#pruner.notice(job);
      this.#scheduling.notice(job);
      this.#releaser.notice(job);
    }
    this.wake();
  }

  /** A job that was taken away, and that is committed. */
  #removed(job: Job): void {
    this.#pruner.left(job);
    this.#compactor.removed(job.spec.id, bytesOf(job));
    this.#scheduling.noticeRemoved(job);
    if (job.spec.uniqueKey !== undefined) this.#sweeper.notice(this.#parts.clock.now());
    // Who waits for it waits no more.
    if (job.spec.isParent) this.#releaser.look();
  }

  async #existing(id: string): Promise<Job> {
    this.#assertOpen();
    const job = await this.#parts.journal.job(id);
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
    const { journal, clock, announcer } = this.#parts;
    await journal.reopen();
    const { executor } = this;
    const isLive = (id: string, claim: number): boolean => executor.isLive(id, claim);
    const { jobs, damaged, claims } = await recover(journal, clock.now(), { isLive });
    await this.#suspects.load();
    if (!this.#closing) await journal.noteWork(true);
    for (const one of damaged) this.#warn(one);
    for (const job of jobs) if (hasEnded(job.status)) announcer.cancelled(job);
    await this.#idle.settleDoubts();
    await tellMissedEnds(journal, announcer.results, (id) => executor.has(id));
    await executor.resume(claims, error);
    await this.pauses.load();
    await this.#scheduling.reload();
  }

  #resume(): void {
    this.#drain.notice();
    this.#entrance?.wake();
    if (!this.#closing) this.#startLoops();
  }

  async #stopLoops(): Promise<void> {
    this.#suspects.stop();
    const loops = [
      this.#scheduling,
      this.#releaser,
      this.#stager,
      this.#expirer,
      this.#pruner,
      this.#compactor,
      this.#sweeper,
    ];
    await Promise.all(loops.map((loop) => loop.stop()));
  }

  /** By what the journal holds now. */
  #startLoops(): void {
    // Not awaited by open(): a long backlog must not make it slow. It never rejects.
    void this.#backlog.load();
    this.#stager.start();
    this.#expirer.start();
    this.#scheduling.start();
    this.#releaser.start();
    this.#compactor.start();
    this.#sweeper.start();
    this.#pruner.start();
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
