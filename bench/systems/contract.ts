/**
 * What a job system must be able to do to take part. A system is opened, given work and stopped in a process of
 * its own; how the work is paced and timed is the drives' business (`probes/drives.ts`).
 */
export type HandlerName = 'noop' | 'heavy' | 'resize' | 'pdf' | 'bytes';

/** How a system is to be opened. */
export interface Setup {
  /** An empty directory of its own. */
  readonly directory: string;
  readonly handler: HandlerName;
  /** How many worker threads, where the system has them. */
  readonly threads: number;
  /** False: jobs are only added, none runs. */
  readonly consumes: boolean;
  /** Of the private Redis, where the system needs one. */
  readonly redisPort?: number;
  /** The module that exports `Millrace`: another commit's engine can be measured in the place of this one. */
  readonly engine: string;
}

/** Jobs per second, and how late the event loop of the process was meanwhile. */
export interface Rate {
  readonly jobs: number;
  readonly perSec: number;
  readonly loopP99Ms: number;
}

export interface Loop {
  /** Starts no more jobs after this long, or after this many. */
  readonly forMs?: number;
  readonly jobs?: number;
  readonly inFlight: number;
}

export type MakePayload = (index: number) => object;

export interface System {
  /** One job, from handing it over until its result is there and as durable as the system makes it. */
  readonly run?: (payload: object) => Promise<unknown>;
  /** Adds one job; resolves once it is acknowledged. */
  readonly add?: (payload: object) => Promise<unknown>;
  /** Adds an array of jobs in one call. */
  readonly addMany?: (payloads: readonly object[]) => Promise<unknown>;
  /** For a system whose shape has no promise per job: its own loop in the place of `run`. */
  readonly loop?: (loop: Loop, payload: MakePayload) => Promise<number>;
  readonly stop: () => Promise<void>;
}

/** What each module of this folder exports, as `open`. */
export type OpenSystem = (setup: Setup) => Promise<System>;
