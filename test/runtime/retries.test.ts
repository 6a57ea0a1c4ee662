/** What follows an attempt that did not complete. */
import { expect, test } from 'vitest';
import type { MillraceError } from '../../src/index.js';
import { RetryAfterError } from '../../src/index.js';
import { decodeError, encodeError } from '../../src/job/error-data.js';
import type { Outcome } from '../../src/job/outcome.js';
import type { JobStatus } from '../../src/job/record.js';
import { checkJobType } from '../../src/job-options.js';
import { inlineJob, type JobTypeOptions } from '../../src/define.js';
import { errorAnswer, outcomeOf } from '../../src/pool/answer.js';
import { Retries } from '../../src/runtime/retries.js';
import { jobOf, NOW } from '../fixtures/jobs.js';
import { task } from '../pool/news.js';

const running: JobStatus = { state: 'running', attempt: 1, claim: 7, startedAt: NOW };
const ERROR = encodeError(Object.assign(new RangeError('no luck'), { code: 'E_LUCK' }));
const errored: Outcome = { kind: 'errored', error: ERROR, unrecoverable: false };
const bad: Outcome[] = [errored, { kind: 'timedOut', error: ERROR }, { kind: 'crashed', error: ERROR }];

function retriesOf(options: JobTypeOptions) {
  const warnings: MillraceError[] = [];
  const retries = new Retries({ random: () => 0.5, onWarning: (error) => warnings.push(error) });
  const type = checkJobType(
    'work',
    inlineJob(() => 1, options),
    new Map([['default', {}]]),
  );
  const after = (outcome: Outcome, status = running, own = {}) =>
    retries.after(outcome, jobOf(1, own, status), type);
  const bounded = (outcome: Outcome, snoozes?: number) =>
    retries.bounded(outcome, jobOf(1, {}, { ...running, ...(snoozes !== undefined && { snoozes }) }), type);
  return { after, bounded, warnings };
}

test.each(bad)('an attempt that $kind is followed by another while there are any left', (outcome) => {
  const { after } = retriesOf({ maxAttempts: 2, backoff: [10, 20] });
  expect(after(outcome)).toStrictEqual({ delayMs: 10 });
  expect(after(outcome, { ...running, attempt: 2 })).toBeUndefined();
  expect(after(outcome, { ...running, attempt: 2 }, { maxAttempts: 3 })).toStrictEqual({ delayMs: 20 });
});

test.each(bad)('of a job that was retried, an attempt that $kind is counted from there', (outcome) => {
  const { after } = retriesOf({ maxAttempts: 2, backoff: [10, 20] });
  const again = { ...running, attempt: 5, retries: 1, attemptsBefore: 4 };
  expect(after(outcome, again)).toStrictEqual({ delayMs: 10 });
  expect(after(outcome, { ...again, attempt: 6 })).toBeUndefined();
});

test('none follows an unrecoverable error, a cancel, or what is no error', () => {
  const { after } = retriesOf({});
  expect(after({ ...errored, unrecoverable: true })).toBeUndefined();
  expect(after(errored, { ...running, cancelRequestedAt: NOW })).toBeUndefined();
  const others: Outcome[] = [
    { kind: 'completed', result: ERROR },
    { kind: 'cancelled' },
    { kind: 'released' },
    { kind: 'snoozed', delayMs: 5, error: ERROR },
  ];
  for (const outcome of others) expect(after(outcome)).toBeUndefined();
});

test.each(bad)('isRetryable and backoff get the error of an attempt that $kind', (outcome) => {
  const given: unknown[] = [];
  const { after } = retriesOf({
    isRetryable: (error) => given.push(error) > 0,
    backoff: (attempt, error) => {
      given.push(attempt, error);
      return '7s';
    },
  });
  expect(after(outcome)).toStrictEqual({ delayMs: 7_000 });
  const error = { name: 'RangeError', message: 'no luck', code: 'E_LUCK' };
  expect(given).toMatchObject([error, 1, error]);
  expect(given[0]).toBeInstanceOf(Error);
});

test('isRetryable says no, and is not asked where nothing depends on it', () => {
  let asked = 0;
  const { after, warnings } = retriesOf({ maxAttempts: 2, isRetryable: () => ++asked === 0 });
  expect(after(errored)).toBeUndefined();
  expect(asked).toBe(1);
  after(errored, { ...running, attempt: 2 });
  after({ ...errored, unrecoverable: true });
  after({ kind: 'completed', result: ERROR });
  expect(asked).toBe(1);
  expect(warnings).toStrictEqual([]);
});

