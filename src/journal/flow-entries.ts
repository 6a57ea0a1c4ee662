/**
 * What the jobs of a flow have in the journal for one another: who has not ended yet, who waits for whom and for how
 * many, and the news of those that have ended.
 */
import { isEnd, type Job, type JobSpec, type JobStatus } from '../job/record.js';
import type { ChangeList } from './change-list.js';
import {
  childKey,
  ignoresFailures,
  memberKey,
  newsKey,
  newsText,
  NEWS_SPAN,
  parentCountKey,
  parentCountText,
  type ParentCount,
} from './keys.js';

/**
 * All that a job has among those of its flow, as if none of its parents had told it of their end: each is looked at
 * again. Keys, and what they say.
 */
export function flowEntries({ spec, status }: Job): [key: string, text: string][] {
  const { id, sequence, flow, parents } = spec;
  if (flow === undefined || isEnd(status.state)) return [];
  const entries: [string, string][] = [[memberKey(flow, sequence), id]];
  if (status.state !== 'waiting') return entries;
  const ids = Object.values(parents ?? {});
  // One that is run again while it is told of what it waited for before asks anew: what it asked then is forgotten.
  const newsOf = (parent: string): string => newsKey(parent, sequence, status.retries);
  for (const parent of ids)
    entries.push([childKey(parent, sequence), id], [newsOf(parent), newsText({ id: parent })]);
  const count = { count: ids.length, ignoresFailures: ignoresFailures(spec) };
  entries.push([parentCountKey(sequence), parentCountText(count)]);
  return entries;
}

/** A job waits for another: what putting it into the journal does not tell of it, beside for how many it does. */
export function waitFor(changes: ChangeList, { id, sequence }: JobSpec, parent: string): void {
  changes.putText(childKey(parent, sequence), id);
}

/** All that a job of a flow waits for, looked at anew. */
export function waitAgain(changes: ChangeList, job: Job): void {
  for (const [key, text] of flowEntries(job)) {
    if (key.startsWith(NEWS_SPAN.from)) changes.putPlace(key, text);
    else changes.putText(key, text);
  }
}

/** For how many jobs it still waits. @param sequence The job's own. */
export function keepParentCount(changes: ChangeList, sequence: number, count: ParentCount): void {
  changes.putText(parentCountKey(sequence), parentCountText(count));
}

/** A job of a flow as it is from here on. */
export function keepMember(changes: ChangeList, spec: JobSpec, flow: string, status: JobStatus): void {
  if (isEnd(status.state)) leaveFlow(changes, spec, flow, status);
  else changes.putText(memberKey(flow, spec.sequence), spec.id);
}

/** It does not hold up the others any more. */
export function leaveFlow(changes: ChangeList, spec: JobSpec, flow: string, status: JobStatus): void {
  changes.forget(memberKey(flow, spec.sequence));
  if (spec.isParent) tellChildren(changes, spec, status);
}

/** The children of a job are to be told that it has ended, or is gone. */
export function tellChildren(
  changes: ChangeList,
  { id, sequence }: Pick<JobSpec, 'id' | 'sequence'>,
  { state, retries = 0 }: JobStatus,
): void {
  const news = { id, end: { sequence, retries, isCompleted: state === 'completed' } };
  changes.putPlace(newsKey(id, sequence, retries), newsText(news));
}

/** The children of a job are to look what has become of it. @param sequence Where that sorts. */
export function askToLook(changes: ChangeList, id: string, sequence: number): void {
  changes.putPlace(newsKey(id, sequence), newsText({ id }));
}
