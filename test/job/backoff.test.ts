import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffMs, backoffPolicy, type Backoff, type BackoffPolicy } from '../../src/job/backoff.js';

const anyPolicy = (jitter: 'full' | 'none'): fc.Arbitrary<BackoffPolicy> =>
  fc.record({
    delayMs: fc.integer({ min: 0, max: 86_400_000 }),
    maxMs: fc.integer({ min: 0, max: 86_400_000 }),
    jitter: fc.constant(jitter),
  });
const anyAttempt = (): fc.Arbitrary<number> =>
  fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }));
const anyRandom = (): fc.Arbitrary<number> => fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('the wait doubles with each attempt', () => {
  const policy = backoffPolicy({ type: 'exponential', delay: 100, max: '1h', jitter: 'none' }, 'backoff');
  expect([1, 2, 3, 4].map((attempt) => backoffMs(policy, attempt, 0.5))).toStrictEqual([100, 200, 400, 800]);
});

test('no wait is longer than the maximum, and each is a whole number of milliseconds', () => {
  fc.assert(
    fc.property(
      fc.oneof(anyPolicy('full'), anyPolicy('none')),
      anyAttempt(),
      anyRandom(),
      (policy, attempt, random) => {
        const waitMs = backoffMs(policy, attempt, random);
        expect(waitMs).toSatisfy(Number.isInteger);
        expect(waitMs).toBeGreaterThanOrEqual(0);
        expect(waitMs).toBeLessThanOrEqual(policy.maxMs);
      },
    ),
  );
});

test('without jitter, a later attempt never waits less', () => {
  fc.assert(
    fc.property(anyPolicy('none'), anyAttempt(), (policy, attempt) => {
      expect(backoffMs(policy, attempt + 1, 0)).toBeGreaterThanOrEqual(backoffMs(policy, attempt, 0));
    }),
  );
});

test('jitter spreads the wait from nothing to the computed one', () => {
  const policy: BackoffPolicy = { delayMs: 1_000, maxMs: 60_000, jitter: 'full' };
  expect(backoffMs(policy, 3, 0)).toBe(0);
  expect(backoffMs(policy, 3, 0.5)).toBe(2_000);
  expect(backoffMs(policy, 3, 0.9999)).toBe(4_000);
});

test('an attempt so late that the wait overflows waits for the maximum', () => {
  const policy: BackoffPolicy = { delayMs: 1_000, maxMs: 60_000, jitter: 'none' };
  expect(backoffMs(policy, 1_025, 0)).toBe(60_000);
  expect(backoffMs(policy, Number.MAX_SAFE_INTEGER, 0)).toBe(60_000);
});

test('a delay of nothing stays nothing, however late the attempt', () => {
  expect(backoffMs({ delayMs: 0, maxMs: 60_000, jitter: 'none' }, 5_000, 0)).toBe(0);
  expect(backoffMs({ delayMs: 0, maxMs: 60_000, jitter: 'full' }, 5_000, 0.9)).toBe(0);
});

test('the defaults are one second, one hour and full jitter', () => {
  expect(backoffPolicy({ type: 'exponential' }, 'backoff')).toStrictEqual({
    delayMs: 1_000,
    maxMs: 3_600_000,
    jitter: 'full',
  });
});

test.each([
  [{ type: 'linear' }, 'jobs.a.backoff.type'],
  [undefined, 'jobs.a.backoff.type'],
  [{ type: 'exponential', delay: -1 }, 'jobs.a.backoff.delay'],
  [{ type: 'exponential', delay: 'soon' }, 'jobs.a.backoff.delay'],
  [{ type: 'exponential', max: Number.NaN }, 'jobs.a.backoff.max'],
  [{ type: 'exponential', jitter: 'some' }, 'jobs.a.backoff.jitter'],
])('%j is refused by the name of the option', (backoff, option) => {
  // Not what the type allows, as it comes from plain JavaScript.
  expect(() => backoffPolicy(backoff as Backoff, 'jobs.a.backoff')).toThrow(
    expect.objectContaining({
      code: 'MILLRACE_OPTION_INVALID',
      message: expect.stringContaining(`\`${option}\``) as string,
    }),
  );
});
