/** What a journal holds in the end, read below the engine: every job, acknowledged or not, the counters, the indexes. */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '../../src/index.js';
import { decode } from '../../src/job/codec.js';
import { decodeError } from '../../src/job/error-data.js';
import {
  deadlineOf,
  lastErrorOf,
  type Durability,
  type Job,
  type JobCounts,
  type JobState,
  type JobStatus,
  type OnParentFailure,
} from '../../src/job/record.js';
import { Journal } from '../../src/journal/journal.js';
import { openLevelStore } from '../../src/journal/level-store.js';
import { PayloadFiles, PAYLOADS } from '../../src/journal/payload-files.js';
import type { Store } from '../../src/journal/store.js';
import type { Progress } from '../../src/schedule/record.js';
import { decodeSchedule } from '../../src/schedule/record-format.js';
import type { Done } from './facts.js';
import { isGarbled, type Heavy } from './payload.js';

export interface FinalJob {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly state: JobState;
  readonly durability: Durability;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** The attempts that errored. */
  readonly errored: readonly number[];
  /** How often it was run again after it had ended. */
  readonly retries?: number;
  /** How often its process crashed and it was blamed for that. */
  readonly crashes?: number;
  /** Of its payload. */
  readonly token: string;
  /** Its payload is not as it was enqueued. */
  readonly isGarbled?: true;
  /** Of one with a unique key: that, and when it was enqueued. */
  readonly uniqueKey?: string;
  readonly enqueuedAt?: number;
  readonly result?: Done;
  /** Of one that failed: when, and the code of its error, where that has one. */
  readonly failure?: { readonly at: number; readonly code: string | undefined };
  /** Of one with a deadline: when that was, and when its last attempt was claimed. */
  readonly deadlineAt?: number;
  readonly startedAt?: number;
  /** The ids of the jobs of its flow that it waited for. */
  readonly parents?: readonly string[];
  readonly onParentFailure?: OnParentFailure;
  /** Where a schedule has enqueued it. */
  readonly run?: FinalRun;
}

export interface FinalRun {
  readonly schedule: string;
  readonly scheduledFor: number;
  readonly enqueuedAt: number;
}

export interface Contents {
  readonly jobs: ReadonlyMap<string, FinalJob>;
  /** How far each schedule has come, by its name. */
  readonly schedules: ReadonlyMap<string, Progress>;
  /** What cannot be read, and why. */
  readonly unreadable: readonly string[];
  /** The counters on disk, by queue. */
  readonly counters: ReadonlyMap<string, JobCounts>;
  /** Keys that stand for a job that waits or runs, for its deadline, or for what others of its flow wait for. */
  readonly places: readonly string[];
  /** Keys that say who holds a unique key. */
  readonly keyEntries: readonly string[];
  /** Files with the payloads of jobs that are not there. */
  readonly strayFiles: readonly string[];
}

const PAGE = 1_000;

/** What a journal holds that nobody has open. @param directory Where it lies. */
export async function readJournal(
  directory: string,
  maxAttemptsOf: (name: string) => number,
): Promise<Contents> {
  const store = await openLevelStore(directory);
  const payloads = join(directory, PAYLOADS);
  const files = existsSync(payloads) ? await readdir(payloads) : [];
  return readContents(store, maxAttemptsOf, { files: new PayloadFiles(directory), names: files });
}

/**
 * @param maxAttemptsOf What a job type says, by its name.
 * @param payloads Where large payloads lie, if anywhere, and the names of all files there.
 */
