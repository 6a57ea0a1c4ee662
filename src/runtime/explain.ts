/**
 * Why a job is not running: asks every part that has a say in that what it knows of the job at this moment. It changes
 * nothing, holds nothing, and costs nothing while nobody asks.
 */
import type { Clock } from '../clock.js';
import { MillraceError } from '../errors.js';
import type { Explanation, OpenParent, Reason } from '../explanation.js';
import { decodeError } from '../job/error-data.js';
import {
  deadlineOf,
  hasEnded,
  isOverdue,
  lastErrorOf,
  type EndedState,
  type Job,
  type JobStatus,
} from '../job/record.js';
import { jobNotFound } from './handle.js';
import { Hindrances, sinceMs, threadOf, type HindrancesLinks } from './hindrances.js';
import type { Executor } from './executor.js';
import type { Holds } from './holds.js';
import type { Outage } from './outage.js';
import type { Pauses } from './pauses.js';
import type { Suspects } from './suspects.js';
import { ranked, summaryOf } from './summary.js';

export interface ExplainerLinks extends HindrancesLinks {
  readonly clock: Clock;
  readonly executor: Executor;
  readonly holds: Holds;
  readonly outage: () => Outage;
  readonly pauses: Pauses;
  readonly suspects: Pick<Suspects, 'holder' | 'isSuspect'>;
  readonly isClosing: () => boolean;
}

interface Found {
  readonly job: Job;
  /** Where this process runs it: whether it was told to stop. */
  readonly running: { readonly stopping: boolean } | undefined;
}

/** So many parents are told of, and so many are read at once to find them. */
const MAX_PARENTS = 5;
const PARENTS_PAGE = 50;

export class Explainer {
  readonly #links: ExplainerLinks;
  readonly #hindrances: Hindrances;

  constructor(links: ExplainerLinks) {
    this.#links = links;
    this.#hindrances = new Hindrances(links);
  }

  /** @throws MillraceError where there is no such job, or it cannot be read. */
  async explain(id: string): Promise<Explanation> {
    const found = await this.#find(id);
    const { name, queue } = found.job.spec;
    const explained = { id, name, queue, state: found.job.status.state };
    const reasons = await this.#reasonsOf(found);
    const all = ranked(reasons.length > 0 ? reasons : [{ reason: 'aboutToStart' }]);
    return { ...explained, summary: summaryOf(explained, all), reasons: all };
  }

