/**
 * What is marked as running when the journal opens is certainly an orphan, for the journal has one owner and
 * this is it. Recovery makes orphans available again; it takes as long as there were jobs running, not waiting.
 */
import { MillraceError } from '../errors.js';
import { hasEnded, type Job } from '../job/record.js';
import { orphaned } from '../job/transitions.js';
import type { JobRead, Journal } from '../journal/journal.js';
import { claimOf, RUNNING_SPAN, runningKey } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';

export interface Recovered {
  /** The jobs that were running, as they are now: available, or cancelled where that was asked. */
  readonly jobs: readonly Job[];
  /** Orphans that cannot be read stay as they are. */
  readonly damaged: readonly MillraceError[];
}

const PAGE = 1_000;

/** @param now Epoch milliseconds. */
export async function recover(journal: Journal, now: number): Promise<Recovered> {
  const jobs: Job[] = [];
  const damaged: MillraceError[] = [];
  let after: string | undefined;
  do {
    const page = await journal.running(after, PAGE);
    const reads = await journal.jobs(page.entries.map(({ text: id }) => id));
    const change = new Transaction();
    for (const [i, { key, text: id }] of page.entries.entries()) {
      const read = orphan(id, reads[i]);
      if (read instanceof MillraceError) {
        damaged.push(read);
        journal.pin(key);
        continue;
      }
      // A claim leaves the stored status alone, so the mark is what says that the job was running.
      const { spec, status } = read;
      const next = orphaned(status, now);
      change.move(spec, { ...status, state: 'running', claim: claimOf(key) }, next);
      // A release that a power cut takes back is made again; an end that somebody hears of must stay.
      if (hasEnded(next)) change.withSync();
      jobs.push({ spec, status: next });
    }
    if (page.entries.length > 0) await journal.commit(change);
    after = page.next;
  } while (after !== undefined);
  // Every claim so far has a lower number than the next one.
  journal.raiseMark(RUNNING_SPAN.from, runningKey(journal.nextSequence()));
  return { jobs, damaged };
}

/** A job that is marked as running, where its record fits that. */
function orphan(id: string, read: JobRead): Job | MillraceError {
  if (read instanceof MillraceError) return read;
  if (read === undefined)
    return new MillraceError('MILLRACE_JOURNAL_CORRUPT', `The record of the running job ${id} is missing`);
  const { state } = read.status;
  if (state === 'available' || state === 'running') return read;
  const message = `The job ${id} is marked as running, and its record says ${state}; it is left as it is`;
  return new MillraceError('MILLRACE_JOURNAL_CORRUPT', message);
}
