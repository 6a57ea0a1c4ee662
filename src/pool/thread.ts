/**
 * One worker thread, from its start to its exit: whether it takes a chunk, what becomes of its tasks by what it says, and
 * who is to blame when it has gone.
 */
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError, sentence } from '../errors.js';
import { decodeError, encodeError, fromErrorData } from '../job/error-data.js';
import { START_TIMEOUT_MS } from './chunk.js';
import { ChunkLine } from './chunk-line.js';
import type { PoolEvents, StopReason, Task, ThreadView } from './contract.js';
import { faultOf, PiscinaThread, type ThreadSettings } from './piscina-thread.js';
import type { LoadReport, TaskRef, ThreadMessage } from './protocol.js';
import { decodeAnswers, encodeTasks } from './wire.js';

export interface ThreadEvents extends Pick<
  PoolEvents,
  'stopping' | 'settled' | 'progress' | 'log' | 'request' | 'warning'
> {
  /** What it does takes longer than expected; whatever waited behind it was taken back. */
  stalled(thread: Thread): void;
  /** A thread did not outlive a job of this type, or one beside it. */
  distrust(name: string): void;
  /** How long a task took: its turn in the thread, its handler's time most of all. */
  took(task: Task, tookMs: number): void;
  /** It takes no more chunks; its exit is still to come. */
  ending(thread: Thread): void;
  /** It has exited, and all its tasks are settled. */
  gone(thread: Thread): void;
}

/** A thread that was ended and has not exited after so long is reported. */
const STUCK_AFTER_MS = 5_000;

export class Thread {
  readonly #clock: Clock;
  readonly #events: ThreadEvents;
  readonly #line: ChunkLine;
  readonly #thread: PiscinaThread;
  #state: 'starting' | 'ready' | 'ending' | 'gone' = 'starting';
  /** Why the thread ended, where it was not the engine that ended it. */
  #fatal: Error | undefined;
  /** A stray error left the thread in a state that nobody knows, or Piscina dropped it: it gets no further chunk. */
  #isTainted = false;
  #isProven = false;
  #jobsRun = 0;
  #stuck: Timer | undefined;
  readonly #onGone: (() => void)[] = [];

