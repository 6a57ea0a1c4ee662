/** Whoever waits for a job: for its end, or for its progress. */
import { JobCancelledError, JobFailedError, MillraceError } from '../errors.js';
import { decode } from '../job/codec.js';
import { decodeError, fromErrorData } from '../job/error-data.js';
import { hasEnded, lastErrorOf, type Job } from '../job/record.js';
import { Aborts } from './aborts.js';
import { Deliveries } from './deliveries.js';
import { ProgressQueue } from './progress-queue.js';
import { RecentEnds } from './recent-ends.js';

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** Reads a job from the journal; rejects where there is none. */
type ReadJob = () => Promise<Job>;

export class Results {
  readonly #waiters = new Map<string, Waiter[]>();
  readonly #watchers = new Map<string, ProgressQueue[]>();
  readonly #aborts = new Aborts();
  readonly recent = new RecentEnds();
  readonly deliveries = new Deliveries();

  /**
   * Resolves with a job's result.
   * @param endsBefore What {@link RecentEnds.count} was when the job had certainly not ended.
   */
  wait(id: string, read: ReadJob, signal?: AbortSignal, endsBefore?: number): Promise<unknown> {
    const isOpen = endsBefore !== undefined && this.recent.isOpen(endsBefore, id);
    if (isOpen && !signal) return this.#next(id);
    const result = this.#wait(id, read, signal);
    ignoreRejection(result);
    return result;
  }

  /** The job has ended, and that is committed. */
  ended(job: Job): void {
    const { id } = job.spec;
    this.recent.add(id);
    for (const waiter of takeAll(this.#waiters, id)) this.deliveries.add(() => settle(waiter, job));
    for (const queue of takeAll(this.#watchers, id)) queue.end();
  }

  /** Whether anybody waits for a job. */
  get isAwaited(): boolean {
    return this.#waiters.size > 0 || this.#watchers.size > 0;
  }

  /** The jobs whose end somebody waits for. */
  awaited(): string[] {
    return [...new Set([...this.#waiters.keys(), ...this.#watchers.keys()])];
  }

  /** There is no such job any more. Whoever asks from now on has to look into the journal. */
  gone(id: string, error: MillraceError): void {
    this.recent.add(id);
    for (const waiter of takeAll(this.#waiters, id)) waiter.reject(error);
    for (const queue of takeAll(this.#watchers, id)) queue.end();
  }

  progressed(id: string, value: Uint8Array): void {
    for (const queue of this.#watchers.get(id) ?? NONE) queue.push(value);
  }

  /** Progress from when it is asked for the first time, until the job ends, or the signal comes. */
  progress(id: string, read: ReadJob, signal?: AbortSignal): AsyncIterable<unknown> {
    let stopListening: (() => void) | undefined;
    const queue: ProgressQueue = new ProgressQueue({
      begin: async () => {
        signal?.throwIfAborted();
        stopListening = signal && this.#aborts.on(signal, () => queue.fail(signal.reason));
        insert(this.#watchers, id, queue);
        // What it reported between the first line of this and its end is told all the same.
        if (hasEnded((await read()).status)) queue.end();
      },
      leave: () => {
        remove(this.#watchers, id, queue);
        stopListening?.();
      },
    });
    return queue;
  }

  /** Nobody will hear of any job again. */
  close(error: MillraceError): void {
    for (const waiters of this.#waiters.values()) for (const waiter of waiters) waiter.reject(error);
    this.#waiters.clear();
    // Each leaves the list that it is in.
    for (const id of this.#watchers.keys()) for (const queue of takeAll(this.#watchers, id)) queue.end();
  }

  /** The result of a job that has not ended. */
  #next(id: string): Promise<unknown> {
    const result = new Promise((resolve, reject: (error: unknown) => void) => {
      const fail = (error: unknown): void => {
        ignoreRejection(result);
        reject(error);
      };
      insert(this.#waiters, id, { resolve, reject: fail });
    });
    return result;
  }

  /** Listens first and reads then, so that no end is missed in between. */
  async #wait(id: string, read: ReadJob, signal: AbortSignal | undefined): Promise<unknown> {
    signal?.throwIfAborted();
    let waiter: Waiter | undefined;
    let stopListening: (() => void) | undefined;
    try {
      return await new Promise((resolve, reject) => {
        waiter = { resolve, reject };
        insert(this.#waiters, id, waiter);
        stopListening = signal && this.#aborts.on(signal, () => reject(signal.reason));
        read()
          .then((job) => hasEnded(job.status) && settle({ resolve, reject }, job))
          .catch(reject);
      });
    } finally {
      if (waiter) remove(this.#waiters, id, waiter);
      stopListening?.();
    }
  }
}

/** A caller that looks at a result later, or never, must not be ended by an unhandled rejection. */
function ignoreRejection(result: Promise<unknown>): void {
  result.catch(() => {});
}

function settle(waiter: Waiter, { spec, status }: Job): void {
  // Each waiter gets a value of its own: what one does to it, no other sees.
  if (status.state === 'completed') resolveWith(waiter, spec.id, status.result);
  else if (status.state === 'cancelled') waiter.reject(new JobCancelledError(spec, status.cancelReason));
  else waiter.reject(failure({ spec, status }));
}

/** A result that is lost, or cannot be decoded, is its waiter's to hear of, and nobody else's. */
function resolveWith(waiter: Waiter, id: string, result: Uint8Array | undefined): void {
  if (!result) {
    const message = `Job ${id} is completed, and its result was lost to damage`;
    waiter.reject(new MillraceError('MILLRACE_JOURNAL_CORRUPT', message));
    return;
  }
  let value: unknown;
  try {
    value = decode(result);
  } catch (thrown) {
    const message = `The result of job ${id} cannot be decoded`;
    waiter.reject(new MillraceError('MILLRACE_JOURNAL_CORRUPT', message, { cause: thrown }));
    return;
  }
  waiter.resolve(value);
}

function failure({ spec, status }: Job): MillraceError {
  const last = lastErrorOf(status);
  const cause = last
    ? fromErrorData(decodeError(last))
    : new MillraceError('MILLRACE_JOURNAL_CORRUPT', 'The journal holds no error of the job');
  return new JobFailedError({ id: spec.id, name: spec.name, attempt: status.attempt }, cause);
}

const NONE: readonly never[] = [];

function insert<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const list = lists.get(key);
  if (list) list.push(value);
  else lists.set(key, [value]);
}

function remove<Value>(lists: Map<string, Value[]>, key: string, value: Value): void {
  const list = lists.get(key);
  const at = list?.indexOf(value) ?? -1;
  if (!list || at < 0) return;
  list.splice(at, 1);
  if (list.length === 0) lists.delete(key);
}

function takeAll<Value>(lists: Map<string, Value[]>, key: string): readonly Value[] {
  const list = lists.get(key);
  if (!list) return NONE;
  lists.delete(key);
  return list;
}
