/** Removes the ended jobs of a lane, roster by roster, a bounded number at a time. */
import { MillraceError } from '../errors.js';
import type { EndedState, Job } from '../job/record.js';
import type { JobRead, Journal } from '../journal/journal.js';
import type { EndedRoster } from '../journal/ended-jobs.js';
import { isEndOf } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';
import type { Holds } from './holds.js';
import { openFlows } from './open-flows.js';

export interface RemoverLinks {
  readonly journal: Journal;
  /** Somebody may be about to retry or remove what ended, too. */
  readonly holds: Holds;
  /** A job was removed. @param bytes Of its payload and result. */
  readonly onRemoved: (id: string, bytes: number) => void;
  readonly onWarning: (error: MillraceError) => void;
}

/** The jobs of one type that ended in one state. */
export interface RemovalLane {
  readonly state: EndedState;
  readonly name: string;
  /** How many go in one write, after how large the last ones were. */
  batch: number;
}

/** A roster on which there are jobs to go. */
interface Work {
  readonly key: string;
  /** Those that were not looked at yet. */
  ids: readonly string[];
  /** Those that stay: they cannot be read, or their flow has jobs that have not ended. */
  readonly left: string[];
}

/** What became of rosters. */
export interface Removed {
  /** How many of their jobs were removed. */
  readonly count: number;
  /** How many were left because of their flows. */
  readonly held: number;
  /** The last roster to which all before it were seen to, itself included: whoever is left on these stays for now. */
  readonly seenTo: string | undefined;
}

/** How many jobs go in one write at most: few enough not to be felt on the event loop. */
const BATCH = 200;
/** While it is not known how large jobs are. */
export const FIRST_BATCH = 20;
/** Where jobs are large, so few are read at once that they take about this much memory. */
const BATCH_BYTES = 4 << 20;

export class Remover {
  readonly #links: RemoverLinks;
  /** Rosters with a job that cannot be read: reported once, and left in the journal. */
  readonly #damaged = new Set<string>();

  constructor(links: RemoverLinks) {
    this.#links = links;
  }

  /**
   * @param isStopped Whether to end behind the batch that is under way.
   * @param limit How many to remove at most.
   */
  async remove(
    lane: RemovalLane,
    rosters: readonly EndedRoster[],
    isStopped: () => boolean,
    limit = Infinity,
  ): Promise<Removed> {
    let count = 0;
    let held = 0;
    let seenTo: string | undefined;
    const queue: Work[] = [];
    for (const { key, ids } of rosters) {
      // Again, for the journal may have been opened anew.
      if (this.#damaged.has(key)) this.#links.journal.pin(key);
      else queue.push({ key, ids, left: [] });
    }
    while (queue.length > 0 && count < limit && !isStopped()) {
      const batch: [work: Work, ids: readonly string[]][] = [];
      for (let room = Math.min(lane.batch, limit - count); room > 0;) {
        const [work] = queue;
        if (!work) break;
        const ids = work.ids.slice(0, room);
        work.ids = work.ids.slice(room);
        batch.push([work, ids]);
        room -= ids.length;
        if (work.ids.length === 0) queue.shift();
      }
      const removed = await this.#alone(
        batch.flatMap(([, ids]) => ids),
        () => this.#removeBatch(lane, batch),
      );
      count += removed.count;
      held += removed.held;
      seenTo = batch.findLast(([work]) => work.ids.length === 0)?.[0].key ?? seenTo;
    }
    return { count, held, seenTo };
  }

  /** While nobody else changes the jobs. */
  async #alone<Value>(ids: readonly string[], work: () => Promise<Value>): Promise<Value> {
    const { holds } = this.#links;
    for (;;) {
      const held = ids.find((id) => holds.has(id));
      if (held === undefined) return holds.holdAll(ids, work);
      await holds.free(held);
    }
  }

  /** Not synced: a removal that a power cut takes back is made again. */
  async #removeBatch(
    lane: RemovalLane,
    batch: readonly (readonly [work: Work, ids: readonly string[]])[],
  ): Promise<Omit<Removed, 'seenTo'>> {
    const { journal, onRemoved } = this.#links;
    const { generation } = journal;
    const reads = await journal.jobs(batch.flatMap(([, ids]) => ids));
    lane.batch = fittingBatch(reads);
    const open = await openFlows(journal, reads);
    const change = new Transaction().readIn(generation);
    const removed: Job[] = [];
    let held = 0;
    let i = 0;
    for (const [work, ids] of batch) {
      const leftBefore = work.left.length;
      for (const id of ids) {
        const read = reads[i++];
        if (read instanceof MillraceError) this.#report(work, id, read);
        // Any other was removed before, and there may be a new one of its id; or it was retried since.
        else if (!read || !isEndOf(read, work.key)) continue;
        else if (open.has(read.spec.flow ?? '')) {
          work.left.push(id);
          held++;
        } else {
          change.remove(read);
          removed.push(read);
        }
      }
      const left = [...work.left, ...work.ids];
      if (left.length === 0) change.forget(work.key);
      else if (work.left.length - leftBefore < ids.length) change.keepRoster(work.key, left);
    }
    if (change.keys.length > 0) await journal.commit(change);
    for (const job of removed) onRemoved(job.spec.id, bytesOf(job));
    return { count: removed.length, held };
  }

  #report(work: Work, id: string, error: MillraceError): void {
    work.left.push(id);
    this.#damaged.add(work.key);
    this.#links.journal.pin(work.key);
    this.#links.onWarning(error);
  }
}

/** Of a job's payload and result. */
export const bytesOf = ({ spec, status }: Job): number =>
  spec.payload.byteLength + (status.result?.byteLength ?? 0);

/** So many jobs that, were they as large as these, they would fit. */
function fittingBatch(reads: readonly JobRead[]): number {
  let bytes = 0;
  for (const read of reads) {
    if (!read || read instanceof MillraceError) continue;
    bytes += bytesOf(read);
  }
  const fitting = Math.floor((BATCH_BYTES * reads.length) / Math.max(bytes, 1));
  return Math.max(1, Math.min(BATCH, fitting));
}