  constructor(settings: ThreadSettings, events: ThreadEvents, clock: Clock) {
    this.#clock = clock;
    this.#events = events;
    this.#line = this.#newLine();
    this.#thread = new PiscinaThread(settings, this.#line.buffers, {
      said: (message) => this.#receive(message),
      dropped: (thrown) => this.#dropped(thrown),
      died: (error) => {
        this.#fatal = error;
        this.#isTainted = true;
      },
      exited: (code) => this.#exited(code),
    });
  }

  /** Whether it takes a chunk, to run at once or behind the one that it has. */
  get isReady(): boolean {
    return this.#state === 'ready' && !this.#isTainted && !this.#line.isFull;
  }

  view(): ThreadView {
    const { id } = this.#thread;
    const state = this.#state === 'gone' ? 'ending' : this.#state;
    return { state, tasks: this.#line.tasks, ...(id !== undefined && { id }) };
  }

  /** Whether it ever got as far as taking a chunk. */
  get isProven(): boolean {
    return this.#isProven;
  }

  /** How many jobs it has run; those that were taken back before their turn came do not count. */
  get jobsRun(): number {
    return this.#jobsRun;
  }

  /**
   * Starts the thread and loads every handler's module. Afterwards the thread is ready.
   * @returns what it found in them; jobs of modules that could not be loaded would error.
   * @throws MillraceError `MILLRACE_THREADS_UNAVAILABLE`, or `MILLRACE_HANDLER_LOAD_FAILED` where a module ended
   *   the thread; and the thread is gone then.
   */
  async start(): Promise<LoadReport> {
    const late = this.#clock.setTimer(() => {
      this.#fatal = new Error(`it took longer than ${START_TIMEOUT_MS} ms to load its modules`);
      this.end();
    }, START_TIMEOUT_MS);
    try {
      const loading = this.#thread.load();
      const gone = this.whenGone().then(() =>
        Promise.reject(this.#fatal ?? new Error('it exited while it started')),
      );
      const report = await Promise.race([loading, gone]);
      // It may have been ended in the same turn.
      if (this.#state === 'starting') this.#state = 'ready';
      return report;
    } catch (thrown) {
      // Where the system refused to make a thread there is none to wait for.
      if (!this.#thread.exists) this.#exited(0);
      const cause = this.#fatal ?? asError(thrown);
      if (cause instanceof MillraceError) throw cause;
      const message = `A worker thread could not be started: ${cause.message}`;
      throw new MillraceError('MILLRACE_THREADS_UNAVAILABLE', message, { cause });
    } finally {
      late.cancel();
    }
  }

  /**
   * To be called while it is ready.
   * @param onThrough Called when it may take another chunk instead; never, where the thread ends first.
   */
  run(tasks: readonly Task[], onThrough: () => void): void {
    this.#isProven = true;
    const slot = this.#line.add(tasks, onThrough);
    // Its last answer says that it is through, and comes before Piscina's reply.
    this.#thread.run(slot, encodeTasks(tasks)).catch((thrown: unknown) => {
      // Mostly the thread has died, and its exit settles what is left; one that lives on is of no use.
      this.#dropped(thrown);
      this.#thread.terminate();
    });
  }

  /** Whether the task was one of this thread's. */
  stop(task: Task, reason: StopReason): boolean {
    return this.#line.stop(task, reason);
  }

  /** Ends the thread; what native code is doing is waited for, so its exit may take a while. */
  end(): void {
    if (this.#state === 'ending' || this.#state === 'gone') return;
    this.#ending();
    // What the thread will never begin need not wait for its exit.
    this.#line.withdraw();
    this.#stuck = this.#clock.setTimer(() => {
      const message = `A thread that was ended ${STUCK_AFTER_MS} ms ago is still in native code; its job is not run again before it has gone`;
      this.#events.warning(new MillraceError('MILLRACE_THREAD_STUCK', message));
    }, STUCK_AFTER_MS);
    this.#thread.terminate();
  }

  /** Resolves once the thread has gone. */
  whenGone(): Promise<void> {
    return this.#state === 'gone' ? Promise.resolve() : new Promise((resolve) => this.#onGone.push(resolve));
  }

  #newLine(): ChunkLine {
    return new ChunkLine(this.#clock, {
      settled: (ends) => this.#events.settled(ends, this.#thread.id),
      took: (task, tookMs) => {
        this.#jobsRun++;
        this.#events.took(task, tookMs);
      },
      stopping: (task, ref) => {
        this.#thread.tell({ kind: 'stop', of: ref });
        this.#events.stopping(task);
      },
      stalled: () => {
        this.#events.stalled(this);
        this.#line.withdraw();
      },
      mustEnd: () => this.end(),
    });
  }

  /** It may live on, but another chunk would start another thread. */
  #dropped(thrown: unknown): void {
    this.#fatal ??= asError(thrown);
    this.#isTainted = true;
  }

  #receive(message: ThreadMessage): void {
    switch (message.kind) {
      case 'progress':
      case 'log': {
        this.#line.heard(message.of);
        const task = this.#line.open(message.of);
        if (task && message.kind === 'progress') this.#events.progress(task, message.value);
        if (task && message.kind === 'log') this.#events.log(task, message.line);
        return;
      }
      case 'request':
        this.#requested(message);
        return;
      case 'answers':
        this.#answered(message.first, message.bytes);
        return;
      case 'stray':
        this.#strayed(message);
        return;
      case 'loadExit':
        this.#fatal = new MillraceError('MILLRACE_HANDLER_LOAD_FAILED', message.message);
        return;
      default:
        message satisfies never;
    }
  }

  /** One of a task that is settled needs no reply: whatever its handler still does is over, or about to be ended. */
  #requested({ of, number, request }: Extract<ThreadMessage, { kind: 'request' }>): void {
    const task = this.#line.open(of);
    if (!task) return;
    this.#events.request(task, request).then(
      (value) => this.#thread.tell({ kind: 'reply', number, value }, buffersOf(value)),
      (thrown: unknown) => this.#thread.tell({ kind: 'refusal', number, error: encodeError(thrown) }),
    );
  }

  #answered(first: TaskRef, bytes: Uint8Array): void {
    const onThrough = this.#line.answered(first, decodeAnswers(bytes));
    if (!onThrough || this.#state !== 'ready') return;
    if (this.#isTainted && this.#line.isEmpty) this.end();
    else onThrough();
  }

  #strayed({ of, jobId, error }: Extract<ThreadMessage, { kind: 'stray' }>): void {
    if (of && this.#line.open(of)) {
      // What the handler still does must be over before its job may run again, and only this ends it.
      this.#line.strayed(of, error);
      this.end();
      return;
    }
    this.#isTainted = true;
    const cause = fromErrorData(decodeError(error));
    const origin = jobId === undefined ? 'code that belongs to no job' : `job ${jobId} after it had ended`;
    const message = `A stray error in a thread, from ${origin}: ${sentence(cause.message)} The thread is replaced when it is idle`;
    this.#events.warning(new MillraceError('MILLRACE_HANDLER_STRAY_ERROR', message, { cause }));
    if (this.#state === 'ready' && this.#line.isEmpty) this.end();
  }

  #ending(): void {
    this.#state = 'ending';
    for (const name of this.#line.openTypes()) this.#events.distrust(name);
    this.#events.ending(this);
  }

  #exited(code: number): void {
    if (this.#state === 'gone') return;
    this.#thread.drain();
    const isOurs = this.#state === 'ending';
    // What start() rejects with tells of its failure.
    const isStart = this.#state === 'starting';
    if (!isOurs) this.#ending();
    this.#state = 'gone';
    this.#stuck?.cancel();
    this.#thread.close();
    const fault = isOurs ? undefined : faultOf(this.#fatal, code);
    const isBlamed = this.#line.lost(fault);
    if (fault && !isBlamed && !isStart) this.#events.warning(fault);
    for (const listener of this.#onGone) listener();
    this.#events.gone(this);
  }
}

/** Bytes in a reply are the asker's: they are handed over instead of copied. */
const buffersOf = (reply: unknown): ArrayBuffer[] =>
  reply instanceof Uint8Array && reply.buffer instanceof ArrayBuffer ? [reply.buffer] : [];
