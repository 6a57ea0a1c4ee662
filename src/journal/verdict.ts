/**
 * What is known of one job, and what follows from that. Pure. Where records contradict each other, or are lost, a job
 * that has ended never runs again, one that certainly waits does, and one of which neither is certain fails and says why.
 */
import { MillraceError } from '../errors.js';
import { encode } from '../job/codec.js';
import { encodeError } from '../job/error-data.js';
import { hasEnded, type Job, type JobSpec, type JobStatus } from '../job/record.js';
import { enqueued, gaveUp, isOrphanOf, orphaned } from '../job/transitions.js';
import {
  deadlineKeyOf,
  dueAtOf,
  placeOf,
  readyKey,
  runningKey,
  specKey,
  statusKey,
  type RosterEnd,
} from './keys.js';

/** What other records say about a job. */
export interface Evidence {
  /** The keys of its own that it has as one that waits. */
  readonly places: readonly string[];
  /** The keys by its deadline that it has as one that has not ended. */
  readonly deadlines: readonly string[];
  /** The numbers of the claims whose rosters list it. */
  readonly claims: readonly number[];
  /** The ends of which a roster lists it. */
  readonly ends: readonly RosterEnd[];
}

/** A record: sound, damaged, or not there. */
export type Part<Value> = Value | 'damaged' | undefined;

export interface Case {
  readonly id: string;
  readonly spec: Part<JobSpec>;
  readonly status: Part<JobStatus>;
  readonly evidence: Evidence;
  /** Whether a newer value of the key may be among what is damaged. */
  readonly isSuspect: (key: string) => boolean;
  /** Whether the entry is there, and does not say any more whose it is. */
  readonly isDamagedPlace: (key: string) => boolean;
}

export interface Verdict {
  /** Absent where nothing is left to make a job of, or there is none. */
  readonly job?: Job;
  /** Whether it is running as far as the journal tells: its state is stored as it was before. */
  readonly isRunning: boolean;
  /** Whether no roster lists its end yet. */
  readonly isUnlisted: boolean;
  /** What is wrong, with the key that it shows at. */
  readonly problem?: { readonly key: string; readonly message: string };
}

const NOTHING: Verdict = { isRunning: false, isUnlisted: false };

/** @param now Epoch milliseconds, for the end of a job that cannot go on. */
export function judge(known: Case, now: number): Verdict {
  const verdict = judgeState(known, now);
  const deadline = verdict.job && deadlineKeyOf(verdict.job);
  if (verdict.problem || deadline === undefined || known.evidence.deadlines.includes(deadline))
    return verdict;
  const message = `Job ${known.id} has a deadline, and its entry by that is lost`;
  return { ...verdict, problem: { key: deadline, message } };
}

function judgeState(known: Case, now: number): Verdict {
  const { id, spec, status } = known;
  if (spec === undefined || spec === 'damaged') return withoutSpec(known);
  const own = ofThisJob(known.evidence, spec);
  if (status === undefined || status === 'damaged')
    return withoutStatus({ ...known, evidence: own }, spec, now);
  const job = { spec, status };
  if (hasEnded(status)) return ended(job, known.evidence);
  const evidence = { ...own, ends: own.ends.filter(({ retries }) => retries >= (status.retries ?? 0)) };
  const one = { ...known, evidence };
  // Nothing takes a job out of `completed`.
  const completed = evidence.ends.find(({ state }) => state === 'completed');
  if (completed) return endedAs(job, completed, `The status of job ${id} is older than its end`);
  const claim = evidence.claims.find((claim) => isOrphanOf(job, claim));
  if (claim !== undefined)
    return { job, isRunning: true, isUnlisted: false, ...doubtOf(known, runningKey(claim)) };
  if (status.state === 'running') return unclaimed(job, now);
  return waiting(one, job, now);
}

/** The file with its payload is lost: a job that has ended stays as it is but for that, and any other fails. */
export function withoutPayload(verdict: Verdict, message: string, now: number): Verdict {
  if (!verdict.job) return verdict;
  const { payloadFile: _, ...rest } = verdict.job.spec;
  const job: Job = { spec: { ...rest, payload: encode(undefined) }, status: verdict.job.status };
  const told = `${message}, and with it the payload of job ${rest.id}`;
  const problem = { key: specKey(rest.id), message: told };
  return hasEnded(job.status) ? { ...verdict, job, problem } : { ...failed(job, told, now), problem };
}

/** Rosters may still name a job that had the same id before, and is no longer kept. */
function ofThisJob(
  { places, deadlines, claims, ends }: Evidence,
  { sequence, enqueuedAt }: JobSpec,
): Evidence {
  return {
    places,
    deadlines,
    claims: claims.filter((claim) => claim > sequence),
    ends: ends.filter(({ finishedAt }) => finishedAt >= enqueuedAt),
  };
}

function withoutSpec({ id, spec, status, evidence, isSuspect }: Case): Verdict {
  const key = specKey(id);
  const isNamed = evidence.claims.length > 0 || evidence.ends.length > 0;
  const { places, deadlines } = evidence;
  const isTold = spec === 'damaged' || status !== undefined || places.length > 0 || deadlines.length > 0;
  // Rosters list jobs that were removed since.
  if (!isTold && !(isNamed && isSuspect(key))) return NOTHING;
  const message = `The record of job ${id} is ${spec === 'damaged' ? 'damaged' : 'missing'}: its payload is lost`;
  return { ...NOTHING, problem: { key, message } };
}

