/**
 * Tells the jobs of flows that a job has ended for which they wait. The journal says which jobs have ended and have not
 * told their children yet, so a restart goes on where the process before it was; and that a child is told, and waits for
 * one job less, is one commit: none is told twice.
 */
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import { encodeError } from '../job/error-data.js';
import { hasEnded, type Job, type JobStatus } from '../job/record.js';
import { cancelled, gaveUp, unblocked } from '../job/transitions.js';
import { askToLook, keepParentCount } from '../journal/flow-entries.js';
import type { JobRead, Journal } from '../journal/journal.js';
import type { IndexEntry } from '../journal/pages.js';
import { childOf, NEWS_SPAN, newsIn, newsKey, type JobNews } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import { parentFailure } from './parent-failure.js';
import type { IdleJobs } from './idle-jobs.js';

export interface ReleaserLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly idle: IdleJobs;
  /** Nothing is left to tell. */
  readonly onPass: () => void;
  readonly onWarning: (error: MillraceError) => void;
}

/** A job that has ended, and jobs that wait for it. */
interface News {
  readonly entry: IndexEntry;
  /** Why it does not count as done; absent where it is completed. */
  readonly failure: MillraceError | undefined;
  readonly children: readonly IndexEntry[];
  /** Whether these are the last that are to be told. */
  readonly isLast: boolean;
}

/** How many jobs are told in one commit. */
const BATCH = 500;
/** Before what could not be read is tried again. */
const RETRY_MS = 1_000;

export class Releaser {
  readonly #links: ReleaserLinks;
  #pass: Promise<void> | undefined;
  #hasMore = false;
  #retry: Timer | undefined;
  #isStopped = true;

  constructor(links: ReleaserLinks) {
    this.#links = links;
  }

  /** Whether there may be jobs that have yet to be told. */
  get isBusy(): boolean {
    return this.#pass !== undefined || this.#hasMore;
  }

  start(): void {
    this.#isStopped = false;
    this.look();
  }

  /** Waits for a commit that is under way. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#retry?.cancel();
    await this.#pass;
  }

  /** A job is now this, and that is committed. */
  notice({ spec, status }: Job): void {
    if (spec.isParent && hasEnded(status)) this.look();
  }

  /** There may be something to tell. */
  look(): void {
    this.#hasMore = true;
    this.#begin();
  }

  /** Jobs that have not ended cannot be read, and never run: those that wait for them are told of it as of a failure. */
  async lost(ids: readonly string[]): Promise<void> {
    const { journal } = this.#links;
    const change = new Transaction();
    await this.addLost(change, ids);
    if (change.keys.length === 0) return;
    await journal.commit(change);
    this.look();
  }

  /** The same, where it is committed with something else; {@link look} is to be called then. */
  async addLost(change: Transaction, ids: readonly string[]): Promise<void> {
    const { journal } = this.#links;
    for (const id of ids) {
      const { entries } = await journal.indexes.children(id, 1);
      if (entries.length > 0) askToLook(change, id, journal.nextSequence());
    }
  }

