/** What keeps an available job, or jobs of its type and queue, from being claimed at this moment. Reads, and changes nothing. */
import type { Clock } from '../clock.js';
import type { BusyJob, Reason } from '../explanation.js';
import type { JobSpec } from '../job/record.js';
import type { Journal } from '../journal/journal.js';
import { laneNameOf, readyKey } from '../journal/keys.js';
import type { Settings } from '../options.js';
import type { Pool, ThreadView } from '../pool/contract.js';
import type { Backlog } from './backlog.js';
import type { Executor } from './executor.js';
import type { Pauses } from './pauses.js';
import type { RateLimits } from './rate-limits.js';

export interface HindrancesLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly settings: Pick<Settings, 'queues' | 'types' | 'selection'>;
  readonly pools: Readonly<Record<'thread' | 'inline', Pool>>;
  readonly backlog: Backlog;
  readonly executor: Pick<Executor, 'running' | 'allRunning'>;
  readonly pauses: Pick<Pauses, 'holds'>;
  readonly rates: RateLimits | undefined;
}

/** So many jobs before another one are counted. */
const MAX_COUNTED = 10_000;
const PAGE = 200;
/** So many jobs that are at work are told of. */
const MAX_TOLD = 10;

export class Hindrances {
  readonly #links: HindrancesLinks;

  constructor(links: HindrancesLinks) {
    this.#links = links;
  }

  /** The limits of its queue, type and concurrency key. */
  limits(spec: JobSpec): Reason[] {
    const { backlog, clock, rates } = this.#links;
    const { name, queue, concurrencyKey } = spec;
    const { queue: ofQueue, type: ofType, key: ofKey, native } = backlog.limits.usage(spec);
    const now = clock.now();
    const keyed = concurrencyKey === undefined ? undefined : laneNameOf(spec);
    const reasons: Reason[] = (rates?.waits({ queue, name, keyed }) ?? []).map(({ by, delayMs }) => {
      const inMs = Math.ceil(delayMs);
      const key = by === 'key' ? { key: concurrencyKey ?? '' } : undefined;
      return {
        reason: 'rateLimited',
        by,
        name: by === 'queue' ? queue : name,
        ...key,
        untilAt: now + inMs,
        inMs,
      };
    });
    if (ofQueue.running >= ofQueue.limit) {
      const jobs = this.#atWork((other) => other.queue === queue);
      reasons.push({ reason: 'queueBusy', queue, ...ofQueue, jobs });
    }
    if (ofType.running >= ofType.limit)
      reasons.push({
        reason: 'typeBusy',
        name,
        ...ofType,
        jobs: this.#atWork((other) => other.name === name),
      });
    if (ofKey && ofKey.running >= ofKey.limit) {
      const key = concurrencyKey ?? '';
      const jobs = this.#atWork((other) => other.name === name && other.concurrencyKey === key);
      reasons.push({ reason: 'keyBusy', name, key, ...ofKey, jobs });
    }
    if (native && native.running >= native.limit) reasons.push({ reason: 'nativeBusy', ...native });
    if (backlog.isResting(spec)) reasons.push({ reason: 'readFailed' });
    return reasons;
  }

