/** One attempt in its thread: what its handler's context is linked to. */
import type { MillraceError } from '../errors.js';
import { attemptOver, isDecidedBy, stopError, type JobRequest, type LogLine } from './contract.js';
import { HandedOut } from './handed-out.js';
import type { ContextLinks } from './job-context.js';
import type { TaskRef, ThreadMessage, ThreadTask } from './protocol.js';
import { AwaitedReplies, type ThreadRequests } from './requests.js';
import type { Slot } from './slot.js';
import { Telling } from './telling.js';

/** What an attempt has of its thread. */
export interface ThreadLinks {
  readonly send: (message: ThreadMessage) => void;
  readonly requests: ThreadRequests;
  /** By job name. */
  readonly maxResultBytes: Readonly<Record<string, number>>;
}

export class ThreadAttempt implements ContextLinks {
  readonly task: ThreadTask;
  readonly of: TaskRef;
  readonly #slot: Slot;
  readonly #links: ThreadLinks;
  #isLive = true;
  /** Absent where its handler has told nothing. */
  #telling: Telling | undefined;
  #abort: AbortController | undefined;
  #awaited: AwaitedReplies | undefined;
  /** Absent where its handler was given no promise. */
  handedOut: HandedOut | undefined;
  /** Why nothing that it asks for counts. */
  #decided: MillraceError | undefined;

  constructor(task: ThreadTask, of: TaskRef, slot: Slot, links: ThreadLinks) {
    this.task = task;
    this.of = of;
    this.#slot = slot;
    this.#links = links;
  }

  /** Its handler is running. */
  get live(): boolean {
    return this.#isLive;
  }

  /** Its handler has ended. */
  end(): void {
    this.flush();
    this.#isLive = false;
  }

  /** Sends what its handler has told and is held back: something comes that must be heard after it. */
  flush(): void {
    this.#telling?.flush();
  }

  get maxResultBytes(): number | undefined {
    return this.#links.maxResultBytes[this.task.name];
  }

  /** Asking it whether it is aborted looks at the shared word first. */
  get signal(): AbortSignal {
    if (!this.#abort) {
      this.#abort = new AbortController();
      this.abortIfStopped();
      watch(this.#abort.signal, () => this.abortIfStopped());
    }
    return this.#abort.signal;
  }

  progress(value: Uint8Array): void {
    if (this.live) this.#tell().progress(value);
  }

  log(line: LogLine): void {
    if (this.live) this.#tell().log(line);
  }

  async request(request: JobRequest): Promise<unknown> {
    if (!this.live) throw attemptOver(this.task);
    this.#awaited ??= new AwaitedReplies();
    this.abortIfStopped();
    if (this.#decided) throw this.#decided;
    this.flush();
    return this.#awaited.add(this.#links.requests.ask(this.of, request));
  }

  /** One that is given behind the attempt, and not awaited, is a stray error of the thread. */
  hand<Value>(promise: Promise<Value>): Promise<Value> {
    if (!this.live) return promise;
    this.handedOut ??= new HandedOut();
    return this.handedOut.hand(promise);
  }

  #tell(): Telling {
    this.#telling ??= new Telling(this.of, this.#slot, this.#links.send);
    return this.#telling;
  }

  abortIfStopped(): void {
    // The slot's words belong to the chunk that runs now, so an attempt that is over must not read them.
    const isAsked = this.live && (this.#abort ?? this.#awaited);
    const reason = isAsked ? this.#slot.stopped(this.of.index) : undefined;
    if (!reason) return;
    this.#abort?.abort(stopError(reason, { ...this.task, graceMs: 0 }));
    if (!this.#awaited || this.#decided || !isDecidedBy(reason)) return;
    this.#decided = stopError(reason, { ...this.task, graceMs: 0 });
    this.#awaited.stop(this.#decided);
  }
}

/** Has a signal look before it answers. */
function watch(signal: AbortSignal, look: () => void): void {
  Object.defineProperties(signal, {
    aborted: {
      get(): boolean {
        look();
        // The getter that this one hides.
        return Reflect.get(AbortSignal.prototype, 'aborted', signal);
      },
    },
    throwIfAborted: {
      value(): void {
        if (signal.aborted) throw signal.reason;
      },
    },
  });
}
