/** Answers what handlers ask for while their attempts run. */
import { MillraceError, show } from '../errors.js';
import type { Job } from '../job/record.js';
import { keeping } from '../job/transitions.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { Transaction } from '../journal/transaction.js';
import { attemptOver, stopError, type JobRequest, type Task } from '../pool/contract.js';
import { encodeParentResults } from '../pool/wire.js';
import type { Attempt } from './attempt.js';
import type { Executor } from './executor.js';
import type { FollowUps } from './follow-ups.js';

export interface RequestsLinks {
  readonly journal: Journal;
  readonly executor: Executor;
  readonly followUps: FollowUps;
  /** Why nothing can be written now. */
  readonly outage: () => MillraceError | undefined;
}

/** Of the results of parents: so many at most, and so many bytes, go into one reply. */
const PAGE = 500;
const PAGE_BYTES = 1 << 18;
/** How many are read at once: before it is known how large they are, and however small those before them were. */
const FIRST = 2;
const MOST = 32;

export class Requests {
  readonly #links: RequestsLinks;

  constructor(links: RequestsLinks) {
    this.#links = links;
  }

  /** @throws MillraceError */
  async answer(task: Task, request: JobRequest): Promise<unknown> {
    const { executor, followUps } = this.#links;
    const attempt = executor.attemptOf(task);
    // Once its outcome is on its way nothing may be written of the job as it ran.
    if (!attempt || attempt.outcome) throw attemptOver(task);
    if (attempt.stopReason === 'cancelled') throw stopError('cancelled', task, attempt.cancelReason);
    switch (request.kind) {
      case 'enqueue':
        return followUps.take(attempt, request);
      case 'checkpoint':
        return this.#checkpoint(attempt, request.value);
      case 'parentResults':
        return this.#parentResults(attempt, request.from);
      default:
        return request satisfies never;
    }
  }

  /** @param from How many of the parents earlier pages were about. */
  async #parentResults({ job }: Attempt, from: number): Promise<Uint8Array> {
    const parents = Object.entries(job?.spec.parents ?? {});
    const results: [key: string, result: Uint8Array][] = [];
    const end = Math.min(parents.length, from + PAGE);
    let at = from;
    let bytes = 0;
    for (let count = FIRST; at < end && bytes < PAGE_BYTES;) {
      const some = parents.slice(at, Math.min(end, at + count));
      const reads = await this.#links.journal.jobs(some.map(([, id]) => id));
      for (const [i, [key, id]] of some.entries()) {
        const result = job && resultIn(reads[i], job, key, id);
        if (!result) continue;
        results.push([key, result]);
        bytes += result.byteLength;
      }
      at += some.length;
      // As many as fill the page, if they are like those before them.
      const meanBytes = Math.max(1, bytes / (at - from));
      count = Math.min(MOST, Math.max(1, Math.floor((PAGE_BYTES - bytes) / meanBytes)));
    }
    return encodeParentResults({ results, next: at < parents.length ? at : undefined });
  }

  /** The first one of a job writes its status, too, which says from then on that there is one. */
  async #checkpoint(attempt: Attempt, value: Uint8Array): Promise<void> {
    const { journal, outage } = this.#links;
    const { job } = attempt;
    const error = outage();
    if (error) throw error;
    if (!job) throw new Error(`Job ${attempt.choice.id} asks for a checkpoint and is not running`);
    const { spec, status } = job;
    const change = new Transaction().putCheckpoint(spec.id, value);
    const next = keeping(status, 'hasCheckpoint');
    if (next !== status) {
      attempt.job = { spec, status: next };
      change.move(spec, status, next);
    }
    if (spec.durability === 'fsync') change.withSync();
    await journal.commit(change);
  }
}

/**
 * What a parent came to; nothing where it counts as done without.
 * @throws MillraceError where it must have completed, and that is lost.
 */
function resultIn(read: JobRead, { spec }: Job, key: string, id: string): Uint8Array | undefined {
  // Another job may have its id by now.
  const isGone = read === undefined || (!(read instanceof MillraceError) && read.spec.flow !== spec.flow);
  if (!isGone && !(read instanceof MillraceError)) return read.status.result;
  if (spec.onParentFailure === 'ignore') return undefined;
  if (read instanceof MillraceError) throw read;
  const message = `Job ${spec.name} ${spec.id} asks for the result of ${show(key)}, job ${id}, which is not kept any more`;
  throw new MillraceError('MILLRACE_JOB_NOT_FOUND', message);
}
