/**
 * "Done means": a job that sticks is timed out, ended and retried, and never runs twice at a time, which its own
 * handler observes.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Millrace, threadJob } from '../../src/index.js';
import { bench, scriptedThread } from '../fixtures/engine.js';

const jobs = {
  traced: threadJob<typeof import('../fixtures/traced.js')>(
    new URL('../fixtures/traced.js', import.meta.url),
    {
      timeout: 500,
      grace: 10,
      maxAttempts: 2,
      backoff: { type: 'exponential', delay: 0 },
    },
  ),
  quick: scriptedThread(),
};

const canSeeThreads = existsSync('/proc/thread-self');

test.skipIf(!canSeeThreads).each(['loop', 'pbkdf2', 'avif'] as const)(
  'a job that sticks in %s is timed out, ended and retried, one attempt at a time',
  async (sticks) => {
    const { options, closing, directory } = await bench();
    // A second thread is free all the time: nothing but the first one's end holds the retry up.
    const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 2 } }));
    const job = await mill.enqueue('traced', { trace: join(directory, 'trace'), sticks });
    // Meanwhile the other thread works.
    expect(await (await mill.enqueue('quick', { do: 'return', value: 'meanwhile' })).result()).toBe(
      'meanwhile',
    );
    const { threads, stillThere } = await job.result();
    expect(stillThere).toEqual([]);
    expect(new Set(threads).size).toBe(2);
    expect(await job.snapshot()).toMatchObject({
      state: 'completed',
      attempt: 2,
      errors: [{ attempt: 1, error: { code: 'MILLRACE_TIMEOUT' } }],
    });
  },
);

test.skipIf(!canSeeThreads)(
  'an attempt that a stray error ended is not followed by another while its handler goes on',
  async () => {
    const { options, closing, directory } = await bench();
    const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 2 } }));
    const payload = { trace: join(directory, 'trace'), sticks: 'stray' } as const;
    const job = await mill.enqueue('traced', payload, { timeout: '1h' });
    const { threads, stillThere } = await job.result();
    expect(stillThere).toEqual([]);
    expect(new Set(threads).size).toBe(2);
    expect(await job.snapshot()).toMatchObject({
      errors: [{ attempt: 1, error: { code: 'MILLRACE_HANDLER_STRAY_ERROR' } }],
    });
  },
);
