import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  backoffMs,
  backoffPolicy,
  DEFAULT_BACKOFF,
  type Backoff,
  type ComputedBackoff,
  type WaitPolicy,
} from '../../src/job/backoff.js';

const TYPES = ['exponential', 'linear', 'fixed'] as const;
const FRACTIONS = { none: 0, equal: 0.5, full: 1 } as const;

const anyDelay = (): fc.Arbitrary<number> => fc.integer({ min: 0, max: 86_400_000 });
const anyJitter = (): fc.Arbitrary<NonNullable<ComputedBackoff['jitter']>> =>
  fc.oneof(
    fc.constantFrom('none' as const, 'equal' as const, 'full' as const),
    fc.double({ min: 0, max: 1, minExcluded: true, noNaN: true }),
  );
const anyComputed = (
  jitter: fc.Arbitrary<NonNullable<ComputedBackoff['jitter']>> = anyJitter(),
): fc.Arbitrary<Required<ComputedBackoff> & { delay: number; max: number }> =>
  fc.record({ type: fc.constantFrom(...TYPES), delay: anyDelay(), max: anyDelay(), jitter });
const anyAttempt = (): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
const anyRandom = (): fc.Arbitrary<number> => fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

function policyOf(backoff: ComputedBackoff | readonly number[]): WaitPolicy {
  const policy = backoffPolicy(backoff, 'backoff');
  if (policy.type === 'function') throw new Error('It was given none');
  return policy;
}

test.each([
  ['exponential', [100, 200, 400, 800]],
  ['linear', [100, 200, 300, 400]],
  ['fixed', [100, 100, 100, 100]],
] as const)('a wait that is %s grows as its name says', (type, expected) => {
  const policy = policyOf({ type, delay: 100, max: '1h', jitter: 'none' });
  expect([1, 2, 3, 4].map((attempt) => backoffMs(policy, attempt, 0.5))).toStrictEqual(expected);
});

test('of a list each attempt has its delay, and the last one repeats', () => {
  const policy = backoffPolicy(['10s', 30, '60s'], 'backoff');
  expect(policy).toStrictEqual({ type: 'list', delaysMs: [10_000, 30, 60_000] });
  const waits = [1, 2, 3, 4, Number.MAX_SAFE_INTEGER].map((attempt) =>
    backoffMs(policyOf([10_000, 30, 60_000]), attempt, 0.9),
  );
  expect(waits).toStrictEqual([10_000, 30, 60_000, 60_000, 60_000]);
});

test('a wait is a whole number of milliseconds, at most the maximum, and at least what jitter leaves of it', () => {
  fc.assert(
    fc.property(anyComputed(), anyAttempt(), anyRandom(), (backoff, attempt, random) => {
      const waitMs = backoffMs(policyOf(backoff), attempt, random);
      const computedMs = backoffMs(policyOf({ ...backoff, jitter: 'none' }), attempt, random);
      const { jitter } = backoff;
      const fraction = typeof jitter === 'number' ? jitter : FRACTIONS[jitter];
      expect(waitMs).toSatisfy(Number.isInteger);
      expect(waitMs).toBeLessThanOrEqual(computedMs);
      expect(waitMs).toBeGreaterThanOrEqual(Math.floor(computedMs * (1 - fraction)));
      expect(computedMs).toBeLessThanOrEqual(backoff.max);
    }),
  );
});

test('more chance never makes a wait later, and a later draw never earlier', () => {
  fc.assert(
    fc.property(anyComputed(), anyAttempt(), anyRandom(), anyRandom(), (backoff, attempt, one, other) => {
      const [low, high] = one < other ? [one, other] : [other, one];
      const policy = policyOf(backoff);
      expect(backoffMs(policy, attempt, high)).toBeGreaterThanOrEqual(backoffMs(policy, attempt, low));
      const full = policyOf({ ...backoff, jitter: 'full' });
      expect(backoffMs(full, attempt, one)).toBeLessThanOrEqual(backoffMs(policy, attempt, one));
    }),
  );
});

