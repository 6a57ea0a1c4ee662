/**
 * Reads the journal's indexes, a page at a time: which jobs wait for what, which were claimed, and what is kept of
 * schedules, pauses, rate limits and unique keys. Entries that are damaged are reported and left out.
 */
import { MillraceError } from '../errors.js';
import type { JobSpec } from '../job/record.js';
import { unsealBytes, unsealText } from './integrity.js';
import { readJobs } from './job-reads.js';
import {
  childKey,
  childrenSpan,
  claimOf,
  DEADLINES_SPAN,
  DUE_SPAN,
  keyedSpan,
  laneOf,
  laneSpan,
  membersSpan,
  NEWS_SPAN,
  parentCountIn,
  parentCountKey,
  pausedOf,
  PAUSES_SPAN,
  rateOf,
  RATES_SPAN,
  readySpan,
  RUNNING_SPAN,
  scheduleOf,
  SCHEDULES_SPAN,
  SPEC_SPAN,
  specKey,
  SUSPECTS_SPAN,
  SWEEPS_SPAN,
  typeOf,
  WAITING_SPAN,
  type ParentCount,
  type Span,
} from './keys.js';
import type { IndexPage, Pages } from './pages.js';
import { unsealRoster } from './roster.js';

/** Jobs that were claimed together: those that may still be running are among them. */
export interface Roster {
  readonly key: string;
  readonly claim: number;
  readonly ids: readonly string[];
}

export interface LanePage {
  readonly lanes: readonly string[];
  /** Behind the last of them there is nothing. */
  readonly isLast: boolean;
}

export interface RosterPage {
  readonly rosters: readonly Roster[];
  /** The key to go on behind; absent where the page reached the end. */
  readonly next?: string;
}

/** What is kept of a rate limit. */
export interface KeptRate {
  readonly name: string;
  /** Absent where it is damaged, which was reported. */
  readonly record: Uint8Array | undefined;
}

export interface RatePage {
  readonly rates: readonly KeptRate[];
  /** Where to go on; absent where there are no more. */
  readonly next?: string;
}

export interface SchedulePage {
  readonly schedules: readonly { readonly name: string; readonly record: Uint8Array }[];
  /** The key to go on behind; absent where the page reached the end. */
  readonly next?: string;
}

/** A page of records, which hold payloads, ends with the one that takes it to so much. */
const PAGE_BYTES = 1 << 20;
/** Of a flow's jobs, where the first cannot be read. */
const MEMBERS_PAGE = 100;

export class Indexes {
  readonly #pages: Pages;

  constructor(pages: Pages) {
    this.#pages = pages;
  }

  /** Available jobs of one lane of a queue, in the order of claiming, behind the key `after`. */
  ready(queue: string, lane: string, after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#pages.texts(laneSpan(queue, lane), after, limit);
  }

  /** Available jobs of a type in a queue that have concurrency keys, one key's behind another's, behind the key `after`. */
  readyOfKeys(queue: string, name: string, after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#pages.texts(keyedSpan(queue, name), after, limit);
  }

  /** The job types that have available jobs in a queue. */
  async readyTypes(queue: string): Promise<string[]> {
    const names = new Set<string>();
    const span = readySpan(queue);
    for (let from = span.from; ;) {
      const [first] = await this.#pages.store.page({ from, to: span.to, limit: 1 });
      if (!first) return [...names];
      const lane = laneOf(first.key);
      const name = typeOf(lane);
      names.add(name);
      from = (lane === name ? laneSpan : keyedSpan)(queue, name).to;
    }
  }

  /**
   * The lanes that the first keys of a part of the available jobs lie in.
   * @param limit How many keys are read.
   */
  async readyLanes({ from, to }: Span, limit: number): Promise<LanePage> {
    const page = await this.#pages.store.page({ from, to, limit });
    const lanes = [...new Set(page.map(({ key }) => laneOf(key)))];
    return { lanes, isLast: page.length < limit };
  }

  /** Jobs that wait for others, in the order of their enqueue, behind the key `after`. */
  waiting(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#pages.texts(WAITING_SPAN, after, limit);
  }

  /** Jobs that have ended and whose children have not been told yet, behind the key `after`. */
  news(after: string | undefined, limit: number): Promise<IndexPage> {
    if (after === undefined) this.#pages.marks.look(NEWS_SPAN.from);
    return this.#pages.texts(NEWS_SPAN, after, limit);
  }

  /** The jobs that wait for one, behind the key `after`. */
  children(parentId: string, limit: number, after?: string): Promise<IndexPage> {
    return this.#pages.texts(childrenSpan(parentId), after, limit);
  }

