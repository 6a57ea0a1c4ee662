/** Evidence of a job with which, or with all of whose type, callers do something, for tests to plant violations in. */
import type { Handling } from './again.js';
import type { FinalJob } from './contents.js';
import type { Evidence } from './evidence.js';
import type { Fact, FactOf, Seen } from './facts.js';
import { completed, ended, evidence, factsWith, finalJob, left, soundJobs, started } from './plant.js';

const TYPE = { name: 'batch' } as const;
const ID = 'c';

/** @param last What became of the job `c`; absent where it is gone. @param facts What happened to it. */
export function handled(last: Partial<FinalJob> | undefined, ...facts: readonly Fact[]): Evidence {
  const job = last && finalJob(ID, { ...TYPE, ...last });
  const counts = completed(2);
  if (job) counts[job.state]++;
  const all = factsWith((fact) => fact.kind === 'ended' && fact.id === 'b', ...facts);
  const fitting = all.map((fact) => (fact.kind === 'counted' ? { ...fact, counts } : fact));
  const jobs = [...soundJobs(), ...(job ? [job] : [])];
  return evidence(fitting, jobs, { counters: new Map([['default', counts]]) });
}

/** It is there, and has not begun. */
export const enqueued: Fact = { kind: 'enqueued', id: ID, ...TYPE, token: ID };
export const run = (attempt: number): Fact[] => [
  { kind: 'began', id: ID, queue: 'default' },
  started(ID, attempt, { ...TYPE, maxAttempts: 9, pid: 2, thread: 21, living: [21, 22] }),
  left(ID, attempt, 21),
];
export const failed = (attempt = 1): Fact[] => [...run(attempt), ended(ID, 'failed')];
export const done = (attempt = 1): Fact[] => [
  ...run(attempt),
  ended(ID, 'completed', { id: ID, token: ID, attempt }),
];

export const askedAll = (operation: Handling['operation'], call = operation as string): Fact => ({
  kind: 'asked',
  operation,
  ...TYPE,
  call,
});
const TOLD = { retry: 'retried', promote: 'promoted', remove: 'removed' } as const;
export const toldOfAll = (operation: keyof typeof TOLD, call: string = operation): Fact => ({
  kind: TOLD[operation],
  wasThere: true,
  ...TYPE,
  call,
});
/** For all of its type, and acknowledged. */
export const all = (operation: keyof typeof TOLD): Fact[] => [askedAll(operation), toldOfAll(operation)];

/** For itself. */
export const one = (
  operation: Handling['operation'],
  answer: FactOf<'retried' | 'promoted' | 'removed'>,
): Fact[] => [
  { kind: 'asked', operation, id: ID, call: 'one' },
  { ...answer, call: 'one' },
];
const removed = one('remove', { kind: 'removed', id: ID, wasThere: true });

export const looking: Fact = { kind: 'looking', call: 'look' };
export const seen = (as: Omit<Seen, 'id'>): Fact => ({
  kind: 'seen',
  call: 'look',
  jobs: [{ id: ID, ...as }],
});
export const looked = (as: Omit<Seen, 'id'>): Fact[] => [looking, seen(as)];

const FAILED = { state: 'failed', errored: [1] } as const;
const TWICE = { state: 'failed', attempt: 2, errored: [1, 2], maxAttempts: 9, retries: 1 } as const;

export const PLANTED_HANDLED = {
  retriesLost: {
    'one of all that failed is as it was': () => handled(FAILED, enqueued, ...failed(), ...all('retry')),
    'one of all that failed is seen as it was': () =>
      handled(undefined, enqueued, ...failed(), ...all('retry'), ...looked({ state: 'failed' }), ...removed),
    'one of all that were seen to have failed is as it was': () =>
      handled(
        { state: 'cancelled', attempt: 0 },
        enqueued,
        ...looked({ state: 'cancelled' }),
        ...all('retry'),
      ),
    'a job was run again less often than was acknowledged': () =>
      handled(TWICE, enqueued, ...failed(), ...all('retry'), ...failed(2), ...all('retry')),
  },
  removalsUndone: {
    'one of all that were seen to have ended is there': () =>
      handled(
        { state: 'cancelled', attempt: 0 },
        enqueued,
        ...looked({ state: 'cancelled' }),
        ...all('remove'),
      ),
    'one of all that have completed is there': () => handled({}, enqueued, ...done(), ...all('remove')),
    'one of all that have failed is there': () => handled(FAILED, enqueued, ...failed(), ...all('remove')),
    'one of all that have ended is seen': () =>
      handled(undefined, enqueued, ...failed(), ...all('remove'), ...looked({ state: 'failed' }), ...removed),
  },
  promotesLost: {
    'one of all that were promoted is still to wait': () =>
      handled({}, enqueued, ...all('promote'), ...looked({ state: 'scheduled' }), ...done()),
    'a job that was promoted is still to wait': () =>
      handled(
        {},
        enqueued,
        ...one('promote', { kind: 'promoted', id: ID, state: 'available' }),
        ...looked({ state: 'scheduled' }),
        ...done(),
      ),
    'a job that was promoted is still to wait for its next attempt': () =>
      handled(
        { attempt: 2, errored: [1], result: { id: ID, token: ID, attempt: 2 } },
        enqueued,
        ...run(1),
        { kind: 'errored', id: ID, attempt: 1 },
        ...one('promote', { kind: 'promoted', id: ID, state: 'available' }),
        ...looked({ state: 'retryable' }),
        ...done(2),
      ),
  },
} as const satisfies Readonly<Record<string, Readonly<Record<string, () => Evidence>>>>;