const fails = (): never => {
  throw new Error('a mistake');
};

test.each<[what: string, isRetryable: () => unknown, says: string]>([
  ['throws', fails, 'a mistake'],
  ['returns nothing', () => undefined, 'undefined'],
  ['returns a promise', async () => false, 'Promise'],
  ['rejects', async () => fails(), 'Promise'],
])('an isRetryable that %s is warned of, and the job is tried again', (_what, isRetryable, says) => {
  const { after, warnings } = retriesOf({ backoff: [3], isRetryable: isRetryable as () => boolean });
  expect(after(errored)).toStrictEqual({ delayMs: 3 });
  expect(warnings).toMatchObject([
    { code: 'MILLRACE_IS_RETRYABLE_INVALID', message: expect.stringMatching(`work.*job-1.*${says}`) },
  ]);
});

test.each<[what: string, backoff: () => unknown, says: string]>([
  ['throws', fails, 'a mistake'],
  ['returns nothing', () => undefined, 'undefined'],
  ['returns no duration', () => 'soon', 'soon'],
  ['returns less than nothing', () => -1, '-1'],
  ['rejects', async () => fails(), 'Promise'],
])('a backoff function that %s is warned of, and the default is used', (_what, backoff, says) => {
  const { after, warnings } = retriesOf({ backoff: backoff as () => number });
  expect(after(errored)).toStrictEqual({ delayMs: 500 });
  expect(warnings).toMatchObject([
    { code: 'MILLRACE_BACKOFF_INVALID', message: expect.stringMatching(`work.*job-1.*${says}`) },
  ]);
});

test('a snooze is one up to the bound, and an error beyond it', () => {
  const { bounded, after } = retriesOf({ maxSnoozes: 2, backoff: [10] });
  const snoozed: Outcome = { kind: 'snoozed', delayMs: 5_000 };
  expect(bounded(snoozed)).toBe(snoozed);
  expect(bounded(snoozed, 1)).toBe(snoozed);
  const beyond = bounded(snoozed, 2);
  expect(beyond).toMatchObject({ kind: 'errored', unrecoverable: false, retryAfterMs: 5_000 });
  expect(beyond.kind === 'errored' && decodeError(beyond.error)).toMatchObject({
    code: 'MILLRACE_SNOOZED_TOO_OFTEN',
    message: expect.stringContaining('2 times'),
  });
  expect(after(beyond)).toStrictEqual({ delayMs: 5_000 });
  // An own error stays what it is, and the backoff may be longer.
  const own = bounded({ kind: 'snoozed', delayMs: 5, error: ERROR }, 2);
  expect(own).toMatchObject({ kind: 'errored', error: ERROR, retryAfterMs: 5 });
  expect(after(own)).toStrictEqual({ delayMs: 10 });
});

const outcomeOfThrown = (thrown: unknown): Outcome =>
  outcomeOf(errorAnswer(thrown), task({ do: 'return' }), undefined);

test('a RetryAfterError is told by its code, for an app may hold two copies of its class', () => {
  class Subclass extends RetryAfterError {}
  const copy = Object.assign(new Error('later'), { code: 'MILLRACE_RETRY_AFTER', delayMs: 600_000 });
  for (const thrown of [new RetryAfterError('10m', 'later'), new Subclass('10m', 'later'), copy]) {
    const outcome = outcomeOfThrown(thrown);
    expect(outcome).toMatchObject({ kind: 'snoozed', delayMs: 600_000 });
    expect(outcome.kind === 'snoozed' && outcome.error && decodeError(outcome.error)).toMatchObject({
      message: 'later',
      code: 'MILLRACE_RETRY_AFTER',
      properties: { delayMs: 600_000 },
    });
  }
});

test.each([[undefined], [-1], ['soon'], [Infinity]])(
  'with a delay of %s it is an ordinary error that says so',
  (delayMs) => {
    const thrown = Object.assign(new Error('later'), { code: 'MILLRACE_RETRY_AFTER', delayMs });
    const outcome = outcomeOfThrown(thrown);
    expect(outcome).toMatchObject({ kind: 'errored', unrecoverable: false });
    expect(outcome.kind === 'errored' && decodeError(outcome.error)).toMatchObject({
      code: 'MILLRACE_OPTION_INVALID',
      message: expect.stringContaining('`delayMs`'),
      cause: { message: 'later' },
    });
    expect(() => new RetryAfterError(delayMs as number)).toThrow(
      expect.objectContaining({ code: 'MILLRACE_OPTION_INVALID' }),
    );
  },
);
