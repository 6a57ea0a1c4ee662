/** The types of what calls bring in and give back, by the names of the job types that a catalogue has. */
import type { JobCatalogue, JobPayload, JobResult } from './define.js';
import type { JobHandle, JobSnapshot } from './job-handle.js';
import type { EnqueueOptions } from './job-options.js';

/** What `enqueue()` takes behind the name: a payload where the handler takes one. */
export type EnqueueArguments<Payload, Queue extends string> = undefined extends Payload
  ? [payload?: Payload, options?: EnqueueOptions<Queue>]
  : [payload: Payload, options?: EnqueueOptions<Queue>];

/** One job of `enqueueMany()`; the payload may be left out where the handler takes none. */
export type EnqueueItem<Jobs extends JobCatalogue, Queue extends string> = {
  [Name in keyof Jobs & string]: {
    readonly name: Name;
    readonly options?: EnqueueOptions<Queue>;
  } & (undefined extends JobPayload<Jobs[Name]>
    ? { readonly payload?: JobPayload<Jobs[Name]> }
    : { readonly payload: JobPayload<Jobs[Name]> });
}[keyof Jobs & string];

/**
 * An item whose `name` is known. A call infers the name alone, so that of an item that is written in place the compiler
 * refuses what it refuses of `enqueue()`: a misspelt field above all.
 */
export type NamedItem<Jobs extends JobCatalogue, Queue extends string, Name extends keyof Jobs & string> = {
  readonly name: Name;
} & EnqueueItem<Pick<Jobs, Name>, Queue>;

/** The names of items, as what has them. */
export type Named<Names> = { readonly [Key in keyof Names]: { readonly name: Names[Key] & string } };

/** The handles of an array's jobs, in its order. */
export type JobHandles<Jobs extends JobCatalogue, Items extends readonly { readonly name: string }[]> = {
  -readonly [I in keyof Items]: JobHandle<Items[I]['name'], JobResult<Jobs[Items[I]['name']]>>;
};

/** A handle of a job of one of these names; each tells of which type its result is. */
export type HandleOfAny<Jobs extends JobCatalogue, Name extends keyof Jobs & string> = {
  [One in Name]: JobHandle<One, JobResult<Jobs[One]>>;
}[Name];

/** Jobs of one of these names; each tells of which type its result is. */
export type JobSnapshots<Jobs extends JobCatalogue, Name extends keyof Jobs & string> = {
  [One in Name]: JobSnapshot<One, JobResult<Jobs[One]>>;
}[Name];
