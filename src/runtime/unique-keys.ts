/** Who holds unique keys: an entry of the journal says who took one last, and his job, or its time, whether he holds it. */
import type { Clock } from '../clock.js';
import { MillraceError, UniqueConflictError } from '../errors.js';
import type { Job, JobSpec } from '../job/record.js';
import { holdsKey } from '../job/uniqueness.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { uniqueKeyOf } from '../journal/keys.js';
import type { ArrivingIds } from './arriving-ids.js';
import type { IdleChange } from './idle-jobs.js';

export interface UniqueKeysLinks {
  readonly journal: Journal;
  readonly clock: Clock;
  readonly arriving: ArrivingIds;
}

export interface KeyHolder {
  readonly id: string;
  /** Absent where the key is held for a time, and the job is not kept any longer. */
  readonly job?: Job;
}

/** The key of the journal under which a job's unique key is, where it has one. */
export function keyOf({ name, uniqueKey }: JobSpec): string | undefined {
  return uniqueKey === undefined ? undefined : uniqueKeyOf(name, uniqueKey);
}

export class UniqueKeys {
  readonly #links: UniqueKeysLinks;

  constructor(links: UniqueKeysLinks) {
    this.#links = links;
  }

  /** Those keys that are held, as far as is committed. @param keys See {@link keyOf}. */
  async holders(keys: readonly string[], now = this.#links.clock.now()): Promise<Map<string, KeyHolder>> {
    const holders = new Map<string, KeyHolder>();
    if (keys.length === 0) return holders;
    const { journal } = this.#links;
    const entries = await journal.keyEntries(keys);
    const reads = await journal.jobs(entries.flatMap((entry) => entry?.id ?? []));
    let next = 0;
    for (const [i, key] of keys.entries()) {
      const entry = entries[i];
      if (!entry) continue;
      const read = reads[next++];
      // What cannot be read is never run, and a job of the same id may have come later.
      const isIt =
        read !== undefined && !(read instanceof MillraceError) && read.spec.sequence === entry.sequence;
      const job = isIt && keyOf(read.spec) === key ? read : undefined;
      const { id, until } = entry;
      const isHeld = until === undefined ? job !== undefined && holdsKey(job, now) : until > now;
      if (isHeld) holders.set(key, { id, ...(job && { job }) });
    }
    return holders;
  }

  /** Whether the job, once it is there, holds its key. */
  isHeldBy(job: Job): boolean {
    return holdsKey(job, this.#links.clock.now());
  }

  /**
   * Decides on jobs that are to wait again while nobody takes their keys: one whose key another job holds stays as it is.
   * @param change Makes the change, by the decision that it is given.
   * @returns what comes of it, and of the jobs that stay for that who has their keys.
   */
  async again<Value>(
    ids: readonly string[],
    decide: IdleChange['decide'],
    change: (decide: IdleChange['decide']) => Promise<Value>,
  ): Promise<{ readonly value: Value; readonly conflicts: ReadonlyMap<string, UniqueConflictError> }> {
    const { journal, arriving } = this.#links;
    const reads = await journal.jobs(ids);
    const keys = [...new Set(reads.flatMap((read) => (isJob(read) ? (keyOf(read.spec) ?? []) : [])))];
    const conflicts = new Map<string, UniqueConflictError>();
    const value = await arriving.alone(keys, async () => {
      const holders = await this.holders(keys);
      return change((job) => {
        const next = decide(job);
        const key = keyOf(job.spec);
        if (key === undefined || typeof next !== 'object') return next;
        const again = { spec: job.spec, status: next };
        if (!this.isHeldBy(again)) return next;
        const holder = holders.get(key);
        if (holder && holder.id !== job.spec.id) conflicts.set(job.spec.id, conflictOf(job.spec, holder));
        // Nobody looked who holds it: it is of a job that has come under this id since.
        if (conflicts.has(job.spec.id) || !keys.includes(key)) return undefined;
        holders.set(key, { id: job.spec.id, job: again });
        return next;
      });
    });
    return { value, conflicts };
  }
}

const isJob = (read: JobRead): read is Job => read !== undefined && !(read instanceof MillraceError);

/** @param item What the job is called where it is one of several. */
export function conflictOf(
  { name, uniqueKey = '' }: JobSpec,
  { id }: KeyHolder,
  { item, isRunning = false }: { item?: string | undefined; isRunning?: boolean } = {},
): UniqueConflictError {
  return new UniqueConflictError({ id, name, isRunning }, uniqueKey, item);
}
