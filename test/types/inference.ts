/** Payload and result types flow from the handlers; nothing here runs, the compiler is the test. */
import { createReadStream } from 'node:fs';
import * as v from 'valibot';
import { expectTypeOf } from 'vitest';
import { defineJobs, inlineJob, JobFailedError, Millrace, threadJob } from '../../src/index.js';
import type {
  BackupReport,
  Explanation,
  JobEngine,
  JobFilter,
  JobHandle,
  JobPayload,
  JobResult,
  JobSnapshot,
  MillraceErrorCode,
  OpenParent,
  Reason,
  Schedule,
  ScheduleSnapshot,
  StoredError,
} from '../../src/index.js';

/** A schema whose input is another type than its output. */
const photo = v.object({
  file: v.string(),
  width: v.optional(v.number(), 800),
  taken: v.pipe(
    v.string(),
    v.transform((text) => new Date(text)),
  ),
});
interface PhotoModule {
  default: (photo: { file: string; width: number; taken: Date }) => Uint8Array;
}
const url = new URL('x', import.meta.url);

export const withSchemas = defineJobs({
  inline: inlineJob(
    (photo, job) => {
      expectTypeOf(photo).toEqualTypeOf<{ file: string; width: number; taken: Date }>();
      return job.id;
    },
    { schema: photo, queue: 'mail' },
  ),
  annotated: inlineJob(async (_photo: { file: string; taken: Date }) => 1, { schema: photo, timeout: '5s' }),
  takesNothing: inlineJob(() => 1, { schema: photo }),
  same: threadJob<{ default: (mail: Mail) => string }>(url, {
    schema: v.object({ to: v.string(), subject: v.exactOptional(v.string()) }),
  }),
  thread: threadJob<PhotoModule, typeof photo>(url, {
    schema: photo,
    version: 2,
    upgrade: (old: { file: string }) => ({ ...old, taken: '2026-01-01' }),
    maxPayloadBytes: 5_000_000,
  }),
});

export async function schemas(): Promise<void> {
  const own = { directory: 'jobs', jobs: withSchemas, queues: { mail: {}, default: {} } } as const;
  const mill = await Millrace.open({
    ...own,
    schedules: { nightly: { job: 'thread', every: '1d', payload: { file: 'a', taken: '2026-01-01' } } },
  });
  const job = await mill.enqueue('inline', { file: 'a', taken: '2026-01-01' });
  expectTypeOf(await job.result()).toEqualTypeOf<string>();
  const thread = await mill.enqueue('thread', { file: 'a', taken: '2026-01-01', width: 5 });
  expectTypeOf(await thread.result()).toEqualTypeOf<Uint8Array>();
  await mill.enqueue('same', { to: 'you' });
  await mill.enqueueMany([{ name: 'annotated', payload: { file: 'a', taken: '2026-01-01' } }]);
}
expectTypeOf<JobPayload<typeof withSchemas.inline>>().toEqualTypeOf<v.InferInput<typeof photo>>();
expectTypeOf<JobPayload<typeof withSchemas.thread>>().toEqualTypeOf<v.InferInput<typeof photo>>();
expectTypeOf<JobResult<typeof withSchemas.annotated>>().toEqualTypeOf<number>();

interface Mail {
  to: string;
  subject?: string;
}

export const jobs = defineJobs({
  scripted: threadJob<typeof import('../fixtures/scripted.js')>(
    new URL('../fixtures/scripted.js', import.meta.url),
  ),
  traced: threadJob<typeof import('../fixtures/traced.js')>(
    new URL('../fixtures/traced.js', import.meta.url),
  ),
  sync: inlineJob((payload: { of: number }) => payload.of * 2),
  async: inlineJob(async (mail: Mail, job) => ({ sent: mail.to, attempt: job.attempt }), { queue: 'mail' }),
  nothing: inlineJob(() => 'tock' as const),
  asyncVoid: inlineJob(async (_text: string) => {}),
  optional: inlineJob((limit?: number) => [limit]),
  maybe: inlineJob((limit: number | undefined) => limit ?? 0),
  unknown: inlineJob((payload: unknown) => payload),
  putOff: inlineJob((payload: { of: number }, job) => (payload.of > 1 ? job.snooze('1m') : payload.of), {
    backoff: (attempt, { code, message }) => (code === 429 ? '1m' : attempt * message.length),
    isRetryable: ({ name, code }) => name !== 'TypeError' && code !== 'CARD_DECLINED',
    onFailed: async ({ id, snoozes }, { code, message }) => [id, snoozes, code, message],
  }),
  takesErrors: inlineJob(() => 1, { isRetryable: (error: Error) => error.message !== 'no' }),
  contextOnly: inlineJob((_nothing: undefined, job) => job.id),
});

