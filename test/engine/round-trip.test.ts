/** From enqueue() to the result and back: values, options, snapshots, counts. */
import { expect, expectTypeOf, test } from 'vitest';
import { defineJobs, inlineJob, Millrace, type JobContext } from '../../src/index.js';
import { collect } from '../fixtures/collect.js';
import { bench, scriptedInline, scriptedThread } from '../fixtures/engine.js';

const value = {
  text: 'é\u0000',
  when: new Date(1_700_000_000_000),
  bytes: new Uint8Array([1, 2, 255]),
  big: 2n ** 80n,
  map: new Map([['a', new Set([1, -0])]]),
  nested: [{ none: null, missing: undefined }],
};

const tell = (_nothing: undefined, { id, name, queue, attempt, maxAttempts }: JobContext) => {
  return { id, name, queue, attempt, maxAttempts };
};

test.each([
  ['a thread job', scriptedThread()],
  ['an inline job', scriptedInline()],
])('%s is journaled, runs, and gives its result', async (_kind, work) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const job = await mill.enqueue('work', { do: 'return', value });
  expect(await job.result()).toEqual(value);
  const snapshot = await job.snapshot();
  expect(snapshot).toMatchObject({ state: 'completed', attempt: 1, stopping: false, result: value });
  expect(snapshot.payload).toEqual({ do: 'return', value });
});

test('the result has the type of what the handler returns', async () => {
  const { options, closing } = await bench();
  const jobs = defineJobs({
    double: inlineJob(async ({ of }: { of: number }) => ({ doubled: of * 2 })),
    tick: inlineJob(() => 'tock' as const),
  });
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const { doubled } = await (await mill.enqueue('double', { of: 4 })).result();
  expectTypeOf(doubled).toEqualTypeOf<number>();
  expect(doubled).toBe(8);
  const tock = await (await mill.enqueue('tick')).result();
  expectTypeOf(tock).toEqualTypeOf<'tock'>();
  expect(tock).toBe('tock');
});

test('each caller gets a value of its own', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const job = await mill.enqueue('work', { do: 'return', value: { list: [1] } });
  const [first, second] = await Promise.all([job.result(), job.result()]);
  expect(first).toEqual({ list: [1] });
  expect(first).not.toBe(second);
});

test('the payload is what it was when enqueue() was called', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const payload = { do: 'return' as const, value: 'before' };
  const enqueued = mill.enqueue('work', payload);
  payload.value = 'after';
  expect(await (await enqueued).result()).toBe('before');
});

test('a handler is told which job it runs', async () => {
  const { options, closing } = await bench();
  const jobs = { tell: inlineJob(tell, { queue: 'own', maxAttempts: 7 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, queues: { own: {}, other: {} } }));
  const own = await mill.enqueue('tell');
  expect(await own.result()).toEqual({ id: own.id, name: 'tell', queue: 'own', attempt: 1, maxAttempts: 7 });
  const other = await mill.enqueue('tell', undefined, { queue: 'other', maxAttempts: 2, id: 'mine' });
  expect(other.id).toBe('mine');
  expect(await other.result()).toMatchObject({ id: 'mine', queue: 'other', maxAttempts: 2 });
});

test('what enqueue() gives beats what the job type says', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedInline({ priority: 1, maxAttempts: 5 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const [plain, special] = await Promise.all([
    mill.enqueue('work', { do: 'throw' }, { delay: '1h' }),
    mill.enqueue('work', { do: 'throw' }, { priority: -32_768, maxAttempts: 1 }),
  ]);
  expect(await plain.snapshot()).toMatchObject({ queue: 'default', priority: 1 });
  await expect(special.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED', attempt: 1 });
  expect(await special.snapshot()).toMatchObject({ priority: -32_768, attempt: 1 });
});

test('ids are given in the order of enqueue', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const handles = await Promise.all(
    Array.from({ length: 20 }, () => mill.enqueue('work', { do: 'return' }, { delay: '1h' })),
  );
  const ids = handles.map(({ id }) => id);
  expect(ids).toEqual([...new Set(ids)].sort());
});

test('a job that never was is not found', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  expect(await mill.job('nobody')).toBeUndefined();
  const handle = mill.handle('work', 'nobody');
  for (const ask of [() => handle.snapshot(), () => handle.result(), () => handle.cancel()]) {
    await expect(ask()).rejects.toMatchObject({ code: 'MILLRACE_JOB_NOT_FOUND' });
  }
  await expect(handle.progress()[Symbol.asyncIterator]().next()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_NOT_FOUND',
  });
});

