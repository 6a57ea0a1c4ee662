/** retry(), promote() and remove() in every state, on jobs in threads. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Millrace, type JobState } from '../../src/index.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';

const NOT_FOUND = { code: 'MILLRACE_JOB_NOT_FOUND' };

type Reached = Exclude<JobState, 'waiting'>;

/** An engine with one thread, and a job of each state in turn. */
async function inState(state: Reached) {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const jobs = {
    // The second attempt of what errors would be far off.
    work: scriptedThread({ maxAttempts: 2, grace: 1, backoff: { type: 'exponential', delay: '1h' } }),
  };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const events = record(mill, 'enqueued', 'started', 'retrying', 'completed', 'failed', 'cancelled');
  const occupy = async (): Promise<void> => {
    await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'busy' });
    await gate.arrived('busy');
  };
  const id = 'it';
  switch (state) {
    case 'scheduled':
      await mill.enqueue('work', { do: 'return', value: 'done' }, { id, delay: '1h' });
      break;
    case 'available':
      await occupy();
      await mill.enqueue('work', { do: 'return', value: 'done' }, { id });
      break;
    case 'running':
      await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'busy', value: 'done' }, { id });
      await gate.arrived('busy');
      break;
    case 'retryable':
      await mill.enqueue(
        'work',
        { do: 'inTurn', scripts: [{ do: 'throw' }, { do: 'return', value: 'done' }] },
        { id },
      );
      await events.until(([event]) => event === 'retrying');
      break;
    case 'completed':
      await (await mill.enqueue('work', { do: 'return', value: 'done' }, { id })).result();
      break;
    case 'failed': {
      const scripts = [{ do: 'throwUnrecoverable' }, { do: 'return', value: 'done' }] as const;
      await (await mill.enqueue('work', { do: 'inTurn', scripts }, { id })).result().catch(() => {});
      break;
    }
    case 'cancelled':
      await (await mill.enqueue('work', { do: 'return', value: 'done' }, { id, delay: '1h' })).cancel();
      break;
    default:
      state satisfies never;
  }
  expect(await mill.job(id)).toMatchObject({ state });
  return { mill, gate, events, handle: mill.handle('work', id), id };
}

const STATES: readonly Reached[] = [
  'scheduled',
  'available',
  'running',
  'retryable',
  'completed',
  'failed',
  'cancelled',
];

test.each(STATES)('retry() of a job that is %s', async (state) => {
  const { mill, gate, handle, id, events } = await inState(state);
  const isRetried = state === 'failed' || state === 'cancelled';
  expect(await mill.retry(id)).toBe(isRetried ? 'available' : state);
  if (state === 'scheduled' || state === 'retryable') {
    expect(await mill.job(id)).toMatchObject({ state });
    return;
  }
  gate.open('busy');
  expect(await handle.result()).toBe('done');
  await mill.drain();
  expect(await mill.job(id)).toMatchObject({ state: 'completed', ...(isRetried && { retries: 1 }) });
  expect(
    events.all.filter(([event, value]) => event === 'enqueued' && 'id' in value && value.id === id),
  ).toHaveLength(1);
  expect(await mill.counts()).toMatchObject({ failed: 0, cancelled: 0, available: 0, running: 0 });
});

test.each(STATES)('promote() of a job that is %s', async (state) => {
  const { mill, handle, id } = await inState(state);
  const isPromoted = state === 'scheduled' || state === 'retryable';
  expect(await mill.promote(id)).toBe(isPromoted ? 'available' : state);
  if (isPromoted) expect(await handle.result()).toBe('done');
  else expect(await mill.job(id)).toMatchObject({ state });
});

