/** What is remembered of the jobs that ended last, and what that tells of others. */
import { expect, test } from 'vitest';
import type { Job } from '../../src/job/record.js';
import { RecentEnds } from '../../src/runtime/recent-ends.js';
import { specOf } from '../fixtures/jobs.js';

const endOf = (n: number, result = Uint8Array.of(n)): Job => ({
  spec: specOf(n),
  status: { state: 'completed', attempt: 1, finishedAt: n, result },
});

test('a job that has not ended since is open, and one that has is known', () => {
  const ends = new RecentEnds();
  const before = ends.count;
  expect(ends.since(before, 'job-1')).toBe('open');
  ends.add(endOf(1));
  expect(ends.since(before, 'job-1')).toEqual(endOf(1));
  expect(ends.since(before, 'job-2')).toBe('open');
});

test('what may have been forgotten is not called open', () => {
  const ends = new RecentEnds();
  const before = ends.count;
  for (let n = 1; n <= 1_000; n++) ends.add(endOf(n));
  expect(ends.since(before, 'job-0')).toBe('open');
  ends.add(endOf(1_001));
  expect(ends.since(before, 'job-0')).toBeUndefined();
  expect(ends.since(ends.count, 'job-0')).toBe('open');
});

test('a job that ends twice is remembered by its later end', () => {
  const ends = new RecentEnds();
  ends.add(endOf(1));
  for (let n = 2; n <= 1_000; n++) ends.add(endOf(n));
  const before = ends.count;
  ends.add(endOf(1, Uint8Array.of(9)));
  ends.add(endOf(1_001));
  expect(ends.since(before, 'job-1')).toEqual(endOf(1, Uint8Array.of(9)));
});

test('a large job is left to the journal, and a small result keeps no large buffer', () => {
  const ends = new RecentEnds();
  ends.add(endOf(1, new Uint8Array(10_000)));
  expect(ends.since(0, 'job-1')).toBeUndefined();
  ends.add(endOf(2, Buffer.alloc(100_000).subarray(0, 1)));
  const end = ends.since(0, 'job-2');
  expect(typeof end === 'object' && end.status.result?.buffer.byteLength).toBe(1);
});
