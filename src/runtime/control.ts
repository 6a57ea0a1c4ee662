/**
 * What callers do to jobs from outside: cancel them, in whatever state they are. A job that has an attempt is the
 * executor's; any other is held while its state is read, changed and committed, so that nothing claims or promotes
 * it in between.
 */
import type { Clock } from '../clock.js';
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

  async #cancelIdle(id: string): Promise<JobState> {
    const { journal, clock, announcer, backlog, read, onCancelled } = this.#links;
    const { generation } = journal;
    const { spec, status } = await read(id);
    if (hasEnded(status)) return status.state;
    const next = cancelled(status, clock.now());
    const change = new Transaction().move(spec, status, next).readIn(generation);
    if (spec.durability === 'fsync') change.withSync();
    if (status.state === 'available') backlog.take(spec);
    await journal.commit(change);
    if (status.state === 'available') backlog.settle(spec, readyKey(spec));
    const job = { spec, status: next };
    announcer.cancelled(job);
    onCancelled(job);
    return next.state;
  }
}
