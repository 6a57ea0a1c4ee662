import { expect, test } from 'vitest';
import { decodeError } from '../../src/job/error-data.js';
import type { Outcome } from '../../src/job/outcome.js';
import { isSuspect, JOB_STATES, type JobState, type JobStatus } from '../../src/job/record.js';
import {
  blamed,
  cancelled,
  claimed,
  enqueued,
  expired,
  gaveUp,
  isOrphanOf,
  keeping,
  orphaned,
  promoted,
  retried,
  settled,
  suspected,
  type Retry,
} from '../../src/job/transitions.js';
import { jobOf, NOW, specOf } from '../fixtures/jobs.js';

const ERROR = Uint8Array.of(1);
const RETRY: Retry = { delayMs: 1_000 };

const available: JobStatus = { state: 'available', attempt: 0 };
const running = claimed(available, 7, NOW);
const errored: Outcome = { kind: 'errored', error: ERROR, unrecoverable: false };

const settle = (status: JobStatus, outcome: Outcome, retry?: Retry): JobStatus =>
  settled(status, outcome, retry, NOW + 10);

/** A status of each state, as the engine would come to it. */
const STATUS_OF: Record<JobState, JobStatus> = {
  waiting: { state: 'waiting', attempt: 0 },
  scheduled: { state: 'scheduled', attempt: 0, runAt: NOW + 5 },
  available,
  running,
  retryable: settle(running, errored, RETRY),
  completed: settle(running, { kind: 'completed', result: Uint8Array.of(2) }),
  failed: settle(running, errored),
  cancelled: cancelled(available, NOW),
};

test('a new job is available, or scheduled where it has a time', () => {
  expect(enqueued(specOf(1))).toStrictEqual({ state: 'available', attempt: 0 });
  expect(enqueued(specOf(1, { runAt: NOW + 5 }))).toStrictEqual({
    state: 'scheduled',
    attempt: 0,
    runAt: NOW + 5,
  });
});

test('a scheduled or retryable job that is due becomes available and keeps its history', () => {
  expect(promoted(STATUS_OF.scheduled)).toStrictEqual({ state: 'available', attempt: 0 });
  const next = promoted(STATUS_OF.retryable);
  expect(next).toMatchObject({ state: 'available', attempt: 1, errors: STATUS_OF.retryable.errors });
  expect(next).not.toHaveProperty('runAt');
});

test('a claim counts the attempt', () => {
  expect(claimed(available, 7, NOW)).toStrictEqual({
    state: 'running',
    attempt: 1,
    claim: 7,
    startedAt: NOW,
  });
});

test('a running job completes with its result', () => {
  const result = Uint8Array.of(2);
  expect(settle(running, { kind: 'completed', result })).toStrictEqual({
    state: 'completed',
    attempt: 1,
    claim: 7,
    startedAt: NOW,
    finishedAt: NOW + 10,
    result,
  });
});

test.each<Outcome>([errored, { kind: 'timedOut', error: ERROR }, { kind: 'crashed', error: ERROR }])(
  'an attempt that $kind counts, and the job waits for its next',
  (outcome) => {
    expect(settle(running, outcome, RETRY)).toStrictEqual({
      state: 'retryable',
      attempt: 1,
      claim: 7,
      startedAt: NOW,
      runAt: NOW + 1_010,
      errors: [{ attempt: 1, startedAt: NOW, endedAt: NOW + 10, error: ERROR }],
    });
  },
);

test.each<Outcome>([errored, { kind: 'timedOut', error: ERROR }, { kind: 'crashed', error: ERROR }])(
  'a job whose attempt $kind and that is not to be retried fails',
  (outcome) => {
    const last = settle({ ...running, attempt: 3 }, outcome);
    expect(last).toMatchObject({ state: 'failed', attempt: 3, finishedAt: NOW + 10 });
    expect(last).not.toHaveProperty('runAt');
  },
);

test('a job whose payload was refused fails, and one that was postponed waits, without an attempt counted', () => {
  const failed = settle(running, { kind: 'refused', error: ERROR });
  const error = { attempt: 1, startedAt: NOW, endedAt: NOW + 10, error: ERROR };
  expect(failed).toStrictEqual({
    state: 'failed',
    attempt: 0,
    claim: 7,
    finishedAt: NOW + 10,
    errors: [error],
  });
  const postponed = settle(running, { kind: 'postponed', runAt: NOW + 99 });
  expect(postponed).toStrictEqual({ state: 'scheduled', attempt: 0, claim: 7, runAt: NOW + 99 });
  expect(promoted(postponed)).toStrictEqual({ ...available, claim: 7 });
});