test.each(STATES)('remove() of a job that is %s', async (state) => {
  const { mill, gate, handle, id } = await inState(state);
  const before = await mill.counts();
  if (state === 'running') {
    await expect(mill.remove(id)).rejects.toMatchObject({ code: 'MILLRACE_JOB_RUNNING' });
    gate.open('busy');
    expect(await handle.result()).toBe('done');
    return;
  }
  // Of a job that has ended there is a result at once.
  const result = ['completed', 'failed', 'cancelled'].includes(state) ? undefined : handle.result();
  const told = result && expect(result).rejects.toMatchObject(NOT_FOUND);
  expect(await mill.remove(id)).toBe(true);
  await told;
  expect(await mill.remove(id)).toBe(false);
  expect(await mill.job(id)).toBeUndefined();
  await expect(handle.result()).rejects.toMatchObject(NOT_FOUND);
  await expect(mill.retry(id)).rejects.toMatchObject(NOT_FOUND);
  await expect(mill.promote(id)).rejects.toMatchObject(NOT_FOUND);
  expect(await mill.counts()).toEqual({ ...before, [state]: before[state] - 1 });
  // The id is free, and what is left of the old job is none of the new one.
  gate.open('busy');
  const again = await mill.enqueue('work', { do: 'return', value: 'another' }, { id });
  expect(await again.result()).toBe('another');
  expect(await again.snapshot()).toMatchObject({ attempt: 1, errors: [] });
});

test('a handle of the job that was removed hears of that, although it had certainly not ended before', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const job = await mill.enqueue('work', { do: 'return' }, { delay: '1h' });
  expect(await mill.remove(job.id)).toBe(true);
  await expect(job.result()).rejects.toMatchObject(NOT_FOUND);
});

test('a retried job has a fresh budget, its history, and goes on counting; its handle awaits it again', async () => {
  const { options, closing } = await bench();
  const work = scriptedThread({ maxAttempts: 2, backoff: { type: 'exponential', delay: 0 } });
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, threads: { count: 1 } }));
  const events = record(mill, 'started', 'failed');
  const scripts = [
    ...Array.from({ length: 5 }, () => ({ do: 'throw' }) as const),
    { do: 'tellContext' } as const,
  ];
  const job = await mill.enqueue('work', { do: 'inTurn', scripts });
  await expect(job.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
  expect(await mill.retry(job.id)).toBe('available');
  // What was known of it before is not taken for what it comes to.
  await expect(job.result()).rejects.toThrow('at attempt 4');
  expect(await job.snapshot()).toMatchObject({ state: 'failed', attempt: 4, retries: 1 });
  await mill.retry(job.id);
  expect(await job.result()).toMatchObject({ attempt: 6, maxAttempts: 6 });
  const { errors } = await job.snapshot();
  expect(errors.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4, 5]);
  expect(events.all.map(([event, value]) => [event, 'attempt' in value && value.attempt])).toEqual([
    ...[1, 2].map((attempt) => ['started', attempt]),
    ['failed', 2],
    ...[3, 4].map((attempt) => ['started', attempt]),
    ['failed', 4],
    ...[5, 6].map((attempt) => ['started', attempt]),
  ]);
});

test('an attempt that errored tells in which thread it ran, or none where it ran inline', async () => {
  const { options, closing } = await bench();
  const backoff = { type: 'exponential', delay: 0 } as const;
  const jobs = { threaded: scriptedThread({ backoff }), inline: scriptedInline({ backoff }) };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const scripts = [{ do: 'throw' }, { do: 'exit', code: 3 }, { do: 'throw' }] as const;
  const threaded = await mill.enqueue('threaded', { do: 'inTurn', scripts });
  await threaded.result().catch(() => {});
  const [first, second, third] = (await threaded.snapshot()).errors.map(({ thread }) => thread);
  expect(first).toBeGreaterThan(0);
  // The one that the handler has ended, and the one that has taken its place.
  expect(second).toBe(first);
  expect(third).toBeGreaterThan(Number(first));
  const inline = await mill.enqueue('inline', { do: 'throwUnrecoverable' });
  await inline.result().catch(() => {});
  expect((await inline.snapshot()).errors).toMatchObject([{ attempt: 1 }]);
  expect((await inline.snapshot()).errors[0]).not.toHaveProperty('thread');
});