export async function readContents(
  store: Store,
  maxAttemptsOf: (name: string) => number,
  payloads?: { readonly files: PayloadFiles; readonly names: readonly string[] },
): Promise<Contents> {
  const journal = await Journal.open(store, undefined, payloads?.files);
  try {
    const jobs = new Map<string, FinalJob>();
    const unreadable: string[] = [];
    const strayFiles = new Set(payloads?.names);
    const ids = (await keysUnder(store, 'j')).map((key) => key.slice(2));
    for (let i = 0; i < ids.length; i += PAGE) {
      for (const read of await journal.jobs(ids.slice(i, i + PAGE))) {
        if (read instanceof MillraceError) unreadable.push(read.message);
        if (!read || read instanceof MillraceError) continue;
        if (read.spec.payloadFile) strayFiles.delete(read.spec.payloadFile.name);
        const payload = await journal.payloadOf(read.spec).catch(asDamage);
        if (payload instanceof MillraceError) unreadable.push(payload.message);
        else jobs.set(read.spec.id, finalJob(read, payload, maxAttemptsOf));
      }
    }
    const schedules = await readProgress(journal, unreadable);
    const counters = new Map(journal.queues().map((queue) => [queue, journal.counts(queue)]));
    const places = await Promise.all(
      ['r', 't', 'a', 'x', 'w', 'v', 'e', 'n', 'g'].map((letter) => keysUnder(store, letter)),
    );
    const keyEntries = await keysUnder(store, 'u');
    return {
      jobs,
      schedules,
      unreadable,
      counters,
      places: places.flat(),
      keyEntries,
      strayFiles: [...strayFiles],
    };
  } finally {
    await journal.close();
  }
}

function asDamage(thrown: unknown): MillraceError {
  if (thrown instanceof MillraceError) return thrown;
  throw thrown;
}

async function readProgress(journal: Journal, unreadable: string[]): Promise<Map<string, Progress>> {
  const schedules = new Map<string, Progress>();
  for (let after: string | undefined; ;) {
    const page = await journal.indexes.schedules(after, PAGE);
    for (const { name, record } of page.schedules) {
      try {
        schedules.set(name, decodeSchedule(name, record).progress);
      } catch (thrown) {
        unreadable.push(`schedule ${name}: ${String(thrown)}`);
      }
    }
    if (page.next === undefined) return schedules;
    after = page.next;
  }
}

function finalJob(
  { spec, status }: Job,
  payload: Uint8Array,
  maxAttemptsOf: (name: string) => number,
): FinalJob {
  const { id, name, queue, durability, schedule, scheduledFor, enqueuedAt } = spec;
  const { parents, onParentFailure, uniqueKey } = spec;
  const { state, attempt, crashes, retries, startedAt } = status;
  // One that is run again has none.
  const deadlineAt = deadlineOf({ spec, status });
  // Safe: only the workload wrote to this journal.
  const heavy = decode(payload) as Heavy;
  const { token } = heavy;
  const maxAttempts = (status.attemptsBefore ?? 0) + (spec.maxAttempts ?? maxAttemptsOf(name));
  const errored = (status.errors ?? []).map((error) => error.attempt);
  const job = { id, name, queue, state, durability, attempt, maxAttempts, errored, token };
  const isRun = schedule !== undefined && scheduledFor !== undefined;
  return {
    ...job,
    ...(isGarbled(heavy) && { isGarbled: true }),
    ...(retries !== undefined && { retries }),
    ...(crashes !== undefined && { crashes }),
    ...(uniqueKey !== undefined && { uniqueKey, enqueuedAt }),
    // Safe: that is what its handlers return.
    ...(status.result && { result: decode(status.result) as Done }),
    ...(state === 'failed' && { failure: failureOf(status) }),
    ...(deadlineAt !== undefined && { deadlineAt, ...(startedAt !== undefined && { startedAt }) }),
    ...(parents && { parents: Object.values(parents) }),
    ...(onParentFailure && { onParentFailure }),
    ...(isRun && { run: { schedule, scheduledFor, enqueuedAt } }),
  };
}

function failureOf(status: JobStatus): NonNullable<FinalJob['failure']> {
  const error = lastErrorOf(status);
  const code = error && decodeError(error).code;
  return { at: status.finishedAt ?? -Infinity, code: code === undefined ? undefined : String(code) };
}

/** All keys that begin with a letter of the journal's (see src/journal/keys.ts). */
async function keysUnder(store: Store, letter: string): Promise<string[]> {
  const keys: string[] = [];
  const to = `${letter}"`;
  for (let from = `${letter}!`; ;) {
    const page = await store.page({ from, after: true, to, limit: PAGE });
    keys.push(...page.map(({ key }) => key));
    const last = page.at(-1);
    if (!last || page.length < PAGE) return keys;
    from = last.key;
  }
}
