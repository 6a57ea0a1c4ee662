/** What a handler's end comes to. */
import { expect, test } from 'vitest';
import { decodeError } from '../../src/job/error-data.js';
import { errorAnswer } from '../../src/pool/answer.js';
import { HOSTILE, hostile } from '../fixtures/hostile.js';

test.each(HOSTILE)('whatever a handler throws is an answer: %s', (what) => {
  const [kind, error] = errorAnswer(hostile[what]());
  expect(kind).toBe('errored');
  expect(decodeError(error as Uint8Array).message).toEqual(expect.any(String));
});
