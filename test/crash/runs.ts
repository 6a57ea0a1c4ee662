/** Invariants of handlers: when they may start, beside which others, and with which attempt. */
import { isEnd, MAX_ERRORS } from '../../src/job/record.js';
import { handledBetween, retriesIn } from './again.js';
import type { FinalJob } from './contents.js';
import { factsOf, type Case, type Evidence, type Finding } from './evidence.js';
import type { Left, Started } from './facts.js';
import { plainId } from './ids.js';

/** No handler starts once the end of its job was acknowledged. */
export function finishedTwice({ facts }: Evidence): Finding[] {
  const ended = new Map<string, string>();
  const findings: Finding[] = [];
  for (const fact of facts) {
    if (fact.kind === 'ended' && !fact.isUndone) ended.set(fact.id, `${fact.state} by ${fact.by}`);
    const end = fact.kind === 'started' ? ended.get(fact.id) : undefined;
    if (fact.kind === 'started' && end !== undefined)
      findings.push({ id: fact.id, message: `started again after it was acknowledged as ${end}` });
  }
  return findings;
}

/** Two attempts of a job never overlap. */
export function ranConcurrently({ facts }: Evidence): Finding[] {
  return atEachStart(facts, (start, running) =>
    running
      .filter(({ id }) => id === start.id)
      .map(({ id, attempt, thread }) => {
        const message = `attempt ${start.attempt} started in thread ${start.thread} while ${attempt} ran in ${thread}`;
        return { id, message };
      }),
  );
}

/** Of each type no more jobs run at once that have the same concurrency key than may. */
export function overKeyLimit({ facts, terms }: Evidence): Finding[] {
  return atEachStart(facts, (start, running) => {
    const { id, name, key } = start;
    if (key === undefined) return [];
    const others = running.filter((one) => one.name === name && one.key === key && one.id !== id);
    if (others.length < (terms.limitsPerKey.get(name) ?? Infinity)) return [];
    return [{ id, message: `started while ${others.length} others of its type had the key ${key}` }];
  });
}

/** Limits of types and queues hold. */
export function overLimit({ facts, terms }: Evidence): Finding[] {
  return atEachStart(facts, (start, running) =>
    (['name', 'queue'] as const).flatMap((by) => {
      const limit = terms.limits[by].get(start[by]) ?? Infinity;
      const others = running.filter((other) => other[by] === start[by] && other.id !== start.id);
      if (others.length < limit) return [];
      return [{ id: start.id, message: `started while ${others.length} others of its ${by} ran` }];
    }),
  );
}

/** @param judge Gets each start with the attempts that ran then. */
function atEachStart(
  facts: Evidence['facts'],
  judge: (start: Started, running: readonly Started[]) => Finding[],
): Finding[] {
  let running: Started[] = [];
  const findings: Finding[] = [];
  for (const fact of facts) {
    if (fact.kind === 'spawned') running = [];
    else if (fact.kind === 'left') running = running.filter((one) => !hasLeft(one, fact));
    else if (fact.kind === 'started') {
      // An attempt dies with its thread.
      running = running.filter(({ thread }) => fact.living.includes(thread));
      findings.push(...judge(fact, running));
      running.push(fact);
    }
  }
  return findings;
}

const hasLeft = (one: Started, left: Left): boolean =>
  one.id === left.id && one.attempt === left.attempt && one.thread === left.thread;

/** The last attempt of a job that began. */
interface Last {
  readonly start: Started;
  /** Its moment among the facts. */
  readonly at: number;
  isOver: boolean;
  /** It must have counted, for its engine has heard of its end, and gone on. */
  mustCount: boolean;
  /** It was snoozed, and not too often: it must not have counted. */
  isSnoozed: boolean;
}

/**
 * Attempts are counted from 1 and never back, and stay within their number; one that came to its end, or was told to
 * have errored, is not made again, and one that was interrupted, or snoozed, does not count.
 */
export function miscounted({ facts, contents: { jobs }, terms }: Evidence): Finding[] {
  const findings: Finding[] = [];
  const last = new Map<string, Last>();
  const errored = new Map<string, number>();
  // Of all lives of an id: where one may have been removed, it is not known which one was snoozed.
  const snoozes = new Map<string, number>();
  const isRetried = handledBetween(retriesIn(facts), facts);
  for (const [i, fact] of facts.entries()) {
    if (fact.kind === 'left') {
      const before = last.get(fact.id);
      const isSnoozed = fact.snoozedMs !== undefined;
      const id = plainId(fact.id);
      if (isSnoozed) snoozes.set(id, (snoozes.get(id) ?? 0) + 1);
      if (before) {
        before.isOver = true;
        before.mustCount = fact.isHeard === true && !isSnoozed;
        before.isSnoozed = isSnoozed && (snoozes.get(id) ?? 0) <= terms.maxSnoozes;
      }
    }
    // What was not committed when its process died is forgotten; and what an engine that closes stops does not count.
    if (fact.kind === 'spawned' || fact.kind === 'closing' || fact.kind === 'opening')
      for (const before of last.values()) before.mustCount = false;
    if (fact.kind === 'errored') errored.set(fact.id, fact.attempt);
    if (fact.kind !== 'started') continue;
    if (fact.attempt <= (errored.get(fact.id) ?? 0)) {
      const message = `started attempt ${fact.attempt} again, which was acknowledged as errored`;
      findings.push({ id: fact.id, message });
    }
    const before = last.get(fact.id);
    const wasEnded = before !== undefined && isRetried(fact.id, before.at, i);
    const message = miscount(fact, before, terms.endedByForce, wasEnded);
    if (message !== undefined) findings.push({ id: fact.id, message });
    last.set(fact.id, { start: fact, at: i, isOver: false, mustCount: false, isSnoozed: false });
  }
  return [...findings, ...[...jobs.values()].flatMap(wrongTotal)];
}

