/** Flows: jobs that wait for others. What an app writes, and how it is checked. */
import { checkKnown, isName, isRecord, NAME_RULE, oneOf, PLAIN_RULE } from './checks.js';
import { namesOf } from './job/names.js';
import type { JobCatalogue, JobResult } from './define.js';
import type { EnqueueItem, NamedItem } from './items.js';
import type { EnqueueOptions } from './job-options.js';
import { invalidOption, MillraceError, show } from './errors.js';
import type { JobHandle } from './job-handle.js';
import { ON_PARENT_FAILURE, type Draft, type OnParentFailure } from './job/record.js';

/** What a job of a flow has beside name, payload and options. */
export interface FlowLinks<Key extends string = string> {
  /** The keys of the jobs that it waits for: it is `waiting` until all of them have ended. Default: none. */
  readonly parents?: readonly Key[];
  /**
   * What becomes of it when one of its parents fails, is cancelled or is removed before it has ended, or
   * cannot be read because its record is damaged. `'fail'` (default):
   * it fails at once, with `MILLRACE_PARENT_FAILED`. `'cancel'`: it is cancelled. `'ignore'`: that parent counts as done,
   * and has no result.
   */
  readonly onParentFailure?: OnParentFailure;
}

/** One job of a flow. */
export type FlowJob<Jobs extends JobCatalogue, Queue extends string> = EnqueueItem<Jobs, Queue> & FlowLinks;

/**
 * A flow of which a call infers the names of its jobs, see {@link NamedItem}, and the parents that any of them has: where
 * these are known, they must be its keys. The two are inferred apart, for beside the names nothing else is.
 */
export type NamedFlow<
  Jobs extends JobCatalogue,
  Queue extends string,
  Names extends Readonly<Record<string, keyof Jobs & string>>,
  Parent extends string,
> = {
  readonly [Key in keyof Names]: NamedItem<Jobs, Queue, Names[Key]> &
    FlowLinks<string extends Parent ? string : keyof Names & string>;
} & Readonly<Record<string, AnyItem & FlowLinks<Parent>>>;

/** The handles of a flow's jobs, by their keys. */
export type FlowHandles<
  Jobs extends JobCatalogue,
  Items extends { readonly [Key in keyof Items]: { readonly name: string } },
> = {
  -readonly [Key in keyof Items]: JobHandle<Items[Key]['name'], JobResult<Jobs[Items[Key]['name']]>>;
};

/** How many jobs one flow has at most, and how often one of them waits for another: they are one write. */
const MAX_JOBS = 20_000;
const MAX_LINKS = 1_000_000;
/** Of a circle that is longer, so many jobs are named. */
const MAX_SHOWN = 10;

const FIELDS = namesOf<FlowLinks & { name: string; payload: unknown; options: object }>({
  name: true,
  payload: true,
  options: true,
  parents: true,
  onParentFailure: true,
});

/** A job as it comes, unchecked. */
export interface AnyItem {
  readonly name: string;
  readonly payload?: unknown;
  readonly options?: EnqueueOptions;
}

/** A job of a flow as it comes, unchecked. */
export type AnyFlowJob = FlowLinks & AnyItem;

/** A flow as it comes, unchecked. */
export type AnyFlow = Readonly<Record<string, AnyFlowJob>>;

/** A flow as it was when its caller gave it, whatever becomes of that: but for the payloads, which are not copied. */
export type GivenFlow = ReadonlyMap<string, AnyFlowJob>;

/**
 * Takes a flow before it is checked, which takes more than a turn of the event loop.
 * @throws MillraceError `MILLRACE_OPTION_INVALID`, where it is none, or too large.
 */
export function takeFlow(flow: AnyFlow): GivenFlow {
  if (!isRecord(flow)) throw invalidOption('flow', 'a plain object with a job for each key', flow);
  const keys = Object.keys(flow);
  if (keys.length === 0 || keys.length > MAX_JOBS)
    throw invalidOption('flow', `an object with 1 to ${MAX_JOBS} jobs`, `${keys.length} jobs`);
  const given = new Map<string, AnyFlowJob>();
  let links = 0;
  for (const key of keys) {
    // Safe: it is one of its own.
    const job = flow[key] as AnyFlowJob;
    const { parents }: FlowLinks = isRecord(job) ? job : {};
    if (Array.isArray(parents)) links += parents.length;
    if (links > MAX_LINKS)
      throw invalidOption('flow', `jobs with at most ${MAX_LINKS} parents in all`, `more with ${show(key)}`);
    given.set(key, isRecord(job) ? takeJob(job) : job);
  }
  return given;
}

