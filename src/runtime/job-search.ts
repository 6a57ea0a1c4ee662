/**
 * Finds the jobs that a filter means, a page at a time, and keeps nothing from changing meanwhile. Where a filter asks for
 * states that an index lists, only those are read; otherwise all jobs are gone through by their ids, so that one that
 * goes from state to state is met once all the same.
 *
 * It comes to an end, whatever is added meanwhile: of what an index lists, jobs that were enqueued or claimed after it
 * began are left out, and so is, met again, what was claimed since it was met.
 */
import { asError, MillraceError } from '../errors.js';
import { matches, type JobCriteria } from '../job-filter.js';
import { ENDED_STATES, isEnd, type EndedState, type Job, type JobState } from '../job/record.js';
import type { JobRead, Journal } from '../journal/journal.js';
import type { IndexPage } from '../journal/pages.js';
import { dueSequenceOf, finishedAtOf, isEndOf, placeOf, rankOf } from '../journal/keys.js';
import { listedJobs } from '../journal/listed-jobs.js';
import type { Clock } from '../clock.js';
import type { Executor } from './executor.js';
import { Slices } from './slices.js';

export interface JobSearchLinks {
  readonly journal: Journal;
  readonly executor: Pick<Executor, 'allRunning' | 'running'>;
  readonly clock: Clock;
  readonly onWarning: (error: MillraceError) => void;
  /** Throws where the engine is closed. */
  readonly assertOpen: () => void;
}

/** A job as it was read. */
export interface Found {
  readonly job: Job;
  /** It runs, and should stop. */
  readonly stopping: boolean;
}

/** How many entries of an index are read at once, and how many jobs, which may be large. */
const PAGE = 500;
const READS = 32;

export class JobSearch {
  readonly #links: JobSearchLinks;

  constructor(links: JobSearchLinks) {
    this.#links = links;
  }

