/**
 * The invariant of rate limits: in no window do more attempts begin than may. A window passes as monotonic time does while
 * a process lives, whatever its clock is set to; and from one process to the next as the wall clock does, from when the
 * journal was last told of a claim: where the clock was set meanwhile, as much time has passed as can have by that.
 */
import type { RatePolicy } from '../../src/job/rate-limit.js';
import { factsOf, type Evidence, type Finding } from './evidence.js';
import type { FactOf, Recorded, Started } from './facts.js';

/** How often attempts may begin, where that is limited. */
export interface Rates {
  /** Of a type, and of a queue. */
  readonly name: ReadonlyMap<string, RatePolicy>;
  readonly queue: ReadonlyMap<string, RatePolicy>;
  /** Of a type with the same concurrency key. */
  readonly key: ReadonlyMap<string, RatePolicy>;
  /** By how much a beginning may be on record too late, and its claim have been written before that, where nobody tells. */
  readonly toldLateMs: number;
}

/** When something was, by the machine's clock, and by one that nobody sets. */
interface Moment {
  readonly wall: number;
  readonly monotonic: number;
}

/** A beginning, in its window's own time. */
interface Start {
  readonly at: number;
  /** When its claim was written. */
  readonly claimedAt: number;
}

/** What the journal may hold of a window. */
interface Kept {
  readonly at: number;
  readonly wall: number;
}

export function overRate({ facts, terms: { rates } }: Evidence): Finding[] {
  if (!rates) return [];
  const jobs = new Map(factsOf(facts, 'started').map((start) => [start.id, start]));
  const windows = new Windows();
  return facts.flatMap((fact) => {
    windows.note(fact);
    const job = fact.kind === 'began' ? jobs.get(fact.id) : undefined;
    if (!job || fact.kind !== 'began') return [];
    return limitsOf(job, rates).flatMap(([what, policy]) => {
      const count = windows.begin(what, fact, policy, rates.toldLateMs);
      if (count <= policy.max) return [];
      const message = `is number ${count} of ${what} that began within ${policy.perMs} ms, and ${policy.max} may`;
      return [{ id: fact.id, message }];
    });
  });
}

function limitsOf({ name, queue, key }: Started, rates: Rates): (readonly [string, RatePolicy])[] {
  const [ofType, ofQueue, ofKey] = [rates.name.get(name), rates.queue.get(queue), rates.key.get(name)];
  return [
    ...(ofType ? [[`type ${name}`, ofType] as const] : []),
    ...(ofQueue ? [[`queue ${queue}`, ofQueue] as const] : []),
    ...(ofKey && key !== undefined ? [[`type ${name} with key ${key}`, ofKey] as const] : []),
  ];
}

class Windows {
  readonly #windows = new Map<string, Window>();
  /** How far the clock is ahead of one that nobody sets, from when on; all that it was while this process lived. */
  #settings = [{ from: -Infinity, aheadMs: 0 }];
  /** While an engine opens: when it may have looked at what the journal holds. */
  #opening: Moment[] | undefined;
  /** What began may be lost with the process. */
  #isDoubtful = false;

  note(fact: Recorded): void {
    const now = { wall: fact.at, monotonic: fact.at - this.#aheadMs };
    switch (fact.kind) {
      case 'clockSet': {
        const before = { wall: fact.at - fact.ms, monotonic: now.monotonic - fact.ms };
        this.#settings.push({ from: before.monotonic, aheadMs: this.#aheadMs + fact.ms });
        const after = { ...before, wall: fact.at };
        if (this.#opening) this.#opening.push(before, after);
        else this.#keep(before, after);
        break;
      }
      case 'killed':
        // Claims are not synced.
        if (fact.moment.startsWith('power cut')) this.#isDoubtful = true;
        break;
      case 'warned':
        if (fact.code === 'MILLRACE_JOURNAL_WRITE_FAILED') this.#isDoubtful = true;
        break;
      case 'spawned':
      case 'opening':
        if (this.#opening) break;
        if (this.#isDoubtful) this.#windows.clear();
        this.#isDoubtful = false;
        this.#keep(now);
        this.#settings = [{ from: -Infinity, aheadMs: this.#aheadMs }];
        this.#opening = [now];
        break;
      case 'opened': {
        const looks = [...(this.#opening ?? []), now];
        for (const window of this.#windows.values()) window.open(looks);
        this.#opening = undefined;
        break;
      }
      default:
    }
  }

  /** @returns how many have begun in the window that ends with this one. */
  begin(
    what: string,
    { at, writtenInMs }: FactOf<'began'> & Recorded,
    { perMs }: RatePolicy,
    lateMs: number,
  ): number {
    const window = this.#windows.get(what) ?? new Window();
    this.#windows.set(what, window);
    const monotonic = at - this.#aheadMs;
    const claimed = monotonic - (writtenInMs ?? lateMs);
    const count = window.begin(monotonic, claimed, perMs - lateMs);
    // The journal has this one by now, whatever the clock showed when it was written.
    window.kept = [];
    for (const [i, { from, aheadMs }] of this.#settings.entries()) {
      const until = this.#settings[i + 1]?.from ?? monotonic;
      if (until < claimed) continue;
      for (const one of [Math.max(from, claimed), until])
        window.keep({ monotonic: one, wall: one + aheadMs });
    }
    return count;
  }

  get #aheadMs(): number {
    return this.#settings.at(-1)?.aheadMs ?? 0;
  }

  /** It may have been written at these moments, at the earliest and the latest. */
  #keep(...moments: readonly Moment[]): void {
    for (const window of this.#windows.values()) for (const moment of moments) window.keep(moment);
  }
}

class Window {
  kept: Kept[] = [];
  #starts: Start[] = [];
  /** From monotonic time to its own. */
  #aheadMs = 0;

  keep({ wall, monotonic }: Moment): void {
    this.kept.push({ wall, at: monotonic + this.#aheadMs });
  }

  /** Another process goes on with it. @param looks When it may have looked: as much time has passed as can be. */
  open(looks: readonly Moment[]): void {
    const ahead = this.kept.flatMap(({ at, wall }) =>
      looks.map((look) => at + Math.max(0, look.wall - wall) - look.monotonic),
    );
    this.#aheadMs = Math.max(...ahead);
    this.#starts = this.#starts.map(({ claimedAt }) => ({ at: claimedAt, claimedAt }));
  }

  begin(monotonic: number, claimed: number, perMs: number): number {
    const at = monotonic + this.#aheadMs;
    this.#starts.push({ at, claimedAt: claimed + this.#aheadMs });
    return this.#starts.filter((start) => start.at > at - perMs).length;
  }
}
