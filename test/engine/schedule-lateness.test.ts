/** The machine's own clock: what a schedule that ticks each second makes of twenty of them. */
import { expect, it } from 'vitest';
import { defineJobs, inlineJob, Millrace } from '../../src/index.js';
import { recordingLogger } from '../fixtures/logger.js';
import { Recorder } from '../fixtures/recorder.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

it('@every 1s: twenty ticks, each once, and each at its time', { timeout: 90_000 }, async () => {
  const runs = new Recorder<{ scheduledFor: number; lateMs: number }>();
  const jobs = defineJobs({
    second: inlineJob((_nothing: undefined, { scheduledFor = NaN }) =>
      runs.push({ scheduledFor, lateMs: Date.now() - scheduledFor }),
    ),
  });
  await using mill = await Millrace.open({
    directory: await temporaryDirectory(),
    jobs,
    // Whatever else this machine does: each tick has its job.
    schedules: { second: { job: 'second', pattern: '@every 1s', misfire: 'all' } },
    logger: recordingLogger(),
  });
  const [first] = (await mill.schedules.list()).flatMap(({ upcoming }) => upcoming);
  const twenty = (await runs.reached(20)).slice(0, 20);
  expect(twenty.map(({ scheduledFor }) => scheduledFor)).toEqual(
    Array.from({ length: 20 }, (_, i) => (first ?? NaN) + i * 1_000),
  );
  const lateMs = twenty.map((run) => run.lateMs).sort((a, b) => a - b);
  const p99 = lateMs.at(-1) ?? NaN;
  console.info(`Lateness of 20 ticks: p50 ${lateMs[9]} ms, p99 ${p99} ms`);
  // A timer may be early by what the clock is rounded by, and a tick is not late before the next one is due.
  expect(lateMs[0]).toBeGreaterThanOrEqual(-1);
  expect(p99).toBeLessThan(1_000);
});
