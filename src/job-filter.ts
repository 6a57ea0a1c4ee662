/** Which jobs are meant: what `jobs()` and the bulk forms of `cancel()`, `retry()`, `remove()` and `promote()` are given. */
import { checkInstant, checkKnown, isRecord, checkReason, isName, NAME_RULE } from './checks.js';
import { namesOf } from './job/names.js';
import { invalidOption } from './errors.js';
import type { CancelOptions } from './job-handle.js';
import { decodeError } from './job/error-data.js';
import { hasEnded, JOB_STATES, lastErrorOf, type Draft, type Job, type JobState } from './job/record.js';

/** Jobs that are as all of its fields say; `{}` means every job there is. */
export interface JobFilter {
  /** In this state, or one of these. */
  state?: JobState | readonly JobState[];
  /** Of this type, or one of these, whether the code knows it or not. */
  name?: string | readonly string[];
  /** In this queue, or one of these, whether the code knows it or not. */
  queue?: string | readonly string[];
  /** That ended at this instant (epoch milliseconds or a Date) or later; of jobs that have not: that were enqueued then. */
  since?: number | Date;
  /** That ended, or were enqueued, before this instant. */
  until?: number | Date;
  /** Whose `error`, in a snapshot, has this code or this name, or this text as a part of its message; upper and lower case are told apart. */
  error?: string;
}

/** A filter that says of which types the jobs are, and with that what their results are. */
export type NamedFilter<Name extends string> = JobFilter & { name: Name | readonly Name[] };

/** A {@link JobFilter} whose fields were checked: what is absent says nothing. */
export interface JobCriteria {
  readonly states?: ReadonlySet<JobState>;
  readonly names?: ReadonlySet<string>;
  readonly queues?: ReadonlySet<string>;
  readonly since?: number;
  readonly until?: number;
  readonly error?: string;
}

const FIELDS = namesOf<JobFilter>({
  state: true,
  name: true,
  queue: true,
  since: true,
  until: true,
  error: true,
});

/** @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkFilter(filter: JobFilter): JobCriteria {
  checkKnown(filter, FIELDS, 'filter');
  const { state, name, queue, since, until, error } = filter;
  const criteria: Draft<JobCriteria> = {};
  if (state !== undefined) criteria.states = listOf(state, 'filter.state', isState, STATE_RULE);
  if (name !== undefined) criteria.names = listOf(name, 'filter.name', isName, NAME_RULE);
  if (queue !== undefined) criteria.queues = listOf(queue, 'filter.queue', isName, NAME_RULE);
  if (since !== undefined) criteria.since = checkInstant(since, 'filter.since');
  if (until !== undefined) criteria.until = checkInstant(until, 'filter.until');
  if (error !== undefined) {
    if (typeof error !== 'string' || error === '')
      throw invalidOption('filter.error', 'a code, a name, or a part of a message', error);
    criteria.error = error;
  }
  return criteria;
}

/**
 * What is changed in bulk: a field that is there and `undefined` is more likely a mistake than a wish for all jobs.
 * @throws MillraceError `MILLRACE_OPTION_INVALID`
 */
export function checkBulkFilter(filter: JobFilter): JobCriteria {
  if (!isRecord(filter))
    throw invalidOption('job', 'an id, or a filter such as `{ state: "failed" }`', filter);
  const missing = Object.entries(filter).find(([, value]) => value === undefined);
  if (missing) throw invalidOption(`filter.${missing[0]}`, 'given, or absent altogether', undefined);
  return checkFilter(filter);
}

const CANCEL_FIELDS = namesOf<CancelOptions>({ reason: true });

/** @returns the reason. @throws MillraceError `MILLRACE_OPTION_INVALID` */
export function checkCancel(options: CancelOptions): string | undefined {
  checkKnown(options, CANCEL_FIELDS, 'options', '');
  return options.reason === undefined ? undefined : checkReason(options.reason);
}

export function matches({ spec, status }: Job, criteria: JobCriteria): boolean {
  const { states, names, queues, since, until, error } = criteria;
  if (states && !states.has(status.state)) return false;
  if (names && !names.has(spec.name)) return false;
  if (queues && !queues.has(spec.queue)) return false;
  const at = hasEnded(status) ? (status.finishedAt ?? 0) : spec.enqueuedAt;
  if (since !== undefined && at < since) return false;
  if (until !== undefined && at >= until) return false;
  return error === undefined || hasError({ spec, status }, error);
}

function hasError({ status }: Job, text: string): boolean {
  const last = lastErrorOf(status);
  if (!last) return false;
  const { code, name, message } = decodeError(last);
  return (code !== undefined && String(code) === text) || name === text || message.includes(text);
}

const STATE_RULE = JOB_STATES.join(', ');
// The cast widens what is looked for: whatever it is, it is one of them or not.
const isState = (value: unknown): value is JobState => JOB_STATES.includes(value as JobState);

function listOf<Value extends string>(
  value: Value | readonly Value[],
  option: string,
  isOne: (value: unknown) => value is Value,
  rule: string,
): ReadonlySet<Value> {
  const isList = Array.isArray(value);
  const list: readonly unknown[] = isList ? value : [value];
  for (const [i, one] of list.entries())
    if (!isOne(one)) throw invalidOption(isList ? `${option}[${i}]` : option, rule, one);
  // Safe: each was looked at.
  return new Set(list as readonly Value[]);
}
