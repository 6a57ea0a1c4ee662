/**
 * Jobs that are no longer kept. An id that every process uses may then belong to a new job: to another life. Whether a
 * job may be gone is told by what happened to it: it had ended, and that long enough ago, or somebody asked to remove it.
 */
import { handledBetween, handlingsIn, isAgain, isFor, namesIn, retriesIn, type Handling } from './again.js';
import type { Evidence, Finding } from './evidence.js';
import type { Recorded } from './facts.js';
import { isReused } from './ids.js';

/** How long jobs of the workload are kept once they have ended, by engines that keep them for a short time. */
export const KEPT_MS = 800;
/** An end is committed before it is on record, where nothing tells by how much: of an attempt its handler does. */
const TOLD_LATE_MS = 400;

/** What is known of one life. */
interface Life {
  /** When it may have ended first: an attempt started, somebody asked to cancel it, or it had a deadline to expire at. */
  touchedAt?: number;
  endedAt?: number;
  /** When it had certainly not ended yet for the last time: a handler started, or came to its end. */
  workedAt?: number;
  /** Where among the facts the end was told. */
  ended?: number;
  /** Somebody asked to remove it, and may have been heard. */
  mayBeRemoved?: true;
}

/** What to think of a job that is gone: it may be, it was to be kept longer, or it had not ended. */
export type Gone = 'rightly' | 'early' | 'alive';

export interface Lives {
  /** @param id As {@link Lives.facts} have it. @param at When it was gone. */
  gone(id: string, at: number): Gone;
  /** All that happened, where each life of an id but its last has an id of its own. */
  readonly facts: readonly Recorded[];
  /** Lives that were followed by another although they were not gone rightly. */
  readonly findings: readonly Finding[];
}

export function tellLives({ facts, terms: { keptMs = KEPT_MS } }: Pick<Evidence, 'facts' | 'terms'>): Lives {
  const lives = new Map<string, Life[]>();
  const findings: Finding[] = [];
  const removals = callsById(facts, ({ operation }) => operation === 'remove');
  const revivals = callsById(facts, ({ answer }) => answer?.kind === 'retried' && isAgain(answer));
  const isRetried = handledBetween(retriesIn(facts), facts);
  const lifeOfFact = facts.map((fact, i) => {
    const id = idIn(fact);
    if (id === undefined) return 0;
    const own = lives.get(id) ?? [];
    lives.set(id, own);
    const current = own.at(-1);
    if (current && removals.get(id)?.some(({ from, to }) => from <= i && i <= to))
      current.mayBeRemoved = true;
    if (current && revivals.get(id)?.some(({ from }) => from === i)) revive(current);
    if (!current) {
      if (EXISTS.has(fact.kind)) own.push({});
    } else if (isReused(id) && isOfNewLife(fact, current, keptMs, (from) => isRetried(id, from, i))) {
      const gone = goneOf(current, fact.at, keptMs);
      if (gone !== 'rightly') findings.push({ id, message: `was made anew, and ${WHY[gone]}` });
      own.push({});
    }
    note(own.at(-1), fact, i);
    return own.length;
  });
  markRemoved(lives, facts);
  const nameOf = (id: string, life: number): string =>
    life < (lives.get(id)?.length ?? 0) ? `${id}#${life}` : id;
  const byName = new Map<string, Life>();
  for (const [id, own] of lives) for (const [i, life] of own.entries()) byName.set(nameOf(id, i + 1), life);
  return {
    gone: (id, at) => goneOf(byName.get(id), at, keptMs),
    facts: facts.map((fact, i) => {
      const id = idIn(fact);
      return id === undefined ? fact : { ...fact, id: nameOf(id, lifeOfFact[i] ?? 0) };
    }),
    findings,
  };
}

/** Calls for one job that may have been heard, by its id. */
function callsById(
  facts: readonly Recorded[],
  isMeant: (call: Handling) => boolean,
): ReadonlyMap<string, readonly Handling[]> {
  const calls = new Map<string, Handling[]>();
  for (const call of handlingsIn(facts)) {
    if (call.id === undefined || !isMeant(call)) continue;
    calls.set(call.id, [...(calls.get(call.id) ?? []), call]);
  }
  return calls;
}

/** It has certainly been run again: it is there until it ends anew. */
function revive(life: Life): void {
  delete life.touchedAt;
  delete life.endedAt;
  delete life.workedAt;
  delete life.ended;
}

/** What a call to remove all of a type may have found; whose ids are used once. */
function markRemoved(lives: ReadonlyMap<string, readonly Life[]>, facts: readonly Recorded[]): void {
  const calls = handlingsIn(facts).filter(({ operation, id }) => operation === 'remove' && id === undefined);
  if (calls.length === 0) return;
  const names = namesIn(facts);
  for (const [i, fact] of facts.entries()) {
    const id = EXISTS.has(fact.kind) ? idIn(fact) : undefined;
    const life = id === undefined ? undefined : lives.get(id)?.at(-1);
    if (id !== undefined && life && calls.some((call) => call.to > i && isFor(call, id, names)))
      life.mayBeRemoved = true;
  }
}

export const WHY: Readonly<Record<Exclude<Gone, 'rightly'>, string>> = {
  early: 'had ended less long before than it is to be kept',
  alive: 'had not ended',
};

const idIn = (fact: Recorded): string | undefined => ('id' in fact ? fact.id : undefined);

/** What only happens to a job that there is. */
const EXISTS: ReadonlySet<Recorded['kind']> = new Set(['enqueued', 'began', 'started', 'ended', 'rescued']);

function goneOf(life: Life | undefined, at: number, keptMs: number): Gone {
  if (life?.mayBeRemoved) return 'rightly';
  const hadEnded = life?.endedAt !== undefined && life.endedAt <= at;
  // The end itself may have died with its process before anybody was told.
  const toldAt = hadEnded ? life.endedAt : life?.touchedAt;
  const endedAt = toldAt === undefined ? Infinity : Math.min(toldAt - TOLD_LATE_MS, life?.workedAt ?? toldAt);
  if (at - endedAt >= keptMs) return 'rightly';
  return hadEnded ? 'early' : 'alive';
}

/** The engine tells in an event that it has made a job; that may have died with its process, and an attempt starts. */
function isOfNewLife(
  fact: Recorded,
  life: Life,
  keptMs: number,
  isRetriedSince: (from: number) => boolean,
): boolean {
  if (fact.kind === 'enqueued') return fact.token === undefined;
  if (fact.kind !== 'started' || goneOf(life, fact.at, keptMs) !== 'rightly') return false;
  if (life.mayBeRemoved) return fact.attempt === 1;
  // One that may have been run again is taken for the same one.
  return life.ended !== undefined && !isRetriedSince(life.ended);
}

/** @param i Its place among the facts. */
function note(life: Life | undefined, fact: Recorded, i: number): void {
  if (!life) return;
  const mayExpire = fact.kind === 'enqueued' && fact.mayExpire === true;
  const isCancel = fact.kind === 'asked' && fact.operation === 'cancel';
  if (fact.kind === 'started' || isCancel || mayExpire) life.touchedAt ??= fact.at;
  if (life.endedAt === undefined && (fact.kind === 'started' || fact.kind === 'left'))
    life.workedAt = fact.at;
  if (fact.kind !== 'ended' || life.endedAt !== undefined) return;
  life.endedAt = fact.at;
  life.ended = i;
}
