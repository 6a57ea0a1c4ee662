/** The soak for some seconds; `npm run soak` has more. What grows only over minutes, it does not show. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { MAX_WAITING } from './load.js';
import type { Sample } from './samples.js';
import { soak } from './soak.js';

test('under the mixed load all kinds of ends come about, jobs go as others come, and nothing is refused', async () => {
  const samples: Sample[] = [];
  const { report, reasons } = await soak({
    minutes: 12 / 60,
    operationsPerSecond: 100,
    seed: 1,
    directory: join(await temporaryDirectory(), 'journal'),
    collect: () => {},
    onSample: (sample) => samples.push(sample),
  });
  // So short a time says nothing of what grows.
  expect(reasons.filter((reason) => !/ (grew|grows) /.test(reason))).toEqual([]);
  expect(report.jobs).toBeGreaterThan(report.retainedJobs);
  expect(report.failures).toBeGreaterThan(0);
  expect(report.timeouts).toBeGreaterThan(0);
  expect(report.retainedJobs).toBeGreaterThan(0);
  expect(samples.length).toBeGreaterThanOrEqual(10);
  for (const { liveJobs } of samples) expect(liveJobs).toBeLessThan(2 * MAX_WAITING);
}, 60_000);
