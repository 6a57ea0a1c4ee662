/** Mistakes that must not compile. Each expectation that holds no error is an error itself. */
import * as v from 'valibot';
import { expectTypeOf } from 'vitest';
import { inlineJob, Millrace, threadJob } from '../../src/index.js';
import type { MillraceEvents } from '../../src/index.js';
import type { open } from './inference.js';

type Engine = Awaited<ReturnType<typeof open>>;

export async function wrongNames(mill: Engine): Promise<void> {
  // @ts-expect-error: no job has this name
  await mill.enqueue('nope', {});
  // @ts-expect-error: no job has this name
  mill.handle('nope', 'id');
  // @ts-expect-error: no event has this name
  mill.on('nope', () => {});
  // @ts-expect-error no job type of that name completes
  mill.on('completed', ({ name }) => name === 'nope');
}

export async function wrongQueues(mill: Engine): Promise<void> {
  // @ts-expect-error: no queue has this name
  await mill.enqueue('sync', { of: 1 }, { queue: 'nope' });
  // @ts-expect-error: no queue has this name
  await mill.counts('nope');
  const jobs = { mail: inlineJob(() => 1, { queue: 'mail' }) };
  // @ts-expect-error: the job's queue is not among the engine's
  await Millrace.open({ directory: 'jobs', jobs, queues: { default: {} } });
  // @ts-expect-error: the only queue of an engine that names none is `default`
  await Millrace.open({ directory: 'jobs', jobs });
  // What the compiler says of it.
  type Opened = Parameters<typeof Millrace.open<typeof jobs, 'default' | 'low'>>[0];
  expectTypeOf<Opened['jobs']['mail']>().toExtend<"queue 'mail' is not one of `queues`">();
  const plain = await Millrace.open({ directory: 'jobs', jobs: { nothing: inlineJob(() => 1) } });
  // @ts-expect-error: the only queue of an engine that names none is `default`
  await plain.enqueue('nothing', undefined, { queue: 'mail' });
}

export async function wrongPayloads(mill: Engine): Promise<void> {
  // @ts-expect-error: a number, not a string
  await mill.enqueue('sync', { of: '1' });
  // @ts-expect-error: no such field
  await mill.enqueue('sync', { of: 1, and: 2 });
  // @ts-expect-error: not one of the module's own scripts
  await mill.enqueue('scripted', { do: 'nope' });
  // @ts-expect-error: the payload is missing
  await mill.enqueue('sync');
  // @ts-expect-error: the payload is missing
  await mill.enqueue('scripted');
  // @ts-expect-error: `undefined` is no payload of this job
  await mill.enqueue('sync', undefined, { delay: 1 });
  // @ts-expect-error: the handler takes no payload
  await mill.enqueue('nothing', { some: 'thing' });
  // @ts-expect-error: the handler takes no payload, in the options' place neither
  await mill.enqueue('nothing', { delay: 1_000 });
  // @ts-expect-error: a number or nothing
  await mill.enqueue('optional', 'seven');
}

export async function wrongOptions(mill: Engine): Promise<void> {
  // @ts-expect-error: no such unit
  await mill.enqueue('nothing', undefined, { delay: '5 parsecs' });
  // @ts-expect-error: no such option
  await mill.enqueue('nothing', undefined, { delayed: 5 });
  // @ts-expect-error: no such durability
  await mill.enqueue('nothing', undefined, { durability: 'memory' });
  // @ts-expect-error: no such backoff
  inlineJob(() => 1, { backoff: { type: 'quadratic' } });
  // @ts-expect-error: no such delay
  inlineJob(() => 1, { backoff: ['1s', 'soon'] });
  // @ts-expect-error: a promise is no answer
  inlineJob(() => 1, { isRetryable: async () => true });
  // @ts-expect-error: no such selection
  await Millrace.open({ directory: 'jobs', jobs: {}, selection: 'random' });
  // @ts-expect-error: nobody can hear of this signal
  await Millrace.open({ directory: 'jobs', jobs: {}, closeOnSignals: { signals: ['SIGKILL'] } });
  // @ts-expect-error: lines are text
  await mill.import([{ id: 'a' }]);
  // @ts-expect-error: the directory is missing
  await mill.backup();
  // @ts-expect-error: the directory is missing
  await Millrace.open({ jobs: {} });
  // @ts-expect-error: not made by threadJob() or inlineJob()
  await Millrace.open({ directory: 'jobs', jobs: { nope: () => 1 } });
}

