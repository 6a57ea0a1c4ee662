/**
 * One worker thread, from its start to its exit. It is a Piscina pool of exactly one thread: Piscina starts it,
 * limits it and carries requests. Because there is only one, it is always known which thread has a task; and a
 * thread that was ended goes together with its pool, while a larger pool would not restore itself after a
 * replacement that failed.
 */
import { MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError, sentence } from '../errors.js';
import { decodeError, encodeError, fromErrorData } from '../job/error-data.js';
import { START_TIMEOUT_MS } from './chunk.js';
import { ChunkLine } from './chunk-line.js';
import type { PoolEvents, StopReason, Task, ThreadView } from './contract.js';
import {
  CHUNKS_PER_THREAD,
  PORT,
  type LoadReport,
  type EngineMessage,
  type TaskRef,
  type ThreadData,
  type ThreadMessage,
  type ThreadRequest,
} from './protocol.js';
import { decodeAnswers, encodeTasks } from './wire.js';

export interface ThreadSettings {
  /** Job names and the URLs of their handlers' modules. */
  readonly handlers: Readonly<Record<string, string>>;
  /** See {@link ThreadData}. */
  readonly maxResultBytes?: Readonly<Record<string, number>>;
  readonly execArgv?: readonly string[];
  /** See {@link ThreadData}. */
  readonly registrar?: string;
  readonly maxHeapMb?: number;
  readonly nice: number;
}

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

const ENTRY = new URL('./thread-start.cjs', import.meta.url).href;

