/**
 * What is known to have happened, in one file in the order in which it happened: what the engine acknowledged, what
 * handlers did, what the harness did to the process. Each fact is one synchronous write that appends, so that it is on
 * record before anything can follow from it, and outlives a SIGKILL as the page cache does.
 */
import { appendFileSync, readFileSync } from 'node:fs';
import type { Durability } from '../../src/index.js';
import type { EndedState, JobCounts, JobState } from '../../src/job/record.js';
import type { AskedSchedule } from './rhythm-model.js';

/** What every handler of the workload returns. */
export interface Done {
  readonly id: string;
  /** The payload's. */
  readonly token: string;
  readonly attempt: number;
}

/** What a handler reports as its progress. */
export interface Step {
  readonly id: string;
  readonly attempt: number;
  /** Counted from 1 in each attempt. */
  readonly step: number;
}

/** What a handler keeps as its checkpoint. */
export interface Mark {
  readonly id: string;
  /** Rises with each of a job. */
  readonly step: number;
}

export type Fact =
  // What the harness did.
  | { readonly kind: 'spawned'; readonly cycle: number; readonly role: 'workload' | 'audit' }
  | { readonly kind: 'killed'; readonly moment: string }
  /** The process ended, or had to be ended, without having been asked to. */
  | { readonly kind: 'broke'; readonly message: string }
  /** The audit's process ended as it should. */
  | { readonly kind: 'finished' }
  /** The machine's clock was set, forward or back. */
  | { readonly kind: 'clockSet'; readonly ms: number }
  // What the process asked of the engine.
  | { readonly kind: 'opening' | 'closing' | 'closed' }
  | { readonly kind: 'opened'; readonly tookMs: number; readonly isFirst: boolean }
  /** `name`: for all jobs of the type. `together`: all of these jobs come to be, or none. */
  | {
      readonly kind: 'asked';
      readonly operation: string;
      readonly id?: string;
      readonly name?: string;
      readonly together?: readonly string[];
      /** Tells it from every other; absent where its answer does not say which one it answers. */
      readonly call?: string;
    }
  /** Somebody looks at jobs. */
  | { readonly kind: 'looking'; readonly call: string }
  | Changing
  | Halting
  | Entering
  // What the engine said.
  | Answered
  | Halted
  | { readonly kind: 'entered'; readonly call: string; readonly ids: readonly string[] }
  /** `isFull`: because there was no room. */
  | { readonly kind: 'turnedAway'; readonly call: string; readonly isFull: boolean }
  | Began
  | Enqueued
  | Debounced
  | Ended
  | Progressed
  | Refused
  /** There was no room for a job in its queue; the token is that of its payload. */
  | { readonly kind: 'noRoom'; readonly queue: string; readonly token: string }
  | Retried
  | Promoted
  | Removed
  /** That all jobs of a type that were there have ended was acknowledged. */
  | { readonly kind: 'allCancelled'; readonly name: string; readonly call?: string }
  /** What those that were looked at are. */
  | { readonly kind: 'seen'; readonly call: string; readonly jobs: readonly Seen[] }
  | { readonly kind: 'rescued'; readonly id: string }
  /** That an attempt errored was acknowledged. */
  | { readonly kind: 'errored'; readonly id: string; readonly attempt: number }
  | { readonly kind: 'warned'; readonly code: string; readonly message: string }
  | { readonly kind: 'counted'; readonly queue?: string; readonly counts: JobCounts }
  /** So many jobs of a queue with a bound had not ended. */
  | { readonly kind: 'sized'; readonly queue: string; readonly size: number }
  // What handlers did, and were told.
  | Started
  | FollowedUp
  /** Its payload was not as it was enqueued. */
  | { readonly kind: 'garbled'; readonly id: string }
  | { readonly kind: 'checkpointed'; readonly id: string; readonly mark: Mark }
  | Left;

/** A schedule is to be changed, or to enqueue a job now. */
export interface Changing {
  readonly kind: 'changing';
  readonly schedule: string;
  readonly change: 'upsert' | 'pause' | 'resume' | 'remove' | 'runNow';
  /** Tells it from every other. */
  readonly call: string;
  /** What it is to be like; of an upsert. */
  readonly as?: AskedSchedule;
}

/** That call was answered. */
export interface Answered {
  readonly kind: 'answered';
  readonly schedule: string;
  readonly call: string;
  /** Why it was refused; absent where it was done. */
  readonly code?: string;
  /** What it survives. */
  readonly durability?: Durability;
  /** The job that it enqueued. */
  readonly jobId?: string;
}

/** A queue, or with an empty name all of them, is to be paused or resumed. */
export interface Halting {
  readonly kind: 'halting';
  readonly queue: string;
  readonly change: 'pause' | 'resume';
  /** Tells it from every other. */
  readonly call: string;
}

/** Jobs are to come into a queue with a bound, all or none. */
export interface Entering {
  readonly kind: 'entering';
  readonly queue: string;
  /** Tells it from every other. */
  readonly call: string;
  /** Of their payloads. */
  readonly tokens: readonly string[];
}

/** That call was done. */
export interface Halted {
  readonly kind: 'halted';
  readonly call: string;
  /** What it survives. */
  readonly durability: Durability;
}