export async function wrongSchemas(): Promise<void> {
  const schema = v.object({
    at: v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    ),
  });
  const url = new URL('x', import.meta.url);
  const mill = await Millrace.open({
    directory: 'jobs',
    jobs: { at: inlineJob(({ at }) => at, { schema }) },
  });
  // @ts-expect-error: what the schema takes, not what it makes of it
  await mill.enqueue('at', { at: new Date() });
  // @ts-expect-error: the payload is missing
  await mill.enqueue('at');
  // @ts-expect-error: the handler takes what the schema does not give
  inlineJob((_payload: { at: number }) => 1, { schema });
  // @ts-expect-error: the handler takes what the schema does not give
  threadJob<{ default: (payload: { at: number }) => 1 }, typeof schema>(url, { schema });
  // @ts-expect-error: what this schema takes is another type than what it gives, so its type has to be said
  threadJob<{ default: (payload: { at: Date }) => 1 }>(url, { schema });
  // @ts-expect-error: the schema is missing
  threadJob<{ default: (payload: { at: Date }) => 1 }, typeof schema>(url, {});
  // @ts-expect-error: no schema
  inlineJob(() => 1, { schema: { parse: () => 1 } });
  // @ts-expect-error: a number
  inlineJob(() => 1, { maxPayloadBytes: '5mb' });
}

export async function wrongSchedules({ schedules }: Engine): Promise<void> {
  // @ts-expect-error: no job has this name
  await schedules.upsert('a', { job: 'nope', every: '1h' });
  // @ts-expect-error: a number, not a string
  await schedules.upsert('a', { job: 'sync', every: '1h', payload: { of: '1' } });
  // @ts-expect-error: no such field of the payload
  await schedules.upsert('a', { job: 'sync', every: '1h', payload: { of: 1, and: 2 } });
  // @ts-expect-error: a function that makes another payload
  await schedules.upsert('a', { job: 'sync', every: '1h', payload: (at) => ({ of: `${at}` }) });
  // @ts-expect-error: a tick does not wait for its payload
  await schedules.upsert('a', { job: 'sync', every: '1h', payload: async (at) => ({ of: at }) });
  // @ts-expect-error: the payload is missing
  await schedules.upsert('a', { job: 'sync', every: '1h' });
  // @ts-expect-error: the handler takes no payload
  await schedules.upsert('a', { job: 'nothing', every: '1h', payload: { some: 'thing' } });
  // @ts-expect-error: the handler takes no payload, from a function neither
  await schedules.upsert('a', { job: 'nothing', every: '1h', payload: () => 5 });
  // @ts-expect-error: the schedule is missing
  await schedules.upsert('a');
  // @ts-expect-error: no such option
  await schedules.list({ upcomming: 5 });
  // @ts-expect-error: which one?
  await schedules.runNow();
}

export async function wrongTimes({ schedules }: Engine): Promise<void> {
  // @ts-expect-error: a pattern or an interval, not both
  await schedules.upsert('a', { job: 'nothing', every: '1h', pattern: '@daily' });
  // @ts-expect-error: a pattern or an interval
  await schedules.upsert('a', { job: 'nothing' });
  // @ts-expect-error: an interval has no time zone
  await schedules.upsert('a', { job: 'nothing', every: '1h', timezone: 'UTC' });
  // @ts-expect-error: no such unit
  await schedules.upsert('a', { job: 'nothing', every: '1 fortnight' });
  // @ts-expect-error: a misspelt field
  await schedules.upsert('a', { job: 'nothing', every: '1h', maxRun: 3 });
  // @ts-expect-error: no such policy
  await schedules.upsert('a', { job: 'nothing', every: '1h', misfire: 'twice' });
  // @ts-expect-error: no such policy
  await schedules.upsert('a', { job: 'nothing', every: '1h', overlap: 'cancel' });
  // @ts-expect-error: no queue has this name
  await schedules.upsert('a', { job: 'nothing', every: '1h', options: { queue: 'nope' } });
  // @ts-expect-error: when its jobs are due is the schedule's affair
  await schedules.upsert('a', { job: 'nothing', every: '1h', options: { delay: '5m' } });
}

