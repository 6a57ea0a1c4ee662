/** Reads which jobs have ended: by state, job type and time, and when the first of each type did. */
import type { EndedState } from '../job/record.js';
import { endedKey, endedLaneSpan, endedSpan, finishedAtOf, laneOf } from './keys.js';
import type { Pages } from './pages.js';
import { unsealRoster } from './roster.js';

/** Jobs of one type that ended together. */
export interface EndedRoster {
  readonly key: string;
  readonly ids: readonly string[];
}

export interface EndedPage {
  readonly rosters: readonly EndedRoster[];
  /** The key to go on behind; absent where the page reached the end. */
  readonly next?: string;
}

/** A job type of which some ended in a state. */
export interface EndedLane {
  readonly name: string;
  /** When the first of them did. */
  readonly finishedAt: number;
}

export class EndedJobs {
  readonly #pages: Pages;

  constructor(pages: Pages) {
    this.#pages = pages;
  }

  /** The job types of which some ended in a state, without a walk over what was removed. */
  async lanes(state: EndedState): Promise<EndedLane[]> {
    const span = endedSpan(state);
    const lanes: EndedLane[] = [];
    const find = async (start: string, end: string): Promise<void> => {
      for (let from = start; from < end;) {
        const [first] = await this.#pages.store.page({ from, to: end, limit: 1 });
        if (!first) return;
        const name = laneOf(first.key);
        lanes.push({ name, finishedAt: finishedAtOf(first.key) });
        from = endedLaneSpan(state, name).to;
      }
    };
    let { from } = span;
    // Of a type that has a mark much may have been removed, and of those between them nothing was.
    for (const marked of this.#pages.marks.markedUnder(span.from)) {
      const { to } = endedLaneSpan(state, laneOf(marked));
      await find(from, marked);
      await find(this.#pages.marks.startOf(marked), to);
      from = to;
    }
    await find(from, span.to);
    return lanes;
  }

  /** Jobs of a type that ended in a state up to an instant, the oldest first, behind the key `after`. */
  async page(
    state: EndedState,
    name: string,
    { after, until, limit }: { after: string | undefined; until: number; limit: number },
  ): Promise<EndedPage> {
    const { from } = endedLaneSpan(state, name);
    if (after === undefined) this.#pages.marks.look(from);
    const span = { from, to: endedKey(state, name, until + 1, 0) };
    const { entries, last } = await this.#pages.read(span, after, limit, unsealRoster);
    const rosters = entries.map(({ key, value }) => ({ key, ids: value }));
    return last === undefined ? { rosters } : { rosters, next: last };
  }

  /**
   * The same for whoever raises no mark for it, at any time.
   * @param since Only rosters of jobs that ended then, or later; where there is no `after`.
   */
  async pageBehind(
    state: EndedState,
    name: string,
    { after, since, limit }: { after: string | undefined; since?: number | undefined; limit: number },
  ): Promise<EndedPage> {
    const { from, to } = endedLaneSpan(state, name);
    const start = this.#pages.marks.startOf(from);
    const first = since === undefined ? start : laterOf(start, endedKey(state, name, since, 0));
    const { entries, last } = await this.#pages.read({ from, to }, after, limit, unsealRoster, first);
    const rosters = entries.map(({ key, value }) => ({ key, ids: value }));
    return last === undefined ? { rosters } : { rosters, next: last };
  }

  /** The first roster of those that ended after an instant. */
  async firstAfter(
    state: EndedState,
    name: string,
    instant: number,
  ): Promise<{ readonly key: string; readonly finishedAt: number } | undefined> {
    const from = endedKey(state, name, instant + 1, 0);
    const [first] = await this.#pages.store.page({ from, to: endedLaneSpan(state, name).to, limit: 1 });
    return first && { key: first.key, finishedAt: finishedAtOf(first.key) };
  }
}

const laterOf = (a: string, b: string): string => (a > b ? a : b);
