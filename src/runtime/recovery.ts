/**
 * What is marked as running when the journal opens is certainly an orphan, for the journal has one owner and
 * this is it; but for what goes on in this process, when the journal is opened again after it failed. Recovery makes
 * orphans available again; it takes as long as there were jobs running, not waiting.
 *
 * Where the process crashed, any of them can be the reason, so all come under suspicion. Whoever is under two runs alone
 * (suspects.ts); so one that is the only orphan is to blame.
 */
import { MillraceError } from '../errors.js';
import { encodeError } from '../job/error-data.js';
import { hasEnded, isSuspect, type Job, type JobStatus } from '../job/record.js';
import { blamed, isOrphanOf, orphaned, suspected } from '../job/transitions.js';
import { orphanWithKey } from '../job/uniqueness.js';
import type { JobRead, Journal } from '../journal/journal.js';
import type { Roster } from '../journal/indexes.js';
import { RUNNING_SPAN, runningKey } from '../journal/keys.js';
import { Transaction } from '../journal/transaction.js';

export interface Recovered {
  /** The jobs that were running, as they are now: available, cancelled where that was asked, or failed. */
  readonly jobs: readonly Job[];
  /** Orphans that cannot be read stay as they are. */
  readonly damaged: readonly MillraceError[];
  /** Their ids. */
  readonly lost: readonly string[];
  /** The claims that stay, because jobs of theirs go on or cannot be read. */
  readonly claims: ReadonlyMap<number, OpenClaim>;
}

export interface OpenClaim {
  /** The ids of its jobs that go on. */
  readonly live: readonly string[];
  /** How many of its jobs have to leave it before it can go. */
  readonly size: number;
}

/** Whether the job goes on in this process, with that claim. */
export type IsLive = (id: string, claim: number) => boolean;

export interface RecoveryOptions {
  readonly isLive?: IsLive;
  /** Present where the process crashed: after how many crashes on its own a job of that name fails. */
  readonly maxCrashesOf?: ((name: string) => number) | undefined;
}

interface Orphan extends Job {
  readonly claim: number;
}

interface Draft {
  readonly jobs: Job[];
  readonly damaged: MillraceError[];
  readonly lost: string[];
  /** The jobs that are recovered: a power cut can leave a job on two rosters. */
  readonly ids: Set<string>;
  readonly claims: Map<number, OpenClaim>;
}

/** How many claims are recovered in one commit. */
const PAGE = 100;

/** @param now Epoch milliseconds. */
export async function recover(
  journal: Journal,
  now: number,
  { isLive = nobody, maxCrashesOf }: RecoveryOptions = {},
): Promise<Recovered> {
  const recovered: Draft = { jobs: [], damaged: [], lost: [], ids: new Set(), claims: new Map() };
  let after: string | undefined;
  do {
    const { rosters, next } = await journal.indexes.running(after, PAGE);
    const change = new Transaction();
    const orphans: Orphan[] = [];
    for (const { key, claim, ids } of rosters) {
      const live = ids.filter((id) => isLive(id, claim));
      const others = live.length > 0 ? ids.filter((id) => !live.includes(id)) : ids;
      const reads = await journal.jobs(others);
      const unread = find(orphans, { key, claim, ids: others }, reads, recovered);
      const size = live.length + unread.length;
      if (size === 0) change.endClaim(claim);
      else if (size < ids.length) change.keepClaim(claim, [...live, ...unread]);
      if (size > 0) recovered.claims.set(claim, { live, size });
      recovered.lost.push(...unread);
      if (unread.length > 0) journal.pin(key);
    }
    const ranAlone = after === undefined && next === undefined && orphans.length === 1;
    for (const orphan of orphans) {
      const status = maxCrashesOf
        ? afterCrash(orphan, ranAlone, maxCrashesOf, now)
        : orphaned(orphan.status, now);
      recovered.jobs.push(release(change, orphan, orphanWithKey(orphan.spec, status)));
    }
    if (change.keys.length > 0) await journal.commit(change);
    after = next;
  } while (after !== undefined);
  // Every claim so far has a lower number than the next one.
  const lowest = Math.min(journal.nextSequence(), ...recovered.claims.keys());
  journal.raiseMark(RUNNING_SPAN.from, runningKey(lowest));
  const { jobs, damaged, lost, claims } = recovered;
  return { jobs, damaged, lost, claims };
}

const nobody = (): boolean => false;

/**
 * Finds the orphans among the jobs of a roster.
 * @returns the ids of the jobs that cannot be read.
 */
function find(
  orphans: Orphan[],
  { claim, ids }: Roster,
  reads: readonly JobRead[],
  { damaged, ids: found }: Draft,
): string[] {
  const unread: string[] = [];
  for (const [i, id] of ids.entries()) {
    const read = reads[i];
    // It ended while others of its claim went on, and was removed since.
    if (read === undefined || found.has(id)) continue;
    if (read instanceof MillraceError) {
      damaged.push(read);
      unread.push(id);
      continue;
    }
    // Others of its claim were running longer.
    if (!isOrphanOf(read, claim)) continue;
    orphans.push({ ...read, claim });
    found.add(id);
  }
  return unread;
}

function afterCrash(
  { spec, status }: Job,
  ranAlone: boolean,
  maxCrashesOf: (name: string) => number,
  now: number,
): JobStatus {
  if (!ranAlone || !isSuspect(status)) return suspected(status, now);
  const crashes = (status.crashes ?? 0) + 1;
  const message = `Job ${spec.name} ${spec.id} took its process down: ${crashes} times that died while this job ran and no other. Look for what the process or the system said last (native code, memory). Mend the handler, then run the job again with \`mill.retry(id)\`; \`maxCrashes\` of its type says how often it may`;
  const error = encodeError(new MillraceError('MILLRACE_JOB_CRASHED', message));
  return blamed(status, maxCrashesOf(spec.name), error, now);
}

function release(change: Transaction, { spec, status, claim }: Orphan, next: JobStatus): Job {
  change.move(spec, { ...status, state: 'running', claim }, next);
  // A release that a power cut takes back is made again; an end that somebody hears of must stay.
  if (hasEnded(next)) change.withSync();
  return { spec, status: next };
}
