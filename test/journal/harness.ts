/** What the suites of the journal share. */
import { onTestFinished } from 'vitest';
import type { EndedState, Job, JobSpec, JobStatus } from '../../src/job/record.js';
import { claimed, enqueued } from '../../src/job/transitions.js';
import { Journal } from '../../src/journal/journal.js';
import type { IndexPage } from '../../src/journal/pages.js';
import { Transaction } from '../../src/journal/transaction.js';
import type { Disk } from '../fixtures/disks.js';
import { NOW } from '../fixtures/jobs.js';
import { StoreSpy } from '../fixtures/store-spy.js';

export interface Opened {
  readonly journal: Journal;
  readonly store: StoreSpy;
}

/** Opens a journal, which is closed when the test is over. */
export async function openOn(disk: Disk): Promise<Opened> {
  const store = new StoreSpy(await disk.open());
  try {
    const journal = await Journal.open(store);
    onTestFinished(() => journal.close());
    return { journal, store };
  } catch (thrown) {
    await store.close();
    throw thrown;
  }
}

/** Enqueues jobs, all in one turn. */
export async function enqueue(journal: Journal, ...specs: readonly JobSpec[]): Promise<Job[]> {
  const jobs = specs.map((spec) => ({ spec, status: enqueued(spec) }));
  await Promise.all(jobs.map(({ spec, status }) => journal.commit(new Transaction().enqueue(spec, status))));
  return jobs;
}

export async function move(journal: Journal, { spec, status }: Job, next: JobStatus): Promise<Job> {
  const change = new Transaction().move(spec, status, next);
  // Here each claim is of one job.
  if (status.state === 'running' && next.state !== 'running') change.endClaim(status.claim ?? 0);
  await journal.commit(change);
  return { spec, status: next };
}

export function claim(journal: Journal, job: Job): Promise<Job> {
  return move(journal, job, claimed(job.status, claimNumber(journal, job), NOW));
}

/** A new claim has a greater number than its jobs, to which tests give theirs themselves. */
export function claimNumber(journal: Journal, ...jobs: readonly Job[]): number {
  const highest = Math.max(...jobs.map(({ spec }) => spec.sequence));
  let number = journal.nextSequence();
  while (number <= highest) number = journal.nextSequence();
  return number;
}

/** What is compared with `toStrictEqual`: a clone has Uint8Arrays where one store gives Buffers. */
export const plain = <Value>(value: Value): Value => structuredClone(value);

type ReadPage = (after: string | undefined) => Promise<IndexPage>;

/** The texts of all pages. */
export async function texts(read: ReadPage): Promise<string[]> {
  const all: string[] = [];
  let after: string | undefined;
  do {
    const page = await read(after);
    all.push(...page.entries.map(({ text }) => text));
    after = page.next;
  } while (after !== undefined);
  return all;
}

/** The ids of a queue's available jobs, in order; all jobs here are of the type `resize`. */
export const readyIds = (journal: Journal, queue = 'default', limit = 100): Promise<string[]> =>
  texts((after) => journal.indexes.ready(queue, 'resize', after, limit));
export const dueIds = (journal: Journal, limit = 100): Promise<string[]> =>
  texts((after) => journal.indexes.due(after, limit));
export async function runningIds(journal: Journal, limit = 100): Promise<string[]> {
  const all: string[] = [];
  let after: string | undefined;
  do {
    const page = await journal.indexes.running(after, limit);
    all.push(...page.rosters.flatMap(({ ids }) => ids));
    after = page.next;
  } while (after !== undefined);
  return all;
}

/** The ids of those jobs of the type `resize` that ended in a state, the oldest first. */
export async function endedIds(journal: Journal, state: EndedState, limit = 100): Promise<string[]> {
  const all: string[] = [];
  let after: string | undefined;
  do {
    const page = await journal.ended.page(state, 'resize', {
      after,
      until: Number.MAX_SAFE_INTEGER - 1,
      limit,
    });
    all.push(...page.rosters.flatMap(({ ids }) => ids));
    after = page.next;
  } while (after !== undefined);
  return all;
}

/** Writes below the journal, as only damage would. */
export async function tamper(
  disk: Disk,
  change: (key: string, value: Uint8Array) => Uint8Array | undefined,
): Promise<void> {
  const store = await disk.open();
  const batch = store.batch();
  for (const { key, value } of await store.page({ from: ' ', to: '~', limit: 10_000 })) {
    const changed = change(key, value);
    if (changed) batch.put(key, changed);
  }
  await batch.write(true);
  await store.close();
}