  async #find(id: string): Promise<Found> {
    const { executor, journal } = this.#links;
    const before = executor.running(id);
    if (before) return { job: before.job, running: before };
    const read = await journal.job(id);
    // Its claim writes no status, so it may run although what was read does not say so.
    const running = executor.running(id);
    if (running) return { job: running.job, running };
    if (read instanceof MillraceError) throw read;
    if (!read) throw jobNotFound(id);
    return { job: read, running: undefined };
  }

  async #reasonsOf({ job, running }: Found): Promise<Reason[]> {
    if (hasEnded(job.status)) return [endOf(job.status)];
    if (running) return [this.#running(job, running.stopping), ...this.#outer()];
    const { state } = job.status;
    const inner = state === 'available' ? await this.#available(job) : await this.#notYet(job);
    // Asked last: what had to be read may have shown that the journal has failed.
    return [...this.#outer(), ...inner];
  }

  /** What is so for all jobs. */
  #outer(): Reason[] {
    const { isClosing } = this.#links;
    const outage = this.#links.outage();
    const reasons: Reason[] = [];
    if (isClosing()) reasons.push({ reason: 'engineClosing' });
    if (outage.error)
      reasons.push({ reason: 'journalFailed', error: outage.error.message, forMs: outage.forMs });
    return reasons;
  }

  /** What lasts until somebody does something about it. */
  #lasting(job: Job): Reason[] {
    const { clock, pauses, pools, settings } = this.#links;
    const { id, name, queue } = job.spec;
    const type = settings.types.get(name);
    const deadlineAt = deadlineOf(job);
    const reasons: Reason[] = [];
    if (deadlineAt !== undefined && isOverdue(job, clock.now()))
      reasons.push({ reason: 'deadlinePassed', deadlineAt });
    if (!settings.queues.has(queue)) reasons.push({ reason: 'queueUnknown', queue });
    if (!type) reasons.push({ reason: 'handlerUnknown', name });
    const { payloadVersion = 1 } = job.spec;
    if (type && payloadVersion > type.version)
      reasons.push({ reason: 'codeOlder', name, payloadVersion, version: type.version });
    const { all, own } = pauses.holding(queue);
    if (all) reasons.push({ reason: 'enginePaused' });
    if (own) reasons.push({ reason: 'queuePaused', queue });
    if (type && pools[type.kind].isLingering(id)) reasons.push({ reason: 'handlerLingering' });
    return reasons;
  }

  #running({ spec, status }: Job, stopping: boolean): Reason {
    const { clock, pools } = this.#links;
    const { attempt, startedAt = clock.now() } = status;
    const thread = threadOf(pools.thread.view().threads, spec.id);
    return {
      reason: 'running',
      attempt,
      startedAt,
      forMs: sinceMs(clock, startedAt),
      ...(thread?.id !== undefined && { thread: thread.id }),
      stopping,
      threadEnding: thread?.state === 'ending',
    };
  }

  async #available(job: Job): Promise<Reason[]> {
    const { executor, holds, settings, suspects } = this.#links;
    const { spec } = job;
    // It was chosen: nothing holds it back any more, and it is being claimed.
    if (executor.has(spec.id)) return [];
    const reasons = this.#lasting(job);
    if (holds.has(spec.id)) reasons.push({ reason: 'held' });
    const type = settings.types.get(spec.name);
    // Without a queue or a handler it is in no line.
    if (!type || !settings.queues.has(spec.queue)) return reasons;
    if (suspects.isSuspect(spec.id)) reasons.push({ reason: 'runsAlone' });
    const { holder } = suspects;
    if (holder !== undefined && holder !== spec.id) reasons.push({ reason: 'suspectFirst', id: holder });
    reasons.push(...this.#hindrances.limits(spec));
    if (type.kind === 'thread') reasons.push(...this.#hindrances.threads(spec));
    reasons.push(...(await this.#read(() => this.#hindrances.before(spec))));
    return reasons;
  }

  async #notYet(job: Job): Promise<Reason[]> {
    const { spec, status } = job;
    const isWaiting = status.state === 'waiting';
    const parents = isWaiting ? await this.#read(() => this.#parents(job)) : [];
    // What waits for others has a time of its own behind them.
    const due = this.#due(isWaiting && spec.runAt !== undefined ? { ...status, runAt: spec.runAt } : status);
    return [...parents, ...due, ...this.#lasting(job)];
  }

  #due(status: JobStatus): Reason[] {
    const { state, attempt, runAt: dueAt, snoozes = 0, snoozeError } = status;
    const now = this.#links.clock.now();
    if (dueAt === undefined || dueAt <= now) return [];
    const inMs = dueAt - now;
    const error = snoozeError && decodeError(snoozeError).message;
    if (state !== 'retryable')
      return [
        { reason: 'scheduled', dueAt, inMs, snoozed: snoozes > 0, ...(error !== undefined && { error }) },
      ];
    return [{ reason: 'retrying', dueAt, inMs, attempt, error: lastMessage(status) ?? '' }];
  }

  async #parents({ spec }: Job): Promise<Reason[]> {
    const { journal } = this.#links;
    const { parents = {}, sequence } = spec;
    const count = (await journal.indexes.parentCounts([spec])).get(sequence);
    if (count === undefined) return [];
    const open: OpenParent[] = [];
    const entries = Object.entries(parents);
    for (let from = 0; from < entries.length && open.length < MAX_PARENTS; from += PARENTS_PAGE) {
      const page = entries.slice(from, from + PARENTS_PAGE);
      const reads = await journal.jobs(page.map(([, id]) => id));
      for (const [i, [key, id]] of page.entries()) {
        const read = reads[i];
        // One that is no longer kept, or cannot be read, holds up nobody for long.
        if (!read || read instanceof MillraceError || hasEnded(read.status)) continue;
        open.push({ key, id, name: read.spec.name, state: this.#stateOf(read) });
      }
    }
    return [{ reason: 'waitingForParents', count, parents: open.slice(0, MAX_PARENTS) }];
  }

  /** Nothing while the journal is out, or gone: that is reason enough, and may be why it cannot be read. */
  async #read(reasons: () => Promise<Reason[]>): Promise<Reason[]> {
    if (this.#outer().length > 0) return [];
    try {
      return await reasons();
    } catch (thrown) {
      if (this.#outer().length > 0) return [];
      throw thrown;
    }
  }

  /** A claim writes no status. */
  #stateOf({ spec, status }: Job): Job['status']['state'] {
    return this.#links.executor.running(spec.id)?.job.status.state ?? status.state;
  }
}

function endOf(status: JobStatus & { state: EndedState }): Reason {
  const { state, finishedAt, cancelReason } = status;
  const error = state === 'failed' ? lastMessage(status) : undefined;
  return {
    reason: 'ended',
    state,
    finishedAt,
    ...(error !== undefined && { error }),
    ...(cancelReason !== undefined && { cancelReason }),
  };
}

function lastMessage(status: JobStatus): string | undefined {
  const last = lastErrorOf(status);
  return last && decodeError(last).message;
}
