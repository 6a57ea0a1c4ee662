/** The answer to why a job is not running: in data, and in one sentence. */
import type { EndedState, JobState } from './job/record.js';

/** A job that is at work. */
export interface BusyJob {
  readonly id: string;
  readonly name: string;
  /** How long ago its attempt started. */
  readonly forMs: number;
  /** Its thread, as Node numbers them (`threadId`); absent where it runs inline. */
  readonly thread?: number;
}

/** As many are running as may. */
export interface LimitReached {
  readonly running: number;
  readonly limit: number;
  /** Those of them whose attempts are running, the longest one first; at most ten. */
  readonly jobs: readonly BusyJob[];
}

/** A job of the same flow that has not ended. */
export interface OpenParent {
  /** Its key in the flow. */
  readonly key: string;
  readonly id: string;
  readonly name: string;
  readonly state: JobState;
}

/**
 * One reason why a job is not running, told apart by `reason`. Instants are epoch milliseconds. There will be more kinds:
 * be prepared for a `reason` that you do not know.
 */
export type Reason =
  /** It is running, by the way. */
  | {
      readonly reason: 'running';
      /** Counted from 1. */
      readonly attempt: number;
      readonly startedAt: number;
      readonly forMs: number;
      /** Where it runs, as Node numbers threads (`threadId`); absent where it runs inline. */
      readonly thread?: number;
      /** It was told to stop (timeout, cancel, close), and its handler has not gone yet. */
      readonly stopping: boolean;
      /** Its thread was ended, and what native code does there is still waited for. */
      readonly threadEnding: boolean;
    }
  /** It has ended. */
  | {
      readonly reason: 'ended';
      readonly state: EndedState;
      readonly finishedAt: number | undefined;
      /** Of one that failed: the message of what it failed with. */
      readonly error?: string;
      /** Of one that was cancelled: what was said of that. */
      readonly cancelReason?: string;
    }
  /** The engine is closing: nothing starts before the next `open()`. */
  | { readonly reason: 'engineClosing' }
  /** The journal cannot be written at the moment. It is tried again, and until then nothing starts. */
  | { readonly reason: 'journalFailed'; readonly error: string; readonly forMs: number }
  /** Its deadline has come: no attempt starts any more, and it is about to fail. */
  | { readonly reason: 'deadlinePassed'; readonly deadlineAt: number }
  /** Jobs of its flow come first. */
  | {
      readonly reason: 'waitingForParents';
      /** For how many it still waits. */
      readonly count: number;
      /** The first few of them that have not ended; none where all have, and it is about to be told. */
      readonly parents: readonly OpenParent[];
    }
  /** It is not due yet: it has a delay or a `runAt`, or was put off. */
  | {
      readonly reason: 'scheduled';
      readonly dueAt: number;
      readonly inMs: number;
      readonly snoozed: boolean;
      /** Where it was put off by a `RetryAfterError`: its message. */
      readonly error?: string;
    }
  /** An attempt errored, and the next one is not due yet. */
  | {
      readonly reason: 'retrying';
      readonly dueAt: number;
      readonly inMs: number;
      /** The one that errored last, counted from 1. */
      readonly attempt: number;
      /** The message of what it errored with. */
      readonly error: string;
    }
  /** `queues` does not name its queue: it stays until it does. */
  | { readonly reason: 'queueUnknown'; readonly queue: string }
  /** The code knows no job type of its name: it stays until it does. */
  | { readonly reason: 'handlerUnknown'; readonly name: string }
  /** Newer code enqueued it, for a `version` of its type that this code does not have: it waits for that code. */
  | {
      readonly reason: 'codeOlder';
      readonly name: string;
      /** For which it was enqueued. */
      readonly payloadVersion: number;
      /** Of its type, by the code. */
      readonly version: number;
    }
  /** All queues are paused, until `resume()`. */
  | { readonly reason: 'enginePaused' }
  /** Its queue is paused, until `resume(queue)`. */
  | { readonly reason: 'queuePaused'; readonly queue: string }
  /** It is being changed at this very moment, by a `cancel()` for instance. */
  | { readonly reason: 'held' }
  /** The outcome of an earlier attempt is decided, but its inline handler goes on: there is never a second one beside it. */
  | { readonly reason: 'handlerLingering' }
  /** It was at work both times that its process crashed last, and runs when nothing else does. See `maxCrashes`. */
  | { readonly reason: 'runsAlone' }
  /** Another job runs alone for that, or is about to: nothing else starts meanwhile. */
  | { readonly reason: 'suspectFirst'; readonly id: string }
  /** As many of its queue are running as its `concurrency` allows; handlers count that go on after their attempts. */
  | ({ readonly reason: 'queueBusy'; readonly queue: string } & LimitReached)
  /** As many of its type are running as its `concurrency` allows; handlers count that go on after their attempts. */
  | ({ readonly reason: 'typeBusy'; readonly name: string } & LimitReached)
  /** As many of its type and `concurrencyKey` are running as `concurrencyPerKey` allows, handlers likewise. */
  | ({
      readonly reason: 'keyBusy';
      readonly name: string;
      /** The `concurrencyKey`. */
      readonly key: string;
    } & LimitReached)
  /** Its type works on libuv's pool, and as many such jobs are running as leave a thread of that to others. */
  | { readonly reason: 'nativeBusy'; readonly running: number; readonly limit: number }
  /** The `rateLimit` of its queue or type, or the `rateLimitPerKey` of its type, allows no more starts until then. */
  | {
      readonly reason: 'rateLimited';
      readonly by: 'queue' | 'type' | 'key';
      /** Of that queue or type. */
      readonly name: string;
      /** The `concurrencyKey`, where it is that which has to wait. */
      readonly key?: string;
      readonly untilAt: number;
      readonly inMs: number;
    }
  /** The waiting jobs of its queue and type could not be read from the journal, which is tried again in a moment. */
  | { readonly reason: 'readFailed' }
  /** No thread could be started; it is tried again. */
  | { readonly reason: 'threadsUnavailable'; readonly error: string; readonly inMs: number }
  /** The threads are being started, or replaced. */
  | { readonly reason: 'threadsStarting'; readonly starting: number }
  /** All threads are at work. */
  | {
      readonly reason: 'threadsBusy';
      readonly threads: number;
      /** How long the one that is at work for longest has been. */
      readonly forMs: number;
      /** The job in each thread, the longest one first; at most ten. */
      readonly jobs: readonly BusyJob[];
      /** How many of the threads were ended, and have not gone yet. */
      readonly ending: number;
    }
  /** With `selection: 'strict'`: queues that are served first have jobs for the same threads. */
  | { readonly reason: 'heavierQueues'; readonly queues: readonly string[] }
  /**
   * Others of its queue come first; those of types that are held back themselves do not count, nor do those that take
   * turns with it: of a job with a `concurrencyKey` only those of its key do, and of one without those without.
   */
  | {
      readonly reason: 'behind';
      /** How many, up to 10,000. */
      readonly jobs: number;
      /** How many of these are of its own type. */
      readonly sameType: number;
      /** There are more than that. */
      readonly more: boolean;
    }
  /** Nothing is known that holds it back: it should start, or become available, at any moment. */
  | { readonly reason: 'aboutToStart' };

/** Why a job is not running, as of one moment. */
export interface Explanation {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly state: JobState;
  /** The reasons in one English sentence, for people; its wording may change. */
  readonly summary: string;
  /** All that hold, the most decisive one first; at least one. */
  readonly reasons: readonly Reason[];
}