test('without jitter, a later attempt never waits less', () => {
  fc.assert(
    fc.property(anyComputed(fc.constant('none')), anyAttempt(), (backoff, attempt) => {
      const policy = policyOf(backoff);
      expect(backoffMs(policy, attempt + 1, 0)).toBeGreaterThanOrEqual(backoffMs(policy, attempt, 0));
    }),
  );
});

test.each([
  ['full', [0, 2_000, 4_000]],
  ['equal', [2_000, 3_000, 4_000]],
  ['none', [4_000, 4_000, 4_000]],
  [0.25, [3_000, 3_500, 4_000]],
  [1, [0, 2_000, 4_000]],
] as const)('with jitter %s, a wait is drawn from what it leaves', (jitter, expected) => {
  const policy = policyOf({ type: 'exponential', delay: 1_000, max: 60_000, jitter });
  expect([0, 0.5, 0.9999].map((random) => backoffMs(policy, 3, random))).toStrictEqual(expected);
});

test('an attempt so late that the wait overflows waits for the maximum', () => {
  const policy = policyOf({ type: 'exponential', delay: 1_000, max: 60_000, jitter: 'none' });
  expect(backoffMs(policy, 1_025, 0)).toBe(60_000);
  expect(backoffMs(policy, Number.MAX_SAFE_INTEGER, 0)).toBe(60_000);
});

test('a delay of nothing stays nothing, however late the attempt', () => {
  for (const type of TYPES)
    expect(backoffMs(policyOf({ type, delay: 0, jitter: 'full' }), 5_000, 0.9)).toBe(0);
});

test('the defaults are one second, one hour and full jitter', () => {
  const policy = { type: 'exponential', delayMs: 1_000, maxMs: 3_600_000, jitter: 1 };
  expect(backoffPolicy({ type: 'exponential' }, 'backoff')).toStrictEqual(policy);
  expect(DEFAULT_BACKOFF).toStrictEqual(policy);
  expect(backoffPolicy({ type: 'linear' }, 'backoff')).toMatchObject({ jitter: 1 });
});

test('a fixed wait is exact unless it is said otherwise', () => {
  expect(backoffPolicy({ type: 'fixed' }, 'backoff')).toMatchObject({ jitter: 0 });
  expect(backoffPolicy({ type: 'fixed', jitter: 0.1 }, 'backoff')).toMatchObject({ jitter: 0.1 });
});

test('a delay that is longer than the default maximum is one itself', () => {
  expect(backoffMs(policyOf({ type: 'fixed', delay: '2h' }), 1, 0)).toBe(7_200_000);
  expect(backoffMs(policyOf({ type: 'fixed', delay: '2h', max: '1h' }), 1, 0)).toBe(3_600_000);
});

test.each([
  [{ type: 'quadratic' }, '.type'],
  [{}, '.type'],
  [undefined, ''],
  ['exponential', ''],
  [[], ''],
  [['1s', 'soon'], '[1]'],
  [[-1], '[0]'],
  // A hole.
  [Array(2), '[0]'],
  [{ type: 'exponential', delay: -1 }, '.delay'],
  [{ type: 'exponential', delay: 'soon' }, '.delay'],
  [{ type: 'linear', max: Number.NaN }, '.max'],
  [{ type: 'exponential', jitter: 'some' }, '.jitter'],
  [{ type: 'exponential', jitter: 0 }, '.jitter'],
  [{ type: 'exponential', jitter: 1.1 }, '.jitter'],
  [{ type: 'exponential', jitter: Number.NaN }, '.jitter'],
  [{ type: 'fixed', dealy: '1s' }, '.dealy'],
])('%j is refused by the name of the option', (backoff, option) => {
  // Not what the type allows, as it comes from plain JavaScript.
  expect(() => backoffPolicy(backoff as Backoff, 'jobs.a.backoff')).toThrow(
    expect.objectContaining({
      code: 'MILLRACE_OPTION_INVALID',
      message: expect.stringContaining(`\`jobs.a.backoff${option}\``) as string,
    }),
  );
});
