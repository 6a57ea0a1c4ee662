/**
 * What must compile and what must not. Nothing here runs: tsc reads it with the rest, and an expectation of an
 * error that does not come is an error itself.
 */
import { defineJobs, inlineJob, Millrace, threadJob, type JobContext } from '../../src/index.js';
import type { JobPayload, JobResult } from '../../src/index.js';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const proven = <Claim extends true>(): Claim | undefined => undefined;

const jobs = defineJobs({
  scripted: threadJob<typeof import('../fixtures/scripted.js')>(
    new URL('../fixtures/scripted.js', import.meta.url),
    {
      timeout: '30s',
      maxAttempts: 5,
      backoff: { type: 'exponential', delay: '1s', max: '1h', jitter: 'full' },
    },
  ),
  noop: threadJob<typeof import('../../bench/noop.js')>(new URL('../../bench/noop.js', import.meta.url)),
  double: inlineJob((n: number) => n * 2),
  mail: inlineJob(async (mail: { to: string }, job: JobContext) => `${job.id} to ${mail.to}`, {
    queue: 'fast',
  }),
  tick: inlineJob(() => new Date()),
  optional: inlineJob(async (_options?: { deep: boolean }) => {}),
});

proven<Same<JobPayload<(typeof jobs)['double']>, number>>();
proven<Same<JobResult<(typeof jobs)['double']>, number>>();
proven<Same<JobPayload<(typeof jobs)['mail']>, { to: string }>>();
proven<Same<JobResult<(typeof jobs)['mail']>, string>>();
proven<Same<JobPayload<(typeof jobs)['noop']>, unknown>>();
proven<Same<JobResult<(typeof jobs)['tick']>, Date>>();
proven<Same<JobResult<(typeof jobs)['optional']>, void>>();

export async function enqueues(): Promise<void> {
  const mill = await Millrace.open({ directory: '', jobs, queues: { default: {}, fast: { weight: 2 } } });
  const doubled: number = await (await mill.enqueue('double', 21, { queue: 'fast', priority: 1 })).result();
  const sent: string = await (await mill.enqueue('mail', { to: 'a@b.c' })).result();
  const ticked: Date = await (await mill.enqueue('tick')).result();
  await mill.enqueue('optional');
  await mill.enqueue('optional', { deep: true }, { delay: '10m' });
  const later: number = await mill.handle('double', 'an id').result();
  await mill.counts('fast');
  for await (const value of mill.handle('double', 'an id').progress()) void (value satisfies unknown);
  void [doubled, sent, ticked, later];

  // @ts-expect-error no such job type
  await mill.enqueue('doubel', 21);
  // @ts-expect-error no such queue
  await mill.enqueue('double', 21, { queue: 'slow' });
  // @ts-expect-error no such queue
  await mill.counts('slow');
  // @ts-expect-error a payload of another type
  await mill.enqueue('double', '21');
  // @ts-expect-error a property of the payload is missing
  await mill.enqueue('mail', {});
  // @ts-expect-error the payload is missing
  await mill.enqueue('mail');
  // @ts-expect-error the handler takes no payload
  await mill.enqueue('tick', 1);
  // @ts-expect-error no such option
  await mill.enqueue('double', 21, { prioritty: 1 });
  // @ts-expect-error no duration
  await mill.enqueue('double', 21, { delay: '10 fortnights' });
  // @ts-expect-error the result is a number
  const wrong: string = await (await mill.enqueue('double', 21)).result();
  // @ts-expect-error the result has no such property
  void (await mill.handle('mail', 'an id').result()).bytes;
  // @ts-expect-error no such event
  mill.on('finished', () => {});
  mill.on('completed', ({ id, durationMs }) => void [id satisfies string, durationMs satisfies number]);
  void wrong;
}

export async function opens(): Promise<void> {
  // @ts-expect-error `mail` goes to a queue that is not declared
  await Millrace.open({ directory: '', jobs, queues: { default: {} } });
  // @ts-expect-error without `queues` there is `default` alone
  await Millrace.open({ directory: '', jobs });
  // @ts-expect-error the directory is missing
  await Millrace.open({ jobs: defineJobs({ double: jobs.double }) });
  const mill = await Millrace.open({ directory: '', jobs: defineJobs({ double: jobs.double }) });
  await mill.enqueue('double', 1, { queue: 'default' });
  // @ts-expect-error without `queues` there is `default` alone
  await mill.enqueue('double', 1, { queue: 'fast' });
}

// @ts-expect-error a module whose default export is no function
threadJob<{ default: number }>(new URL('file:///x.js'));
// @ts-expect-error no such option of a job type
inlineJob(() => 1, { retries: 3 });