test('a cancel that was asked for goes before a refusal', () => {
  const cancelling = cancelled(running, NOW + 1);
  expect(settle(cancelling, { kind: 'refused', error: ERROR }).state).toBe('cancelled');
  expect(settle(cancelling, { kind: 'postponed', runAt: NOW + 99 }).state).toBe('cancelled');
});

test('an attempt that was released does not count', () => {
  // Its claim is kept: it tells that the job has left the claim's roster.
  expect(settle(running, { kind: 'released' })).toStrictEqual({ ...available, claim: 7 });
});

test('an attempt that was snoozed does not count, and the job waits for its time', () => {
  const outcome: Outcome = { kind: 'snoozed', delayMs: 500 };
  const snoozed = settle(running, outcome);
  expect(snoozed).toStrictEqual({ state: 'scheduled', attempt: 0, claim: 7, runAt: NOW + 510, snoozes: 1 });
  const again = settle(claimed(promoted(snoozed), 8, NOW), outcome);
  expect(again).toMatchObject({ state: 'scheduled', attempt: 0, claim: 8, snoozes: 2 });
});

test('the error that a job was snoozed with is kept until it is snoozed again, or retried', () => {
  const snoozed = settle(running, { kind: 'snoozed', delayMs: 500, error: ERROR });
  expect(snoozed).toMatchObject({ snoozes: 1, snoozeError: ERROR });
  const again = claimed(promoted(snoozed), 8, NOW);
  const failed = settle(again, errored);
  expect(failed).toHaveProperty('snoozeError', ERROR);
  expect(retried(failed)).not.toHaveProperty('snoozeError');
  expect(settle(again, { kind: 'snoozed', delayMs: 500 })).not.toHaveProperty('snoozeError');
});

test('whatever becomes of a job, how often it was snoozed is kept', () => {
  const before = { ...running, snoozes: 2 };
  const outcomes: Outcome[] = [errored, { kind: 'completed', result: ERROR }, { kind: 'released' }];
  for (const outcome of outcomes) expect(settle(before, outcome, RETRY)).toHaveProperty('snoozes', 2);
  expect(settle(before, errored)).toHaveProperty('snoozes', 2);
  expect(orphaned(before, NOW)).toHaveProperty('snoozes', 2);
});

test('an attempt that ended cancelled cancels the job', () => {
  expect(settle(running, { kind: 'cancelled' })).toMatchObject({ state: 'cancelled', finishedAt: NOW + 10 });
});

test.each<JobState>(['waiting', 'scheduled', 'available', 'retryable'])(
  'a job that is %s is cancelled at once',
  (state) => {
    const next = cancelled(STATUS_OF[state], NOW);
    expect(next).toMatchObject({ state: 'cancelled', finishedAt: NOW });
    expect(next).not.toHaveProperty('runAt');
  },
);

test.each<Outcome>([
  { kind: 'completed', result: ERROR },
  errored,
  { ...errored, unrecoverable: true },
  { kind: 'timedOut', error: ERROR },
  { kind: 'overdue', error: ERROR },
  { kind: 'cancelled' },
  { kind: 'crashed', error: ERROR },
  { kind: 'released' },
  { kind: 'snoozed', delayMs: 5 },
])('a running job that was asked to cancel ends cancelled, even if its attempt $kind', (outcome) => {
  const asked = cancelled(running, NOW + 3);
  expect(asked).toStrictEqual({ ...running, cancelRequestedAt: NOW + 3 });
  const next = settle(asked, outcome);
  expect(next.state).toBe('cancelled');
  expect(next).not.toHaveProperty('result');
});

test.each<[what: string, stored: JobStatus, isOrphan: boolean]>([
  ['was claimed for the first time', available, true],
  ['was claimed again', { ...available, attempt: 1, claim: 6 }, true],
  ['asked to be cancelled', { ...running, claim: 7, cancelRequestedAt: NOW }, true],
  ['asked to be cancelled under a later claim', { ...running, claim: 8, cancelRequestedAt: NOW }, false],
  ['was released since', { ...available, claim: 7 }, false],
  ['was released, claimed and released since', { ...available, claim: 8 }, false],
  ['waits for its next attempt', { ...available, state: 'retryable', attempt: 1, claim: 7 }, false],
  ['was snoozed since', { ...available, state: 'scheduled', claim: 7 }, false],
  ['has ended', { ...available, state: 'completed', attempt: 1, claim: 7 }, false],
])('a job on the roster of claim 7 that %s', (_what, stored, isOrphan) => {
  expect(isOrphanOf(jobOf(5, {}, stored), 7)).toBe(isOrphan);
});

test('a job that was enqueued after a claim is no orphan of it, whatever had its id before', () => {
  expect(isOrphanOf(jobOf(8, {}, available), 7)).toBe(false);
});

