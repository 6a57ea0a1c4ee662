import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Outcome } from '../../src/job/outcome.js';
import { hasEnded, MAX_ERRORS, type JobStatus } from '../../src/job/record.js';
import { cancelled, claimed, enqueued, orphaned, promoted, settled } from '../../src/job/transitions.js';
import { NOW, specOf } from '../fixtures/jobs.js';

const ERROR = Uint8Array.of(1);

type Step = 'promote' | 'claim' | 'cancel' | 'orphan' | Outcome['kind'];
const STEPS: readonly Step[] = [
  ...(['promote', 'claim', 'claim', 'claim', 'cancel', 'orphan'] as const),
  ...(['completed', 'errored', 'timedOut', 'cancelled', 'crashed', 'released', 'snoozed'] as const),
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
      return hasEnded(status) ? status : cancelled(status, now);
    case 'orphan':
      return state === 'running' ? orphaned(status, now) : status;
    case 'completed':
      return state === 'running' ? settled(status, { kind: step, result: ERROR }, undefined, now) : status;
    case 'released':
    case 'cancelled':
      return state === 'running' ? settled(status, { kind: step }, undefined, now) : status;
    case 'errored':
    case 'timedOut':
    case 'crashed':
      return state === 'running'
        ? settled(
            status,
            { kind: step, error: ERROR, unrecoverable: false },
            status.attempt < maxAttempts ? { delayMs: 1_000 } : undefined,
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
  const { state, attempt, errors = [] } = status;
  expect(attempt).toBeGreaterThanOrEqual(state === 'running' ? 1 : 0);
  expect(attempt).toBeLessThanOrEqual(maxAttempts);
  expect(errors.length).toBeLessThanOrEqual(MAX_ERRORS);
  if (state === 'running') expect(status).toHaveProperty('claim');
  expect('runAt' in status).toBe(state === 'scheduled' || state === 'retryable');
  expect('finishedAt' in status).toBe(hasEnded(status));
  expect('result' in status).toBe(state === 'completed');
  if ('cancelRequestedAt' in status) expect(['running', 'cancelled']).toContain(state);
}

test('whatever legal steps a job takes, its status stays sound and its attempts are counted', () => {
  const steps = fc.array(fc.constantFrom(...STEPS), { maxLength: 80 });
  const start = fc.constantFrom(specOf(1), specOf(1, { runAt: NOW + 5 }));
  fc.assert(
    fc.property(start, fc.integer({ min: 1, max: 20 }), steps, (spec, maxAttempts, walk) => {
      let status = enqueued(spec);
      let counted = 0;
      let snoozes = 0;
      for (const [i, step] of walk.entries()) {
        const before = status;
        status = take(before, step, maxAttempts, NOW + i);
        expectSound(status, maxAttempts);
        const isErrored = step === 'errored' || step === 'timedOut' || step === 'crashed';
        if (isErrored && before.state === 'running' && status.state !== 'cancelled') counted++;
        if (step === 'snoozed' && before.state === 'running' && status.state !== 'cancelled') snoozes++;
        expect(status.snoozes ?? 0).toBe(snoozes);
        if (status.state !== 'running' && !hasEnded(status)) expect(status.attempt).toBe(counted);
        if (hasEnded(before)) expect(status).toBe(before);
        expect(status.errors ?? []).toHaveLength(Math.min(counted, MAX_ERRORS));
        expect((status.errors ?? []).map((error) => error.attempt)).toStrictEqual(
          Array.from({ length: counted }, (_, attempt) => attempt + 1).slice(-MAX_ERRORS),
        );
      }
    }),
    { numRuns: 300 },
  );
});
