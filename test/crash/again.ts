/**
 * What callers do to jobs that wait, or have ended, one by one or to all that a filter means; and what was told of a job
 * before it was run again may be so no more.
 */
import type { Fact, FactOf, Recorded } from './facts.js';
import { plainId } from './ids.js';

const OPERATIONS = ['cancel', 'retry', 'promote', 'remove'] as const;

/** A call that may have had its effect, at any moment between two, among the facts. */
export interface Handling {
  readonly operation: (typeof OPERATIONS)[number];
  /** Absent where it was for all jobs that a filter means. */
  readonly id: string | undefined;
  /** Of those the type; absent where they can be of any. */
  readonly name: string | undefined;
  readonly from: number;
  to: number;
  /** What was told of it; absent where its process died first, or it was refused for what its journal came to. */
  answer?: Answer;
}

type Answer = FactOf<'retried' | 'promoted' | 'removed' | 'allCancelled' | 'ended'>;

/** Those that certainly did nothing are left out. */
export function handlingsIn(facts: readonly Recorded[]): Handling[] {
  const all: Handling[] = [];
  let open: { readonly call: Handling; readonly token: string | undefined }[] = [];
  for (const [i, fact] of facts.entries()) {
    const operation = fact.kind === 'asked' && OPERATIONS.find((one) => one === fact.operation);
    if (fact.kind === 'asked' && operation) {
      const call: Handling = { operation, id: fact.id, name: fact.name, from: i, to: Infinity };
      all.push(call);
      open.push({ call, token: fact.call });
    }
    if (fact.kind === 'spawned') {
      for (const { call } of open) call.to = i;
      open = [];
    }
    const told = open.find((one) => isAnswer(fact, one.call, one.token));
    if (!told) continue;
    const { call } = told;
    call.to = i;
    open = open.filter((one) => one !== told);
    if (fact.kind === 'refused' ? hasDoneNothing(fact) : isVain(fact)) all.splice(all.indexOf(call), 1);
    else if (fact.kind !== 'refused') call.answer = fact as Answer; // Safe: it is one, or none of that call.
  }
  return all;
}

function isAnswer(fact: Recorded, { operation, id, name }: Handling, token: string | undefined): boolean {
  if (operationOf(fact) !== operation) return false;
  if ('call' in fact || token !== undefined) return 'call' in fact && fact.call === token;
  return isSameJob(id, idOf(fact)) && (!('name' in fact) || fact.name === name);
}

const TOLD_BY: Readonly<Partial<Record<Fact['kind'], Handling['operation']>>> = {
  retried: 'retry',
  promoted: 'promote',
  removed: 'remove',
  allCancelled: 'cancel',
};

function operationOf(fact: Recorded): string | undefined {
  if (fact.kind === 'refused') return fact.operation;
  return fact.kind === 'ended' && fact.by === 'cancel' ? 'cancel' : TOLD_BY[fact.kind];
}

/** Whatever lives they are of. */
const isSameJob = (one: string | undefined, other: string | undefined): boolean =>
  plainId(one ?? '') === plainId(other ?? '');

const idOf = (fact: Recorded): string | undefined => ('id' in fact ? fact.id : undefined);

const hasDoneNothing = ({ code }: FactOf<'refused'>): boolean =>
  !code.startsWith('MILLRACE_JOURNAL_') && code !== 'MILLRACE_CLOSED';

/** Whether a call was done, and changed nothing. */
const isVain = (fact: Recorded): boolean =>
  (fact.kind === 'retried' && fact.state !== undefined && !isAgain(fact)) ||
  (fact.kind === 'removed' && !fact.wasThere);

/** Of those the calls that have jobs run again. */
export const retriesIn = (facts: readonly Recorded[]): Handling[] =>
  handlingsIn(facts).filter(({ operation }) => operation === 'retry');

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
  const retries = retriesIn(facts);
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