/** Of what a job failed with the code is known, and the class is not. */
export function codeOf(error: unknown): string | number | undefined {
  if (!(error instanceof JobFailedError)) return undefined;
  expectTypeOf(error.cause).toEqualTypeOf<StoredError>();
  expectTypeOf(error.code).toEqualTypeOf<MillraceErrorCode>();
  return error.cause.code;
}

export async function reasonsOf({ reasons }: Explanation): Promise<void> {
  for (const one of reasons) {
    if (one.reason === 'rateLimited') expectTypeOf(one.untilAt).toEqualTypeOf<number>();
    if (one.reason === 'waitingForParents') expectTypeOf(one.parents).toEqualTypeOf<readonly OpenParent[]>();
    // Any kind of reason may be told in data.
    expectTypeOf(one).toExtend<Reason>();
  }
}

export const open = () =>
  Millrace.open({ directory: 'jobs', jobs, queues: { default: { weight: 2 }, mail: { concurrency: 3 } } });

export async function payloadsAndResults(mill: Awaited<ReturnType<typeof open>>): Promise<void> {
  const scripted = await mill.enqueue('scripted', { do: 'exit', code: 3 });
  expectTypeOf(scripted).toEqualTypeOf<JobHandle<'scripted'>>();
  const traced = await mill.enqueue(
    'traced',
    { trace: 'file', sticks: 'loop' },
    { queue: 'mail', delay: '5m' },
  );
  expectTypeOf(await traced.result()).toEqualTypeOf<{ threads: string[]; stillThere: string[] }>();
  expectTypeOf(await (await mill.enqueue('sync', { of: 1 })).result()).toEqualTypeOf<number>();
  const mail = await mill.enqueue(
    'async',
    { to: 'you' },
    { priority: 5, timeout: '1.5h', runAt: new Date() },
  );
  expectTypeOf(await mail.result()).toEqualTypeOf<{ sent: string; attempt: number }>();
  expectTypeOf(await (await mill.enqueue('nothing')).result()).toEqualTypeOf<'tock'>();
  expectTypeOf(await (await mill.enqueue('asyncVoid', 'text')).result()).toEqualTypeOf<void>();
  expectTypeOf(await (await mill.enqueue('optional')).result()).toEqualTypeOf<(number | undefined)[]>();
  expectTypeOf(await (await mill.enqueue('putOff', { of: 1 })).result()).toEqualTypeOf<number>();
  await mill.enqueue('optional', 7);
  await mill.enqueue('optional', undefined, { queue: 'mail' });
  expectTypeOf(await (await mill.enqueue('maybe')).result()).toEqualTypeOf<number>();
  await mill.enqueue('unknown', { any: 'thing' });
  await mill.enqueue('nothing', undefined, { delay: 1_000 });
  expectTypeOf(await (await mill.enqueue('contextOnly')).result()).toEqualTypeOf<string>();
  expectTypeOf(await mill.handle('sync', 'id').result()).toEqualTypeOf<number>();
  expectTypeOf(await mill.counts('mail')).toHaveProperty('completed');
}

export async function queuesOfOwn(): Promise<void> {
  // Without `queues` there is one, named default.
  const plain = await Millrace.open({ directory: 'jobs', jobs: { nothing: inlineJob(() => 1) } });
  await plain.enqueue('nothing', undefined, { queue: 'default' });
  // A queue that a thread job names is checked when the engine opens.
  const threaded = threadJob<typeof import('../fixtures/scripted.js')>(new URL('x', import.meta.url), {
    queue: 'low',
  });
  await Millrace.open({ directory: 'jobs', jobs: { threaded }, queues: { low: {} } });
}

