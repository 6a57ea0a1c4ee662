/** What a handler's end comes to. */
import { expect, test } from 'vitest';
import { RetryAfterError, UnrecoverableError } from '../../src/index.js';
import { decodeError } from '../../src/job/error-data.js';
import { errorAnswer, outcomeOf } from '../../src/pool/answer.js';
import { stopError } from '../../src/pool/contract.js';
import { HOSTILE, hostile } from '../fixtures/hostile.js';
import { task } from './news.js';

test.each(HOSTILE)('whatever a handler throws is an answer: %s', (what) => {
  const [kind, error] = errorAnswer(hostile[what]());
  expect(kind).toBe('errored');
  expect(decodeError(error as Uint8Array).message).toEqual(expect.any(String));
});

const one = task({ do: 'return' });
const stop = stopError('shutdown', one);
const outcome = (thrown: unknown) => outcomeOf(errorAnswer(thrown), one, 'shutdown').kind;

test.each([
  ['an error', new Error('x'), 'released'],
  ['the signal’s reason', stop, 'released'],
  ['an error that ends its job', new UnrecoverableError('x'), 'errored'],
  ['the same for another error', new UnrecoverableError('x', { cause: new Error('y') }), 'errored'],
  ['the same for the signal’s reason', new UnrecoverableError('x', { cause: stop }), 'released'],
  [
    'the same for what that was turned into',
    new UnrecoverableError('x', { cause: new Error('y', { cause: new DOMException('z', 'AbortError') }) }),
    'released',
  ],
  ['an error that puts its job off', new RetryAfterError('1h'), 'snoozed'],
] as const)('while the engine closes, %s', (_what, thrown, kind) => {
  expect(outcome(thrown)).toBe(kind);
});
