/**
 * What is marked as running when the journal opens is certainly an orphan, for the journal has one owner and
 * this is it. Recovery makes orphans available again; it takes as long as there were jobs running, not waiting.
 */
import { MillraceError } from '../errors.js';
import { hasEnded, type Job } from '../job/record.js';
import { isOrphanOf, orphaned } from '../job/transitions.js';
import type { JobRead, Journal, Roster } from '../journal/journal.js';
import { RUNNING_SPAN, runningKey } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';

export interface Recovered {
  /** The jobs that were running, as they are now: available, or cancelled where that was asked. */
  readonly jobs: readonly Job[];
  /** Orphans that cannot be read stay as they are. */
  readonly damaged: readonly MillraceError[];
}

interface Draft {
  readonly jobs: Job[];
  readonly damaged: MillraceError[];
  /** The jobs that are recovered: a power cut can leave a job on two rosters. */
  readonly ids: Set<string>;
}

/** How many claims are recovered in one commit. */
const PAGE = 100;

/** @param now Epoch milliseconds. */
export async function recover(journal: Journal, now: number): Promise<Recovered> {
  const recovered: Draft = { jobs: [], damaged: [], ids: new Set() };
  let after: string | undefined;
  do {
    const { rosters, next } = await journal.running(after, PAGE);
    const change = new Transaction();
    for (const roster of rosters) {
      const reads = await journal.jobs(roster.ids);
      const unread = release(change, roster, reads, now, recovered);
      if (unread.length === 0) change.endClaim(roster.claim);
      else if (unread.length < roster.ids.length) change.keepClaim(roster.claim, unread);
      if (unread.length > 0) journal.pin(roster.key);
    }
    if (change.keys.length > 0) await journal.commit(change);
    after = next;
  } while (after !== undefined);
  // Every claim so far has a lower number than the next one.
  journal.raiseMark(RUNNING_SPAN.from, runningKey(journal.nextSequence()));
  return { jobs: recovered.jobs, damaged: recovered.damaged };
}

/** @returns the ids of the jobs that cannot be read. */
function release(
  change: Transaction,
  { claim, ids }: Roster,
  reads: readonly JobRead[],
  now: number,
  { jobs, damaged, ids: released }: Draft,
): string[] {
  const unread: string[] = [];
  for (const [i, id] of ids.entries()) {
    const read = reads[i];
    // It ended while others of its claim went on, and was removed since.
    if (read === undefined || released.has(id)) continue;
    if (read instanceof MillraceError) {
      damaged.push(read);
      unread.push(id);
      continue;
    }
    const { spec, status } = read;
    // Others of its claim were running longer.
    if (!isOrphanOf(status, claim)) continue;
    const next = orphaned(status, now);
    change.move(spec, { ...status, state: 'running', claim }, next);
    // A release that a power cut takes back is made again; an end that somebody hears of must stay.
    if (hasEnded(next)) change.withSync();
    jobs.push({ spec, status: next });
    released.add(id);
  }
  return unread;
}