function ended(job: Job, { ends }: Evidence): Verdict {
  const { state, finishedAt } = job.status;
  // Jobs that ended together share a roster, under the time of the first of them.
  const isUnlisted = !ends.some((end) => end.state === state && end.retries === (job.status.retries ?? 0));
  if (!isUnlisted) return { job, isRunning: false, isUnlisted };
  const message = `Job ${job.spec.id} is ${state} since ${finishedAt}, and no roster lists it`;
  return { job, isRunning: false, isUnlisted, problem: { key: statusKey(job.spec.id), message } };
}

/** It ran when its status was written, for a cancel or a checkpoint; and the claim is lost. */
function unclaimed({ spec, status }: Job, now: number): Verdict {
  const next = orphaned(status, now);
  const message = `Job ${spec.id} is running, and its claim is lost`;
  const problem = { key: statusKey(spec.id), message };
  return { job: { spec, status: next }, isRunning: false, isUnlisted: hasEnded(next), problem };
}

function waiting(one: Case, job: Job, now: number): Verdict {
  const { id, evidence, isSuspect, isDamagedPlace } = one;
  const place = placeOf(job);
  if (place === undefined || evidence.places.includes(place))
    return { job, isRunning: false, isUnlisted: false, ...(place !== undefined && doubtOf(one, place)) };
  const [end] = evidence.ends;
  if (end) return endedAs(job, end, `The status of job ${id} is older than its end`);
  const isExplained = isDamagedPlace(place) || isSuspect(place) || !isSuspect(statusKey(id));
  const message = `Job ${id} is ${job.status.state}, and its place is lost`;
  if (isExplained) return { job, isRunning: false, isUnlisted: false, problem: { key: place, message } };
  return failed(job, `Job ${id} was ${job.status.state}, and what came after that is lost`, now);
}

function withoutStatus(one: Case, spec: JobSpec, now: number): Verdict {
  const { id, status, evidence, isSuspect, isDamagedPlace } = one;
  const { places, claims, ends } = evidence;
  const fresh: Job = { spec, status: enqueued(spec) };
  const place = placeOf(fresh) ?? '';
  const lost = `The status of job ${id} is ${status === 'damaged' ? 'damaged' : 'missing'}`;
  const key = statusKey(id);
  const last = [...ends].sort((a, b) => b.retries - a.retries || b.finishedAt - a.finishedAt)[0];
  if (last) return endedAs(fresh, last, lost);
  const problem = { key, message: `${lost}: how often it ran is lost` };
  const due = places.find((one) => one !== place && one.startsWith('t!'));
  // It waits for another time than the first.
  if (due !== undefined) {
    const scheduled: Job = { spec, status: { state: 'scheduled', attempt: 0, runAt: dueAtOf(due) } };
    return { job: scheduled, isRunning: false, isUnlisted: false, problem };
  }
  // A job that was never claimed has none, and the first claim writes none.
  const isClaimed = claims.length > 0 && fresh.status.state === 'available';
  if (status === undefined && (places.includes(place) || isClaimed)) {
    const keys = isClaimed ? claims.map(runningKey) : [place];
    return { job: fresh, isRunning: isClaimed, isUnlisted: false, ...doubtOf(one, ...keys) };
  }
  if (claims.length > 0 || places.includes(readyKey(spec))) {
    const available: Job = { spec, status: { state: 'available', attempt: 0 } };
    return { job: available, isRunning: claims.length > 0, isUnlisted: false, problem };
  }
  if (places.includes(place)) return { job: fresh, isRunning: false, isUnlisted: false, problem };
  if (status === undefined && (isDamagedPlace(place) || !isSuspect(key))) {
    const message = `Job ${id} is ${fresh.status.state}, and its place is lost`;
    return { job: fresh, isRunning: false, isUnlisted: false, problem: { key: place, message } };
  }
  return failed(fresh, `${lost}, and nothing tells what became of the job`, now);
}

/**
 * What says that a job waits, or runs, may itself be what is left of it: an end writes the status, and removes the other
 * keys. Where all of that may be among what is lost, the job goes on, and is told to be in doubt.
 */
function doubtOf({ id, isSuspect }: Case, ...keys: readonly string[]): Pick<Verdict, 'problem'> {
  const key = statusKey(id);
  if (!isSuspect(key) || !keys.every(isSuspect)) return {};
  return { problem: { key, message: `Job ${id} may have gone on, or ended, since what is left of it` } };
}

function endedAs({ spec, status }: Job, { state, finishedAt, retries }: RosterEnd, lost: string): Verdict {
  const { attempt, errors, startedAt, claim, hasCheckpoint, hasNotes } = status;
  const end: JobStatus = {
    state,
    attempt,
    finishedAt,
    ...(errors && { errors }),
    ...(startedAt !== undefined && { startedAt }),
    ...(claim !== undefined && { claim }),
    ...(retries > 0 && { retries, attemptsBefore: status.attemptsBefore ?? 0 }),
    ...(hasCheckpoint && state !== 'completed' && { hasCheckpoint }),
    ...(hasNotes && { hasNotes }),
  };
  const problem = { key: statusKey(spec.id), message: `${lost}: it is ${state}, and how it ended is lost` };
  return { job: { spec, status: end }, isRunning: false, isUnlisted: false, problem };
}

function failed({ spec, status }: Job, message: string, now: number): Verdict {
  const error = new MillraceError(
    'MILLRACE_JOURNAL_CORRUPT',
    `${message}; it is failed, and was not run again`,
  );
  const job = { spec, status: gaveUp(status, encodeError(error), now) };
  return { job, isRunning: false, isUnlisted: true, problem: { key: statusKey(spec.id), message } };
}