test('counts are exact, by queue and altogether', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedInline({ maxAttempts: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, queues: { default: {}, other: {} } }));
  const handles = [
    await mill.enqueue('work', { do: 'return' }),
    await mill.enqueue('work', { do: 'throw' }),
    await mill.enqueue('work', { do: 'return' }, { queue: 'other' }),
    await mill.enqueue('work', { do: 'return' }, { queue: 'other', delay: '1h' }),
    await mill.enqueue('work', { do: 'return' }, { queue: 'other', delay: '1h' }),
  ] as const;
  await handles[4].cancel();
  await Promise.allSettled(handles.slice(0, 3).map((handle) => handle.result()));
  expect(await mill.counts('default')).toMatchObject({ completed: 1, failed: 1, scheduled: 0 });
  expect(await mill.counts('other')).toMatchObject({ completed: 1, scheduled: 1, cancelled: 1 });
  const ended = { completed: 2, failed: 1, cancelled: 1 };
  const open = { waiting: 0, scheduled: 1, available: 0, running: 0, retryable: 0 };
  expect(await mill.counts()).toEqual({ ...open, ...ended });
});

test('two engines in one process do not know of each other', async () => {
  const [here, there] = [await bench(), await bench()];
  const jobs = { work: scriptedThread() };
  const [first, second] = await Promise.all([
    Millrace.open({ ...here.options, jobs }).then(here.closing),
    Millrace.open({ ...there.options, jobs }).then(there.closing),
  ]);
  const [one, other] = await Promise.all([
    first.enqueue('work', { do: 'return', value: 'here' }, { id: 'same' }),
    second.enqueue('work', { do: 'return', value: 'there' }, { id: 'same' }),
  ]);
  expect(await Promise.all([one.result(), other.result()])).toEqual(['here', 'there']);
  await first.close();
  expect((await second.counts()).completed).toBe(1);
});

test('progress and log lines of a thread reach the handle, the listeners and the logger', async () => {
  const { options, closing, logger } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedThread() } }));
  const job = await mill.enqueue('work', { do: 'report' }, { delay: 1 });
  const values: unknown[] = [];
  for await (const progress of job.progress()) values.push(progress);
  expect(values).toEqual([{ percent: 10 }, { percent: 90 }]);
  expect(logger.lines.all.find(({ message }) => message === 'halfway')).toEqual({
    level: 'info',
    message: 'halfway',
    fields: { of: 'the way', jobId: job.id, job: 'work', attempt: 1 },
  });
});

test('`await using` closes the engine', async () => {
  const { options } = await bench();
  let escaped: Millrace<{ work: ReturnType<typeof scriptedInline> }, 'default'>;
  {
    await using mill = await Millrace.open({ ...options, jobs: { work: scriptedInline() } });
    escaped = mill;
    await (await mill.enqueue('work', { do: 'return' })).result();
  }
  await expect(escaped.counts()).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
});

test('a reader of progress can leave while it waits for a value, by itself or at a signal', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const job = await mill.enqueue('work', { do: 'report' }, { delay: '1h' });
  const reader = job.progress()[Symbol.asyncIterator]();
  const next = reader.next();
  expect(await reader.return?.()).toEqual({ done: true, value: undefined });
  expect(await next).toEqual({ done: true, value: undefined });
  expect(await reader.next()).toEqual({ done: true, value: undefined });
  const abort = new AbortController();
  const values = collect(job.progress({ signal: abort.signal }));
  const waits = expect(values).rejects.toThrow('enough');
  await job.snapshot();
  abort.abort(new Error('enough'));
  await waits;
  await expect(collect(job.progress({ signal: abort.signal }))).rejects.toThrow('enough');
  const all = collect(job.progress());
  await job.snapshot();
  await mill.promote(job.id);
  expect(await all).toEqual([{ percent: 10 }, { percent: 90 }]);
});

test('all readers of progress hear that the engine is closed, and no stream begins then', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const job = await mill.enqueue('work', { do: 'report' }, { delay: '1h' });
  const readers = [1, 2, 3].map(() => collect(job.progress()));
  await job.snapshot();
  await mill.close();
  expect(await Promise.all(readers)).toEqual([[], [], []]);
  const never = (async function* () {
    await new Promise(() => {});
    yield { name: 'work' as const, payload: { do: 'return' as const } };
  })();
  await expect(mill.enqueueStream(never)).rejects.toMatchObject({ cause: { code: 'MILLRACE_CLOSED' } });
});
