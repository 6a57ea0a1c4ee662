/** What is not certain of jobs with which callers do something is not held against the engine. */
import { expect, test } from 'vitest';
import { findViolations } from './invariants.js';
import type { Fact } from './facts.js';
import {
  all,
  askedAll,
  done,
  enqueued,
  failed,
  handled,
  looked,
  looking,
  one,
  run,
  seen,
  toldOfAll,
} from './plant-handled.js';

const FAILED = { state: 'failed', errored: [1] } as const;
const REFUSED = { kind: 'refused', operation: 'retry', code: 'MILLRACE_CLOSED' } as const;
/** Its process dies, and the audit goes on. */
const died = (moment = '1 ms after opened'): Fact[] => [
  { kind: 'killed', moment },
  { kind: 'spawned', cycle: 3, role: 'audit' },
  { kind: 'opened', tookMs: 2, isFirst: true },
];
const again = { kind: 'retried', id: 'c', state: 'available' } as const;
const due = { kind: 'promoted', id: 'c', state: 'available' } as const;

test.each<[string, Fact[]]>([
  ['nobody was told that it was', [...failed(), askedAll('retry')]],
  ['its end was told when that was asked for', [askedAll('retry'), ...failed(), toldOfAll('retry')]],
  ['all of another type were', [...failed(), ...all('retry').map((fact) => ({ ...fact, name: 'work' }))]],
  [
    'that was asked for once before its end, and once in vain',
    [
      askedAll('retry', '1'),
      ...failed(),
      askedAll('retry', '2'),
      { ...REFUSED, call: '2' },
      toldOfAll('retry', '1'),
    ],
  ],
  ['a power cut took that', [...failed(), ...all('retry'), ...died('power cut, 0 survive')]],
  [
    'somebody saw it as it was before it was told of, and after',
    [...failed(), looking, askedAll('retry'), seen({ state: 'failed' })],
  ],
])('a job need not have been run again where %s', (_where, facts) => {
  expect(findViolations(handled(FAILED, enqueued, ...facts))).toEqual([]);
});

test('a job that was run again may fail again, and a look may be older than what is told meanwhile', () => {
  const last = { state: 'failed', attempt: 2, errored: [1, 2], maxAttempts: 9, retries: 1 } as const;
  const facts = [
    ...failed(),
    looking,
    ...all('retry'),
    seen({ state: 'failed' }),
    ...all('retry'),
    ...failed(2),
    ...looked({ state: 'failed', retries: 1 }),
    askedAll('retry'),
  ];
  expect(findViolations(handled(last, enqueued, ...facts))).toEqual([]);
});

test('a job that was run again may be cancelled by a call that was made before, of whose answer nobody heard', () => {
  const facts = [...failed(), askedAll('cancel'), ...one('retry', again), ...died()];
  const last = { state: 'cancelled', attempt: 1, errored: [1], retries: 1 } as const;
  expect(findViolations(handled(last, enqueued, ...facts))).toEqual([]);
  const unasked = facts.filter((fact) => fact.kind !== 'asked' || fact.operation !== 'cancel');
  const found = findViolations(handled(last, enqueued, ...unasked));
  expect(found.map(({ invariant }) => invariant)).toEqual(['retriesLost']);
});

test.each<[string, Fact[]]>([
  ['nobody was told that it was', [...done(), askedAll('remove')]],
  ['its end was told when that was asked for', [askedAll('remove'), ...done(), toldOfAll('remove')]],
  ['all of another type were', [...done(), ...all('remove').map((fact) => ({ ...fact, name: 'work' }))]],
  ['a power cut took that', [...done(), ...all('remove'), ...died('power cut, 0 survive')]],
  [
    'somebody who looked began before',
    [...done(), looking, askedAll('remove'), seen({ state: 'completed' }), toldOfAll('remove')].slice(0, 4),
  ],
])('a job that has ended may be there where %s', (_where, facts) => {
  expect(findViolations(handled({}, enqueued, ...facts))).toEqual([]);
});

test('a job that may have been run again may be there when all that have ended were removed', () => {
  const last = { attempt: 2, errored: [1], maxAttempts: 9, retries: 1 } as const;
  const result = { id: 'c', token: 'c', attempt: 2 };
  const facts = [...failed(), askedAll('retry'), ...all('remove'), ...died(), ...done(2)];
  expect(findViolations(handled({ ...last, result }, enqueued, ...facts))).toEqual([]);
});

const later = looked({ state: 'scheduled' });
const retryable = looked({ state: 'retryable' });
test.each<[string, Fact[]]>([
  ['nobody was told that it was promoted', [enqueued, askedAll('promote'), ...later, ...done()]],
  [
    'it came when that was asked for',
    [askedAll('promote'), enqueued, toldOfAll('promote'), ...later, ...done()],
  ],
  [
    'all of another type were',
    [enqueued, ...all('promote').map((fact) => ({ ...fact, name: 'work' })), ...later, ...done()],
  ],
  [
    'somebody who looked began before',
    [enqueued, looking, ...all('promote'), seen({ state: 'scheduled' }), ...done()],
  ],
  ['it was running', [enqueued, ...one('promote', { ...due, state: 'running' }), ...later, ...done()]],
])('a job may wait until it is due where %s', (_where, facts) => {
  expect(findViolations(handled({}, ...facts))).toEqual([]);
});

test.each<[string, Fact[]]>([
  ['was promoted', [enqueued, ...one('promote', due), ...run(1), ...retryable, ...done(2)]],
  ['was among all that were', [enqueued, ...all('promote'), ...run(1), ...retryable, ...done(2)]],
  [
    'had begun when all were, and whose word came late',
    [...run(1), enqueued, ...all('promote'), ...retryable, ...done(2)],
  ],
])('a job may wait for its next attempt that %s', (_which, facts) => {
  const last = { attempt: 2, errored: [1], result: { id: 'c', token: 'c', attempt: 2 } };
  expect(findViolations(handled(last, ...facts))).toEqual([]);
});

test('a job that waited for others may have to wait for its time', () => {
  const flow: Fact = { kind: 'asked', operation: 'enqueue a flow', together: ['c'] };
  const facts = [flow, enqueued, ...one('promote', due), ...later, ...done()];
  expect(findViolations(handled({}, ...facts))).toEqual([]);
});
