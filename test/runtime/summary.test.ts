/** How reasons are put in order and in words. */
import { expect, test } from 'vitest';
import type { Reason } from '../../src/index.js';
import { ranked, summaryOf, type Explained } from '../../src/runtime/summary.js';
import { NOW } from '../fixtures/jobs.js';

const job: Explained = { id: '42', name: 'sendInvoice', queue: 'low', state: 'available' };
const state = (of: Explained['state']): Explained => ({ ...job, state: of });
const busy = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ id: `${i}`, name: 'resize', forMs: 4_000 - i, thread: i + 1 }));
const running = {
  reason: 'running',
  attempt: 2,
  startedAt: NOW,
  forMs: 1_500,
  stopping: false,
  threadEnding: false,
} as const;
const retrying = { reason: 'retrying', dueAt: NOW + 3_000, inMs: 3_000, attempt: 2 } as const;
const parent = (key: string, of: Explained['state']) => ({ key, id: key, name: 'fetch', state: of });

const sentences: readonly (readonly [Explained, readonly Reason[], string])[] = [
  [state('running'), [running], 'has been running for 1.5 s, in attempt 2'],
  [state('running'), [{ ...running, thread: 3 }], 'has been running for 1.5 s in thread 3, in attempt 2'],
  [
    state('running'),
    [{ ...running, stopping: true }, { reason: 'engineClosing' }],
    'has been running for 1.5 s, in attempt 2, and was told to stop and has not gone yet; the engine is closing, and starts nothing more',
  ],
  [
    state('running'),
    [{ ...running, thread: 3, stopping: true, threadEnding: true }],
    'has been running for 1.5 s in thread 3, in attempt 2, and its thread was ended and has not gone yet',
  ],
  [
    state('completed'),
    [{ reason: 'ended', state: 'completed', finishedAt: NOW }],
    'completed at 2023-11-14T22:13:20.000Z',
  ],
  [
    state('failed'),
    [{ reason: 'ended', state: 'failed', finishedAt: NOW, error: 'no luck' }],
    'failed at 2023-11-14T22:13:20.000Z (no luck)',
  ],
  [state('cancelled'), [{ reason: 'ended', state: 'cancelled', finishedAt: undefined }], 'was cancelled'],
  [
    state('cancelled'),
    [{ reason: 'ended', state: 'cancelled', finishedAt: NOW, cancelReason: 'a duplicate' }],
    'was cancelled at 2023-11-14T22:13:20.000Z (a duplicate)',
  ],
  [
    state('retryable'),
    [
      { reason: 'deadlinePassed', deadlineAt: NOW },
      { ...retrying, error: 'no luck' },
    ],
    'is retryable, and about to fail: its deadline of 2023-11-14T22:13:20.000Z has come; its next attempt is not due before 2023-11-14T22:13:23.000Z',
  ],
  [
    job,
    [{ reason: 'engineClosing' }],
    'is available, and waits because the engine is closing, and starts nothing more',
  ],
  [
    job,
    [{ reason: 'journalFailed', error: 'The journal:\n  the disk is full', forMs: 90_000 }],
    'is available, and waits because the journal has not been writable for 90 s (The journal: the disk is full)',
  ],
  [
    state('waiting'),
    [{ reason: 'waitingForParents', count: 1, parents: [parent('fetch', 'running')] }],
    'waits for 1 parent: fetch (running)',
  ],
  [
    state('waiting'),
    [
      {
        reason: 'waitingForParents',
        count: 1_200,
        parents: [parent('a', 'failed'), parent('b', 'available')],
      },
    ],
    'waits for 1,200 parents: a (failed), b (available) and 1,198 more',
  ],
  [
    state('waiting'),
    [{ reason: 'waitingForParents', count: 2, parents: [] }],
    'waits for 2 parents, whose end it is about to be told',
  ],
  [
    state('scheduled'),
    [
      { reason: 'scheduled', dueAt: NOW, inMs: 7_200_000, snoozed: false },
      { reason: 'queuePaused', queue: 'low' },
    ],
    'is scheduled for 2023-11-14T22:13:20.000Z, in 2 h; queue low is paused',
  ],
  [
    state('scheduled'),
    [{ reason: 'scheduled', dueAt: NOW, inMs: 172_800_000, snoozed: true }],
    'was put off until 2023-11-14T22:13:20.000Z, in 2 days',
  ],
  [
    state('retryable'),
    [{ ...retrying, error: 'x'.repeat(500) }],
    `is tried again at 2023-11-14T22:13:23.000Z, in 3 s, for attempt 2 errored (${'x'.repeat(120)}…)`,
  ],
  [
    state('retryable'),
    [{ ...retrying, error: '' }],
    'is tried again at 2023-11-14T22:13:23.000Z, in 3 s, for attempt 2 errored (without a message)',
  ],
  [
    job,
    [
      { reason: 'queueUnknown', queue: 'low' },
      { reason: 'handlerUnknown', name: 'sendInvoice' },
    ],
    'is available, and waits because the code knows no queue low; the code knows no job type sendInvoice',
  ],
  [
    job,
    [{ reason: 'enginePaused' }, { reason: 'queuePaused', queue: 'low' }],
    'is available, and waits because all queues are paused; queue low is paused',
  ],
  [job, [{ reason: 'held' }], 'is available, and waits because it is being changed at this moment'],
  [
    job,
    [{ reason: 'handlerLingering' }],
    'is available, and waits because the handler of an earlier attempt has not gone yet',
  ],
  [
    job,
    [{ reason: 'runsAlone' }, { reason: 'suspectFirst', id: '7' }],
    'is available, and waits because it runs alone, when nothing else does, for its process crashed twice while it ran; job 7 runs alone first, for its process crashed twice while that ran',
  ],
  [
    job,
    [{ reason: 'codeOlder', name: 'sendInvoice', payloadVersion: 3, version: 2 }],
    'is available, and waits because it was enqueued for version 3 of sendInvoice, and the code has version 2',
  ],
  [
    job,
    [
      { reason: 'queueBusy', queue: 'low', running: 4, limit: 4, jobs: busy(4) },
      { reason: 'typeBusy', name: 'sendInvoice', running: 1, limit: 1, jobs: busy(1) },
      { reason: 'keyBusy', name: 'sendInvoice', key: 'tenant-7', running: 2, limit: 2, jobs: [] },
      { reason: 'nativeBusy', running: 3, limit: 3 },
    ],
    "is available, and waits because queue low runs 4 of 4 jobs at once (resize 0, resize 1, resize 2 and 1 more); job type sendInvoice runs 1 of 1 at once (resize 0); job type sendInvoice with the key tenant-7 runs 2 of 2 at once; libuv's pool has 3 of 3 native jobs at once (raise UV_THREADPOOL_SIZE)",
  ],
  [
    job,
    [{ reason: 'rateLimited', by: 'queue', name: 'low', untilAt: NOW, inMs: 400 }],
    'is available, and waits because the rate limit of queue low allows no start until 2023-11-14T22:13:20.000Z, in 400 ms',
  ],
  [
    job,
    [{ reason: 'rateLimited', by: 'type', name: 'sendInvoice', untilAt: 9e15, inMs: 150_000 }],
    'is available, and waits because the rate limit of sendInvoice allows no start until 9000000000000000 ms, in 2.5 min',
  ],
  [
    job,
    [
      {
        reason: 'rateLimited',
        by: 'key',
        name: 'sendInvoice',
        key: 'tenant-7',
        untilAt: 9e15,
        inMs: 150_000,
      },
    ],
    'is available, and waits because the rate limit of sendInvoice for the key tenant-7 allows no start until 9000000000000000 ms, in 2.5 min',
  ],
  [
    job,
    [{ reason: 'readFailed' }],
    'is available, and waits because the waiting jobs could not be read from the journal, which is tried again',
  ],
  [
    job,
    [{ reason: 'threadsUnavailable', error: 'EAGAIN', inMs: 400 }],
    'is available, and waits because no thread could be started (EAGAIN), which is tried again in 400 ms',
  ],
  [
    job,
    [{ reason: 'threadsStarting', starting: 2 }],
    'is available, and waits because no thread is ready yet',
  ],
  [
    job,
    [{ reason: 'threadsBusy', threads: 1, forMs: 4_000, jobs: busy(1), ending: 0 }],
    'is available, and waits because the only thread has been busy for 4 s with resize 0',
  ],
  [
    job,
    [
      { reason: 'threadsBusy', threads: 12, forMs: 4_000, jobs: busy(10), ending: 0 },
      { reason: 'heavierQueues', queues: ['critical', 'default'] },
      { reason: 'behind', jobs: 10_000, sameType: 3, more: true },
    ],
    'is available, and waits because all 12 threads have been busy for up to 4 s with resize 0, resize 1, resize 2 and 9 more; queues critical and default come first; more than 10,000 jobs are before it',
  ],
  [
    job,
    [
      { reason: 'threadsBusy', threads: 2, forMs: 4_000, jobs: busy(2), ending: 2 },
      { reason: 'heavierQueues', queues: ['critical'] },
      { reason: 'behind', jobs: 1, sameType: 0, more: false },
    ],
    'is available, and waits because all 2 threads have been busy for up to 4 s with resize 0 and resize 1, and 2 of them were ended and not gone yet; queue critical comes first; 1 job is before it',
  ],
  [
    job,
    [{ reason: 'behind', jobs: 3, sameType: 3, more: false }],
    'is available, and waits because 3 jobs are before it',
  ],
  [
    job,
    [{ reason: 'aboutToStart' }],
    'is available, and nothing holds it back: it should start at any moment',
  ],
  [
    state('scheduled'),
    [{ reason: 'aboutToStart' }],
    'is scheduled, and nothing holds it back: it should be available at any moment',
  ],
];

