/**
 * An engine's life: its journal is recovered, its loops work, an outage of the journal stops them until it is over, and
 * in the end it is closed. It says what may be asked of the engine when.
 */
import { MillraceError } from '../errors.js';
import { hasEnded, type Job } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import type { Announcer } from './announcer.js';
import { Drain } from './drain.js';
import type { EngineParts, Parts } from './engine-parts.js';
import { tellMissedEnds } from './missed-ends.js';
import { Outage } from './outage.js';
import { sweepPayloads } from './payload-sweep.js';
import { recover } from './recovery.js';
import { strayQueues } from './strays.js';

export class Lifecycle {
  readonly #own: EngineParts;
  readonly #askParts: () => Parts;
  readonly outage: Outage;
  readonly drain: Drain;
  /** What happened while the engine opened, told once somebody can listen. */
  #news: (() => void)[] = [];
  #hasBegun = false;
  /** The journal says so: if the process dies, it has crashed. */
  #isAtWork = false;
  #reporting: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #isOver = false;

  /** @param parts To be asked for only once all are there. */
  constructor(own: EngineParts, parts: () => Parts) {
    this.#own = own;
    this.#askParts = parts;
    const { journal, clock, announcer } = own;
    const onWarning = (error: MillraceError): void => this.warn(error);
    this.drain = new Drain({
      isActive: () => isActive(journal) || this.#parts.releaser.isBusy,
      onDrained: () => announcer.drained(),
    });
    this.outage = new Outage({
      clock,
      suspend: async () => {
        const { executor, backlog } = this.#parts;
        await Promise.all([executor.suspend(), backlog.stop(), this.#stopLoops()]);
      },
      reopen: (error) => this.#reopen(error),
      resume: () => this.#resume(),
      giveUp: (error) => this.#parts.executor.giveUp(error),
      onWarning,
    });
    journal.onCorrupt = onWarning;
    journal.onFailure = (error) => this.outage.begin(error);
  }

  /** Whether attempts may start. */
  get mayClaim(): boolean {
    return this.#hasBegun && !this.isClosing && !this.outage.error;
  }

  get isClosing(): boolean {
    return this.#closing !== undefined;
  }

  /** Why nothing can be changed now. */
  refusal(): MillraceError | undefined {
    return this.#closing ? refusedError() : this.outage.error;
  }

  assertWritable(): void {
    const refusal = this.refusal();
    if (refusal) throw refusal;
  }

  assertOpen(): void {
    if (this.#closing) throw new MillraceError('MILLRACE_CLOSED', 'The engine is closed, or closing');
  }

  /** What is in the journal can be asked for until that is closed. */
  assertReadable(): void {
    if (this.#isOver) throw new MillraceError('MILLRACE_CLOSED', 'The engine is closed');
  }

  /** Makes orphans available again, and stores the schedules that the code declares. */
  async recover(): Promise<void> {
    const { journal, clock, announcer, settings } = this.#own;
    const hasCrashed = await journal.hasCrashed();
    // Of a type that the code does not know nothing runs, and so nothing fails.
    const maxCrashesOf = (name: string): number => settings.types.get(name)?.maxCrashes ?? Infinity;
    const { jobs, damaged, lost } = await recover(journal, clock.now(), {
      maxCrashesOf: hasCrashed ? maxCrashesOf : undefined,
    });
    await this.#parts.releaser.lost(lost);
    await this.#parts.suspects.load();
    if (!hasCrashed) await journal.noteWork(true);
    this.#isAtWork = true;
    for (const error of [...damaged, ...strayQueues(journal, settings.queues)]) this.warn(error);
    for (const job of jobs) {
      this.#news.push(() => tellRecovered(announcer, job));
    }
    await this.#parts.pauses.load();
    await this.#parts.rates?.load();
    await this.#parts.scheduling.declare();
    this.drain.notice();
  }

  /** Starts to work. By now listeners have had the chance to subscribe. */
  begin(): void {
    if (this.#closing) return;
    this.#hasBegun = true;
    for (const tell of this.#news.splice(0)) tell();
    if (!this.outage.error) this.#startLoops();
    this.#reporting = this.#reportStrays();
  }

  /**
   * @param timeoutMs How long running jobs may take to finish on their own.
   * @param isEnd Whether the process ends with it, so that nobody who waits is to be told anything.
   */
  close(timeoutMs: number, isEnd: boolean): Promise<void> {
    this.#closing ??= this.#close(timeoutMs, isEnd);
    return this.#closing;
  }

  warn(error: MillraceError): void {
    const { announcer } = this.#own;
    if (this.#hasBegun) announcer.warning(error);
    else this.#news.push(() => announcer.warning(error));
  }

  get #parts(): Parts {
    return this.#askParts();
  }

  async #close(timeoutMs: number, isEnd: boolean): Promise<void> {
    const { journal, pools, announcer, clock } = this.#own;
    // From here on the process is about to end, and whoever ends it sooner means no job. Where it cannot be written, the
    // journal has said so.
    if (this.#isAtWork) void journal.noteWork(false).catch(() => {});
    this.#parts.entrance?.close(refusedError());
    this.#parts.streams.close(refusedError());
    await this.#stopLoops();
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(resolve, timeoutMs);
      void this.#parts.executor.whenIdle().then(() => {
        timer.cancel();
        resolve();
      });
    });
    await this.outage.stop();
    this.#parts.executor.shutDown();
    await this.#parts.executor.whenIdle();
    this.#parts.notes.stop();
    await this.#parts.rates?.close();
    await Promise.all([
      pools.thread.close(),
      pools.inline.close(),
      this.#parts.backlog.stop(),
      this.#reporting,
    ]);
    this.#isOver = true;
    try {
      await journal.close();
      // Who awaits what is committed hears of that, and not that the engine is closed.
      await announcer.results.deliveries.whenIdle();
    } finally {
      // Last of all: whoever leaves this rejection unhandled ends the process, and by now that does no harm.
      if (!isEnd) {
        const error = endedError();
        announcer.results.close(error);
        this.drain.close(error);
      }
    }
  }

  async #reportStrays(): Promise<void> {
    const { journal } = this.#own;
    const isStopped = (): boolean => this.#closing !== undefined || journal.failure !== undefined;
    await this.#parts.strays.look(isStopped);
    await sweepPayloads(journal, isStopped, (error) => this.warn(error));
  }

  /** What was in memory may have been ahead of the disk: from here on the engine goes by what the disk holds. */
  async #reopen(error: MillraceError): Promise<void> {
    const { journal, clock, announcer } = this.#own;
    await journal.reopen();
    const { executor } = this.#parts;
    const isLive = (id: string, claim: number): boolean => executor.isLive(id, claim);
    const { jobs, damaged, lost, claims } = await recover(journal, clock.now(), { isLive });
    await this.#parts.releaser.lost(lost);
    await this.#parts.suspects.load();
    if (!this.#closing) await journal.noteWork(true);
    for (const one of damaged) this.warn(one);
    for (const job of jobs) if (hasEnded(job.status)) announcer.cancelled(job);
    await this.#parts.idle.settleDoubts();
    await tellMissedEnds(journal, announcer.results, (id) => executor.has(id));
    await executor.resume(claims, error);
    await this.#parts.pauses.load();
    await this.#parts.scheduling.reload();
  }

  #resume(): void {
    this.drain.notice();
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
    this.#parts.dispatcher.wake();
  }
}

function isActive(journal: Journal): boolean {
  const { available, running } = journal.counts();
  return available + running > 0;
}

function refusedError(): MillraceError {
  const message = 'The engine is closed, or closing: nothing was enqueued, or changed';
  return new MillraceError('MILLRACE_CLOSED', message);
}

function endedError(): MillraceError {
  const message = 'The engine was closed before that; what was enqueued runs after the next open()';
  return new MillraceError('MILLRACE_CLOSED', message);
}

function tellRecovered(announcer: Announcer, job: Job): void {
  // No attempt of it errored since: what it failed with is its own.
  if (job.status.state === 'failed') announcer.settled(job, job);
  else if (hasEnded(job.status)) announcer.cancelled(job);
  else announcer.rescued(job);
}
