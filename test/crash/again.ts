/**
 * What callers do to jobs that have ended, or wait: they have them run again, or remove them. What was acknowledged of
 * that is so; and what was told of a job before it was run again may be so no more.
 */
import type { Case, Finding } from './evidence.js';
import type { FactOf, Recorded } from './facts.js';
import { isReused, plainId } from './ids.js';

/** A call that may have had its effect, at any moment between two, among the facts. */
export interface Handling {
  readonly operation: 'retry' | 'remove';
  /** Absent where it was for all jobs that a filter means. */
  readonly id: string | undefined;
  /** Of those the type; absent where they can be of any. */
  readonly name: string | undefined;
  readonly from: number;
  to: number;
  /** What was told of it; absent where its process died first, or it was refused for what its journal came to. */
  answer?: FactOf<'retried'> | FactOf<'removed'>;
}

/** Those that certainly did nothing are left out. */
export function handlingsIn(facts: readonly Recorded[]): Handling[] {
  const all: Handling[] = [];
  let open: Handling[] = [];
  for (const [i, fact] of facts.entries()) {
    if (fact.kind === 'asked' && (fact.operation === 'retry' || fact.operation === 'remove')) {
      const { operation, id, name } = fact;
      const call: Handling = { operation, id, name, from: i, to: Infinity };
      all.push(call);
      open.push(call);
    }
    if (fact.kind === 'spawned') {
      for (const call of open) call.to = i;
      open = [];
    }
    const operation = operationOf(fact);
    const call = open.find((one) => one.operation === operation && isAnswer(fact, one));
    if (!call) continue;
    call.to = i;
    open = open.filter((one) => one !== call);
    if (fact.kind === 'retried' || fact.kind === 'removed') call.answer = fact;
    if (hasDoneNothing(fact)) all.splice(all.indexOf(call), 1);
  }
  return all;
}

const operationOf = (fact: Recorded): string | undefined =>
  fact.kind === 'retried'
    ? 'retry'
    : fact.kind === 'removed'
      ? 'remove'
      : fact.kind === 'refused'
        ? fact.operation
        : undefined;

const isAnswer = (fact: Recorded, { id, name }: Handling): boolean =>
  isSameJob(id, idOf(fact)) && (!('name' in fact) || fact.name === name);

/** Whatever lives they are of. */
const isSameJob = (one: string | undefined, other: string | undefined): boolean =>
  plainId(one ?? '') === plainId(other ?? '');

const idOf = (fact: Recorded): string | undefined => ('id' in fact ? fact.id : undefined);

function hasDoneNothing(fact: Recorded): boolean {
  if (fact.kind === 'retried') return fact.state !== undefined && !isAgain(fact);
  if (fact.kind === 'removed') return !fact.wasThere;
  return (
    fact.kind === 'refused' && !fact.code.startsWith('MILLRACE_JOURNAL_') && fact.code !== 'MILLRACE_CLOSED'
  );
}

/** Whether what was told of a call to run a job again is that it does. */
export const isAgain = ({ state }: FactOf<'retried'>): boolean =>
  state === 'available' || state === 'waiting';

/** @returns whether one of the calls was for that job, and may have had its effect behind a moment and before another. */
export function handledBetween(
  calls: readonly Handling[],
  facts: readonly Recorded[],
): (id: string, from: number, to?: number) => boolean {
  const names = namesIn(facts);
  return (id, from, to = Infinity) =>
    calls.some((call) => call.to > from && call.from < to && isFor(call, id, names));
}

/** The types of jobs by their ids, whatever lives they are of. */
export const namesIn = (facts: readonly Recorded[]): ReadonlyMap<string, string> =>
  new Map(
    facts.flatMap((fact) =>
      fact.kind === 'enqueued' || fact.kind === 'started' ? [[plainId(fact.id), fact.name]] : [],
    ),
  );

/** Whether a call may have been for that job, too. */
export function isFor({ id, name }: Handling, job: string, names: ReadonlyMap<string, string>): boolean {
  if (id !== undefined) return isSameJob(id, job);
  return name === undefined || (names.get(plainId(job)) ?? name) === name;
}

