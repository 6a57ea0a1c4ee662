/** What a journal holds in the end, read below the engine: every job, acknowledged or not, the counters, the indexes. */
import { MillraceError } from '../../src/index.js';
import { decode } from '../../src/job/codec.js';
import type { Job, JobCounts, JobState } from '../../src/job/record.js';
import { Journal } from '../../src/journal/journal.js';
import type { Store } from '../../src/journal/store.js';
import type { Done } from './facts.js';

export interface FinalJob {
  readonly id: string;
  readonly name: string;
  readonly queue: string;
  readonly state: JobState;
  readonly attempt: number;
  readonly maxAttempts: number;
  /** The attempts that errored. */
  readonly errored: readonly number[];
  /** Of its payload. */
  readonly token: string;
  readonly result?: Done;
}

export interface Contents {
  readonly jobs: ReadonlyMap<string, FinalJob>;
  /** What cannot be read, and why. */
  readonly unreadable: readonly string[];
  /** The counters on disk, by queue. */
  readonly counters: ReadonlyMap<string, JobCounts>;
  /** Keys that stand for a job that waits or runs. */
  readonly places: readonly string[];
}

const PAGE = 1_000;

/** @param maxAttemptsOf What a job type says, by its name. */
export async function readContents(store: Store, maxAttemptsOf: (name: string) => number): Promise<Contents> {
  const journal = await Journal.open(store);
  try {
    const jobs = new Map<string, FinalJob>();
    const unreadable: string[] = [];
    const ids = (await keysUnder(store, 'j')).map((key) => key.slice(2));
    for (let i = 0; i < ids.length; i += PAGE) {
      for (const read of await journal.jobs(ids.slice(i, i + PAGE))) {
        if (read instanceof MillraceError) unreadable.push(read.message);
        else if (read) jobs.set(read.spec.id, finalJob(read, maxAttemptsOf));
      }
    }
    const counters = new Map(journal.queues().map((queue) => [queue, journal.counts(queue)]));
    const places = await Promise.all(['r', 't', 'a'].map((letter) => keysUnder(store, letter)));
    return { jobs, unreadable, counters, places: places.flat() };
  } finally {
    await journal.close();
  }
}

function finalJob({ spec, status }: Job, maxAttemptsOf: (name: string) => number): FinalJob {
  const { id, name, queue } = spec;
  const { state, attempt } = status;
  // Safe: only the workload wrote to this journal.
  const { token } = decode(spec.payload) as { token: string };
  const maxAttempts = spec.maxAttempts ?? maxAttemptsOf(name);
  const errored = (status.errors ?? []).map((error) => error.attempt);
  const job = { id, name, queue, state, attempt, maxAttempts, errored, token };
  // Safe: that is what its handlers return.
  return status.result ? { ...job, result: decode(status.result) as Done } : job;
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
