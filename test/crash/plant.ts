/** Evidence of a run in which all went well, for tests to plant violations in. */
import type { JobCounts } from '../../src/job/record.js';
import { noJobs } from '../../src/journal/counters.js';
import { TERMS } from './catalogue.js';
import type { FinalJob } from './contents.js';
import type { Evidence } from './evidence.js';
import type { Done, Ended, Fact, Started, Step } from './facts.js';

/** Process 1 is killed while job `b` runs; process 2 is the audit. Job `a` is done by then. */
export function soundFacts(): Fact[] {
  return [
    { kind: 'spawned', cycle: 1, role: 'workload' },
    { kind: 'opening' },
    { kind: 'opened', tookMs: 1, isFirst: true },
    { kind: 'asked', operation: 'enqueue many', together: ['a', 'b'] },
    enqueued('a'),
    enqueued('b'),
    started('a', 1),
    left('a', 1),
    ended('a', 'completed', { id: 'a', token: 'a', attempt: 1 }),
    started('b', 1, { thread: 12 }),
    { kind: 'killed', moment: '10 ms after opened' },
    { kind: 'spawned', cycle: 2, role: 'audit' },
    { kind: 'opening' },
    { kind: 'opened', tookMs: 2, isFirst: true },
    started('b', 1, { pid: 2, thread: 21, living: [21, 22] }),
    left('b', 1, 21),
    ended('b', 'completed', { id: 'b', token: 'b', attempt: 1 }),
    { kind: 'counted', counts: completed(2) },
    { kind: 'counted', queue: 'default', counts: completed(2) },
    { kind: 'closed' },
    { kind: 'finished' },
  ];
}

export const soundJobs = (): FinalJob[] => [finalJob('a'), finalJob('b')];

/** @param facts Each a millisecond behind the one before it, but for those that say when. */
export function evidence(
  facts: readonly (Fact & { readonly at?: number })[] = soundFacts(),
  jobs: readonly FinalJob[] = soundJobs(),
  contents: Partial<Evidence['contents']> = {},
): Evidence {
  const counters = new Map([['default', completed(2)]]);
  return {
    terms: TERMS,
    facts: facts.map((fact, at) => ({ at, ...fact })),
    contents: {
      jobs: new Map(jobs.map((job) => [job.id, job])),
      schedules: new Map(),
      unreadable: [],
      counters,
      places: [],
      keyEntries: [],
      strayFiles: [],
      ...contents,
    },
  };
}

/** The facts of a sound run with more of them behind the first one that fits. */
export function factsWith(isBefore: (fact: Fact) => boolean, ...more: readonly Fact[]): Fact[] {
  const facts = soundFacts();
  const at = facts.findIndex(isBefore);
  if (at < 0) throw new Error('There is no such fact to go behind');
  return facts.toSpliced(at + 1, 0, ...more);
}

export const completed = (count: number): JobCounts => ({ ...noJobs(), completed: count });

export const enqueued = (id: string): Fact => ({ kind: 'enqueued', id, name: 'tiny', token: id });

export function started(id: string, attempt: number, fields: Partial<Started> = {}): Started {
  const living = [11, 12];
  const job = { id, name: 'tiny', queue: 'default', attempt, maxAttempts: 3 };
  return { kind: 'started', ...job, pid: 1, thread: 11, living, ...fields };
}

export const left = (id: string, attempt: number, thread = 11): Fact => ({
  kind: 'left',
  id,
  attempt,
  thread,
});

export const ended = (id: string, state: Ended['state'], result?: Done): Ended => ({
  kind: 'ended',
  id,
  state,
  by: 'event',
  ...(result && { result }),
});

export const progressed = (id: string, step: number, value: Partial<Step> = {}): Fact => ({
  kind: 'progressed',
  id,
  by: 'event',
  attempt: 1,
  value: { id, attempt: 1, step, ...value },
});

export function finalJob(id: string, fields: Partial<FinalJob> = {}): FinalJob {
  const job = { id, name: 'tiny', queue: 'default', attempt: 1, maxAttempts: 3, errored: [], token: id };
  return {
    ...job,
    state: 'completed',
    durability: 'fsync',
    result: { id, token: id, attempt: 1 },
    ...fields,
  };
}
