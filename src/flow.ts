/** Flows: jobs that wait for others. What an app writes, and how it is checked. */
import { checkKnown, isName, isRecord, NAME_RULE, oneOf, PLAIN_RULE } from './checks.js';
import { namesOf } from './job/names.js';
import type { JobCatalogue, JobResult } from './define.js';
import type { EnqueueItem, NamedItem } from './items.js';
import type { EnqueueOptions } from './job-options.js';
import { invalidOption, MillraceError, show } from './errors.js';
import type { JobHandle } from './job-handle.js';
import { ON_PARENT_FAILURE, type OnParentFailure } from './job/record.js';

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

/** How many jobs one flow has at most: they are one write. */
const MAX_JOBS = 20_000;

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

/** A flow as it comes, unchecked. */
export type AnyFlow = Readonly<Record<string, FlowLinks & AnyItem>>;

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkFlow(flow: AnyFlow): void {
  if (!isRecord(flow)) throw invalidOption('flow', 'a plain object with a job for each key', flow);
  const keys = Object.keys(flow);
  if (keys.length === 0 || keys.length > MAX_JOBS)
    throw invalidOption('flow', `an object with 1 to ${MAX_JOBS} jobs`, `${keys.length} jobs`);
  for (const [key, job] of Object.entries(flow)) {
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
    checkParents(flow, key, job.parents ?? []);
    oneOf(job.onParentFailure ?? 'fail', `flow.${key}.onParentFailure`, ON_PARENT_FAILURE);
  }
  checkAcyclic(flow);
}

function checkParents(flow: AnyFlow, key: string, parents: readonly string[]): void {
  const option = `flow.${key}.parents`;
  if (!Array.isArray(parents)) throw invalidOption(option, 'an array of keys', parents);
  const seen = new Set<string>();
  for (const parent of parents) {
    if (typeof parent !== 'string' || !Object.hasOwn(flow, parent))
      throw invalidOption(option, 'keys of the same flow', parent);
    if (seen.has(parent)) throw invalidOption(option, 'each key once', parent);
    seen.add(parent);
  }
}

/** Takes away job by job that waits for none that is left: what cannot be taken waits for itself in the end. */
function checkAcyclic(flow: AnyFlow): void {
  const waitsFor = new Map(Object.entries(flow).map(([key, { parents = [] }]) => [key, parents.length]));
  const children = new Map<string, string[]>();
  for (const [key, { parents = [] }] of Object.entries(flow))
    for (const parent of parents) children.set(parent, [...(children.get(parent) ?? []), key]);
  const free = [...waitsFor].flatMap(([key, count]) => (count === 0 ? key : []));
  for (let key = free.pop(); key !== undefined; key = free.pop()) {
    waitsFor.delete(key);
    for (const child of children.get(key) ?? []) {
      const left = (waitsFor.get(child) ?? 0) - 1;
      waitsFor.set(child, left);
      if (left === 0) free.push(child);
    }
  }
  const [first] = waitsFor.keys();
  if (first === undefined) return;
  const found = circle(flow, waitsFor, first);
  throw new MillraceError(
    'MILLRACE_OPTION_INVALID',
    `Expected \`flow\` to have no jobs that wait for each other in a circle, and ${found}`,
  );
}

/** The circle that one comes to from a job, going from parent to parent among those that are in one or behind one. */
function circle(flow: AnyFlow, left: ReadonlyMap<string, number>, first: string): string {
  const path: string[] = [];
  for (let key = first; ;) {
    const at = path.indexOf(key);
    path.push(key);
    if (at >= 0) return path.slice(at).map(show).join(' waits for ');
    // Safe: whatever is left waits for something that is left.
    key = (flow[key]?.parents ?? []).find((parent) => left.has(parent)) as string;
  }
}