test('an orphan becomes available, and its attempt does not count', () => {
  expect(orphaned(running, NOW)).toStrictEqual({ ...available, claim: 7 });
  // A claim leaves the stored status as it was before it.
  expect(orphaned(available, NOW)).toStrictEqual(available);
});

test('an orphan whose cancel was acknowledged is cancelled', () => {
  expect(orphaned(cancelled(running, NOW), NOW + 1)).toMatchObject({
    state: 'cancelled',
    finishedAt: NOW + 1,
  });
});

const suspect: JobStatus = { ...available, suspicions: 2 };

test('an orphan of a crash comes under suspicion, once each time, and two are enough', () => {
  const once = suspected(available, NOW);
  expect(once).toStrictEqual({ ...available, suspicions: 1 });
  const twice = suspected(claimed(once, 8, NOW), NOW);
  expect(twice).toStrictEqual({ ...suspect, claim: 8 });
  expect(suspected(twice, NOW)).toStrictEqual(twice);
  expect([available, once, twice].map(isSuspect)).toStrictEqual([false, false, true]);
});

test('an orphan that ran alone is blamed, and fails at the last crash it may have', () => {
  let status = suspect;
  for (const crashes of [1, 2]) {
    status = blamed(status, 3, ERROR, NOW);
    expect(status).toStrictEqual({ ...suspect, crashes });
  }
  expect(blamed(status, 3, ERROR, NOW)).toStrictEqual({
    state: 'failed',
    attempt: 0,
    finishedAt: NOW,
    crashes: 3,
    failure: ERROR,
  });
  expect(retried(blamed(status, 3, ERROR, NOW))).not.toHaveProperty('crashes');
});

test('an orphan of a crash whose cancel was acknowledged is cancelled', () => {
  const asked = cancelled(claimed(suspect, 7, NOW), NOW);
  for (const end of [suspected(asked, NOW), blamed(asked, 1, ERROR, NOW)]) {
    expect(end).toMatchObject({ state: 'cancelled' });
    expect(end).not.toHaveProperty('suspicions');
  }
});

test.each<Outcome>([
  { kind: 'completed', result: ERROR },
  errored,
  { kind: 'timedOut', error: ERROR },
  { kind: 'cancelled' },
  { kind: 'crashed', error: ERROR },
])('a suspect whose attempt $kind is none any more', (outcome) => {
  const after = settle(claimed({ ...suspect, crashes: 2 }, 7, NOW), outcome);
  expect(after).not.toHaveProperty('suspicions');
  expect(after).toMatchObject({ crashes: 2 });
});

test('a suspect that was released without an end of its attempt is one still', () => {
  expect(settle(claimed(suspect, 7, NOW), { kind: 'released' })).toStrictEqual({ ...suspect, claim: 7 });
  expect(settle(claimed(suspect, 7, NOW), { kind: 'postponed', runAt: NOW + 1 })).toMatchObject({
    suspicions: 2,
  });
});

test('a suspect that is cancelled, or cannot be run, is none any more', () => {
  for (const end of [cancelled(suspect, NOW), gaveUp(suspect, ERROR, NOW)])
    expect(end).not.toHaveProperty('suspicions');
});

test('a job that cannot be run fails with the reason', () => {
  expect(gaveUp(available, ERROR, NOW)).toStrictEqual({
    state: 'failed',
    attempt: 0,
    finishedAt: NOW,
    failure: ERROR,
  });
});

test.each(['waiting', 'scheduled', 'available', 'retryable'] as const)(
  'a %s job whose deadline has come fails, and no attempt is counted for it',
  (state) => {
    const before = STATUS_OF[state];
    const { failure = Uint8Array.of(), ...next } = expired(
      { spec: specOf(1, { deadlineAt: NOW }), status: before },
      NOW + 1,
    );
    const { runAt: _, ...others } = before;
    expect(next).toStrictEqual({ ...others, state: 'failed', finishedAt: NOW + 1 });
    expect(decodeError(failure)).toMatchObject({
      name: 'ExpiredError',
      code: 'MILLRACE_EXPIRED',
      message: expect.stringContaining(new Date(NOW).toISOString()),
    });
  },
);

test('a running job that is stopped at its deadline fails, whatever attempts it has left', () => {
  expect(settle(running, { kind: 'overdue', error: ERROR })).toMatchObject({
    state: 'failed',
    attempt: running.attempt,
    errors: [{ attempt: running.attempt, error: ERROR }],
  });
});

