/** Whatever handlers in threads tell of themselves, the engine and the app beside them go on. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type JobTypeOptions } from '../../src/index.js';
import { bench, record, scriptedThread } from '../fixtures/engine.js';

async function open(typeOptions: JobTypeOptions = {}) {
  const { options, closing, logger } = await bench();
  const jobs = {
    work: scriptedThread({ maxAttempts: 1, ...typeOptions }),
    beside: inlineJob(async () => new Promise((resolve) => setTimeout(resolve, 1, 'done'))),
  };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 2 } }));
  return { mill, lines: logger.lines };
}

test.each(['log', 'progress'] as const)(
  'timers fire, and other jobs complete, while handlers flood with %s in synchronous code',
  async (what) => {
    const { mill } = await open();
    const started = record(mill, 'started');
    const floods = [
      await mill.enqueue('work', { do: 'flood', what }),
      await mill.enqueue('work', { do: 'flood', what }),
    ];
    await started.reached(2);
    for (let i = 0; i < 5; i++) expect(await (await mill.enqueue('beside')).result()).toBe('done');
    for (const flood of floods) expect(await flood.snapshot()).toMatchObject({ state: 'running' });
    for (const flood of floods) expect(await flood.cancel()).toBe('cancelled');
  },
);

test.each(['log', 'progress'] as const)('a handler that floods with %s is timed out', async (what) => {
  // It never looks whether it is to stop.
  const { mill } = await open({ timeout: 100, grace: 1 });
  const job = await mill.enqueue('work', { do: 'flood', what, times: Infinity });
  await expect(job.result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
    cause: { code: 'MILLRACE_TIMEOUT' },
  });
  const kept = await mill.logs(job.id);
  expect(kept).toHaveLength(what === 'log' ? 50 : 0);
});

test('the logger gets every line of a flood, and the last ones are kept', async () => {
  const { mill, lines } = await open();
  const job = await mill.enqueue('work', { do: 'flood', what: 'log', times: 5_000 });
  await job.result();
  const messages = Array.from({ length: 5_000 }, (_, i) => `line ${i}`);
  const own = lines.all.filter(({ fields }) => fields['jobId'] === job.id);
  expect(own.map(({ message }) => message)).toEqual(messages);
  expect((await mill.logs(job.id)).map(({ message }) => message)).toEqual(messages.slice(-50));
});

test('the last value of a flood of progress is the one that is kept', async () => {
  const { mill } = await open();
  const job = await mill.enqueue('work', { do: 'flood', what: 'progress', times: 100_000 });
  await job.result();
  expect(await job.snapshot()).toMatchObject({ state: 'completed', progress: 99_999 });
});