export async function wrongDeclarations(): Promise<void> {
  const jobs = {
    nothing: inlineJob(() => 1),
    sync: inlineJob((payload: { of: number }) => payload.of),
  };
  const own = { directory: 'jobs', jobs, queues: { low: {} } } as const;
  // @ts-expect-error: no job has this name
  await Millrace.open({ ...own, schedules: { a: { job: 'nope', every: '1h' } } });
  // @ts-expect-error: a number, not a string
  await Millrace.open({ ...own, schedules: { a: { job: 'sync', every: '1h', payload: { of: '1' } } } });
  // @ts-expect-error: a function that makes another payload
  await Millrace.open({ ...own, schedules: { a: { job: 'sync', every: '1h', payload: () => 1 } } });
  // @ts-expect-error: the payload is missing
  await Millrace.open({ ...own, schedules: { a: { job: 'sync', every: '1h' } } });
  // @ts-expect-error: the handler takes no payload
  await Millrace.open({ ...own, schedules: { a: { job: 'nothing', every: '1h', payload: 1 } } });
  // @ts-expect-error: a pattern or an interval, not both
  await Millrace.open({ ...own, schedules: { a: { job: 'nothing', every: '1h', pattern: '@daily' } } });
  // @ts-expect-error: a pattern or an interval
  await Millrace.open({ ...own, schedules: { a: { job: 'nothing' } } });
  // @ts-expect-error: a misspelt field
  await Millrace.open({ ...own, schedules: { a: { job: 'nothing', every: 1, maxRun: 3 } } });
  // @ts-expect-error: no queue has this name
  await Millrace.open({ ...own, schedules: { a: { job: 'nothing', every: 1, options: { queue: 'nope' } } } });
  const schedules = { a: { job: 'nothing', every: 1, options: { queue: 'low' } } } as const;
  await Millrace.open({ ...own, schedules });
  // @ts-expect-error: the only queue of an engine that names none is `default`
  await Millrace.open({ directory: 'jobs', jobs, schedules });
}

export async function wrongUseOfResults(mill: Engine): Promise<void> {
  const doubled = await (await mill.enqueue('sync', { of: 1 })).result();
  // @ts-expect-error: a number, not a string
  doubled.toUpperCase();
  const observation = await (await mill.enqueue('traced', { trace: 'file', sticks: 'loop' })).result();
  // @ts-expect-error: no such field
  void observation.nope;
  const anything = await (await mill.enqueue('scripted', { do: 'return' })).result();
  // @ts-expect-error: unknown, until it is looked at
  void anything.field;
  // @ts-expect-error: a promise of a string
  const id: number = await (await mill.enqueue('contextOnly')).result();
  void id;
}

export function wrongModules(): void {
  const url = new URL('./handler.js', import.meta.url);
  // @ts-expect-error: a module without a default export
  threadJob<typeof import('../fixtures/recorder.js')>(url);
  // @ts-expect-error: a string is no URL
  threadJob<typeof import('../fixtures/scripted.js')>('./handler.js');
}

export function wrongListeners(mill: Engine): void {
  // @ts-expect-error: `enqueued` tells of no result
  mill.on('enqueued', ({ result }) => result);
  const readOnly: MillraceEvents['failed'] = {
    id: 'a',
    name: 'b',
    queue: 'c',
    attempt: 1,
    error: { name: 'Error', message: 'no' },
  };
  // @ts-expect-error: what listeners are told is not theirs to change
  readOnly.attempt = 2;
}
