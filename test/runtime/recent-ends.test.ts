/** What is remembered of the jobs that ended last, and what that tells of others. */
import { expect, test } from 'vitest';
import { RecentEnds } from '../../src/runtime/recent-ends.js';

test('a job that has not ended since is open, and one that has is not', () => {
  const ends = new RecentEnds();
  const before = ends.count;
  expect(ends.isOpen(before, 'job-1')).toBe(true);
  ends.add('job-1');
  expect(ends.isOpen(before, 'job-1')).toBe(false);
  expect(ends.isOpen(before, 'job-2')).toBe(true);
});

test('what may have been forgotten is not called open', () => {
  const ends = new RecentEnds();
  for (let n = 1; n <= 10_000; n++) {
    const before = ends.count;
    ends.add(`job-${n}`);
    expect(ends.isOpen(before, `job-${n}`)).toBe(false);
    expect(ends.isOpen(0, 'job-1')).toBe(false);
    expect(ends.isOpen(ends.count, 'job-0')).toBe(true);
  }
  // It can be told for the last thousand ends at least.
  expect(ends.isOpen(9_000, 'job-0')).toBe(true);
  expect(ends.isOpen(7_000, 'job-0')).toBe(false);
});

test('a job that ends twice is remembered by its later end', () => {
  const ends = new RecentEnds();
  ends.add('job-1');
  for (let n = 2; n <= 1_000; n++) ends.add(`job-${n}`);
  const before = ends.count;
  ends.add('job-1');
  for (let n = 1; n < 1_000; n++) {
    ends.add(`other-${n}`);
    expect(ends.isOpen(before, 'job-1')).toBe(false);
  }
});

test('after it was told to forget, nothing counted before is called open again', () => {
  const ends = new RecentEnds();
  for (let n = 1; n < 1_000; n++) ends.add(`job-${n}`);
  const before = ends.count;
  ends.forget();
  const after = ends.count;
  for (let n = 1; n < 1_000; n++) {
    ends.add(`other-${n}`);
    expect(ends.isOpen(before, 'job-0')).toBe(false);
    expect(ends.isOpen(after, 'job-0')).toBe(true);
  }
});