  /** For how many jobs each still waits, by the jobs' own sequences; those that wait for none are left out. */
  async parentCounts(specs: readonly JobSpec[]): Promise<ReadonlyMap<number, number>> {
    const kept = await this.keptParentCounts(specs.map(({ sequence }) => sequence));
    const counts = new Map<number, number>();
    for (const spec of specs) {
      const own = kept.get(spec.sequence);
      if (own === undefined) continue;
      counts.set(spec.sequence, own === 'damaged' ? await this.#countParents(spec) : own.count);
    }
    return counts;
  }

  /** The same, where the jobs are not known; a count that is damaged is reported, and would have to be counted anew. */
  async keptParentCounts(
    sequences: readonly number[],
  ): Promise<ReadonlyMap<number, ParentCount | 'damaged'>> {
    const keys = sequences.map(parentCountKey);
    const values = keys.length > 0 ? await this.#pages.store.getMany(keys) : [];
    const counts = new Map<number, ParentCount | 'damaged'>();
    for (const [i, sequence] of sequences.entries()) {
      const [key = '', value] = [keys[i], values[i]];
      if (!value) continue;
      try {
        counts.set(sequence, parentCountIn(unsealText(key, value)));
      } catch (thrown) {
        // It throws nothing else.
        this.#pages.reportDamage(key, thrown as MillraceError);
        counts.set(sequence, 'damaged');
      }
    }
    return counts;
  }

  /** By the links to those that have not told it yet. */
  async #countParents({ sequence, parents = {} }: JobSpec): Promise<number> {
    const keys = Object.values(parents).map((parent) => childKey(parent, sequence));
    return (await this.#pages.store.getMany(keys)).filter((value) => value !== undefined).length;
  }

  /** Whether a job of the flow has not ended; one that cannot be read never runs, and asks for nothing. */
  async isFlowOpen(flow: string): Promise<boolean> {
    let after: string | undefined;
    do {
      const limit = after === undefined ? 1 : MEMBERS_PAGE;
      const { entries, next } = await this.#pages.texts(membersSpan(flow), after, limit);
      const ids = entries.map(({ text: id }) => id);
      const reads = await readJobs(this.#pages.store, ids);
      if (reads.some((read) => read !== undefined && !(read instanceof MillraceError))) return true;
      after = next;
    } while (after !== undefined);
    return false;
  }

  /** Scheduled and retryable jobs, the first due first, behind the key `after`. */
  due(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#pages.texts(DUE_SPAN, after, limit);
  }

  /** Jobs that have not ended, by their deadlines, the first one first, behind the key `after`. */
  deadlines(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#pages.texts(DEADLINES_SPAN, after, limit);
  }

  /** The claims whose jobs have not all left them, in their order, behind the key `after`. */
  async running(after: string | undefined, limit: number): Promise<RosterPage> {
    const { entries, last } = await this.#pages.read(RUNNING_SPAN, after, limit, unsealRoster);
    const rosters = entries.map(({ key, value }) => ({ key, claim: claimOf(key), ids: value }));
    return last === undefined ? { rosters } : { rosters, next: last };
  }

  /** Jobs that are to run alone, behind the key `after`. */
  suspects(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#pages.texts(SUSPECTS_SPAN, after, limit);
  }

  /** Schedules by name, behind the key `after`. */
  async schedules(after: string | undefined, limit: number): Promise<SchedulePage> {
    const { entries, last } = await this.#pages.read(SCHEDULES_SPAN, after, limit, unsealBytes);
    const schedules = entries.map(({ key, value }) => ({ name: scheduleOf(key), record: value }));
    return last === undefined ? { schedules } : { schedules, next: last };
  }

  /** The queues that are paused; an empty name stands for all of them. One whose record is damaged is: its key says all. */
  async pauses(): Promise<string[]> {
    const entries = await this.#pages.store.page({ ...PAUSES_SPAN, limit: Number.MAX_SAFE_INTEGER });
    return entries.map(({ key }) => pausedOf(key));
  }

  /** What is kept of rate limits, behind the key `after`. */
  async rates(after: string | undefined, limit: number): Promise<RatePage> {
    const range = after === undefined ? RATES_SPAN : { ...RATES_SPAN, from: after, after: true };
    const entries = await this.#pages.store.page({ ...range, limit });
    const rates = entries.map(({ key, value }) => {
      try {
        return { name: rateOf(key), record: unsealBytes(key, value) };
      } catch (thrown) {
        // It throws nothing else.
        this.#pages.reportDamage(key, thrown as MillraceError);
        return { name: rateOf(key), record: undefined };
      }
    });
    const last = entries.at(-1);
    return last && entries.length === limit ? { rates, next: last.key } : { rates };
  }

  /** Unique keys that are to be looked at, the first due first, behind the key `after`. */
  sweeps(after: string | undefined, limit: number): Promise<IndexPage> {
    return this.#pages.texts(SWEEPS_SPAN, after, limit);
  }

  /** The ids of all jobs there are, in the order of their bytes, behind an id. */
  async ids(after: string | undefined, limit: number): Promise<string[]> {
    const range = after === undefined ? { from: SPEC_SPAN.from } : { from: specKey(after), after: true };
    const page = await this.#pages.store.page({ ...range, to: SPEC_SPAN.to, limit, bytes: PAGE_BYTES });
    return page.map(({ key }) => key.slice(SPEC_SPAN.from.length));
  }
}
