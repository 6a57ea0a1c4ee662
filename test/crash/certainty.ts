/**
 * What is certain of a schedule, and when it was: what was acknowledged is so from then on, and what was asked and not
 * answered, or while other calls were under way, may be so or not, until something is acknowledged that settles it.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Finding } from './evidence.js';
import type { Answered, Changing, Recorded } from './facts.js';
import { gridOf, isInterval, isSameRhythm, type AskedSchedule, type Grid } from './rhythm-model.js';

/** While that is so, the schedule ticks as it was asked to. */
export interface Stretch {
  asked: AskedSchedule;
  readonly grid: Grid;
  /** Ticks behind this instant are of it. */
  readonly from: number;
  /** And up to this one; absent where it was so until the end. */
  until?: number;
}

/** While that is so, it does not tick. */
export interface Silence {
  readonly from: number;
  until?: number;
}

export interface Certainty {
  readonly stretches: readonly Stretch[];
  readonly silences: readonly Silence[];
  /** In the end; absent where nobody can know. */
  readonly exists: boolean | undefined;
  readonly isPaused: boolean | undefined;
  /** Calls whose answer cannot be. */
  readonly findings: readonly Finding[];
}

/** A call, and when it was over: as moments among the facts, and as instants. */
export interface Call {
  readonly asked: Changing;
  readonly askedAt: number;
  readonly from: number;
  answered?: Answered;
  settledAt: number;
  to: number;
}

/** All calls that were made, in their order. */
export function callsIn(facts: readonly Recorded[]): Call[] {
  const calls: Call[] = [];
  let open = new Map<string, Call>();
  for (const [i, fact] of facts.entries()) {
    if (fact.kind === 'changing') {
      const call = { asked: fact, askedAt: fact.at, from: i, settledAt: Infinity, to: Infinity };
      calls.push(call);
      open.set(fact.call, call);
    }
    const answered = fact.kind === 'answered' ? open.get(fact.call) : undefined;
    if (answered && fact.kind === 'answered') answered.answered = fact;
    // What a process was asked for, and has not answered, it cannot do any more once it has died.
    const over = answered ? [answered] : fact.kind === 'spawned' ? [...open.values()] : [];
    for (const call of over) [call.settledAt, call.to] = [fact.at, i];
    if (fact.kind === 'spawned') open = new Map();
    else if (answered) open.delete(answered.asked.call);
  }
  return calls;
}

/** @param calls Those of one schedule. */
export function certaintyOf(calls: readonly Call[], facts: readonly Recorded[]): Certainty {
  const knowledge = new Knowledge();
  const setBacks = setBacksIn(facts);
  const setBackUntil = (moment: number): void => {
    const later = setBacks.findIndex((one) => one.moment >= moment);
    for (const one of setBacks.splice(0, later < 0 ? Infinity : later)) knowledge.setBack(one);
  };
  for (const group of overlapping(calls.filter(({ asked }) => asked.change !== 'runNow'))) {
    setBackUntil(group[0].from);
    const over = Math.max(...group.map(({ to }) => to));
    const isClear = group.length === 1 && !setBacks.some(({ moment }) => moment < over);
    if (isClear) knowledge.settle(group[0]);
    else knowledge.doubt(group);
  }
  setBackUntil(Infinity);
  return knowledge;
}

/** A clock that was set back. */
export interface SetBack {
  /** When that was, among the facts, and what it showed before and after. */
  readonly moment: number;
  readonly before: number;
  readonly at: number;
  /** So far behind that what has ticked may tick again. */
  readonly isFar: boolean;
}

/** What a clock is behind at most where it is waited for. */
const MAX_REST_MS = 3 * 3_600_000;

export function setBacksIn(facts: readonly Recorded[]): SetBack[] {
  let behindMs = 0;
  return facts.flatMap((fact, moment) => {
    if (fact.kind !== 'clockSet' || fact.ms > 0) return [];
    behindMs -= fact.ms;
    return [{ moment, before: fact.at - fact.ms, at: fact.at, isFar: behindMs > MAX_REST_MS }];
  });
}

type Group = [Call, ...Call[]];

/** Calls that were under way at the same time stand together. */
function overlapping(calls: readonly Call[]): Group[] {
  const groups: Group[] = [];
  let until = -1;
  for (const call of calls) {
    const group = groups.at(-1);
    if (group && call.from < until) group.push(call);
    else groups.push([call]);
    until = Math.max(until, call.to);
  }
  return groups;
}

/** What a schedule is like, as far as that is certain. */
interface State {
  /** Absent where there is none; `undefined` where nobody knows. */
  readonly as: AskedSchedule | 'absent' | undefined;
  readonly isPaused: boolean | undefined;
  /** Absent where nobody knows where it begins. */
  readonly grid: Grid | undefined;
}

const ABSENT: State = { as: 'absent', isPaused: false, grid: undefined };

