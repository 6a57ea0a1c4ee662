/** The handlers that run in a simulated process, and how a history ends them. */
import { MillraceError, RetryAfterError, UnrecoverableError, type JobContext } from '../../src/index.js';
import { decode } from '../../src/job/codec.js';
import type { Done, Fact, Mark } from '../crash/facts.js';
import type { Work } from './catalogue.js';

/** How a handler ends; one that dies takes its thread with it. */
export type End = 'return' | 'throw' | 'snooze' | 'giveUp' | 'die';

const SNOOZE_MS = 30;

/** What a handler knows of its attempt, and can ask for. */
export interface Running extends Pick<JobContext, 'resumeFrom' | 'enqueue' | 'checkpoint'> {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly scheduledFor?: number;
  /** Of an inline job: once it was told to stop, its engine may have given it up. */
  readonly signal?: AbortSignal;
  /** Of a job in a thread: whether it was told to stop. */
  readonly isStopped?: () => boolean;
}

/** What comes of an end: a value, or what is thrown; nothing where the handler died. */
export type Verdict = { readonly value: Done } | { readonly thrown: Error } | undefined;

interface Run {
  readonly running: Running;
  readonly end: (end: End) => void;
}

export class Runs {
  readonly #tell: (fact: Fact) => void;
  readonly #pid: number;
  readonly #version: number;
  readonly #runs: Run[] = [];
  /** Threads that have not ended; the first is the event loop. */
  readonly #living = new Set<number>();
  #lastThread: number;

  /** @param pid Tells the process, and its threads, from all others. @param version Of the app's code. */
  constructor(pid: number, version: number, tell: (fact: Fact) => void) {
    this.#pid = pid;
    this.#version = version;
    this.#tell = tell;
    this.#lastThread = pid * 1_000;
    this.#living.add(this.#lastThread);
  }

  get size(): number {
    return this.#runs.length;
  }

  get eventLoop(): number {
    return this.#pid * 1_000;
  }

  addThread(): number {
    this.#living.add(++this.#lastThread);
    return this.#lastThread;
  }

  removeThread(thread: number): void {
    this.#living.delete(thread);
  }

  /** Ends one of the handlers that run. @returns whether there was one. */
  end(n: number, end: End): boolean {
    const run = this.#runs[n % this.#runs.length];
    run?.end(end);
    return run !== undefined;
  }

  /**
   * One of the handlers that run asks its engine for something.
   * @param perform What it resolves with is told, where the handler is still there to hear it; what it rejects with,
   *   where it was not told to stop.
   */
  async ask(n: number, operation: string, perform: (running: Running) => Promise<Fact>): Promise<void> {
    const run = this.#runs[n % this.#runs.length];
    if (!run) return;
    const { running } = run;
    const fact = await perform(running).catch((thrown: unknown): Fact | undefined => {
      if (isStopped(running)) return undefined;
      if (!(thrown instanceof MillraceError)) return { kind: 'broke', message: String(thrown) };
      return { kind: 'refused', operation, id: running.id, code: thrown.code };
    });
    if (fact && this.#runs.includes(run)) this.#tell(fact);
  }

  /**
   * A handler starts.
   * @param onEnd Called once, when it has gone.
   */
  start(running: Running, payload: Work, thread: number, onEnd: (verdict: Verdict) => void): Run {
    const { id, name, queue, attempt, maxAttempts, scheduledFor } = running;
    const living = [...this.#living];
    this.#tell({
      kind: 'started',
      id,
      name,
      queue,
      attempt,
      maxAttempts,
      ...(payload.key !== undefined && { key: payload.key }),
      ...(scheduledFor !== undefined && { scheduledFor }),
      ...(payload.version !== undefined && {
        versions: { code: this.#version, enqueued: payload.version, upgrades: payload.upgrades ?? [] },
      }),
      // Safe: that is what histories have handlers keep.
      ...(running.resumeFrom !== undefined && { resumeFrom: running.resumeFrom as Mark }),
      pid: this.#pid,
      thread,
      living,
    });
    const run: Run = {
      running,
      end: (end) => {
        this.#runs.splice(this.#runs.indexOf(run), 1);
        const verdict = verdictOf(end, { id, token: payload.token, attempt });
        const isAborted = running.signal?.aborted === true;
        const isSnoozed = end === 'snooze' && !isStopped(running);
        const snoozed = isSnoozed && { snoozedMs: SNOOZE_MS };
        this.#tell({ kind: 'left', id, attempt, thread, isHeard: !isAborted, ...snoozed });
        onEnd(verdict);
      },
    };
    this.#runs.push(run);
    return run;
  }
}

const isStopped = ({ signal, isStopped }: Running): boolean =>
  signal?.aborted === true || isStopped?.() === true;

function verdictOf(end: End, value: Done): Verdict {
  switch (end) {
    case 'return':
      return { value };
    case 'throw':
      return { thrown: new Error('as it was told to') };
    case 'snooze':
      return { thrown: new RetryAfterError(SNOOZE_MS) };
    case 'giveUp':
      return { thrown: new UnrecoverableError('as it was told to') };
    case 'die':
      return undefined;
    default:
      return end satisfies never;
  }
}

/** Safe: only histories wrote to the journal. */
export const workOf = (payload: Uint8Array): Work => decode(payload) as Work;
