/**
 * A worker thread as Piscina has it, and the port on which it speaks: what it says is for others to understand. It is a
 * Piscina pool of exactly one thread: Piscina starts it, limits it and carries requests. Because there is only one, it is
 * always known which thread has a task; and a thread that was ended goes together with its pool, while a larger pool
 * would not restore itself after a replacement that failed.
 */
import { MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { asError, MillraceError } from '../errors.js';
import {
  CHUNKS_PER_THREAD,
  PORT,
  type EngineMessage,
  type LoadReport,
  type ThreadData,
  type ThreadMessage,
  type ThreadRequest,
} from './protocol.js';

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

export interface PiscinaThreadEvents {
  said(message: ThreadMessage): void;
  /** Piscina has dropped the thread by now, which may take a while to exit: another chunk would start another one. */
  dropped(thrown: unknown): void;
  /** Its exit comes next. */
  died(error: Error): void;
  exited(code: number): void;
}

const ENTRY = new URL('./thread-start.cjs', import.meta.url).href;

export class PiscinaThread {
  readonly #events: PiscinaThreadEvents;
  readonly #piscina: Piscina;
  #port: MessagePort | undefined;
  #id: number | undefined;

  constructor(settings: ThreadSettings, slots: readonly SharedArrayBuffer[], events: PiscinaThreadEvents) {
    this.#events = events;
    const { handlers, maxResultBytes = {}, registrar } = settings;
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
    this.#piscina.on('error', (error: unknown) => events.dropped(error));
    this.#piscina.on('message', (message: { [PORT]?: unknown } | null | undefined) => {
      // What a handler, or a preloaded module, posts to its thread's parent is for nobody.
      const port = message?.[PORT];
      if (!this.#port && port instanceof MessagePort) this.#listen(port);
    });
  }

  /** As Node numbers threads; a worker that has gone does not tell it any more. */
  get id(): number | undefined {
    return this.#id;
  }

  /** Not before the first request, nor where the system refused to make it. */
  get exists(): boolean {
    return this.#piscina.threads.length > 0;
  }

  /** The first request, which makes the thread: to load the handlers' modules. */
  load(): Promise<LoadReport> {
    const loading = this.#request<LoadReport>({ kind: 'load' });
    const worker = this.#piscina.threads[0];
    this.#id = worker?.threadId;
    worker?.once('error', (error: unknown) => this.#events.died(asError(error)));
    worker?.once('exit', (code) => this.#events.exited(code));
    return loading;
  }

  /** @param tasks Encoded; they are the thread's from here on. */
  run(slot: number, tasks: Uint8Array<ArrayBuffer>): Promise<void> {
    return this.#request({ kind: 'chunk', slot, tasks }, [tasks.buffer]);
  }

  /** @param transferList What it is handed instead of copied. */
  tell(message: EngineMessage, transferList: ArrayBuffer[] = []): void {
    this.#port?.postMessage(message, transferList);
  }

  /** Takes in what the thread has said and the event loop has not brought yet. */
  drain(): void {
    if (!this.#port) return;
    for (let next = receiveMessageOnPort(this.#port); next; next = receiveMessageOnPort(this.#port)) {
      // Safe: the thread sends nothing else on this port.
      this.#events.said(next.message as ThreadMessage);
    }
  }

  /** Ends it; what native code is doing is waited for. */
  terminate(): void {
    void this.#piscina.threads[0]?.terminate();
  }

  /** It has exited. */
  close(): void {
    this.#port?.close();
  }

  #request<Reply>(request: ThreadRequest, transferList: ArrayBuffer[] = []): Promise<Reply> {
    // Safe: thread-entry.ts answers each kind of request with its type.
    return this.#piscina.run(request, { transferList }) as Promise<Reply>;
  }

  #listen(port: MessagePort): void {
    this.#port = port;
    port.on('message', (message: ThreadMessage) => this.#events.said(message));
    // An idle engine must not keep Node alive.
    port.unref();
  }
}

/** What ended a thread that the engine did not end. @param fatal What it, or Piscina, died of; absent where it just exited. */
export function faultOf(fatal: Error | undefined, code: number): MillraceError {
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
