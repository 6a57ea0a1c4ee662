/**
 * Invariants of what callers do to jobs that wait, or have ended: what was acknowledged of that is so. A call for all jobs of
 * a type is for those of which it is certain that they were there, and what it is for, when it was made; and whatever else
 * may have happened to one of these meanwhile speaks for the engine.
 */
import { isEnd } from '../../src/job/record.js';
import { handledBetween, handlingsIn, isAgain, isFor, namesIn, retriesIn, type Handling } from './again.js';
import { factsOf, type Case, type Finding } from './evidence.js';
import type { Recorded } from './facts.js';
import { isReused } from './ids.js';
import { looksIn, looksTold, type Look } from './looks.js';

/** That something had become of a job by a moment, among the facts, was acknowledged. */
interface Effect {
  readonly id: string;
  /** Since when it may have been so. */
  readonly from: number;
  readonly to: number;
}

/** A job that was acknowledged to be run again runs, or comes to another end; and it knows how often it was. */
export const retriesLost = (found: Case): Finding[] => [...idle(found), ...uncounted(found)];

function idle({ facts, contents: { jobs }, lives, endAt }: Case): Finding[] {
  const last = new Map<string, number>();
  for (const [i, fact] of facts.entries())
    if (fact.kind === 'started' || (fact.kind === 'ended' && fact.by === 'event')) last.set(fact.id, i);
  const handlings = handlingsIn(facts);
  const others = handlings.filter(({ operation }) => operation === 'cancel' || operation === 'remove');
  const mayBeEnded = handledBetween(others, facts);
  return handlings.flatMap(({ id, from, answer }) => {
    if (answer?.kind !== 'retried' || !isAgain(answer) || id === undefined) return [];
    const job = jobs.get(id);
    if (!job || lives.gone(id, endAt) === 'rightly' || (last.get(id) ?? -1) > from) return [];
    // Others may have ended it, and their word may have died with its process.
    const isOthers = job.parents !== undefined || job.uniqueKey !== undefined || job.run !== undefined;
    if (isOthers || job.deadlineAt !== undefined || mayBeEnded(id, from)) return [];
    const message = `was acknowledged as ${answer.state} again, and did not run, and is ${job.state}`;
    return [{ id, message }];
  });
}

/** Between an end that was told and a call that was answered there was a moment at which the job was run again. */
function uncounted(found: Case): Finding[] {
  const remains = remainsOf(found);
  const effects = byId(retriesOf(found));
  const findings = looksIn(found).flatMap((look) =>
    ownOf(look).flatMap(({ id, retries = 0 }) => {
      const count = (effects.get(id) ?? []).filter((one) => remains(one, look)).length;
      if (count <= retries) return [];
      return [{ id, message: `was run again ${retries} times as it says, and ${count} were acknowledged` }];
    }),
  );
  return oncePerJob(findings);
}

function retriesOf({ facts }: Case): Effect[] {
  const names = namesIn(facts);
  const ended = new Map<string, number>();
  const retriedAt = new Map<string, number>();
  const looks = looksByEnd(facts);
  return withAnswers(facts, 'retried').flatMap(({ fact, at, calls }) => {
    for (const { from, jobs } of looks.get(at) ?? [])
      for (const { id, state } of jobs)
        if (
          (state === 'failed' || state === 'cancelled') &&
          (retriedAt.get(id) ?? -1) < from &&
          !ended.has(id)
        )
          ended.set(id, from);
    // It is announced once, so that no two of them tell of one end.
    if (fact.kind === 'ended' && fact.by === 'event' && fact.state !== 'completed') ended.set(fact.id, at);
    return calls.flatMap((call) => {
      const own = [...ended].filter(([id, since]) => since < call.from && isSurelyFor(call, id, names));
      for (const [id] of own) {
        ended.delete(id);
        retriedAt.set(id, at);
      }
      return own.map(([id, from]) => ({ id, from, to: at }));
    });
  });
}

