/**
 * Changes jobs that no attempt has: each is held while its state is read, changed and committed, so that nothing claims
 * or promotes it in between. Those that run are the executor's.
 */
import { MillraceError } from '../errors.js';
import { hasEnded, type Job, type JobStatus } from '../job/record.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { readyKey } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import type { Announcer } from './announcer.js';
import type { Backlog } from './backlog.js';
import type { Executor } from './executor.js';
import { jobNotFound } from './handle.js';
import type { Holds } from './holds.js';
import type { Stager } from './stager.js';

export interface IdleJobsLinks {
  readonly journal: Journal;
  readonly announcer: Announcer;
  readonly backlog: Backlog;
  readonly executor: Executor;
  readonly stager: Stager;
  readonly holds: Holds;
  /** A job is now this, and that is committed. */
  readonly onChanged: (job: Job, before: Job) => void;
  /** A job was removed, and that is committed. */
  readonly onRemoved: (job: Job) => void;
  /** Throws where nothing can be changed now. */
  readonly assertWritable: () => void;
}

export interface IdleChange {
  /** Which of those that are held are to be read, and may change; by default all. */
  readonly select?: (held: readonly string[]) => Promise<readonly string[]>;
  /** Reads what else is to be decided on, while the jobs are held. */
  readonly look?: (reads: ReadonlyMap<string, JobRead>) => Promise<void>;
  /** What becomes of a job: its next status, or nothing, where it stays as it is. */
  readonly decide: (job: Job) => JobStatus | 'removed' | undefined;
  /** Commits what was decided, and what else is to change with it; by default that alone. */
  readonly commit?: (change: Transaction) => Promise<unknown>;
  /** Whether none of them is changed, or committed, where one has an attempt. */
  readonly allOrNone?: boolean;
}

export interface IdleResult {
  /** What was found of each job that was idle, before the change. */
  readonly reads: ReadonlyMap<string, JobRead>;
  /** As they are now; without those that were removed, or stay as they are. */
  readonly changed: ReadonlyMap<string, Job>;
  readonly removed: ReadonlySet<string>;
  /** Those that have an attempt: nothing became of them. */
  readonly running: readonly string[];
}

interface Step {
  readonly before: Job;
  /** Absent where it is removed. */
  readonly job: Job | undefined;
}

export class IdleJobs {
  readonly #links: IdleJobsLinks;
  /** Jobs as they were before a change that was refused because its write failed, and may be there all the same. */
  readonly #doubtful = new Map<string, Job>();

  constructor(links: IdleJobsLinks) {
    this.#links = links;
  }

  /**
   * Changes jobs in one commit.
   * @param ids Of different jobs; some hundreds at most.
   * @throws MillraceError where it is not committed.
   */
  async change(ids: readonly string[], change: IdleChange): Promise<IdleResult> {
    const { executor, holds, stager, assertWritable } = this.#links;
    for (;;) {
      assertWritable();
      const idle = ids.filter((id) => !executor.has(id));
      const held = idle.find((id) => holds.has(id));
      if (held !== undefined) await holds.free(held);
      else if (idle.some((id) => stager.isPromoting(id))) await stager.passed();
      else {
        const running = ids.filter((id) => executor.has(id));
        if (change.allOrNone && running.length > 0)
          return { reads: new Map(), changed: new Map(), removed: new Set(), running };
        return holds.holdAll(idle, async () => ({ ...(await this.#change(idle, change)), running }));
      }
    }
  }

  /** After the journal was opened again: tells of what has ended all the same. */
  async settleDoubts(): Promise<void> {
    const { journal, announcer } = this.#links;
    const ids = [...this.#doubtful.keys()];
    for (const read of await journal.jobs(ids)) {
      if (read === undefined || read instanceof MillraceError || !hasEnded(read.status)) continue;
      const before = this.#doubtful.get(read.spec.id);
      if (before && !hasEnded(before.status)) announcer.settled(before, read);
    }
    for (const id of ids) this.#doubtful.delete(id);
  }

  async #change(
    held: readonly string[],
    { select, look, decide, commit }: IdleChange,
  ): Promise<Omit<IdleResult, 'running'>> {
    const { journal, backlog, announcer, onChanged, onRemoved } = this.#links;
    const change = new Transaction().readIn(journal.generation);
    const ids = select ? await select(held) : held;
    const reads = new Map<string, JobRead>();
    for (const [i, read] of (await journal.jobs(ids)).entries()) reads.set(ids[i] ?? '', read);
    await look?.(reads);
    const steps = [...reads.values()].flatMap((read) =>
      read === undefined || read instanceof MillraceError ? [] : stepOf(read, decide(read)),
    );
    for (const step of steps) addTo(change, step);
    const taken = steps.map(({ before }) => before).filter(({ status }) => status.state === 'available');
    for (const { spec } of taken) backlog.take(spec);
    try {
      if (commit) await commit(change);
      else if (change.keys.length > 0) await journal.commit(change);
    } catch (thrown) {
      if (journal.failure) for (const { before } of steps) this.#doubtful.set(before.spec.id, before);
      // What was decided on before the journal was opened again: the windows were read anew since.
      else for (const job of taken) backlog.keep(job);
      throw thrown;
    }
    for (const { spec } of taken) backlog.settle(spec, readyKey(spec));
    const changed = new Map<string, Job>();
    const removed = new Set<string>();
    for (const { before, job } of steps) {
      const { id } = before.spec;
      if (!job) {
        removed.add(id);
        announcer.results.gone(id, jobNotFound(id));
        onRemoved(before);
        continue;
      }
      changed.set(id, job);
      if (hasEnded(job.status)) announcer.settled(before, job);
      onChanged(job, before);
    }
    return { reads, changed, removed };
  }
}

function stepOf(before: Job, next: JobStatus | 'removed' | undefined): Step[] {
  if (next === undefined) return [];
  return [{ before, job: next === 'removed' ? undefined : { spec: before.spec, status: next } }];
}

function addTo(change: Transaction, { before, job }: Step): void {
  const { spec, status } = before;
  if (job) change.move(spec, status, job.status);
  else change.remove(before);
  if (spec.durability === 'fsync') change.withSync();
}