  /**
   * @throws MillraceError `MILLRACE_CLOSED`, `MILLRACE_JOURNAL_READ_FAILED`, `MILLRACE_JOURNAL_CORRUPT`, or why the journal
   *   has failed
   */
  async *pages(criteria: JobCriteria): AsyncGenerator<readonly Found[]> {
    const slices = new Slices(this.#links.clock);
    const began = this.#links.journal.nextSequence();
    try {
      for await (const found of this.#sourceOf(criteria, began)) {
        this.#links.assertOpen();
        const matching = found.filter(({ job }) => matches(job, criteria));
        if (matching.length > 0) yield matching;
        if (slices.isOver) await slices.next();
      }
    } catch (thrown) {
      throw this.#errorOf(thrown);
    }
  }

  #sourceOf({ states, names, queues, since }: JobCriteria, began: number): AsyncIterable<Found[]> {
    if (!states) return this.#all();
    const asked = [...states];
    if (asked.every(isEnd))
      return this.#ended(
        ENDED_STATES.filter((state) => states.has(state)),
        names,
        since,
        began,
      );
    if (asked.every((state) => state === 'running')) return this.#running();
    if (asked.every((state) => state === 'available')) return this.#available(queues, names, began);
    if (asked.every(isLater)) return this.#later(began);
    return this.#all();
  }

  /** A job that runs is as its attempt says: a claim writes no status. */
  async *#all(): AsyncGenerator<Found[]> {
    const { journal, executor } = this.#links;
    for (let after: string | undefined; ;) {
      const ids = await journal.indexes.ids(after, PAGE);
      after = ids.at(-1);
      if (after === undefined) return;
      for (let from = 0; from < ids.length; from += READS) {
        const some = ids.slice(from, from + READS);
        // Before the reading: what ends meanwhile is read as it was before it began to run, or as what it came to.
        const running = some.map((id) => executor.running(id));
        const reads = await journal.jobs(some);
        yield some.flatMap((_id, i) => running[i] ?? this.#found(reads[i]));
      }
    }
  }

  async *#running(): AsyncGenerator<Found[]> {
    yield this.#links.executor.allRunning();
  }

  async *#available(
    queues: ReadonlySet<string> | undefined,
    names: ReadonlySet<string> | undefined,
    began: number,
  ): AsyncGenerator<Found[]> {
    const { journal } = this.#links;
    for (const queue of queues ?? journal.queues()) {
      for (const name of names ?? (await journal.indexes.readyTypes(queue))) {
        const isOld = (key: string): boolean => rankOf(key).sequence < began;
        yield* this.#placed((after) => journal.indexes.ready(queue, name, after, PAGE), isOld);
        yield* this.#placed((after) => journal.indexes.readyOfKeys(queue, name, after, PAGE), isOld);
      }
    }
  }

  async *#later(began: number): AsyncGenerator<Found[]> {
    const { journal } = this.#links;
    const pages = this.#placed(
      (after) => journal.indexes.due(after, PAGE),
      (key) => dueSequenceOf(key) < began,
    );
    for await (const found of pages) yield found.filter(({ job }) => isFrom(job, began));
  }

  /** The jobs that are where an index says. */
  async *#placed(
    pageBehind: (after: string | undefined) => Promise<IndexPage>,
    isOld: (key: string) => boolean,
  ): AsyncGenerator<Found[]> {
    const { journal } = this.#links;
    for (let after: string | undefined; ;) {
      const { entries, next } = await pageBehind(after);
      const old = entries.filter(({ key }) => isOld(key));
      for (let from = 0; from < old.length; from += READS) {
        const some = old.slice(from, from + READS);
        const reads = await journal.jobs(some.map(({ text: id }) => id));
        yield some.flatMap(({ key }, i) => this.#found(reads[i]).filter(({ job }) => placeOf(job) === key));
      }
      if (next === undefined) return;
      after = next;
    }
  }

  async *#ended(
    states: readonly EndedState[],
    names: ReadonlySet<string> | undefined,
    since: number | undefined,
    began: number,
  ): AsyncGenerator<Found[]> {
    const { journal } = this.#links;
    for (const state of states) {
      const lanes = names ?? (await journal.ended.lanes(state)).map(({ name }) => name);
      for (const name of lanes) yield* this.#lane(state, name, since, began);
    }
  }

  async *#lane(
    state: EndedState,
    name: string,
    since: number | undefined,
    began: number,
  ): AsyncGenerator<Found[]> {
    const { journal, clock } = this.#links;
    const beganAt = clock.now();
    // Of one instant: an id can be enqueued again, and end again, in the millisecond in which its job was removed.
    let instant = -Infinity;
    const met = new Set<string>();
    for (let after: string | undefined; ;) {
      const { rosters, next } = await journal.ended.pageBehind(state, name, { after, since, limit: PAGE });
      let hasOld = false;
      let page: Found[] = [];
      for await (const { key, id, read } of listedJobs(journal, rosters)) {
        if (finishedAtOf(key) !== instant) met.clear();
        instant = finishedAtOf(key);
        const found = this.#found(read).filter(({ job }) => isEndOf(job, key) && isFrom(job, began));
        hasOld ||= found.length > 0;
        if (found.length === 0 || met.has(id)) continue;
        met.add(id);
        page.push(...found);
        if (page.length < READS) continue;
        yield page;
        page = [];
      }
      yield page;
      // Behind what was there when this began come those that have ended since.
      if (next === undefined || (!hasOld && instant > beganAt)) return;
      after = next;
    }
  }

  #found(read: JobRead): Found[] {
    if (read instanceof MillraceError) this.#links.onWarning(read);
    return read === undefined || read instanceof MillraceError ? [] : [{ job: read, stopping: false }];
  }

  #errorOf(thrown: unknown): Error {
    if (thrown instanceof MillraceError) return thrown;
    const { journal, assertOpen } = this.#links;
    assertOpen();
    const cause = asError(thrown);
    const message = `Jobs could not be read: ${cause.message}`;
    return journal.failure ?? new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause });
  }
}

const isLater = (state: JobState): boolean => state === 'scheduled' || state === 'retryable';

/** Whether it was not claimed since: a job that was is met elsewhere, or was met before. */
const isFrom = ({ status }: Job, began: number): boolean => (status.claim ?? 0) < began;
