/** `job.enqueue()` is as strict as what an app registers; nothing here runs, the compiler is the test. */
import { expectTypeOf } from 'vitest';
import type { EnqueueFollowUp, FollowUp, JobContext } from '../../src/index.js';
import type { jobs } from './inference.js';

interface Payloads {
  sendEmail: { to: string };
  cleanUp: undefined;
}

/** Payloads by job name. */
export async function registered(enqueue: EnqueueFollowUp<{ jobs: Payloads }>): Promise<void> {
  expectTypeOf(await enqueue('sendEmail', { to: 'you' })).toEqualTypeOf<FollowUp>();
  await enqueue('sendEmail', { to: 'you' }, { delay: '5m', id: 'one', priority: 3, queue: 'mail' });
  await enqueue('cleanUp');
  await enqueue('cleanUp', undefined, { runAt: new Date() });
  // @ts-expect-error: no job has this name
  await enqueue('nope');
  // @ts-expect-error: the payload is missing
  await enqueue('sendEmail');
  // @ts-expect-error: not its payload
  await enqueue('sendEmail', { to: 1 });
  // @ts-expect-error: it takes none
  await enqueue('cleanUp', 1);
  // @ts-expect-error: there is nothing to wait for
  await enqueue('cleanUp', undefined, { signal: AbortSignal.abort() });
  // @ts-expect-error: no such option
  await enqueue('cleanUp', undefined, { delai: 1 });
}

/** The catalogue itself. */
export async function catalogued(enqueue: EnqueueFollowUp<{ jobs: typeof jobs }>): Promise<void> {
  await enqueue('async', { to: 'you' }, { queue: 'mail' });
  await enqueue('nothing');
  await enqueue('scripted', { do: 'exit', code: 3 });
  // @ts-expect-error: not its payload
  await enqueue('sync', { of: '1' });
  // @ts-expect-error: no job has this name
  await enqueue('nope');
}

/** Where nothing is registered, as in this project, any name and payload will do. */
export async function unregistered(job: JobContext): Promise<void> {
  expectTypeOf(await job.enqueue('any')).toEqualTypeOf<FollowUp>();
  await job.enqueue('any', { payload: [1] }, { timeout: '1m' });
  expectTypeOf(job.resumeFrom).toEqualTypeOf<unknown>();
  expectTypeOf(await job.checkpoint(new Map())).toEqualTypeOf<void>();
  // @ts-expect-error: no such option
  await job.enqueue('any', undefined, { delai: 1 });
}