/** What could not be copied as what it is stays what it is, to be refused. */
function takeJob(job: AnyFlowJob): AnyFlowJob {
  const { name, payload, options, parents = [], onParentFailure } = job;
  const taken: Draft<AnyFlowJob> = { ...job, name, payload, parents };
  if (options !== undefined) taken.options = isRecord(options) ? { ...options } : options;
  if (Array.isArray(parents)) taken.parents = [...parents];
  if (onParentFailure !== undefined) taken.onParentFailure = onParentFailure;
  return taken;
}

/**
 * Yields after each small step, for the caller to pause there: it takes as long as there are jobs and parents.
 * @throws MillraceError `MILLRACE_OPTION_INVALID`
 */
export function* checkFlow(flow: GivenFlow): Generator<undefined, void> {
  for (const [key, job] of flow) {
    if (!isName(key) || key === '__proto__') throw invalidOption('flow', `${NAME_RULE} for each key`, key);
    checkKnown(job, FIELDS, `flow.${key}`);
    if (job.options !== undefined && !isRecord(job.options))
      throw invalidOption(`flow.${key}.options`, PLAIN_RULE, job.options);
    if (job.options?.uniqueKey !== undefined)
      throw invalidOption(
        `flow.${key}.options.uniqueKey`,
        'absent: another job cannot take the place of one of a flow',
        job.options.uniqueKey,
      );
    yield* checkParents(flow, key, job.parents ?? []);
    oneOf(job.onParentFailure ?? 'fail', `flow.${key}.onParentFailure`, ON_PARENT_FAILURE);
  }
  yield* checkAcyclic(flow);
}

function* checkParents(flow: GivenFlow, key: string, parents: readonly string[]): Generator<undefined, void> {
  const option = `flow.${key}.parents`;
  if (!Array.isArray(parents)) throw invalidOption(option, 'an array of keys', parents);
  const seen = new Set<string>();
  for (const parent of parents) {
    if (typeof parent !== 'string' || !flow.has(parent))
      throw invalidOption(option, 'keys of the same flow', parent);
    if (seen.has(parent)) throw invalidOption(option, 'each key once', parent);
    seen.add(parent);
    yield;
  }
  yield;
}

/** Takes away job by job that waits for none that is left: what cannot be taken waits for itself in the end. */
function* checkAcyclic(flow: GivenFlow): Generator<undefined, void> {
  const waitsFor = new Map<string, number>();
  const childrenOf = new Map<string, string[]>();
  const free: string[] = [];
  for (const [key, { parents = [] }] of flow) {
    waitsFor.set(key, parents.length);
    if (parents.length === 0) free.push(key);
    for (const parent of parents) {
      const children = childrenOf.get(parent);
      if (children) children.push(key);
      else childrenOf.set(parent, [key]);
      yield;
    }
  }
  for (let key = free.pop(); key !== undefined; key = free.pop()) {
    waitsFor.delete(key);
    for (const child of childrenOf.get(key) ?? []) {
      const left = (waitsFor.get(child) ?? 0) - 1;
      waitsFor.set(child, left);
      if (left === 0) free.push(child);
      yield;
    }
    yield;
  }
  const [first] = waitsFor.keys();
  if (first === undefined) return;
  throw new MillraceError(
    'MILLRACE_OPTION_INVALID',
    `Expected \`flow\` to have no jobs that wait for each other in a circle, and ${yield* circle(flow, waitsFor, first)}`,
  );
}

/** The circle that one comes to from a job, going from parent to parent among those that are in one or behind one. */
function* circle(
  flow: GivenFlow,
  left: ReadonlyMap<string, number>,
  first: string,
): Generator<undefined, string> {
  const path = new Map<string, number>();
  for (let key = first; ;) {
    const at = path.get(key);
    if (at !== undefined) return shownCircle([...path.keys()].slice(at));
    path.set(key, path.size);
    // Safe: whatever is left waits for something that is left.
    key = (flow.get(key)?.parents ?? []).find((parent) => left.has(parent)) as string;
    yield;
  }
}

function shownCircle(keys: readonly string[]): string {
  const shown = keys.slice(0, MAX_SHOWN).map(show);
  const rest = keys.length > MAX_SHOWN ? [`${keys.length - MAX_SHOWN} more`] : [];
  return [...shown, ...rest, show(keys[0])].join(' waits for ');
}
