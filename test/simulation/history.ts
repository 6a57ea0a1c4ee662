/** What can happen to an engine, as data. */
import type { Durability, EnqueueOptions, Selection, OnParentFailure } from '../../src/index.js';
import type { Name, Queue } from './catalogue.js';
import type { Failure } from './disk.js';
import type { End } from './runs.js';
import type { Access, StoreOptions } from './store.js';

/** How the engines of a history are opened. */
export interface Tuning extends StoreOptions {
  readonly durability: Durability;
  readonly threads: number;
  readonly selection: Selection;
  /** How many jobs of a type a queue keeps in memory. */
  readonly windowSize: number;
  /** What the disk does first of all that it is asked for. */
  readonly first: 'asked' | Access;
  /** Which of `DECLARED` (schedules.ts) the code declares. */
  readonly declared?: number | undefined;
}

/** A job that is enqueued. */
export interface Item {
  readonly name: Name;
  /** Its payload is so large that it lies in a file of its own. */
  readonly isLarge?: true;
  readonly options: Omit<EnqueueOptions<Queue>, 'id'>;
}

/** A job of a flow. */
export interface FlowItem {
  readonly item: Item;
  readonly parents: number;
  readonly onParentFailure: OnParentFailure;
}

/** `n` picks one of those that there are. */
export type Act =
  | { readonly do: 'enqueue'; readonly item: Item; readonly and?: 'await' | 'cancel' }
  /** With an id that is used again and again. */
  | { readonly do: 'enqueueNamed'; readonly n: number; readonly item: Item }
  /** With a unique key that is used again and again, and says for how long it is held. */
  | {
      readonly do: 'enqueueKeyed';
      readonly n: number;
      readonly held: 'queued' | 'active' | 'retained' | number;
      readonly onConflict: 'return' | 'replace' | 'reject';
      readonly options: Item['options'];
    }
  | { readonly do: 'enqueueMany'; readonly items: readonly Item[] }
  /** Into a queue with a bound, all or none. */
  | {
      readonly do: 'enter';
      readonly queue: 'small' | 'patient';
      readonly options: readonly Pick<Item['options'], 'delay' | 'durability' | 'priority'>[];
    }
  /** Somebody who waits for room gives up, unless he has got in. */
  | { readonly do: 'giveUp'; readonly n: number }
  /** As many jobs of one type as no window holds that is small, with priorities as they come. */
  | { readonly do: 'flood'; readonly priorities: readonly number[] }
  /** Each of the jobs waits for those of the ones before it whose bits are set. */
  | { readonly do: 'enqueueFlow'; readonly jobs: readonly FlowItem[] }
  | { readonly do: 'cancel' | 'promote' | 'await' | 'look'; readonly n: number }
  /** A job is run again, or removed: mostly one that has ended. */
  | { readonly do: 'retry' | 'removeJob'; readonly n: number }
  /** All jobs that one of `RETRIED` (operations.ts) means are run again. */
  | { readonly do: 'retryAll'; readonly n: number }
  /** All jobs that one of `FILTERS` (operations.ts) means are listed. */
  | { readonly do: 'find'; readonly n: number }
  /** A handler comes to its end. */
  | { readonly do: 'end'; readonly n: number; readonly how: End }
  /** A running handler enqueues a job; with an id that is used again and again, where one is given. */
  | { readonly do: 'followUp'; readonly n: number; readonly item: Item; readonly named?: number }
  /** A running handler keeps how far it has come. */
  | { readonly do: 'checkpoint'; readonly n: number }
  /** The schedule of a name is described, as one of `PLANS` (schedules.ts). */
  | { readonly do: 'upsert'; readonly n: number; readonly plan: number }
  | { readonly do: 'pause' | 'resume' | 'remove' | 'runNow'; readonly n: number }
  | { readonly do: 'list' }
  /** A queue, or for 0 all of them. */
  | { readonly do: 'pauseQueue' | 'resumeQueue'; readonly n: number }
  | { readonly do: 'advance'; readonly ms: number }
  /** Somebody sets the machine's clock, forward or back. */
  | { readonly do: 'setClock'; readonly ms: number }
  /** The next write will fail, and so many tries to open the disk again. */
  | { readonly do: 'failWrite'; readonly failure: Failure; readonly opens: number }
  /** `deploys`: the next process has newer code. */
  | { readonly do: 'close'; readonly timeoutMs: number; readonly deploys?: boolean }
  /** The process dies; all that was written survives, and another one opens, then or so much later. */
  | { readonly do: 'kill'; readonly downMs?: number; readonly deploys?: boolean }
  /** The power is cut: so many batches that were not synced survive, or nearly as many as there are. */
  | { readonly do: 'cutPower'; readonly kept: number; readonly downMs?: number }
  | { readonly do: 'nothing' };

/** How far everything gets after an act, before the next one. */
export type Until =
  /** To its rest. */
  | 'rest'
  /** As far as it gets without the disk. */
  | 'disk'
  /** The same, with one write or read that gets through. */
  | 'write'
  | 'read'
  /** As far as it gets with one of the two alone. */
  | 'writes'
  | 'reads';

export interface Step {
  readonly act: Act;
  readonly until: Until;
}

export interface History {
  readonly tuning: Tuning;
  readonly steps: readonly Step[];
  /** The last process lives on to do all that is left, so that nothing comes to light only when another one opens. */
  readonly livesOn: boolean;
}