/** The facts, where each end that a job may have been run again since says so. */
export function withUndone(facts: readonly Recorded[]): readonly Recorded[] {
  const retries = handlingsIn(facts).filter(({ operation }) => operation === 'retry');
  if (retries.length === 0) return facts;
  const isRetried = handledBetween(retries, facts);
  let spawnedAt = 0;
  return facts.map((fact, i) => {
    if (fact.kind === 'spawned') spawnedAt = i;
    if (fact.kind !== 'ended') return fact;
    // What is told on a read may have been read long before.
    const isExact = fact.by === 'event' || fact.by === 'cancel';
    return isRetried(fact.id, isExact ? i : spawnedAt) ? { ...fact, isUndone: true } : fact;
  });
}

/** A job that was acknowledged to be run again runs, or comes to another end. */
export function retriesLost({ facts, contents: { jobs }, lives, endAt }: Case): Finding[] {
  const last = new Map<string, number>();
  for (const [i, fact] of facts.entries()) {
    const isSign = fact.kind === 'started' || (fact.kind === 'ended' && fact.by === 'event');
    const isOther = fact.kind === 'asked' && (fact.operation === 'cancel' || fact.operation === 'remove');
    if ((isSign || isOther) && fact.id !== undefined) last.set(fact.id, i);
  }
  return handlingsIn(facts).flatMap(({ id, from, answer }) => {
    if (answer?.kind !== 'retried' || !isAgain(answer) || id === undefined) return [];
    const job = jobs.get(id);
    const isEndedWithOthers =
      facts.findLastIndex((fact) => fact.kind === 'asked' && fact.name === job?.name) > from;
    if (!job || lives.gone(id, endAt) === 'rightly' || (last.get(id) ?? -1) > from || isEndedWithOthers)
      return [];
    // Others may have ended it, and their word may have died with its process.
    const isOthers = job.parents !== undefined || job.uniqueKey !== undefined || job.run !== undefined;
    if (isOthers || job.deadlineAt !== undefined) return [];
    const message = `was acknowledged as ${answer.state} again, and did not run, and is ${job.state}`;
    return [{ id, message }];
  });
}

/** A job that was acknowledged as removed is not there any more, and never runs. */
export function removalsUndone({ facts, contents: { jobs } }: Case): Finding[] {
  const removed = new Map<string, number>();
  for (const { id, to, answer } of handlingsIn(facts)) {
    // Where it is of another life by then, nobody knows which one was removed.
    if (answer?.kind === 'removed' && answer.id !== undefined && answer.id === id) removed.set(answer.id, to);
  }
  const ran = facts.flatMap((fact, i) => {
    if (fact.kind !== 'started' || (removed.get(fact.id) ?? Infinity) > i) return [];
    return [{ id: fact.id, message: `started as attempt ${fact.attempt} after it was removed` }];
  });
  const there = [...removed.keys()].flatMap((id) => {
    // An id that is used again may belong to another job by now.
    const job = isReused(id) ? undefined : jobs.get(id);
    return job ? [{ id, message: `was acknowledged as removed, and is ${job.state} in the journal` }] : [];
  });
  return [...ran, ...there];
}

/** What was there when all of its type were cancelled never begins, but where somebody has it run again. */
export function cancelsLost({ facts }: Case): Finding[] {
  const isRetried = handledBetween(
    handlingsIn(facts).filter(({ operation }) => operation === 'retry'),
    facts,
  );
  const known = new Map<string, Set<string>>();
  /** By type, those that were known when a call that is not answered was made, the first one first. */
  const asked = new Map<string, { readonly ids: ReadonlySet<string>; readonly from: number }[]>();
  const over = new Map<string, number>();
  return facts.flatMap((fact, i) => {
    if (fact.kind === 'spawned') asked.clear();
    // What was not synced is as it was.
    if (fact.kind === 'killed' && fact.moment.startsWith('power cut')) over.clear();
    if (fact.kind === 'enqueued') known.set(fact.name, (known.get(fact.name) ?? new Set()).add(fact.id));
    if (fact.kind === 'asked' && fact.operation === 'cancel' && fact.name !== undefined) {
      const call = { ids: new Set(known.get(fact.name)), from: i };
      asked.set(fact.name, [...(asked.get(fact.name) ?? []), call]);
    }
    if (fact.kind === 'allCancelled') {
      const { ids, from } = asked.get(fact.name)?.shift() ?? { ids: [], from: i };
      for (const id of ids) over.set(id, from);
    }
    const from = fact.kind === 'began' ? over.get(fact.id) : undefined;
    if (fact.kind !== 'began' || from === undefined || isRetried(fact.id, from, i)) return [];
    return [{ id: fact.id, message: 'began although all of its type had been cancelled' }];
  });
}