  #begin(): void {
    if (this.#isStopped || this.#pass) return;
    this.#pass = this.#run().finally(() => {
      this.#pass = undefined;
      this.#links.onPass();
    });
  }

  async #run(): Promise<void> {
    const { journal, clock, onWarning } = this.#links;
    try {
      while (this.#hasMore && !this.#isStopped) {
        this.#hasMore = false;
        await this.#tellAll();
      }
    } catch (thrown) {
      this.#hasMore = true;
      // A journal that has stopped writing has said so itself.
      if (journal.failure || this.#isStopped) return;
      const cause = asError(thrown);
      const message = `Jobs of flows that wait could not be told of the end of others, and that is tried again: ${cause.message}`;
      onWarning(new MillraceError('MILLRACE_JOURNAL_READ_FAILED', message, { cause }));
      this.#retry = clock.setTimer(() => this.#begin(), RETRY_MS);
    }
  }

  async #tellAll(): Promise<void> {
    const { journal } = this.#links;
    for (;;) {
      // Whatever ends from here on lies behind it, or lowers the mark by itself.
      const behind = newsKey('', journal.nextSequence());
      const { entries } = await journal.indexes.news(undefined, BATCH);
      if (entries.length === 0) {
        journal.raiseMark(NEWS_SPAN.from, behind);
        return;
      }
      if (this.#isStopped) return;
      await this.#tell(await this.#gather(entries));
    }
  }

  /** As many of them as one commit takes, and of the last one perhaps not all children. */
  async #gather(entries: readonly IndexEntry[]): Promise<News[]> {
    const { journal } = this.#links;
    const said = entries.map(({ text }) => newsIn(text));
    const reads = await journal.jobs(said.map(({ id }) => id));
    const news: News[] = [];
    /** There may be several news of one job, and each child hears of it once. */
    const told = new Set<string>();
    let room = BATCH;
    for (const [i, entry] of entries.entries()) {
      // Safe: there is one for each.
      const fate = fateOf(said[i] as JobNews, reads[i]);
      if (fate === 'open') news.push({ entry, failure: undefined, children: [], isLast: true });
      else {
        const { id } = said[i] as JobNews;
        const { entries: found, next } = await journal.indexes.children(id, room);
        const children = found.filter(({ key }) => !told.has(key));
        for (const { key } of children) told.add(key);
        const failure = fate === 'completed' ? undefined : fate;
        news.push({ entry, failure, children, isLast: next === undefined });
        room -= children.length;
      }
      if (room === 0) break;
    }
    return news;
  }

  async #tell(news: readonly News[]): Promise<void> {
    const { journal, clock, idle } = this.#links;
    const now = clock.now();
    // By their sequences: a job that had the id of a child before may have waited for another.
    const parentsOf = new Map<number, News[]>();
    const ids = new Set<string>();
    for (const one of news)
      for (const { key, text: id } of one.children) {
        ids.add(id);
        parentsOf.set(childOf(key), [...(parentsOf.get(childOf(key)) ?? []), one]);
      }
    const reads = await journal.jobs([...ids]);
    let counts: Awaited<ReturnType<typeof journal.indexes.parentCounts>> = new Map();
    // While they are held: until then one may be run again, and wait anew.
    const look = async (held: Iterable<JobRead>): Promise<void> => {
      const waiting = [...held].flatMap((read) => (isWaiting(read) ? read.spec : []));
      counts = await journal.indexes.parentCounts(waiting);
    };
    const damaged = reads.filter((read) => read instanceof MillraceError);
    const lost = [...ids].filter((_id, i) => reads[i] instanceof MillraceError);
    const left = new Map<number, number>();
    const decide = ({ spec, status }: Job): JobStatus | undefined => {
      const count = counts.get(spec.sequence);
      if (status.state !== 'waiting' || count === undefined) return undefined;
      const parents = parentsOf.get(spec.sequence) ?? [];
      if (parents.length === 0) return undefined;
      const failure = parents.find((parent) => parent.failure)?.failure;
      const policy = spec.onParentFailure ?? 'fail';
      if (failure && policy === 'fail') return gaveUp(status, encodeError(failure), now);
      if (failure && policy === 'cancel') return cancelled(status, now, reasonOf(failure));
      if (count <= parents.length) return unblocked(status, spec, now);
      left.set(spec.sequence, count - parents.length);
      return undefined;
    };
    const commit = async (change: Transaction): Promise<void> => {
      await this.addLost(change, lost);
      for (const { entry, children, isLast } of news) {
        for (const { key } of children) change.forget(key);
        if (isLast) change.forget(entry.key);
      }
      for (const [sequence, count] of left) keepParentCount(change, sequence, count);
      await journal.commit(change);
    };
    await idle.change([...ids], { look, decide, commit });
    for (const error of damaged) this.#links.onWarning(error);
    if (lost.length > 0) this.look();
  }
}

const MAX_REASON = 256;

/** As short as that of a caller. */
const reasonOf = ({ message }: MillraceError): string =>
  (message.length > MAX_REASON ? `${message.slice(0, MAX_REASON - 1)}…` : message).toWellFormed();

const isWaiting = (read: JobRead): read is Job =>
  read !== undefined && !(read instanceof MillraceError) && read.status.state === 'waiting';

/** What became of a job: `'open'` where it has not ended, or not so: then there is, or will be, other news of it. */
function fateOf({ id, end }: JobNews, read: JobRead): 'open' | 'completed' | MillraceError {
  const job = read instanceof MillraceError ? undefined : read;
  // Another job may have its id by now.
  const isIt = job !== undefined && (end === undefined || job.spec.sequence === end.sequence);
  if (isIt && !hasEnded(job.status)) return 'open';
  if (isIt && end && (job.status.retries ?? 0) !== end.retries) return 'open';
  const isCompleted = isIt ? job.status.state === 'completed' : end?.isCompleted === true;
  if (isCompleted) return 'completed';
  return parentFailure(id, isIt ? job : undefined, read instanceof MillraceError ? read : undefined);
}
