/** What is made of the records of a job that was retried. */
import { expect, test } from 'vitest';
import type { JobStatus } from '../../src/job/record.js';
import { cancelled, claimed, enqueued, retried } from '../../src/job/transitions.js';
import { endedKey, endedOf, isEndOf, readyKey, statusKey, type RosterEnd } from '../../src/journal/keys.js';
import { judge, type Case } from '../../src/journal/verdict.js';
import { jobOf, NOW } from '../fixtures/jobs.js';

const { spec } = jobOf(1);
const first = cancelled(enqueued(spec), NOW);
const again = retried(first);
const second = cancelled(again, NOW + 5);
const endOf = ({ finishedAt = 0, retries }: JobStatus): RosterEnd =>
  endedOf(endedKey('cancelled', spec.name, finishedAt, spec.sequence, retries));

const known = (
  status: Case['status'],
  evidence: Partial<Case['evidence']>,
  suspects: readonly string[] = [],
): Case => ({
  id: spec.id,
  spec,
  status,
  evidence: { places: [], claims: [], ends: [], deadlines: [], ...evidence },
  isSuspect: (key) => suspects.includes(key),
  isDamagedPlace: () => false,
});

test('a roster says of which end it tells, whatever its numbers', () => {
  for (const retries of [0, 1, 35, 36, 1_000_000]) {
    const key = endedKey('failed', 'a-type', NOW, 36 ** 3, retries);
    expect(endedOf(key)).toEqual({ state: 'failed', finishedAt: NOW, retries });
  }
  const key = endedKey('cancelled', spec.name, NOW + 5, spec.sequence, 1);
  expect(isEndOf({ spec, status: second }, key)).toBe(true);
  expect(isEndOf({ spec, status: first }, key)).toBe(false);
  expect(isEndOf({ spec, status: again }, key)).toBe(false);
  expect(isEndOf({ spec: { ...spec, name: 'another' }, status: second }, key)).toBe(false);
  expect(isEndOf({ spec, status: { ...second, finishedAt: NOW + 6 } }, key)).toBe(false);
});

test('the roster of the end that it had does not end it again', () => {
  const evidence = { places: [readyKey(spec)], ends: [endOf(first)] };
  expect(judge(known(again, evidence), NOW)).toEqual({
    job: { spec, status: again },
    isRunning: false,
    isUnlisted: false,
  });
  // Nor where its place is lost, and is put back.
  const lost = judge(known(again, { ends: [endOf(first)] }), NOW);
  expect(lost).toMatchObject({ job: { status: { state: 'available' } }, problem: { key: readyKey(spec) } });
  const running = judge(known(again, { claims: [99], ends: [endOf(first)] }), NOW);
  expect(running).toMatchObject({ isRunning: true });
});

test('an end is listed by the roster of that end alone', () => {
  expect(judge(known(second, { ends: [endOf(first), endOf(second)] }), NOW)).toMatchObject({
    isUnlisted: false,
  });
  expect(judge(known(second, { ends: [endOf(first)] }), NOW)).toMatchObject({
    isUnlisted: true,
    problem: { key: statusKey(spec.id) },
  });
});

test('where the status is lost, the last end holds, so that its roster lists it', () => {
  const verdict = judge(known('damaged', { ends: [endOf(second), endOf(first)] }), NOW);
  expect(verdict.job?.status).toMatchObject({ state: 'cancelled', finishedAt: NOW + 5, retries: 1 });
  // The job as it is written then is one that the roster lists.
  const status = verdict.job?.status;
  expect(judge(known(status, { ends: [endOf(second), endOf(first)] }), NOW).problem).toBeUndefined();
});

test('a status that is older than its end takes the end that it had', () => {
  const stale = claimed(again, 50, NOW);
  const { job } = judge(
    known({ ...stale, state: 'available' }, { ends: [endOf(first), endOf(second)] }),
    NOW,
  );
  expect(job?.status).toMatchObject({ state: 'cancelled', retries: 1 });
});