class Knowledge implements Certainty {
  readonly stretches: Stretch[] = [];
  readonly silences: Silence[] = [];
  readonly findings: Finding[] = [];
  #state = ABSENT;
  /** What the clock showed when it was set back; what ticks by the clock may rest until it does again. */
  #setBackFrom = -Infinity;
  /** Those that are not over. */
  #stretch: Stretch | undefined;
  #silence: Silence | undefined;

  get exists(): boolean | undefined {
    const { as } = this.#state;
    return as === undefined ? undefined : as !== 'absent';
  }

  get isPaused(): boolean | undefined {
    return this.#state.isPaused;
  }

  /** An interval may begin anew, then, and a pattern where the clock is far behind. */
  setBack({ before, at, isFar }: SetBack): void {
    const { as } = this.#state;
    this.#setBackFrom = Math.max(this.#setBackFrom, before);
    if (typeof as === 'object' && (isFar || isInterval(as)))
      this.#go({ ...this.#state, grid: undefined }, at, at);
  }

  /** A call that was under way alone. */
  settle(call: Call): void {
    const { answered, asked, askedAt, settledAt } = call;
    const { as } = this.#state;
    if (answered?.code === 'MILLRACE_SCHEDULE_NOT_FOUND') {
      const message = `${asked.change} did not find it, and it was acknowledged`;
      if (typeof as === 'object') this.findings.push({ id: asked.schedule, message });
      this.#go(ABSENT, askedAt, settledAt);
    } else if (answered && answered.code === undefined)
      this.#go(this.#done(call, this.#state), askedAt, settledAt);
    else this.doubt([call]);
  }

  /** Calls of which nobody knows which were done, and in what order. */
  doubt(calls: Group): void {
    const state = calls.reduce((before, { asked }) => doubted(asked, before), this.#state);
    this.#go(state, calls[0].askedAt, Math.max(...calls.map(({ settledAt }) => settledAt)));
  }

  #done({ asked, askedAt, settledAt }: Call, before: State): State {
    switch (asked.change) {
      case 'upsert': {
        const { as = {} } = asked;
        const isKnown = typeof before.as === 'object';
        if (isKnown && isSameRhythm(before.as, as)) return { ...before, as };
        // Where it may have been there before, it may have begun before.
        const mayHaveBegun = before.as === undefined;
        const storedAt = askedAt === settledAt && !mayHaveBegun ? askedAt : undefined;
        const isLost = mayHaveBegun && this.#setBackFrom > -Infinity && isInterval(as);
        return { ...before, as, grid: isLost ? undefined : gridOf(as, storedAt) };
      }
      case 'pause':
        return { ...before, isPaused: true };
      case 'resume':
        return { ...before, isPaused: false };
      default:
        return ABSENT;
    }
  }

  /** @param askedAt What was so is certain until then. @param settledAt And what is so, from then on. */
  #go(next: State, askedAt: number, settledAt: number): void {
    const stretch = this.#stretch;
    if (stretch && !goesOn(stretch, next, settledAt)) {
      stretch.until = askedAt;
      this.#stretch = undefined;
    }
    if (this.#stretch && typeof next.as === 'object') this.#stretch.asked = next.as;
    else if (typeof next.as === 'object' && next.isPaused === false && next.grid) {
      const from = isInterval(next.as) ? settledAt : Math.max(settledAt, this.#setBackFrom);
      this.#stretch = { asked: next.as, grid: next.grid, from };
      this.stretches.push(this.#stretch);
    }
    const isSilent = next.as === 'absent' || next.isPaused === true;
    if (this.#silence && !isSilent) this.#silence.until = askedAt;
    if (!isSilent) this.#silence = undefined;
    else if (!this.#silence) this.silences.push((this.#silence = { from: settledAt }));
    this.#state = next;
  }
}

/** What is still certain where a call may have been done or not. */
function doubted({ change, as }: Changing, before: State): State {
  switch (change) {
    case 'upsert':
      return isDeepStrictEqual(before.as, as) ? before : { ...before, as: undefined, grid: undefined };
    case 'pause':
      return before.isPaused === true ? before : { ...before, isPaused: undefined };
    case 'resume':
      return before.isPaused === false ? before : { ...before, isPaused: undefined };
    default: {
      const isPaused = before.isPaused === false ? false : undefined;
      return before.as === 'absent' ? before : { as: undefined, isPaused, grid: undefined };
    }
  }
}

/** Whether a stretch is not interrupted: at most its end is another, which had not come. */
function goesOn({ asked, grid }: Stretch, next: State, at: number): boolean {
  if (typeof next.as !== 'object' || next.isPaused !== false) return false;
  const { endAt: before = Infinity, ...rest } = asked;
  const { endAt: _, ...nextRest } = next.as;
  const isSame = isDeepStrictEqual(asked, next.as);
  return isDeepStrictEqual(grid, next.grid) && (isSame || (isDeepStrictEqual(rest, nextRest) && before > at));
}
