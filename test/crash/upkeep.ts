/** Invariants of the engine's books and of its own word: counters, indexes, refusals, warnings, processes. */
import { JOB_STATES, type JobCounts } from '../../src/job/record.js';
import { noJobs } from '../../src/journal/counters.js';
import type { FinalJob } from './contents.js';
import { factsOf, type Case, type Evidence, type Finding } from './evidence.js';
import type { FactOf, Recorded } from './facts.js';
import { NEW_JOB } from './operation.js';

/** What the engine counted at the audit, and the counters on disk, are what an enumeration finds. */
export function counterDrift({ facts, contents }: Evidence): Finding[] {
  const jobs = [...contents.jobs.values()];
  const findings = factsOf(facts, 'counted').flatMap(({ queue, counts }) =>
    drift(`counts(${queue ?? ''})`, counts, count(jobs, queue)),
  );
  const queues = new Set([...contents.counters.keys(), ...jobs.map(({ queue }) => queue)]);
  for (const queue of queues) {
    const counts = contents.counters.get(queue) ?? noJobs();
    findings.push(...drift(`the counters of ${queue}`, counts, count(jobs, queue)));
  }
  return findings;
}

function count(jobs: readonly FinalJob[], queue: string | undefined): JobCounts {
  const counts = noJobs();
  for (const job of jobs) if (queue === undefined || job.queue === queue) counts[job.state]++;
  return counts;
}

const drift = (what: string, counts: JobCounts, found: JobCounts): Finding[] =>
  JOB_STATES.filter((state) => counts[state] !== found[state]).map((state) => ({
    message: `${what} says ${counts[state]} ${state}, and there are ${found[state]}`,
  }));

/** Once all jobs have ended, no key stands for one that waits or runs; and no file has the payload of one that is gone. */
export const leftover = ({ contents: { places, strayFiles } }: Evidence): Finding[] => [
  ...places.map((key) => ({ message: `the key ${key} is left` })),
  ...strayFiles.map((name) => ({ message: `the payload ${name} is left, and its job is gone` })),
];

export const unreadable = ({ contents }: Evidence): Finding[] =>
  contents.unreadable.map((message) => ({ message }));

type Refusal = FactOf<'refused'> & Recorded;

/** Operations are refused, and operators warned, only where there is a reason. */
export function troubled({ facts, terms: { tolerated }, lives }: Case): Finding[] {
  const cancelled = cancelledIn(facts);
  const isMissed = ({ at, operation, id, code }: Refusal): boolean =>
    operation === NEW_JOB && code === 'MILLRACE_JOB_NOT_FOUND' && lives.gone(id ?? '', at) !== 'rightly';
  const refusals = facts
    .filter((fact): fact is Refusal => fact.kind === 'refused')
    .filter(
      (refused) =>
        isMissed(refused) ||
        (!isExpected(refused) && !isOfCancelled(refused, cancelled) && !tolerated.has(refused.code)),
    );
  const warnings = factsOf(facts, 'warned').filter(({ code }) => !tolerated.has(code));
  return [
    ...refusals.map(({ operation, code, id }) => ({
      message: `${operation} was refused with ${code}`,
      ...(id !== undefined && { id }),
    })),
    ...warnings.map(({ code, message }) => ({ message: `the engine warned: ${code} ${message}` })),
  ];
}

/** The workload asks engines that close, and operations for jobs and schedules that may never have been. */
const isExpected = ({ code, id, operation }: FactOf<'refused'>): boolean =>
  (code === 'MILLRACE_QUEUE_FULL' && operation === 'enter') ||
  code === 'MILLRACE_CLOSED' ||
  code === 'MILLRACE_SCHEDULE_NOT_FOUND' ||
  code === 'MILLRACE_UNIQUE_CONFLICT' ||
  code === 'MILLRACE_JOB_RUNNING' ||
  (code === 'MILLRACE_JOB_AWAITED' && operation === 'remove') ||
  (code === 'MILLRACE_JOB_NOT_FOUND' && id !== undefined);

/** A handler is refused what it asks for as soon as somebody has asked to cancel its job. */
const isOfCancelled = ({ code, id = '' }: FactOf<'refused'>, cancelled: ReadonlySet<string>): boolean =>
  code === 'MILLRACE_JOB_CANCELLED' && cancelled.has(id);

const cancelledIn = (facts: Evidence['facts']): ReadonlySet<string> =>
  new Set(factsOf(facts, 'asked').flatMap(({ operation, id }) => (operation === 'cancel' && id ? id : [])));

/** No process ends, or hangs, by itself. */
export const broke = ({ facts }: Evidence): Finding[] =>
  factsOf(facts, 'broke').map(({ message }) => ({ message }));
