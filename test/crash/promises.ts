/** Invariants of what was acknowledged: the journal, in the end, says the same. */
import { isEnd } from '../../src/job/record.js';
import type { FinalJob } from './contents.js';
import { factsOf, type Case, type Evidence, type Finding } from './evidence.js';
import { plainId } from './ids.js';
import { WHY } from './lives.js';
import type { Done, Ended, Progressed } from './facts.js';

/** Acknowledged jobs are there until they may go, have ended in the audit, and as it was acknowledged. */
export function lost({ facts, contents: { jobs }, lives, endAt }: Case): Finding[] {
  const findings = new Map<string, Finding>();
  const found = (id: string, message: string): unknown => findings.set(`${id} ${message}`, { id, message });
  for (const { id } of factsOf(facts, 'enqueued')) {
    const job = jobs.get(id);
    if (!job && lives.gone(id, endAt) === 'alive') found(id, 'was acknowledged and is not in the journal');
    else if (job && !isEnd(job.state) && job.state !== 'waiting')
      found(id, `was acknowledged and is still ${job.state} after the audit`);
  }
  for (const { id, state, by, isUndone } of factsOf(facts, 'ended')) {
    const now = jobs.get(id)?.state ?? state;
    if (now !== state && !isUndone)
      found(id, `was acknowledged as ${state} by ${by} and is ${now} in the journal`);
  }
  for (const { id } of missed(facts).filter((fact) => lives.gone(fact.id, fact.at) === 'alive'))
    found(id, 'was acknowledged, and a later process did not find it');
  return [...findings.values()];
}

/** No job goes before it was kept for its time. */
export function goneEarly({ facts, contents: { jobs }, lives, endAt }: Case): Finding[] {
  const ended = new Set(factsOf(facts, 'ended').map(({ id }) => id));
  const absent = [...ended].filter((id) => !jobs.has(id)).map((id) => ({ id, at: endAt }));
  const early = [...absent, ...missed(facts)].filter(({ id, at }) => lives.gone(id, at) === 'early');
  return [...lives.findings, ...early.map(({ id }) => ({ id, message: `is gone, and ${WHY.early}` }))];
}

/** Jobs that an earlier process acknowledged and that the engine then said it does not know. */
function missed(facts: Case['facts']): { id: string; at: number }[] {
  const acknowledged = new Set<string>();
  let fresh: string[] = [];
  const misses: { id: string; at: number }[] = [];
  for (const fact of facts) {
    if (fact.kind === 'enqueued') fresh.push(fact.id);
    if (fact.kind === 'spawned') {
      for (const id of fresh) acknowledged.add(id);
      fresh = [];
    }
    if (fact.kind !== 'refused' || fact.code !== 'MILLRACE_JOB_NOT_FOUND') continue;
    if (fact.id !== undefined && acknowledged.has(fact.id)) misses.push({ id: fact.id, at: fact.at });
  }
  return misses;
}

/** Jobs that nobody was told of run to their end like all others. */
export function stranded({ facts, contents: { jobs } }: Evidence): Finding[] {
  const acknowledged = new Set(factsOf(facts, 'enqueued').map(({ id }) => id));
  return [...jobs.values()]
    .filter(({ id, state }) => !isEnd(state) && state !== 'waiting' && !acknowledged.has(id))
    .map(({ id, state }) => ({ id, message: `is in the journal, and still ${state} after the audit` }));
}

/** Of jobs that were enqueued together, all are there or none; or have been, and are gone since. */
export function torn({ facts, contents: { jobs }, lives, endAt }: Case): Finding[] {
  return facts.flatMap((fact) => {
    if (fact.kind !== 'asked' || !fact.together) return [];
    const there = fact.together.filter((id) => jobs.has(id) || lives.gone(id, endAt) !== 'alive');
    if (there.length === 0 || there.length === fact.together.length) return [];
    const message = `is one of ${there.length} of ${fact.together.length} jobs that came together`;
    return [{ id: there[0] ?? '', message }];
  });
}