/** An attempt begins: its handler starts, then or as soon as its thread gets to it. */
export interface Began {
  readonly kind: 'began';
  readonly id: string;
  readonly queue: string;
  /** How long before this its claim was on its way to the disk, by a clock that nobody sets; not always told. */
  readonly writtenInMs?: number;
}

/** A job was acknowledged. */
export interface Enqueued {
  readonly kind: 'enqueued';
  readonly id: string;
  readonly name: string;
  /** Of its payload; an event does not tell. */
  readonly token?: string;
  /** What was asked for; an event does not tell. */
  readonly durability?: Durability;
  /** It has a deadline, or parents, so it may end without an attempt; an event does not tell. */
  readonly mayExpire?: boolean;
}

/** A job was acknowledged that takes the place of the one before with its unique key. */
export interface Debounced {
  readonly kind: 'debounced';
  readonly id: string;
  readonly key: string;
  /** It is to start then, or later: epoch milliseconds. */
  readonly dueAt: number;
}

/** The end of a job was acknowledged. */
export interface Ended {
  readonly kind: 'ended';
  readonly id: string;
  readonly state: EndedState;
  readonly by: 'event' | 'result' | 'cancel' | 'snapshot';
  /** Of a completed job, where it was told. */
  readonly result?: Done;
  /** The job may have been run again since; said afterwards. */
  readonly isUndone?: true;
}

/** That a job, or all that a filter meant, runs again was acknowledged. */
export interface Retried {
  readonly kind: 'retried';
  readonly id?: string;
  /** Of all that a filter meant, their type, where it said which. */
  readonly name?: string;
  /** What it is now. */
  readonly state?: JobState;
  readonly call?: string;
}

/** That a job, or all that a filter meant, need not wait until it is due any more was acknowledged. */
export interface Promoted {
  readonly kind: 'promoted';
  readonly id?: string;
  readonly name?: string;
  /** What it is now. */
  readonly state?: JobState;
  readonly call?: string;
}

/** That a job is not there any more, or none that a filter meant, was acknowledged. */
export interface Removed {
  readonly kind: 'removed';
  readonly id?: string;
  /** Of all that had ended, their type. */
  readonly name?: string;
  readonly wasThere: boolean;
  readonly call?: string;
}

/** An operation was refused. */
export interface Refused {
  readonly kind: 'refused';
  readonly operation: string;
  readonly id?: string;
  readonly code: string;
  readonly call?: string;
}

/** A job as somebody who looked at it saw it. */
export interface Seen {
  readonly id: string;
  readonly state: JobState;
  /** How often it was run again after it had ended. */
  readonly retries?: number;
}

/** Progress of a job was told. */
export interface Progressed {
  readonly kind: 'progressed';
  readonly id: string;
  readonly by: 'event' | 'handle';
  /** Of which attempt; a handle does not tell. */
  readonly attempt?: number;
  readonly value: Step;
}

/** A handler began. */
export interface Started {
  readonly kind: 'started';
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** Its concurrency key. */
  readonly key?: string;
  /** The tick that it was told to be for. */
  readonly scheduledFor?: number;
  /** Of a type whose payloads have versions. */
  readonly versions?: Versions;
  /** What it was given of an earlier attempt. */
  readonly resumeFrom?: Mark;
  readonly pid: number;
  /** The system's id of its thread. */
  readonly thread: number;
  /** All threads that its process had then. */
  readonly living: readonly number[];
}

/** From which version to which. */
export type Upgrade = readonly [from: number, to: number];

/** What a handler sees of versions. */
export interface Versions {
  /** Of the code that runs. */
  readonly code: number;
  /** For which one its job was enqueued. */
  readonly enqueued: number;
  /** What was done to the payload since. */
  readonly upgrades: readonly Upgrade[];
}

/** A handler was told that a job will be enqueued once its own has completed. */
export interface FollowedUp {
  readonly kind: 'followedUp';
  /** Of the handler's job. */
  readonly id: string;
  readonly followUp: string;
  /** The handler chose the id, so that others may have made that job. */
  readonly isNamed?: true;
}

/** A handler came to its end, whatever that was. */
export interface Left {
  readonly kind: 'left';
  readonly id: string;
  readonly attempt: number;
  readonly thread: number;
  /** Its engine has certainly heard of it; where that is not said, it may have been lost on the way. */
  readonly isHeard?: boolean;
  /** It asked for its job to come back after so long; absent where it was told to stop before. */
  readonly snoozedMs?: number;
}

export type FactOf<Kind extends Fact['kind']> = Extract<Fact, { kind: Kind }>;

/** A fact, and when it was recorded: epoch milliseconds. */
export type Recorded = Fact & { readonly at: number };

/** Records a fact. */
export function tell(file: string, fact: Fact): void {
  // A line begins with its break: should a kill tear one, the next is whole all the same.
  appendFileSync(file, `\n${JSON.stringify({ at: Date.now(), ...fact })}`);
}

/** All facts, in their order. */
export const readFacts = (file: string): Recorded[] => parseFacts(readFileSync(file, 'utf8'));

/** @param text Of a file of facts. */
export const parseFacts = (text: string): Recorded[] => text.split('\n').flatMap(parse);

function parse(line: string): Recorded[] {
  try {
    // Safe: nothing but `tell` writes to the file.
    return [JSON.parse(line) as Recorded];
  } catch {
    // Torn, or the empty one before the first: what it was to record had no consequence yet.
    return [];
  }
}