export async function copies(mill: Awaited<ReturnType<typeof open>>, engine: JobEngine): Promise<void> {
  const report = await mill.backup('directory', { signal: new AbortController().signal });
  expectTypeOf(report).toEqualTypeOf<BackupReport>();
  for await (const line of engine.export()) expectTypeOf(line).toEqualTypeOf<string>();
  expectTypeOf(await engine.import(mill.export())).toEqualTypeOf<{
    readonly imported: number;
    readonly skipped: number;
  }>();
  await mill.import(createReadStream('file', 'utf8'));
  await mill.import(['{}', '{}']);
  await Millrace.open({
    directory: 'jobs',
    jobs: {},
    closeOnSignals: { signals: ['SIGHUP'], timeout: '5s' },
  });
}

export async function declaredSchedules(): Promise<void> {
  await Millrace.open({
    directory: 'jobs',
    jobs,
    queues: { default: {}, mail: {} },
    schedules: {
      static: { job: 'sync', payload: { of: 1 }, pattern: '30 2 * * *', timezone: 'Europe/Berlin' },
      made: { job: 'sync', payload: (scheduledFor) => ({ of: scheduledFor }), every: '15m' },
      threaded: { job: 'scripted', payload: { do: 'exit', code: 3 }, every: 60_000 },
      nothing: { job: 'nothing', pattern: '@daily', options: { queue: 'mail', priority: 5 } },
      optional: { job: 'optional', pattern: '@daily', startAt: new Date(), endAt: 9e12, maxRuns: 3 },
      unknown: { job: 'unknown', payload: [1, 'two'], every: '1h', misfire: 'all', overlap: 'queue' },
    },
    pruneSchedules: true,
  });
  // Without `queues` there is one, named default.
  await Millrace.open({
    directory: 'jobs',
    jobs: { nothing: inlineJob(() => 1) },
    schedules: { hourly: { job: 'nothing', pattern: '@hourly', options: { queue: 'default' } } },
  });
}

export async function schedules({ schedules }: Awaited<ReturnType<typeof open>>): Promise<void> {
  await schedules.upsert('a', { job: 'sync', payload: { of: 1 }, pattern: '@daily', jitter: '30s' });
  await schedules.upsert('a', { job: 'sync', payload: (at) => ({ of: at }), every: '1h', maxAge: '1d' });
  await schedules.upsert('a', { job: 'scripted', payload: (_at) => ({ do: 'exit', code: 3 }), every: 1 });
  await schedules.upsert('a', { job: 'nothing', every: '1h', options: { queue: 'mail', timeout: '5s' } });
  await schedules.upsert('a', { job: 'optional', payload: 5, every: '1h' });
  await schedules.upsert('a', { job: 'optional', payload: () => undefined, every: '1h' });
  await schedules.upsert('a', { job: 'maybe', every: '1h' });
  await schedules.upsert('a', { job: 'unknown', payload: { any: 'thing' }, every: '1h' });
  await schedules.upsert('a', { job: 'contextOnly', every: '1h' });
  // One of any type, made elsewhere.
  const one: Schedule<typeof jobs, 'mail'> = { job: 'nothing', every: '1h', options: { queue: 'mail' } };
  await Millrace.open({ directory: 'jobs', jobs, queues: { mail: {} }, schedules: { one } });
  expectTypeOf(await schedules.list({ upcoming: 5 })).toEqualTypeOf<ScheduleSnapshot[]>();
  expectTypeOf(await schedules.remove('a')).toEqualTypeOf<boolean>();
  expectTypeOf(await schedules.runNow('a')).toEqualTypeOf<JobHandle>();
}