test.each(sentences)('the sentence of %o with %o', (of, reasons, sentence) => {
  expect(summaryOf(of, reasons)).toBe(`Job sendInvoice 42 ${sentence}.`);
  // It is one sentence, and the order above is that of the engine.
  expect(ranked(reasons.toReversed())).toEqual(reasons);
});

/** All there are, in their order: the compiler says so of the first. */
const KINDS: Record<Reason['reason'], true> = {
  running: true,
  ended: true,
  engineClosing: true,
  journalFailed: true,
  deadlinePassed: true,
  waitingForParents: true,
  scheduled: true,
  retrying: true,
  queueUnknown: true,
  handlerUnknown: true,
  codeOlder: true,
  enginePaused: true,
  queuePaused: true,
  held: true,
  handlerLingering: true,
  runsAlone: true,
  suspectFirst: true,
  queueBusy: true,
  typeBusy: true,
  keyBusy: true,
  nativeBusy: true,
  rateLimited: true,
  readFailed: true,
  threadsUnavailable: true,
  threadsStarting: true,
  threadsBusy: true,
  heavierQueues: true,
  behind: true,
  aboutToStart: true,
};

test('every kind of reason has its sentence here, and its place', () => {
  const told = ranked(sentences.flatMap(([, reasons]) => reasons));
  expect([...new Set(told.map(({ reason }) => reason))]).toEqual(Object.keys(KINDS));
});

test('where two reasons are of one kind they keep their order', () => {
  const limits = (['queue', 'type'] as const).map((by) => ({
    reason: 'rateLimited' as const,
    by,
    name: by,
    untilAt: NOW,
    inMs: 1,
  }));
  const behind = { reason: 'behind', jobs: 1, sameType: 1, more: false } as const;
  expect(ranked([behind, ...limits])).toEqual([...limits, behind]);
});
