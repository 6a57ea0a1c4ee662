/**
 * Invariants of queues with a bound: no job comes into one that is full, what is turned away leaves nothing, and nobody is
 * turned away where there is room.
 */
import { handledBetween, handlingsIn } from './again.js';
import type { Case, Finding } from './evidence.js';
import type { FactOf } from './facts.js';

/** A call that brings jobs into such a queue. */
interface Entry {
  readonly asked: FactOf<'entering'>;
  /** Moments among the facts: when it was made, and answered. */
  readonly from: number;
  to: number;
  /** Absent where nobody was told. */
  answer?: FactOf<'entered'> | FactOf<'turnedAway'>;
}

/** Between a call and its answer there was a moment at which there was room; and there are never more than may be there. */
export const overSize = (found: Case): Finding[] => [...enteredFull(found), ...oversized(found)];

function oversized({ facts, terms: { sizes } }: Case): Finding[] {
  // What a power cut takes back of ends puts jobs back into their queues.
  const cut = facts.findIndex((fact) => fact.kind === 'killed' && fact.moment.startsWith('power cut'));
  return facts.slice(0, cut < 0 ? facts.length : cut).flatMap((fact) => {
    const max = fact.kind === 'sized' ? (sizes?.get(fact.queue) ?? Infinity) : Infinity;
    if (fact.kind !== 'sized' || fact.size <= max) return [];
    return [{ message: `queue ${fact.queue} had ${fact.size} jobs, and ${max} may wait or run in it` }];
  });
}

function enteredFull(found: Case): Finding[] {
  const entries = entriesIn(found);
  const waits = waitsOf(found, entries);
  return entries.flatMap(({ asked, from, to, answer }) => {
    const max = found.terms.bounds?.get(asked.queue) ?? Infinity;
    if (answer?.kind !== 'entered') return [];
    const own = waits.filter((wait) => wait.queue === asked.queue && !answer.ids.includes(wait.id));
    const least = leastAt(own, from, to);
    if (least + asked.tokens.length <= max) return [];
    const message = `came into ${asked.queue} with ${answer.ids.length} in all, where ${least} waited, and ${max} may`;
    return [{ id: answer.ids[0] ?? '', message }];
  });
}

/** What was turned away is not there. */
export function refusedStayed(found: Case): Finding[] {
  const turnedAway = new Set([
    ...entriesIn(found).flatMap(({ asked, answer }) => (answer?.kind === 'turnedAway' ? asked.tokens : [])),
    ...found.facts.flatMap((fact) => (fact.kind === 'noRoom' ? [fact.token] : [])),
  ]);
  const kept = [...found.contents.jobs.values()].filter(({ token }) => turnedAway.has(token));
  return kept.map(({ id }) => ({ id, message: 'was turned away, and is in the journal' }));
}

/** Who is turned away because a queue is full does not fit beside all that may be there. */
export function refusedInVain(found: Case): Finding[] {
  const entries = entriesIn(found);
  const endedAt = new Map<string, number>();
  for (const [i, fact] of found.facts.entries())
    if (fact.kind === 'ended' && !fact.isUndone && !endedAt.has(fact.id)) endedAt.set(fact.id, i);
  return entries.flatMap(({ asked, from, to, answer }) => {
    const max = found.terms.bounds?.get(asked.queue) ?? Infinity;
    if (answer?.kind !== 'turnedAway' || !answer.isFull) return [];
    const most = entries
      .filter((other) => other.asked.queue === asked.queue && other.from !== from && other.from < to)
      .filter((other) => other.answer?.kind !== 'turnedAway' || other.to > from)
      .reduce((sum, other) => sum + countAt(other, endedAt, from), 0);
    if (most + asked.tokens.length > max) return [];
    const message = `${asked.tokens.length} were turned away from ${asked.queue}, where ${most} can have waited at most, and ${max} may`;
    return [{ message }];
  });
}

/** How many of a call's jobs may be there at a moment. */
function countAt({ asked, answer }: Entry, endedAt: ReadonlyMap<string, number>, at: number): number {
  if (answer?.kind !== 'entered') return asked.tokens.length;
  return answer.ids.filter((id) => (endedAt.get(id) ?? Infinity) > at).length;
}

function entriesIn({ facts }: Case): Entry[] {
  const all: Entry[] = [];
  let open = new Map<string, Entry>();
  for (const [i, fact] of facts.entries()) {
    if (fact.kind === 'entering') {
      const entry = { asked: fact, from: i, to: Infinity };
      all.push(entry);
      open.set(fact.call, entry);
    }
    if (fact.kind === 'spawned') {
      for (const entry of open.values()) entry.to = i;
      open = new Map();
    }
    const entry = fact.kind === 'entered' || fact.kind === 'turnedAway' ? open.get(fact.call) : undefined;
    if (entry && (fact.kind === 'entered' || fact.kind === 'turnedAway')) {
      entry.answer = fact;
      entry.to = i;
      open.delete(fact.call);
    }
  }
  return all;
}

/** While that is so, a job certainly waits. */
interface Wait {
  readonly id: string;
  readonly queue: string;
  readonly from: number;
  until: number;
}

/** From its acknowledgment on, until it may have begun, or been done something to; it may wait again, but need not. */
function waitsOf({ facts }: Case, entries: readonly Entry[]): Wait[] {
  const waits = new Map<string, Wait>();
  for (const { asked, to, answer } of entries)
    if (answer?.kind === 'entered')
      for (const id of answer.ids) waits.set(id, { id, queue: asked.queue, from: to, until: Infinity });
  const handlings = handlingsIn(facts).filter(
    ({ operation }) => operation === 'retry' || operation === 'remove',
  );
  const isHandled = handledBetween(handlings, facts);
  for (const [i, fact] of facts.entries()) {
    const isEnd = fact.kind === 'began' || fact.kind === 'started' || fact.kind === 'ended';
    const isCancel = fact.kind === 'asked' && fact.operation === 'cancel';
    const wait = (isEnd || isCancel) && fact.id !== undefined ? waits.get(fact.id) : undefined;
    if (wait) wait.until = Math.min(wait.until, i);
  }
  return [...waits.values()].filter(({ id, from, until }) => from < until && !isHandled(id, from));
}

/** How many waited at least, at the moment between two at which they were the fewest. */
function leastAt(waits: readonly Wait[], from: number, to: number): number {
  const moments = [from, ...waits.flatMap(({ until }) => (until > from && until <= to ? [until] : []))];
  const counts = moments.map((at) => waits.filter((wait) => wait.from <= at && at < wait.until).length);
  return Math.min(...counts);
}