export class Thread {
  readonly #clock: Clock;
  readonly #events: ThreadEvents;
  readonly #line: ChunkLine;
  readonly #piscina: Piscina;
  #port: MessagePort | undefined;
  /** As Node numbers threads; a worker that has gone does not tell it any more. */
  #id: number | undefined;
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
    const { handlers, maxResultBytes = {}, registrar } = settings;
    this.#line = this.#newLine();
    const slots = this.#line.buffers;
    const workerData: ThreadData = { handlers, maxResultBytes, slots, ...(registrar && { registrar }) };
    this.#piscina = new Piscina({
      filename: ENTRY,
      // The one thread comes with the first request, and nobody replaces it behind our back.
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Infinity,
      // Waiting on atomics would keep the thread's event loop, and with it our port, from turning.
      atomics: 'disabled',
      // One more than there are chunks: its reply to one that is through may still be on its way.
      concurrentTasksPerWorker: CHUNKS_PER_THREAD + 1,
      recordTiming: false,
      niceIncrement: settings.nice,
      workerData,
      ...(settings.execArgv && { execArgv: [...settings.execArgv] }),
      ...(settings.maxHeapMb !== undefined && {
        resourceLimits: { maxOldGenerationSizeMb: settings.maxHeapMb },
      }),
    });
    // An 'error' event without a listener would be thrown; what it tells comes with the thread's own events, too.
    this.#piscina.on('error', (error: unknown) => this.#broke(error));
    this.#piscina.on('message', (message: { [PORT]?: unknown } | null | undefined) => {
      // What a handler, or a preloaded module, posts to its thread's parent is for nobody.
      const port = message?.[PORT];
      if (!this.#port && port instanceof MessagePort) this.#listen(port);
    });
  }

  /** Whether it takes a chunk, to run at once or behind the one that it has. */
  get isReady(): boolean {
    return this.#state === 'ready' && !this.#isTainted && !this.#line.isFull;
  }

  view(): ThreadView {
    const id = this.#id;
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
      const loading = this.#request<LoadReport>({ kind: 'load' });
      const gone = this.#follow().then(() =>
        Promise.reject(this.#fatal ?? new Error('it exited while it started')),
      );
      const report = await Promise.race([loading, gone]);
      // It may have been ended in the same turn.
      if (this.#state === 'starting') this.#state = 'ready';
      return report;
    } catch (thrown) {
      // Where the system refused to make a thread there is none to wait for.
      if (this.#piscina.threads.length === 0) this.#exited(0);
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
    const bytes = encodeTasks(tasks);
    // Its last answer says that it is through, and comes before Piscina's reply.
    this.#request({ kind: 'chunk', slot, tasks: bytes }, [bytes.buffer]).catch((thrown: unknown) => {
      // Mostly the thread has died, and its exit settles what is left; one that lives on is of no use.
      this.#broke(thrown);
      void this.#piscina.threads[0]?.terminate();
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
    void this.#piscina.threads[0]?.terminate();
  }

  /** Resolves once the thread has gone. */
  whenGone(): Promise<void> {
    return this.#state === 'gone' ? Promise.resolve() : new Promise((resolve) => this.#onGone.push(resolve));
  }

  #newLine(): ChunkLine {
    return new ChunkLine(this.#clock, {
      settled: (ends) => this.#events.settled(ends, this.#id),
      took: (task, tookMs) => {
        this.#jobsRun++;
        this.#events.took(task, tookMs);
      },
      stopping: (task, ref) => {
        this.#tell({ kind: 'stop', of: ref });
        this.#events.stopping(task);
      },
      stalled: () => {
        this.#events.stalled(this);
        this.#line.withdraw();
      },
      mustEnd: () => this.end(),
    });
  }

  #request<Reply>(request: ThreadRequest, transferList: ArrayBuffer[] = []): Promise<Reply> {
    // Safe: thread-entry.ts answers each kind of request with its type.
    return this.#piscina.run(request, { transferList }) as Promise<Reply>;
  }

  /** Listens to the thread that the first request has made. */
  #follow(): Promise<void> {
    const worker = this.#piscina.threads[0];
    this.#id = worker?.threadId;
    worker?.once('error', (error: unknown) => {
      this.#fatal = asError(error);
      this.#isTainted = true;
    });
    worker?.once('exit', (code) => this.#exited(code));
    return this.whenGone();
  }

  /** Piscina has dropped the thread by now, which may take a while to exit: another chunk would start another one. */
  #broke(thrown: unknown): void {
    this.#fatal ??= asError(thrown);
    this.#isTainted = true;
  }

  #listen(port: MessagePort): void {
    this.#port = port;
    port.on('message', (message: ThreadMessage) => this.#receive(message));
    // An idle engine must not keep Node alive.
    port.unref();
  }

  /** Takes in what the thread has said and the event loop has not brought yet. */
  #drain(): void {
    if (!this.#port) return;
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port)) {
      // Safe: the thread sends nothing else on this port.
      this.#receive(next.message as ThreadMessage);
    }
  }

  #receive(message: ThreadMessage): void {
    switch (message.kind) {
      case 'progress':
      case 'log': {
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

  #tell(message: EngineMessage): void {
    this.#port?.postMessage(message);
  }

  /** One of a task that is settled needs no reply: whatever its handler still does is over, or about to be ended. */
  #requested({ of, number, request }: Extract<ThreadMessage, { kind: 'request' }>): void {
    const task = this.#line.open(of);
    if (!task) return;
    this.#events.request(task, request).then(
      (value) => this.#tell({ kind: 'reply', number, value }),
      (thrown: unknown) => this.#tell({ kind: 'refusal', number, error: encodeError(thrown) }),
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
    this.#drain();
    const isOurs = this.#state === 'ending';
    // What start() rejects with tells of its failure.
    const isStart = this.#state === 'starting';
    if (!isOurs) this.#ending();
    this.#state = 'gone';
    this.#stuck?.cancel();
    this.#port?.close();
    const fault = isOurs ? undefined : faultOf(this.#fatal, code);
    const isBlamed = this.#line.lost(fault);
    if (fault && !isBlamed && !isStart) this.#events.warning(fault);
    for (const listener of this.#onGone) listener();
    this.#events.gone(this);
  }
}

/** What ended a thread that the engine did not end. */
function faultOf(fatal: Error | undefined, code: number): MillraceError {
  const cause = fatal && { cause: fatal };
  if (fatal && 'code' in fatal && fatal.code === 'ERR_WORKER_OUT_OF_MEMORY') {
    const message = `The thread ran out of memory: ${fatal.message}. Raise \`threads.maxHeapMb\`, or make the job use less`;
    return new MillraceError('MILLRACE_HANDLER_OUT_OF_MEMORY', message, cause);
  }
  // Piscina's own words for an exit that no error came before.
  if (!fatal || fatal.message.startsWith('worker exited with code')) {
    const message = `The handler ended its thread: process.exit(${code}). A handler returns or throws`;
    return new MillraceError('MILLRACE_HANDLER_EXITED', message);
  }
  return new MillraceError('MILLRACE_HANDLER_DIED', `The thread died: ${fatal.message}`, cause);
}