export function listeners(mill: Awaited<ReturnType<typeof open>>): void {
  expectTypeOf(mill.on('completed', ({ result, durationMs }) => [result, durationMs])).toEqualTypeOf<
    () => void
  >();
  mill.on('failed', ({ error, attempt }) => {
    expectTypeOf(error.message).toEqualTypeOf<string>();
    expectTypeOf(attempt).toEqualTypeOf<number>();
  });
  mill.on('warning', async ({ code }) => expectTypeOf(code).toExtend<string>());
}

expectTypeOf<JobPayload<typeof jobs.async>>().toEqualTypeOf<Mail>();
expectTypeOf<JobPayload<typeof jobs.nothing>>().toEqualTypeOf<undefined>();
expectTypeOf<JobPayload<typeof jobs.optional>>().toEqualTypeOf<number | undefined>();
expectTypeOf<JobResult<typeof jobs.async>>().toEqualTypeOf<{ sent: string; attempt: number }>();
expectTypeOf<JobResult<typeof jobs.asyncVoid>>().toEqualTypeOf<void>();

/** An engine can be passed around by the type of its jobs alone. */
export const passedOn = (mill: Awaited<ReturnType<typeof open>>): Millrace<typeof jobs, 'default' | 'mail'> =>
  mill;

/** And by no type of its jobs at all. */
export const plain = (mill: Awaited<ReturnType<typeof open>>): Millrace => mill;

/** Schedules in a file of their own. */
export const separate: Record<string, Schedule<typeof jobs, 'default' | 'mail'>> = {
  hourly: { every: '1h', job: 'sync', payload: { of: 2 }, options: { queue: 'mail' } },
  daily: { pattern: '@daily', job: 'nothing' },
};
export const withSeparate = () =>
  Millrace.open({ directory: 'jobs', jobs, queues: { default: {}, mail: {} }, schedules: separate });

const alone = defineJobs({ one: inlineJob((payload: { of: number }) => payload.of) });
const ofOneQueue: Record<string, Schedule<typeof alone>> = {
  hourly: { every: '1h', job: 'one', payload: (scheduledFor) => ({ of: scheduledFor }) },
};
export const withOneQueue = () => Millrace.open({ directory: 'jobs', jobs: alone, schedules: ofOneQueue });

export async function namesAndResults(mill: Awaited<ReturnType<typeof open>>): Promise<void> {
  mill.on('completed', (event) => {
    if (event.name === 'sync') expectTypeOf(event.result).toEqualTypeOf<number>();
    if (event.name === 'nothing') expectTypeOf(event.result).toEqualTypeOf<'tock'>();
    expectTypeOf(event.name).toEqualTypeOf<keyof typeof jobs>();
  });
  mill.on('started', ({ name }) => expectTypeOf(name).toEqualTypeOf<keyof typeof jobs>());
  // It may be of a type that the code does not know any more.
  mill.on('failed', ({ name }) => expectTypeOf(name).toEqualTypeOf<string>());
  const sync = await mill.handle('sync', 'id').snapshot();
  expectTypeOf(sync).toEqualTypeOf<JobSnapshot<'sync', number>>();
  expectTypeOf(sync.result).toEqualTypeOf<number | undefined>();
  expectTypeOf(sync.payload).toEqualTypeOf<unknown>();
  for await (const { name, result } of mill.jobs({ name: 'sync', state: 'completed' })) {
    expectTypeOf(name).toEqualTypeOf<'sync'>();
    expectTypeOf(result).toEqualTypeOf<number | undefined>();
  }
  for await (const job of mill.jobs({ name: ['sync', 'nothing'] }))
    if (job.name === 'nothing') expectTypeOf(job.result).toEqualTypeOf<'tock' | undefined>();
  // Jobs of any name may be there, and be looked for.
  const filter: JobFilter = { state: 'failed' };
  for (const jobs of [mill.jobs(), mill.jobs(filter), mill.jobs({ name: 'gone' })])
    for await (const job of jobs) expectTypeOf(job).toExtend<JobSnapshot>();
  expectTypeOf(await mill.job('id')).toEqualTypeOf<JobSnapshot | undefined>();
  // Whoever knows nothing of the types takes any engine.
  expectTypeOf(mill).toExtend<Pick<Millrace, 'on' | 'jobs' | 'job'>>();
}
