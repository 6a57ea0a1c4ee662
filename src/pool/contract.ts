/**
 * What the runtime needs of whatever runs handlers: threads, or the event loop. One suite runs on both.
 */
import { DeadlineError, JobCancelledError, MillraceError, TimeoutError } from '../errors.js';
import type { Outcome } from '../job/outcome.js';
import type { LocatedPayload } from '../job/payload-file.js';

/** One attempt, as a pool gets it. */
export interface Task {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly payload: Uint8Array;
  /** Where the payload is instead. */
  readonly payloadFile?: LocatedPayload;
  /** Of a job that a schedule enqueued: the tick that it is for. */
  readonly scheduledFor?: number;
  /** The last checkpoint of an earlier attempt, encoded. */
  readonly resumeFrom?: Uint8Array;
  /** From the handler's start; absent where there is no limit. */
  readonly timeoutMs?: number;
  /** How long a task that was told to stop may still take. */
  readonly graceMs: number;
}

/** `overdue`: its job's deadline has come. */
export type StopReason = 'timedOut' | 'overdue' | 'cancelled' | 'shutdown';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

/** A task that is really gone, and what it came to. */
export interface Settled {
  readonly task: Task;
  readonly outcome: Outcome;
}

/** What a handler asks of the engine, and can wait for. Its values are encoded where it runs. */
export type JobRequest =
  /** @returns the new job's id. */
  | {
      readonly kind: 'enqueue';
      readonly name: string;
      readonly payload: Uint8Array;
      readonly options: Uint8Array | undefined;
    }
  /** Resolves once it is durable. */
  | { readonly kind: 'checkpoint'; readonly value: Uint8Array }
  /**
   * @param from How many of the parents were looked at before.
   * @returns a {@link ParentResults}, as bytes (wire.ts), which are the asker's from then on.
   */
  | { readonly kind: 'parentResults'; readonly from: number };

/** A page of what a job's parents came to. */
export interface ParentResults {
  /** Of those that have completed: the key that their flow has for each, and its result, encoded. */
  readonly results: readonly (readonly [key: string, result: Uint8Array])[];
  /** Where to go on; absent where there are no more. */
  readonly next: number | undefined;
}

/** What a pool tells the runtime. */
export interface PoolEvents {
  /** A task was told to stop, by the runtime or because it is over its time; its handler may still go on. */
  stopping(task: Task): void;
  /**
   * Each task once; those that were heard of together come together.
   * @param thread Where they ran, as Node numbers threads; absent where that was inline.
   */
  settled(ends: readonly Settled[], thread?: number): void;
  /** @param value Encoded. */
  progress(task: Task, value: Uint8Array): void;
  log(task: Task, line: LogLine): void;
  /** @returns the reply. @throws MillraceError that the handler is to get. */
  request(task: Task, request: JobRequest): Promise<unknown>;
  /** Something about the pool itself that an operator should know. */
  warning(error: MillraceError): void;
  /** There may be room for more. */
  available(): void;
}

/** What a job needs of a pool. */
export interface Need {
  readonly name: string;
  /**
   * How many of its kind run at once is limited, so it must really run as soon as it is claimed; or it starts a while
   * after that, and none should wait for it.
   */
  readonly isLimited: boolean;
  /** Whether it may wait behind others in a thread; not where a job that needs a thread for itself waits, too. */
  readonly mayQueue: boolean;
  /** Whether others may go in its message to a thread: those that are claimed with it. */
  readonly mayShare: boolean;
}

/** Room for one job, held until it is run or given back. */
export interface Seat {
  /** Gives the room back: the job does not run. */
  release(): void;
}

/** A task and the seat that was reserved for it. */
export interface Ride {
  readonly seat: Seat;
  readonly task: Task;
}

/** A thread as it is at one moment. */
export interface ThreadView {
  /** As Node numbers threads; absent where there is none yet. */
  readonly id?: number;
  /** `ending`: it was ended, or is about to be, and has not gone yet. */
  readonly state: 'starting' | 'ready' | 'ending';
  /** What it was sent and has not settled; the first one is at work. */
  readonly tasks: readonly Task[];
}

/** What a pool's threads are at, at one moment; nothing for one that has none. */
export interface PoolView {
  readonly threads: readonly ThreadView[];
  /** Why no thread could be started, and when that is tried again. */
  readonly failure?: { readonly error: MillraceError; readonly retryMs: number };
}

export interface Pool {
  /** Whether such a job could start now, reservations counted. */
  hasRoom(need: Need): boolean;
  /** Whether an attempt of this job, though settled, may still be going on: it must not get another one yet. */
  isLingering(id: string): boolean;
  /** Holds the room for one job. To be called while there is room. */
  reserve(need: Need): Seat;
  /** Starts tasks of this pool's seats, all that were reserved in one turn at once. */
  run(rides: readonly Ride[]): void;
  /**
   * Asks a task to stop; after its grace it is ended, where it can be. Of several reasons the first counts.
   * @param said What a caller said of a cancel; for `job.signal.reason`, where the handler runs in this thread.
   */
  stop(task: Task, reason: StopReason, said?: string): void;
  view(): PoolView;
  /** Ends what still runs and waits until it is gone. */
  close(): Promise<void>;
}

/** What comes of a request that is made too late. */
export function attemptOver({ id, name, attempt }: Pick<Task, 'id' | 'name' | 'attempt'>): MillraceError {
  const message = `Attempt ${attempt} of job ${name} ${id} is over, and asks for nothing any more: await what it asks for before it ends`;
  return new MillraceError('MILLRACE_ATTEMPT_OVER', message);
}

/** Whether what an attempt comes to is decided by that, so that nothing that it asks for counts. */
export const isDecidedBy = (reason: StopReason): boolean => reason !== 'shutdown';

/** What `job.signal.reason` is, and what the attempt's error says. */
export function stopError(reason: StopReason, task: Task, said?: string): MillraceError {
  switch (reason) {
    case 'timedOut':
      return new TimeoutError(task, task.timeoutMs ?? 0);
    case 'overdue':
      return new DeadlineError(task);
    case 'cancelled':
      return new JobCancelledError(task, said);
    case 'shutdown':
      return new MillraceError(
        'MILLRACE_SHUTTING_DOWN',
        'The engine is closing; the job will run again after the next start',
      );
    default:
      return reason satisfies never;
  }
}
