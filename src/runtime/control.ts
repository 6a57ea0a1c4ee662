/**
 * What callers do to jobs from outside: cancel them, in whatever state they are. A job that has an attempt is the
 * executor's; any other is held while its state is read, changed and committed, so that nothing claims or promotes
 * it in between.
 */
import type { Clock } from '../clock.js';
import { MillraceError } from '../errors.js';
import { hasEnded, isEnd, type Job, type JobState } from '../job/record.js';
import { cancelled } from '../job/transitions.js';
import type { Journal } from '../journal/journal.js';
import { readyKey } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import type { Announcer } from './announcer.js';
import type { Backlog } from './backlog.js';
import type { Executor } from './executor.js';
import type { Holds } from './holds.js';
import type { Stager } from './stager.js';

export interface ControlLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly announcer: Announcer;
  readonly backlog: Backlog;
  readonly executor: Executor;
  readonly stager: Stager;
  readonly holds: Holds;
  /** A job that had no attempt was cancelled, and that is committed. */
  readonly onCancelled: (job: Job) => void;
  /** The job, or a rejection that says why there is none. */
  readonly read: (id: string) => Promise<Job>;
  /** Throws where nothing can be changed now. */
  readonly assertWritable: () => void;
}

export class Control {
  readonly #links: ControlLinks;
  /** Jobs whose cancel was refused because its write failed, and may be there all the same. */
  readonly #doubtful = new Set<string>();

  constructor(links: ControlLinks) {
    this.#links = links;
  }

  /** @returns the state that resulted. */
  async cancel(id: string): Promise<JobState> {
    const { executor, holds, stager, assertWritable } = this.#links;
    for (;;) {
      assertWritable();
      if (executor.has(id)) {
        const state = await executor.cancel(id);
        // An outcome that was on its way into the journal may have left the job another attempt.
        if (isEnd(state)) return state;
      } else if (holds.has(id)) await holds.free(id);
      else if (stager.isPromoting(id)) await stager.passed();
      else return holds.hold(id, () => this.#cancelIdle(id));
    }
  }

  /** After the journal was opened again: tells of what was cancelled all the same. */
  async settleDoubts(): Promise<void> {
    const { journal, announcer } = this.#links;
    const ids = [...this.#doubtful];
    for (const read of await journal.jobs(ids)) {
      if (!(read instanceof MillraceError) && read?.status.state === 'cancelled') announcer.cancelled(read);
    }
    for (const id of ids) this.#doubtful.delete(id);
  }

  async #cancelIdle(id: string): Promise<JobState> {
    const { journal, clock, announcer, backlog, read, onCancelled } = this.#links;
    const { generation } = journal;
    const { spec, status } = await read(id);
    if (hasEnded(status)) return status.state;
    const next = cancelled(status, clock.now());
    const change = new Transaction().move(spec, status, next).readIn(generation);
    if (spec.durability === 'fsync') change.withSync();
    if (status.state === 'available') backlog.take(spec);
    await this.#commit(spec.id, change);
    if (status.state === 'available') backlog.settle(spec, readyKey(spec));
    const job = { spec, status: next };
    announcer.cancelled(job);
    onCancelled(job);
    return next.state;
  }

  async #commit(id: string, change: Transaction): Promise<void> {
    const { journal } = this.#links;
    try {
      await journal.commit(change);
    } catch (thrown) {
      if (journal.failure) this.#doubtful.add(id);
      throw thrown;
    }
  }
}
