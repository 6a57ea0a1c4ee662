import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Outcome } from '../../src/job/outcome.js';
import { hasEnded, isSuspect, MAX_ERRORS, type JobStatus } from '../../src/job/record.js';
import {
  blamed,
  cancelled,
  claimed,
  enqueued,
  expired,
  orphaned,
  promoted,
  retried,
  settled,
  suspected,
} from '../../src/job/transitions.js';
import { NOW, specOf } from '../fixtures/jobs.js';

const ERROR = Uint8Array.of(1);

type Step =
  'promote' | 'claim' | 'cancel' | 'orphan' | 'crash' | 'crashAlone' | 'retry' | 'expire' | Outcome['kind'];
const MAX_CRASHES = 2;
const STEPS: readonly Step[] = [
  ...([
    'promote',
    'claim',
    'claim',
    'claim',
    'cancel',
    'orphan',
    'crash',
    'crashAlone',
    'retry',
    'expire',
  ] as const),
  ...(['completed', 'errored', 'timedOut', 'overdue'] as const),
  ...(['cancelled', 'crashed', 'released', 'snoozed', 'refused', 'postponed'] as const),
];

/** The next status, or the same where the step is not possible now. */
function take(status: JobStatus, step: Step, maxAttempts: number, now: number): JobStatus {
  const { state } = status;
  switch (step) {
    case 'promote':
      return state === 'scheduled' || state === 'retryable' ? promoted(status) : status;
    case 'claim':
      return state === 'available' ? claimed(status, now, now) : status;
    case 'cancel':
      return hasEnded(status) ? status : cancelled(status, now, 'why not');
    case 'retry':
      return state === 'failed' || state === 'cancelled' ? retried(status) : status;
    case 'orphan':
      return state === 'running' ? orphaned(status, now) : status;
    case 'expire':
      return state === 'running' || hasEnded(status) ? status : expired({ spec: specOf(1), status }, now);
    case 'overdue':
      return state === 'running' ? settled(status, { kind: step, error: ERROR }, undefined, now) : status;
    case 'crash':
      return state === 'running' ? suspected(status, now) : status;
    case 'crashAlone':
      return state === 'running' && isSuspect(status) ? blamed(status, MAX_CRASHES, ERROR, now) : status;
    case 'completed':
      return state === 'running' ? settled(status, { kind: step, result: ERROR }, undefined, now) : status;
    case 'released':
    case 'cancelled':
      return state === 'running' ? settled(status, { kind: step }, undefined, now) : status;
    case 'postponed':
      return state === 'running' ? settled(status, { kind: step, runAt: now + 1 }, undefined, now) : status;
    case 'refused':
      return state === 'running' ? settled(status, { kind: step, error: ERROR }, undefined, now) : status;
    case 'errored':
    case 'timedOut':
    case 'crashed':
      return state === 'running'
        ? settled(
            status,
            { kind: step, error: ERROR, unrecoverable: false },
            status.attempt - (status.attemptsBefore ?? 0) < maxAttempts ? { delayMs: 1_000 } : undefined,
            now,
          )
        : status;
    case 'snoozed':
      return state === 'running' ? settled(status, { kind: step, delayMs: 3 }, undefined, now) : status;
    default:
      return step satisfies never;
  }
}

/** What holds of every status that legal steps lead to. */
function expectSound(status: JobStatus, maxAttempts: number): void {
  const { state, attempt, attemptsBefore = 0, errors = [] } = status;
  expect(attempt).toBeGreaterThanOrEqual(state === 'running' ? 1 : 0);
  expect(attempt - attemptsBefore).toBeLessThanOrEqual(maxAttempts);
  expect(attempt).toBeGreaterThanOrEqual(attemptsBefore);
  expect(errors.length).toBeLessThanOrEqual(MAX_ERRORS);
  if (state === 'running') expect(status).toHaveProperty('claim');
  expect('runAt' in status).toBe(state === 'scheduled' || state === 'retryable');
  expect('finishedAt' in status).toBe(hasEnded(status));
  expect('result' in status).toBe(state === 'completed');
  if ('failure' in status) expect(state).toBe('failed');
  const { suspicions = 0, crashes = 0 } = status;
  expect(suspicions).toBeLessThanOrEqual(hasEnded(status) ? 0 : 2);
  if (crashes >= MAX_CRASHES) expect(state).toBe('failed');
  if ('cancelRequestedAt' in status) expect(['running', 'cancelled']).toContain(state);
  if ('cancelReason' in status) expect(['running', 'cancelled']).toContain(state);
  expect('retries' in status).toBe('attemptsBefore' in status);
}

test('whatever legal steps a job takes, its status stays sound and its attempts are counted', () => {
  const steps = fc.array(fc.constantFrom(...STEPS), { maxLength: 80 });
  const start = fc.constantFrom(specOf(1), specOf(1, { runAt: NOW + 5 }));
  fc.assert(
    fc.property(start, fc.integer({ min: 1, max: 20 }), steps, (spec, maxAttempts, walk) => {
      let status = enqueued(spec);
      /** The attempts that errored; and how many there are that did not, because the job was cancelled in them. */
      const errored: number[] = [];
      let spoilt = 0;
      let snoozes = 0;
      for (const [i, step] of walk.entries()) {
        const before = status;
        status = take(before, step, maxAttempts, NOW + i);
        expectSound(status, maxAttempts);
        const isErrored = ['errored', 'timedOut', 'overdue', 'crashed', 'refused'].includes(step);
        if (isErrored && before.state === 'running' && status.state !== 'cancelled')
          errored.push(before.attempt);
        if (step === 'snoozed' && before.state === 'running' && status.state !== 'cancelled') snoozes++;
        if (step === 'retry' && status !== before) {
          snoozes = 0;
          spoilt = status.attempt - errored.length;
          expect(status).toMatchObject({
            attemptsBefore: before.attempt,
            retries: (before.retries ?? 0) + 1,
          });
        }
        if (status.state !== 'running' && !hasEnded(status))
          expect(status.attempt).toBe(errored.length + spoilt);
        expect(status.snoozes ?? 0).toBe(snoozes);
        if (hasEnded(before) && step !== 'retry') expect(status).toBe(before);
        if (before.state === 'completed') expect(status).toBe(before);
        expect((status.errors ?? []).map((error) => error.attempt)).toStrictEqual(errored.slice(-MAX_ERRORS));
      }
    }),
    { numRuns: 300 },
  );
});