/** A job that was acknowledged as removed is not there any more, and never runs. */
export function removalsUndone(found: Case): Finding[] {
  const { facts } = found;
  const removed = byId(removalsOf(found));
  const ran = facts.flatMap((fact, i) => {
    if (fact.kind !== 'started' || !removed.get(fact.id)?.some(({ to }) => to < i)) return [];
    return [{ id: fact.id, message: `started as attempt ${fact.attempt} after it was removed` }];
  });
  const remains = remainsOf(found);
  const there = looksIn(found).flatMap((look) =>
    ownOf(look)
      .filter(({ id }) => removed.get(id)?.some((one) => remains(one, look)))
      .map(({ id, state }) => ({
        id,
        message: `was acknowledged as removed, and is ${state} in the journal`,
      })),
  );
  return oncePerJob([...ran, ...there]);
}

function removalsOf({ facts }: Case): Effect[] {
  const isRetried = handledBetween(retriesIn(facts), facts);
  const names = namesIn(facts);
  const ended = new Map<string, { readonly at: number; readonly isForGood: boolean }>();
  const looks = looksByEnd(facts);
  return withAnswers(facts, 'removed').flatMap(({ fact, at, calls }) => {
    for (const { from, jobs } of looks.get(at) ?? [])
      for (const { id, state } of jobs)
        if (isEnd(state) && !isReused(id)) ended.set(id, { at: from, isForGood: state === 'completed' });
    const isForGood = fact.kind === 'ended' && fact.state === 'completed';
    if (fact.kind === 'ended' && !isReused(fact.id) && (isForGood || fact.by === 'event'))
      ended.set(fact.id, { at, isForGood });
    return calls.flatMap((call): Effect[] => {
      const { id, from, to, answer } = call;
      // Where it is of another life by then, nobody knows which one was removed.
      if (id !== undefined) return answer && 'id' in answer && answer.id === id ? [{ id, from, to }] : [];
      const own = [...ended].filter(
        ([one, end]) =>
          end.at < from && isSurelyFor(call, one, names) && (end.isForGood || !isRetried(one, end.at, to)),
      );
      for (const [one] of own) ended.delete(one);
      return own.map(([one, end]) => ({ id: one, from: end.at, to }));
    });
  });
}

/** A job that need not wait until it is due any more does not; but where it has begun since, and is to be tried again. */
export function promotesLost(found: Case): Finding[] {
  const promoted = byId(promotesOf(found));
  const begun = new Map<string, number[]>();
  for (const [i, fact] of found.facts.entries())
    if (fact.kind === 'began' || fact.kind === 'started')
      begun.set(fact.id, [...(begun.get(fact.id) ?? []), i]);
  const remains = remainsOf(found);
  const findings = looksIn(found).flatMap((look) =>
    ownOf(look)
      .filter(({ state }) => state === 'scheduled' || state === 'retryable')
      .filter(({ id }) => {
        const isSame = ({ from }: Effect): boolean => !begun.get(id)?.some((at) => at > from && at < look.to);
        return promoted.get(id)?.some((one) => remains(one, look) && isSame(one));
      })
      .map(({ id, state }) => ({ id, message: `was acknowledged to have become due, and is ${state}` })),
  );
  return oncePerJob(findings);
}

function promotesOf({ facts }: Case): Effect[] {
  // What waits for others may have to wait for its time afterwards.
  const ofFlows = new Set(
    factsOf(facts, 'asked').flatMap(({ operation, together = [] }) =>
      operation === 'enqueue a flow' ? together : [],
    ),
  );
  const names = namesIn(facts);
  /** Those that have not begun: others can have been at work, and so have been left as they were. */
  const fresh = new Map<string, number>();
  const met = new Set<string>();
  return withAnswers(facts, 'promoted')
    .flatMap(({ fact, at, calls }) => {
      // Whoever enqueued it may be told when it has begun.
      if (fact.kind === 'enqueued' && !met.has(fact.id)) fresh.set(fact.id, at);
      if (fact.kind === 'began' || fact.kind === 'started' || fact.kind === 'ended') fresh.delete(fact.id);
      if ('id' in fact && fact.kind !== 'asked' && fact.id !== undefined) met.add(fact.id);
      return calls.flatMap((call): Effect[] => {
        const { id, from, to, answer } = call;
        if (id !== undefined)
          return answer?.kind === 'promoted' && answer.state === 'available' ? [{ id, from, to }] : [];
        const own = [...fresh].filter(([one, since]) => since < from && isSurelyFor(call, one, names));
        return own.map(([one, since]) => ({ id: one, from: since, to }));
      });
    })
    .filter(({ id }) => !ofFlows.has(id));
}

