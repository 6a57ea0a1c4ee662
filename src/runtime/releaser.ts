/**
 * Tells the jobs of flows that a job has ended for which they wait. The journal says which jobs have ended and have not
 * told their children yet, so a restart goes on where the process before it was; and that a child is told, and waits for
 * one job less, is one commit: none is told twice.
 */
import type { Clock, Timer } from '../clock.js';
import { asError, MillraceError } from '../errors.js';
import { encodeError } from '../job/error-data.js';
import { hasEnded, type Job, type JobSpec, type JobStatus } from '../job/record.js';
import { cancelled, gaveUp, unblocked } from '../job/transitions.js';
import { askToLook, keepParentCount } from '../journal/flow-entries.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { ignoresFailures, NEWS_SPAN, newsKey, type ParentCount } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import { childrenTold, gatherNews, type News } from './flow-news.js';
import type { IdleJobs } from './idle-jobs.js';

export interface ReleaserLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly idle: IdleJobs;
  /** Nothing is left to tell. */
  readonly onPass: () => void;
  readonly onWarning: (error: MillraceError) => void;
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
      await this.#tell(await gatherNews(journal, entries, BATCH));
    }
  }

  async #tell(news: readonly News[]): Promise<void> {
    const { journal, clock, idle } = this.#links;
    const now = clock.now();
    const told = childrenTold(news);
    const idOf = (sequence: number): string => told.get(sequence)?.id ?? '';
    let counts: ReadonlyMap<number, number> = new Map();
    const left = new Map<number, ParentCount>();
    const lost: string[] = [];
    // While they are held: until then one may be run again, and wait anew. One that goes on waiting is not read, for
    // that would be once for each of its parents, which it holds the ids of.
    const select = async (held: readonly string[]): Promise<readonly string[]> => {
      const isHeld = new Set(held);
      const own = [...told.keys()].filter((sequence) => isHeld.has(idOf(sequence)));
      const changing: number[] = [];
      for (const [sequence, kept] of await journal.indexes.keptParentCounts(own)) {
        const { parents = 0, failure } = told.get(sequence) ?? {};
        const isSame = kept !== 'damaged' && kept.count > parents && (!failure || kept.ignoresFailures);
        if (isSame) left.set(sequence, { ...kept, count: kept.count - parents });
        else changing.push(sequence);
      }
      return [...new Set(changing.map(idOf))];
    };
    const look = async (reads: ReadonlyMap<string, JobRead>): Promise<void> => {
      const waiting: JobSpec[] = [];
      for (const [id, read] of reads) {
        if (read instanceof MillraceError) lost.push(id);
        else if (read?.status.state === 'waiting') waiting.push(read.spec);
      }
      counts = await journal.indexes.parentCounts(waiting);
    };
    const decide = ({ spec, status }: Job): JobStatus | undefined => {
      const count = counts.get(spec.sequence);
      const { parents, failure } = told.get(spec.sequence) ?? {};
      if (status.state !== 'waiting' || count === undefined || parents === undefined) return undefined;
      const policy = spec.onParentFailure ?? 'fail';
      if (failure && policy === 'fail') return gaveUp(status, encodeError(failure), now);
      if (failure && policy === 'cancel') return cancelled(status, now, reasonOf(failure));
      if (count <= parents) return unblocked(status, spec, now);
      left.set(spec.sequence, { count: count - parents, ignoresFailures: ignoresFailures(spec) });
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
    const ids = new Set(Array.from(told.values(), ({ id }) => id));
    const { reads } = await idle.change([...ids], { select, look, decide, commit });
    for (const read of reads.values()) if (read instanceof MillraceError) this.#links.onWarning(read);
    if (lost.length > 0) this.look();
  }
}

const MAX_REASON = 256;

/** As short as that of a caller. */
const reasonOf = ({ message }: MillraceError): string =>
  (message.length > MAX_REASON ? `${message.slice(0, MAX_REASON - 1)}…` : message).toWellFormed();
