/** Messages that are put together from those of others. */
import { expect, test } from 'vitest';
import { JobFailedError, sentence, StreamError, TimeoutError } from '../../src/errors.js';

const JOB = { id: 'a.b', name: 'mail', attempt: 2 };

test('what follows a message follows a sentence', () => {
  expect(['stray', 'stray!', 'Why?', 'Done.', 'and so on…', ''].map(sentence)).toEqual([
    'stray.',
    'stray!',
    'Why?',
    'Done.',
    'and so on…',
    '.',
  ]);
  expect(new StreamError('no more!', 5).message).toBe('no more! 5 jobs were enqueued before that');
});

test('a job that failed is named once', () => {
  const failed = 'Job mail a.b failed at attempt 2: ';
  expect(new JobFailedError(JOB, new TimeoutError(JOB, 5)).message).toBe(
    `${failed}it took longer than its timeout of 5 ms`,
  );
  expect(new JobFailedError(JOB, new Error('no luck')).message).toBe(`${failed}no luck`);
  expect(new JobFailedError(JOB, new Error('Job mail b took long')).message).toBe(
    `${failed}Job mail b took long`,
  );
});