/** Each attempt errored, but for the last one of a job that completed or was cancelled. */
function wrongTotal({ id, state, attempt, maxAttempts, errored, retries = 0 }: FinalJob): Finding[] {
  const least = state === 'completed' ? 1 : 0;
  // A cancel may have ended an attempt: the last one, or the one before the job was run again.
  const most = (state === 'failed' ? 0 : 1) + retries;
  const uncounted = attempt - errored.length;
  // Of those that errored the last ones are kept.
  const isCut = errored.length === MAX_ERRORS;
  const isRight = least <= uncounted && (isCut || uncounted <= most);
  const isInOrder = errored.every((one, i) => (retries === 0 ? one === i + 1 : one > (errored[i - 1] ?? 0)));
  if (attempt <= maxAttempts && isInOrder && (isRight || !isEnd(state))) return [];
  const message = `is ${state} with attempt ${attempt} of ${maxAttempts}, and attempts ${errored.join(', ')} errored`;
  return [{ id, message }];
}

function miscount(
  { name, attempt, maxAttempts }: Started,
  before: Last | undefined,
  endedByForce: ReadonlySet<string>,
  wasEnded: boolean,
): string | undefined {
  if (attempt < 1 || attempt > maxAttempts) return `started attempt ${attempt} of ${maxAttempts}`;
  if (!before) return undefined;
  const { start, isOver, mustCount, isSnoozed } = before;
  if (attempt < start.attempt) return `started attempt ${attempt} after ${start.attempt}`;
  // A cancel may have come between, whether that counted or not.
  if (wasEnded) return undefined;
  if (mustCount && attempt === start.attempt)
    return `started attempt ${attempt} again, which had come to its end`;
  if (isSnoozed && !endedByForce.has(name) && attempt !== start.attempt)
    return `started attempt ${attempt} after ${start.attempt} had been snoozed`;
  const wasInterrupted = !isOver && !endedByForce.has(name);
  if (wasInterrupted && attempt !== start.attempt)
    return `started attempt ${attempt} after ${start.attempt} had died with its process or thread`;
  return undefined;
}

/** Of a call for all jobs that a filter means. */
const ANY = '';

/** A job that was snoozed is left alone for as long as it was. */
export function backEarly({ facts }: Evidence): Finding[] {
  const notBefore = new Map<string, number>();
  const promoted = new Set<string>();
  const findings: Finding[] = [];
  for (const fact of facts) {
    // What was not committed when its process died is forgotten; and what was due is so, although a clock is set back.
    if (fact.kind === 'spawned' || fact.kind === 'opening' || fact.kind === 'clockSet') notBefore.clear();
    if (fact.kind === 'spawned') promoted.clear();
    // It may have been heard before the snooze, and done after it.
    if (fact.kind === 'asked' && (fact.operation === 'promote' || fact.operation === 'retry'))
      promoted.add(fact.id ?? fact.name ?? ANY);
    if (fact.kind === 'left' && fact.isHeard === true && fact.snoozedMs !== undefined)
      notBefore.set(fact.id, fact.at + fact.snoozedMs);
    if (fact.kind !== 'started') continue;
    const earlyMs = (notBefore.get(fact.id) ?? 0) - fact.at;
    if (earlyMs > 0 && ![fact.id, fact.name, ANY].some((one) => promoted.has(one)))
      findings.push({ id: fact.id, message: `started ${earlyMs} ms before its snooze was over` });
    notBefore.delete(fact.id);
  }
  return findings;
}

/** Handlers start only while an engine is open. */
export function ranWhileClosed({ facts }: Evidence): Finding[] {
  let isOpen = false;
  const findings: Finding[] = [];
  for (const fact of facts) {
    if (fact.kind === 'opened') isOpen = true;
    if (fact.kind === 'spawned' || fact.kind === 'closed') isOpen = false;
    if (fact.kind === 'started' && !isOpen)
      findings.push({ id: fact.id, message: 'started while no engine was open' });
  }
  return findings;
}

/** No handler starts for a job that the journal does not know. */
export function ghosts({ facts, contents: { jobs }, lives, endAt }: Case): Finding[] {
  return factsOf(facts, 'started')
    .filter(({ id }) => !jobs.has(id) && lives.gone(id, endAt) === 'alive')
    .map(({ id, attempt }) => ({ id, message: `ran as attempt ${attempt}, and is not in the journal` }));
}

/** How many attempts ran again because the process died before their outcome was committed. That is allowed. */
export function countReruns(facts: Evidence['facts']): number {
  const last = new Map<string, Started>();
  let reruns = 0;
  for (const fact of factsOf(facts, 'started')) {
    const before = last.get(fact.id);
    if (before && before.pid !== fact.pid && before.attempt === fact.attempt) reruns++;
    last.set(fact.id, fact);
  }
  return reruns;
}