  /** For a job that runs in a thread: why it gets none. */
  threads({ name, queue }: JobSpec): Reason[] {
    const pool = this.#links.pools.thread;
    // One for itself: whether it could share one is not for long.
    if (pool.hasRoom({ name, isLimited: true, mayQueue: false, mayShare: false })) return [];
    const { threads, failure } = pool.view();
    const ready = threads.filter(({ state }) => state === 'ready');
    const starting = threads.filter(({ state }) => state === 'starting').length;
    const reasons: Reason[] = [];
    if (ready.length === 0 && failure) {
      const { error, retryMs } = failure;
      reasons.push({ reason: 'threadsUnavailable', error: error.message, inMs: Math.ceil(retryMs) });
    } else if (ready.length === 0 && starting > 0) reasons.push({ reason: 'threadsStarting', starting });
    else reasons.push(...this.#busy(threads));
    const queues = reasons.length > 0 ? this.#heavierQueues(queue) : [];
    if (queues.length > 0) reasons.push({ reason: 'heavierQueues', queues });
    return reasons;
  }

  /** Which jobs of its queue come before it, as far as no limit holds those back. */
  async before(spec: JobSpec): Promise<Reason[]> {
    const { queue } = spec;
    const sameType = await this.#countBefore(spec, MAX_COUNTED + 1);
    let jobs = sameType;
    // Those of other types take turns with those of its key.
    const types = spec.concurrencyKey === undefined ? this.#links.backlog.openTypes(queue) : [];
    for (const name of types) {
      if (jobs > MAX_COUNTED) break;
      if (name !== spec.name) jobs += await this.#countBefore({ ...spec, name }, MAX_COUNTED + 1 - jobs);
    }
    if (jobs === 0) return [];
    const counted = { jobs: Math.min(jobs, MAX_COUNTED), sameType: Math.min(sameType, MAX_COUNTED) };
    return [{ reason: 'behind', ...counted, more: jobs > MAX_COUNTED }];
  }

  #busy(threads: readonly ThreadView[]): Reason[] {
    // Those that were ended have been replaced, or will be only when they have gone.
    const hasReady = threads.some(({ state }) => state === 'ready');
    const counted = threads.filter(
      ({ state, tasks }) => tasks.length > 0 && (!hasReady || state === 'ready'),
    );
    const jobs = counted.flatMap((thread) => this.#inThread(thread));
    const told = longestFirst(jobs);
    const [longest] = told;
    if (!longest) return [];
    const ending = counted.filter(({ state }) => state === 'ending').length;
    return [{ reason: 'threadsBusy', threads: jobs.length, forMs: longest.forMs, jobs: told, ending }];
  }

  #inThread({ id: thread, tasks: [task] }: ThreadView): BusyJob[] {
    if (!task) return [];
    const { id, name } = task;
    const startedAt = this.#links.executor.running(id)?.job.status.startedAt;
    return [{ id, name, forMs: this.#since(startedAt), ...(thread !== undefined && { thread }) }];
  }

  /** Of the jobs that are running those that take room of a limit. */
  #atWork(takesRoom: (spec: JobSpec) => boolean): BusyJob[] {
    const { executor, pools } = this.#links;
    const running = executor.allRunning().filter(({ job: { spec } }) => takesRoom(spec));
    const { threads } = pools.thread.view();
    const jobs = running.map(({ job: { spec, status } }): BusyJob => {
      const { id, name } = spec;
      const thread = threadOf(threads, id)?.id;
      return { id, name, forMs: this.#since(status.startedAt), ...(thread !== undefined && { thread }) };
    });
    return longestFirst(jobs);
  }

  #since(startedAt: number | undefined): number {
    return sinceMs(this.#links.clock, startedAt);
  }

  /** Those that are served before it, as long as they have something to run. */
  #heavierQueues(queue: string): string[] {
    const { journal, pauses, settings } = this.#links;
    if (settings.selection !== 'strict') return [];
    const inOrder = [...settings.queues.values()].sort((a, b) => b.weight - a.weight).map(({ name }) => name);
    return inOrder
      .slice(0, inOrder.indexOf(queue))
      .filter((name) => !pauses.holds(name) && journal.counts(name).available > 0);
  }

  /** How many jobs of the type that it names are before it, up to a limit. Page by page: others have their turns between. */
  async #countBefore(spec: JobSpec, limit: number): Promise<number> {
    const key = readyKey(spec);
    let count = 0;
    let after: string | undefined;
    do {
      const { entries, next } = await this.#links.journal.indexes.ready(
        spec.queue,
        laneNameOf(spec),
        after,
        PAGE,
      );
      const end = entries.findIndex((entry) => entry.key >= key);
      count += end < 0 ? entries.length : end;
      after = end < 0 ? next : undefined;
    } while (after !== undefined && count < limit);
    return Math.min(count, limit);
  }
}

/** The thread that has the job. */
export const threadOf = (threads: readonly ThreadView[], id: string): ThreadView | undefined =>
  threads.find(({ tasks }) => tasks.some((task) => task.id === id));

/** How long ago an attempt started; the clock may have been set back since. */
export function sinceMs(clock: Clock, startedAt: number | undefined): number {
  const now = clock.now();
  return Math.max(0, now - (startedAt ?? now));
}

const longestFirst = (jobs: readonly BusyJob[]): BusyJob[] =>
  jobs.toSorted((a, b) => b.forMs - a.forMs).slice(0, MAX_TOLD);
