/** Invariants of flows: a job waits until its parents have ended, and not for ever; and goes the way that they leave it. */
import type { FinalJob } from './contents.js';
import { factsOf, type Case, type Finding } from './evidence.js';

/** Nothing waits for jobs that have all ended, once an engine has had the time to tell it. */
export function flowStuck({ contents: { jobs } }: Case): Finding[] {
  return [...jobs.values()]
    .filter(({ state }) => state === 'waiting')
    .map(({ id }) => ({ id, message: 'still waits for its parents after the audit' }));
}

/** No job runs before its parents have ended, and none whose parents forbid it. */
export function flowBroken(found: Case): Finding[] {
  return [...early(found), ...astray(found)];
}

function early({ facts, contents: { jobs } }: Case): Finding[] {
  // Of one of which nothing is told a power cut may have taken that; not of the job.
  const known = new Set(factsOf(facts, 'enqueued').map(({ id }) => id));
  const over = new Set<string>();
  const findings: Finding[] = [];
  for (const fact of facts) {
    if (fact.kind === 'left' || fact.kind === 'ended') over.add(fact.id);
    // It may end without an attempt, of which nobody need be told.
    if (fact.kind === 'asked' && fact.operation === 'cancel' && fact.id) over.add(fact.id);
    if (fact.kind !== 'started') continue;
    for (const id of jobs.get(fact.id)?.parents ?? []) {
      const parent = jobs.get(id);
      // What was told of an unsynced one a power cut may have taken back.
      if (known.has(id) && !over.has(id) && parent?.state === 'completed' && parent.durability === 'fsync')
        findings.push({ id: fact.id, message: `started before its parent ${id} had ended` });
    }
  }
  return findings;
}

function astray({ facts, contents: { jobs } }: Case): Finding[] {
  const asked = new Set(factsOf(facts, 'asked').map(({ id }) => id));
  return [...jobs.values()].flatMap((job) => {
    const isLeft = (job.parents ?? []).some((id) => jobs.has(id) && jobs.get(id)?.state !== 'completed');
    if (!isLeft || job.onParentFailure === 'ignore' || job.state === endOf(job)) return [];
    if (job.state === 'cancelled' && asked.has(job.id)) return [];
    // It may have expired before.
    if (job.state === 'failed' && job.deadlineAt !== undefined) return [];
    return [{ id: job.id, message: `is ${job.state}, although a parent of it has not completed` }];
  });
}

const endOf = ({ onParentFailure }: FinalJob): string =>
  onParentFailure === 'cancel' ? 'cancelled' : 'failed';
