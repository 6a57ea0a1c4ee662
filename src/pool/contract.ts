/**
 * What the runtime needs of whatever runs handlers: threads, or the event loop. One suite runs on both.
 */
import { JobCancelledError, MillraceError, TimeoutError } from '../errors.js';
import type { Outcome } from '../job/outcome.js';

/** One attempt, as a pool gets it. */
export interface Task {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  readonly payload: Uint8Array;
  /** From the handler's start; absent where there is no limit. */
  readonly timeoutMs?: number;
  /** How long a task that was told to stop may still take. */
  readonly graceMs: number;
}

export type StopReason = 'timedOut' | 'cancelled' | 'shutdown';

export interface LogLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error';
  readonly message: string;
  readonly fields: Record<string, unknown>;
}

/** What a pool tells the runtime. */
export interface PoolEvents {
  /** A task was told to stop, by the runtime or because it is over its time; its handler may still go on. */
  stopping(task: Task): void;
  /** Once for each task: what it came to, after it is really gone. */
  settled(task: Task, outcome: Outcome): void;
  /** @param value Encoded. */
  progress(task: Task, value: Uint8Array): void;
  log(task: Task, line: LogLine): void;
  /** Something about the pool itself that an operator should know. */
  warning(error: MillraceError): void;
  /** There may be room for more. */
  available(): void;
}

export interface Pool {
  /** Whether a job of this type could start now, reservations counted. */
  hasRoom(name: string): boolean;
  /** Whether an attempt of this job, though settled, may still be going on: it must not get another one yet. */
  isLingering(id: string): boolean;
  /** Holds the room for one job until `run` or `unreserve`. To be called while there is room. */
  reserve(name: string): void;
  unreserve(name: string): void;
  /** Starts tasks whose room was reserved, one after another in the same place. */
  run(tasks: readonly Task[]): void;
  /** Asks a task to stop; after its grace it is ended, where it can be. Of several reasons the first counts. */
  stop(task: Task, reason: StopReason): void;
  /** Ends what still runs and waits until it is gone. */
  close(): Promise<void>;
}

/** What `job.signal.reason` is, and what the attempt's error says. */
export function stopError(reason: StopReason, task: Task): MillraceError {
  switch (reason) {
    case 'timedOut':
      return new TimeoutError(task, task.timeoutMs ?? 0);
    case 'cancelled':
      return new JobCancelledError(task);
    case 'shutdown':
      return new MillraceError(
        'MILLRACE_SHUTTING_DOWN',
        'The engine is closing; the job will run again after the next start',
      );
    default:
      return reason satisfies never;
  }
}