/** A payload, a name and a result belong to the job that has them, and results are told as they are. */
export function mixedUp({ facts, contents: { jobs } }: Evidence): Finding[] {
  const findings = [...jobs.values()].flatMap(ofAnother);
  for (const { id } of factsOf(facts, 'garbled'))
    findings.push({ id, message: 'has got a payload that is not as it was enqueued' });
  for (const { id, name, token } of factsOf(facts, 'enqueued')) {
    const job = jobs.get(id);
    if (job && (job.name !== name || (token !== undefined && job.token !== token)))
      findings.push({ id, message: `was enqueued as ${name} ${token}, and is ${job.name} ${job.token}` });
  }
  for (const { id, scheduledFor } of factsOf(facts, 'started')) {
    const job = jobs.get(id);
    if (job && job.run?.scheduledFor !== scheduledFor) {
      const message = `was started for the tick of ${scheduledFor}, and is for ${job.run?.scheduledFor}`;
      findings.push({ id, message });
    }
  }
  for (const fact of factsOf(facts, 'ended')) {
    const job = jobs.get(fact.id);
    if (job && isToldWrong(fact, job)) {
      const [told, kept] = [JSON.stringify(fact.result), JSON.stringify(job.result)];
      findings.push({ id: fact.id, message: `was told to have come to ${told}, and came to ${kept}` });
    }
  }
  return findings;
}

/** The token of a payload that was made for one tick. */
export const tokenOf = (schedule: string, scheduledFor: number): string => `${schedule}@${scheduledFor}`;

function ofAnother({ id, state, attempt, token, isGarbled, result, run }: FinalJob): Finding[] {
  if (isGarbled) return [{ id, message: 'has a payload that is not as it was enqueued' }];
  if (run && token.includes('@') && token !== tokenOf(run.schedule, run.scheduledFor))
    return [{ id, message: `has the payload ${token}, and is of ${run.scheduledFor} of ${run.schedule}` }];
  const expected: Done = { id, token, attempt };
  if (state !== 'completed' || isSame(result, expected)) return [];
  const message = `completed with ${JSON.stringify(result)}, and its last attempt was ${JSON.stringify(expected)}`;
  return [{ id, message }];
}

/** Only events and results bring the value. */
const isToldWrong = ({ state, by, result }: Ended, job: FinalJob): boolean =>
  state === 'completed' && (by === 'event' || by === 'result') && !isSame(result, job.result);

const isSame = (one: Done | undefined, other: Done | undefined): boolean =>
  one?.id === other?.id && one?.token === other?.token && one?.attempt === other?.attempt;

/** Progress is told of the job and attempt that reported it; to listeners in its order, and not behind the end. */
export function misreported({ facts }: Evidence): Finding[] {
  const findings: Finding[] = [];
  const steps = new Map<string, number>();
  const over = new Set<string>();
  for (const fact of facts) {
    // An attempt that was interrupted reports all anew.
    if (fact.kind === 'started') steps.delete(fact.id);
    if (fact.kind === 'ended' && fact.by === 'event' && !fact.isUndone) over.add(fact.id);
    if (fact.kind !== 'progressed') continue;
    const message = misreport(fact, steps.get(fact.id) ?? 0, over);
    if (message !== undefined) findings.push({ id: fact.id, message });
    if (fact.by === 'event') steps.set(fact.id, fact.value.step);
  }
  return findings;
}

/** @param last The step that listeners were told of before. */
function misreport(
  { id, by, attempt, value }: Progressed,
  last: number,
  over: ReadonlySet<string>,
): string | undefined {
  const said = `was said to have come to step ${value.step} of attempt ${value.attempt}`;
  if (value.id !== plainId(id)) return `${said}, which ${value.id} has`;
  if (by === 'handle') return undefined;
  if (value.attempt !== attempt) return `${said}, as attempt ${attempt}`;
  if (over.has(id)) return `${said} when it had ended`;
  return value.step > last ? undefined : `${said} behind step ${last}`;
}

/** A job ends once, and so is its end announced once, over all processes. */
export function announcedTwice({ facts }: Evidence): Finding[] {
  const announced = new Set<string>();
  return factsOf(facts, 'ended').flatMap(({ id, by, state, isUndone }) => {
    if (by !== 'event' || isUndone) return [];
    if (announced.has(id)) return [{ id, message: `was announced as ${state}, and its end was already` }];
    announced.add(id);
    return [];
  });
}
