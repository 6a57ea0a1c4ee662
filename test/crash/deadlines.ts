/** Invariants of deadlines: nothing starts behind one, and nothing fails for one that has not come. */
import type { FinalJob } from './contents.js';
import { factsOf, type Evidence, type Finding } from './evidence.js';

/**
 * That an attempt begins is decided before it is on record. On a machine that is short of processors, or whose disk is slow
 * to sync, that is a while; what the journal says of it is exact.
 */
const TOLD_LATE_MS = 3_000;

/** No attempt begins once the deadline of its job has come. */
export function startedLate({ facts, contents: { jobs } }: Evidence): Finding[] {
  const claimed = [...jobs.values()].flatMap(({ id, deadlineAt = Infinity, startedAt = -Infinity }) =>
    startedAt > deadlineAt ? [lateBy(id, startedAt - deadlineAt)] : [],
  );
  const begun = facts.flatMap((fact) => {
    if (fact.kind !== 'began') return [];
    const lateMs = fact.at - (jobs.get(fact.id)?.deadlineAt ?? Infinity);
    return lateMs > TOLD_LATE_MS ? [lateBy(fact.id, lateMs)] : [];
  });
  return [...claimed, ...begun];
}

const lateBy = (id: string, ms: number): Finding => ({ id, message: `started ${ms} ms after its deadline` });

const OF_DEADLINES: ReadonlySet<string | undefined> = new Set(['MILLRACE_EXPIRED', 'MILLRACE_DEADLINE']);

/** A job fails for its deadline only once that has come, and whoever fails without an attempt does so for that. */
export function expiredFalsely({ facts, contents: { jobs } }: Evidence): Finding[] {
  // What was decided by the clock may be stored when it has been set back.
  const wasSetBack = factsOf(facts, 'clockSet').some(({ ms }) => ms < 0);
  return [...jobs.values()].flatMap((job) => {
    const why = falseIn(job, wasSetBack);
    return why === undefined ? [] : [{ id: job.id, message: `failed with ${job.failure?.code}, and ${why}` }];
  });
}

function falseIn(job: FinalJob, wasSetBack: boolean): string | undefined {
  const { failure, deadlineAt, errored, parents = [] } = job;
  if (!failure) return undefined;
  if (OF_DEADLINES.has(failure.code)) {
    if (deadlineAt === undefined) return 'had no deadline';
    if (failure.at < deadlineAt && !wasSetBack)
      return `its deadline came ${deadlineAt - failure.at} ms later`;
    if (failure.code === 'MILLRACE_DEADLINE' && errored.length === 0) return 'no attempt of it was stopped';
  }
  const hasReason = failure.code === 'MILLRACE_EXPIRED' || errored.length > 0 || parents.length > 0;
  return hasReason ? undefined : 'no attempt of it has errored';
}