const LEGAL: readonly [what: string, from: readonly JobState[], change: (status: JobStatus) => JobStatus][] =
  [
    ['be promoted', ['scheduled', 'retryable'], promoted],
    ['be claimed', ['available'], (status) => claimed(status, 7, NOW)],
    [
      'be cancelled',
      ['waiting', 'scheduled', 'available', 'retryable', 'running'],
      (status) => cancelled(status, NOW),
    ],
    ['settle', ['running'], (status) => settle(status, errored, RETRY)],
    ['be an orphan', ['available', 'running'], (status) => orphaned(status, NOW)],
    ['be suspected', ['available', 'running'], (status) => suspected(status, NOW)],
    ['be blamed', ['available', 'running'], (status) => blamed(status, 3, ERROR, NOW)],
    [
      'give up',
      ['waiting', 'scheduled', 'available', 'retryable', 'running'],
      (status) => gaveUp(status, ERROR, NOW),
    ],
    [
      'expire',
      ['waiting', 'scheduled', 'available', 'retryable'],
      (status) => expired({ spec: specOf(1, { deadlineAt: NOW }), status }, NOW),
    ],
  ];

test.each(LEGAL)('only a job that may %s does', (_what, from, change) => {
  for (const state of JOB_STATES) {
    if (from.includes(state)) expect(change(STATUS_OF[state])).toHaveProperty('state');
    else expect(() => change(STATUS_OF[state]), state).toThrow(/cannot make this transition/);
  }
});

test('no transition changes the status it is given', () => {
  for (const [, from, change] of LEGAL) {
    for (const state of from) {
      const before = structuredClone(STATUS_OF[state]);
      change(STATUS_OF[state]);
      expect(STATUS_OF[state]).toStrictEqual(before);
    }
  }
});

test('a job that failed is available again as it was, with a budget of its own', () => {
  const again = retried(STATUS_OF.failed);
  expect(again).toStrictEqual({
    state: 'available',
    attempt: 1,
    claim: 7,
    retries: 1,
    attemptsBefore: 1,
    errors: STATUS_OF.failed.errors,
  });
  const failed = settle(claimed(again, 20, NOW), errored);
  expect(failed).toMatchObject({ state: 'failed', attempt: 2, retries: 1, attemptsBefore: 1 });
  expect(retried(failed)).toMatchObject({ retries: 2, attemptsBefore: 2 });
  expect(retried({ ...failed, snoozes: 3 })).not.toHaveProperty('snoozes');
});

test('nothing of a cancel is left of a job that is retried', () => {
  const asked = cancelled(running, NOW, 'too late');
  expect(asked).toMatchObject({ state: 'running', cancelRequestedAt: NOW, cancelReason: 'too late' });
  const ended = settle(asked, { kind: 'completed', result: Uint8Array.of(2) });
  expect(ended).toMatchObject({ state: 'cancelled', cancelReason: 'too late' });
  expect(retried(ended)).toStrictEqual({
    state: 'available',
    attempt: 1,
    claim: 7,
    retries: 1,
    attemptsBefore: 1,
  });
  expect(
    settle(claimed(retried(ended), 9, NOW), { kind: 'completed', result: Uint8Array.of(2) }),
  ).toMatchObject({
    state: 'completed',
  });
});

test.each(JOB_STATES.filter((state) => state !== 'failed' && state !== 'cancelled'))(
  'a job that is %s is not retried',
  (state) => {
    expect(() => retried(STATUS_OF[state])).toThrow('cannot make this transition');
  },
);

test('an attempt that errored keeps the thread that it ran in', () => {
  const erred = settled(running, errored, undefined, NOW + 10, 4);
  expect(erred.errors).toStrictEqual([
    { attempt: 1, startedAt: NOW, endedAt: NOW + 10, thread: 4, error: ERROR },
  ]);
});

test('what is kept beside a job is known until nothing needs it', () => {
  const kept = keeping(keeping(running, 'hasCheckpoint'), 'hasNotes');
  expect(kept).toEqual({ ...running, hasCheckpoint: true, hasNotes: true });
  expect(keeping(kept, 'hasNotes')).toBe(kept);
  const marks = { hasCheckpoint: true, hasNotes: true };
  for (const next of [
    settle(kept, errored, RETRY),
    settle(kept, { kind: 'released' }),
    settle(kept, { kind: 'cancelled' }),
    settle(kept, errored),
    retried(settle(kept, errored)),
    orphaned(kept, NOW),
    cancelled(kept, NOW),
    claimed(orphaned(kept, NOW), 9, NOW),
  ])
    expect(next).toMatchObject(marks);
  const completed = settle(kept, { kind: 'completed', result: ERROR });
  expect(completed).toMatchObject({ hasNotes: true });
  expect(completed).not.toHaveProperty('hasCheckpoint');
  expect(() => keeping(available, 'hasNotes')).toThrow('available');
});