test('cancels, retries and removals of the same jobs at the same time leave each in a state that is one of them', async () => {
  const { options, closing } = await bench();
  const work = scriptedInline({ concurrency: 2 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, durability: 'os' }));
  const jobs = await mill.enqueueMany(
    Array.from(
      { length: 60 },
      (_, i) => ({ name: 'work', payload: { do: 'return' }, options: { id: `job-${i}` } }) as const,
    ),
  );
  const ignore = (error: { code?: string }): void =>
    expect(['MILLRACE_JOB_NOT_FOUND', 'MILLRACE_JOB_RUNNING']).toContain(error.code);
  await Promise.all(
    jobs.flatMap(({ id }, i) => [
      mill.cancel(id).catch(ignore),
      mill.retry(id).catch(ignore),
      mill.cancel({ state: ['available', 'running'] }),
      mill.retry({ state: 'cancelled' }),
      i % 3 === 0 ? mill.remove(id).catch(ignore) : mill.promote(id).catch(ignore),
    ]),
  );
  await mill.drain();
  let kept = 0;
  for (const { id } of jobs) {
    const job = await mill.job(id);
    if (!job) continue;
    kept++;
    expect(['completed', 'cancelled']).toContain(job.state);
  }
  const counts = await mill.counts();
  expect(counts.completed + counts.cancelled).toBe(kept);
  await mill.close();
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
}, 60_000);

test('a job of a schedule that was removed does not hold the schedule up', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const work = scriptedInline({ concurrency: 1 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const busy = await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'busy' });
  await gate.arrived('busy');
  await mill.schedules.upsert('often', {
    every: '1h',
    job: 'work',
    payload: { do: 'return' },
    overlap: 'skip',
  });
  const run = await mill.schedules.runNow('often');
  const outcome = async () => (await mill.schedules.list())[0]?.lastRun?.outcome;
  expect(await outcome()).toBeUndefined();
  expect(await mill.remove(run.id)).toBe(true);
  while ((await outcome()) === undefined) await turn();
  expect(await outcome()).toBe('unknown');
  gate.open('busy');
  await busy.result();
});

test('to its schedule, a job that is retried has ended', async () => {
  const { options, closing } = await bench();
  const work = scriptedInline({ maxAttempts: 1 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const scripts = [{ do: 'throw' }, { do: 'return', value: 'done' }] as const;
  await mill.schedules.upsert('often', {
    every: '1h',
    job: 'work',
    payload: { do: 'inTurn', scripts },
    overlap: 'skip',
  });
  const run = await mill.schedules.runNow('often');
  await expect(run.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
  await mill.retry(run.id);
  expect(await run.result()).toBe('done');
  const lastRun = async () => (await mill.schedules.list())[0]?.lastRun;
  while ((await lastRun())?.outcome === undefined) await turn();
  expect(await lastRun()).toMatchObject({ jobId: run.id, outcome: 'failed' });
});

test('an id that no job has is undefined to job(), false to remove(), and not found by all others', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  expect(await mill.job('none')).toBeUndefined();
  expect(await mill.remove('none')).toBe(false);
  const handle = mill.handle('work', 'none');
  const asked = [
    ...(['cancel', 'retry', 'promote', 'logs', 'explain'] as const).map((ask) => mill[ask]('none')),
    ...(['result', 'cancel', 'snapshot', 'explain'] as const).map((ask) => handle[ask]()),
    handle.progress()[Symbol.asyncIterator]().next(),
  ];
  for (const answer of await Promise.allSettled(asked))
    expect(answer).toMatchObject({ status: 'rejected', reason: NOT_FOUND });
});

test.each([
  undefined,
  null,
  7,
  ['none'],
  Promise.resolve('an id'),
  new Set(['an id']),
  new Map([['state', 'failed']]),
  new Date(0),
  /failed/,
  new URLSearchParams('state=failed'),
])('%o is no id, and no filter', async (given) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  await mill.enqueue('work', { do: 'return' }, { delay: '1h' });
  const id = given as never;
  for (const ask of ['job', 'remove', 'cancel', 'retry', 'promote', 'logs', 'explain'] as const)
    await expect(mill[ask](id)).rejects.toMatchObject({ code: 'MILLRACE_OPTION_INVALID' });
  expect(() => mill.handle('work', id)).toThrow(expect.objectContaining({ code: 'MILLRACE_OPTION_INVALID' }));
  expect(await mill.counts()).toMatchObject({ scheduled: 1 });
});