/** What was there when all of its type were cancelled never begins, but where somebody has it run again. */
export function cancelsLost({ facts }: Case): Finding[] {
  const isRetried = handledBetween(retriesIn(facts), facts);
  const known = new Map<string, Map<string, number>>();
  const over = new Map<string, number>();
  return withAnswers(facts, 'allCancelled').flatMap(({ fact, at, calls }) => {
    // What was not synced is as it was.
    if (isPowerCut(fact)) over.clear();
    if (fact.kind === 'enqueued') {
      const own = known.get(fact.name) ?? new Map<string, number>();
      known.set(fact.name, own);
      if (!own.has(fact.id)) own.set(fact.id, at);
    }
    for (const { name = '', from } of calls)
      for (const [id, since] of known.get(name) ?? []) if (since < from) over.set(id, from);
    const from = fact.kind === 'began' ? over.get(fact.id) : undefined;
    if (fact.kind !== 'began' || from === undefined || isRetried(fact.id, from, at)) return [];
    return [{ id: fact.id, message: 'began although all of its type had been cancelled' }];
  });
}

/** The facts with their moments, and the calls that each of them answers in that way. */
function withAnswers(
  facts: readonly Recorded[],
  kind: Recorded['kind'],
): { readonly fact: Recorded; readonly at: number; readonly calls: readonly Handling[] }[] {
  const answered = handlingsIn(facts).filter(({ answer }) => answer?.kind === kind);
  const byMoment = new Map(answered.map((call) => [call.to, [call]] as const));
  return facts.map((fact, at) => ({ fact, at, calls: byMoment.get(at) ?? [] }));
}

/** By the moments at which they were told of. */
const looksByEnd = (facts: readonly Recorded[]): ReadonlyMap<number, readonly Look[]> =>
  new Map(looksTold(facts).map((look) => [look.to, [look]]));

/** Where it was for all jobs of a type, of none that is not known to be of that. */
const isSurelyFor = (call: Handling, id: string, names: ReadonlyMap<string, string>): boolean =>
  isFor(call, id, names) &&
  (call.id !== undefined || (call.name !== undefined && names.get(id) === call.name));

/** Whether an effect must still show to a look: it was there before, and has not been lost in between. */
function remainsOf({ facts }: Case): (effect: Effect, look: Look) => boolean {
  const synced = new Set(
    factsOf(facts, 'enqueued').flatMap(({ id, durability }) => (durability === 'fsync' ? id : [])),
  );
  const losses = facts.flatMap((fact, i) => (isPowerCut(fact) || isDiskError(fact) ? i : []));
  return ({ id, from, to }, look) =>
    to < look.from && (synced.has(id) || !losses.some((at) => at > from && at < look.to));
}

const isPowerCut = (fact: Recorded): boolean => fact.kind === 'killed' && fact.moment.startsWith('power cut');
/** It may lose what it has not synced. */
const isDiskError = (fact: Recorded): boolean =>
  fact.kind === 'warned' && fact.code === 'MILLRACE_JOURNAL_WRITE_FAILED';

/** Each job once. */
const oncePerJob = (findings: readonly Finding[]): Finding[] => [
  ...new Map(findings.map((finding) => [finding.id, finding])).values(),
];

/** An id that is used again may belong to another job by now. */
const ownOf = ({ jobs }: Look): Look['jobs'] => jobs.filter(({ id }) => !isReused(id));

function byId(effects: readonly Effect[]): ReadonlyMap<string, readonly Effect[]> {
  const own = new Map<string, Effect[]>();
  for (const effect of effects) {
    const before = own.get(effect.id);
    if (before) before.push(effect);
    else own.set(effect.id, [effect]);
  }
  return own;
}
