/** What a job type asks of its payloads and results: a schema, and so many bytes. */
import * as v from 'valibot';
import { expect, test } from 'vitest';
import {
  defineJobs,
  inlineJob,
  Millrace,
  PayloadInvalidError,
  threadJob,
  type JobFailedError,
} from '../../src/index.js';
import { encode } from '../../src/job/codec.js';
import { deferred } from '../fixtures/deferred.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { lateNumbersFrom, numbersFrom, schemaThat } from '../fixtures/schemas.js';
import { HOUR, pass, scheduleThat, ticking } from '../fixtures/ticking.js';
import { twice } from '../fixtures/values.js';

const invalid = { code: 'MILLRACE_PAYLOAD_INVALID', name: 'PayloadInvalidError' };

/** What a script is, with one thing filled in and one made another type. */
const script = v.object({
  do: v.literal('return'),
  value: v.optional(
    v.pipe(
      v.string(),
      v.transform((text) => new Date(text)),
    ),
    '2026-01-02',
  ),
});

const scripted = new URL('../fixtures/scripted.js', import.meta.url);
type Scripted = typeof import('../fixtures/scripted.js');

const kinds = {
  thread: threadJob<Scripted, typeof script>(scripted, { schema: script }),
  inline: inlineJob(({ value }) => value, { schema: script }),
};

test.each(['thread', 'inline'] as const)(
  'a handler of an %s job gets what the schema makes of the payload; the payload is kept as it was',
  async (kind) => {
    const { options, closing } = await bench();
    const mill = closing(await Millrace.open({ ...options, jobs: kinds }));
    const [filled, given] = [
      await mill.enqueue(kind, { do: 'return' }),
      await mill.enqueue(kind, { do: 'return', value: '2000-01-01' }),
    ];
    expect(await filled.result()).toEqual(new Date('2026-01-02'));
    expect(await given.result()).toEqual(new Date('2000-01-01'));
    expect((await filled.snapshot()).payload).toEqual({ do: 'return' });
    expect(await given.snapshot()).toMatchObject({
      payload: { do: 'return', value: '2000-01-01' },
      attempt: 1,
    });
  },
);

test('what the schema refuses is not enqueued', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: kinds }));
  const refused = mill.enqueue('thread', { do: 'return', value: 5 as never });
  const error = await refused.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(PayloadInvalidError);
  expect(error).toMatchObject({ ...invalid, issues: [{ path: ['value'] }] });
  expect((await mill.counts()).available).toBe(0);
});

test.each([
  ['a schema', numbersFrom(10)],
  ['an async schema', lateNumbersFrom(10)],
])('of an array with one payload that %s refuses, nothing is enqueued', async (_what, schema) => {
  const { options, closing } = await bench();
  const jobs = defineJobs({ work: inlineJob((of) => of, { schema }), free: inlineJob((of: string) => of) });
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const items = [
    { name: 'free', payload: 'a' },
    { name: 'work', payload: 10 },
    { name: 'work', payload: 9 },
    { name: 'work', payload: 11 },
  ] as const;
  await expect(mill.enqueueMany(items)).rejects.toMatchObject({
    ...invalid,
    message: expect.stringMatching(/^items\[2\]: .*not a number from 10/),
    issues: [{ message: 'not a number from 10' }],
  });
  expect((await mill.counts()).completed + (await mill.counts()).available).toBe(0);
  const handles = await mill.enqueueMany([items[0], items[1], items[3]]);
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(['a', 10, 11]);
});

test.each(['thread', 'inline'] as const)('jobs of an async schema run, in an %s too', async (kind) => {
  const { options, closing } = await bench();
  const isScript = schemaThat<{ do: 'return'; value: number }>(async (value) => {
    await new Promise((resolve) => setImmediate(resolve));
    return { value: value as { do: 'return'; value: number } };
  });
  const jobs = {
    thread: threadJob<Scripted, typeof isScript>(scripted, { schema: isScript }),
    inline: inlineJob(({ value }) => value, { schema: isScript }),
  };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const numbers = Array.from({ length: 50 }, (_, value) => value);
  const handles = await Promise.all(
    numbers.map((value) =>
      mill.enqueue(kind, { do: 'return', value }, { id: value === 7 ? 'seven' : `n${value}` }),
    ),
  );
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(numbers);
  expect(await mill.job('seven')).toMatchObject({ state: 'completed', attempt: 1, errors: [] });
});

test('an engine that closes while a schema takes its time takes no job any more', async () => {
  const { options, closing } = await bench();
  const { promise: asked, resolve: ask } = deferred();
  const { promise: answered, resolve: answer } = deferred();
  const schema = schemaThat<number>(async (value) => {
    ask();
    await answered;
    return { value: value as number };
  });
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: inlineJob((of) => of, { schema }) } }),
  );
  const enqueued = mill.enqueue('work', 1);
  const many = mill.enqueueMany([{ name: 'work', payload: 1 }]);
  await asked;
  const closed = mill.close();
  answer();
  await expect(enqueued).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
  await expect(many).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
  await closed;
});

/** An engine with a job that is claimed, and whose schema has been asked once more and does not answer. */
async function preparing(kind: 'thread' | 'inline') {
  const own = await bench();
  const clock = new FakeClock();
  const { promise: asked, resolve: ask } = deferred();
  const { promise: answered, resolve: answer } = deferred();
  // Once by enqueue(), once to find that its answers come late, and then before the handler.
  let times = 0;
  const schema = schemaThat<{ do: 'return'; value: number }>(async (value) => {
    if (++times === 3) {
      ask();
      await answered;
    }
    return { value: value as { do: 'return'; value: number } };
  });
  const jobs = {
    thread: threadJob<Scripted, typeof schema>(scripted, { schema }),
    inline: inlineJob(({ value }) => value, { schema }),
  };
  const mill = own.closing(await Millrace.open({ ...own.options, jobs, clock }));
  const started = record(mill, 'started');
  const job = await mill.enqueue(kind, { do: 'return', value: 5 });
  await asked;
  return { ...own, mill, job, answer, started, clock, jobs };
}

test.each(['thread', 'inline'] as const)(
  'a job of a late schema can be cancelled meanwhile: %s',
  async (kind) => {
    const { mill, job, answer, started } = await preparing(kind);
    expect(await job.cancel()).toBe('cancelled');
    answer();
    await mill.drain();
    expect(await job.snapshot()).toMatchObject({ state: 'cancelled', errors: [] });
    // Its place is free again.
    expect(await (await mill.enqueue(kind, { do: 'return', value: 6 })).result()).toBe(6);
    expect(started.all).toHaveLength(1);
  },
);

test.each(['thread', 'inline'] as const)('an engine closes while a schema is asked: %s', async (kind) => {
  const { mill, job, options, jobs, closing, answer } = await preparing(kind);
  await mill.close({ timeout: 0 });
  answer();
  const next = closing(await Millrace.open({ ...options, jobs }));
  expect(await next.handle(kind, job.id).result()).toBe(5);
  expect(await next.job(job.id)).toMatchObject({ attempt: 1, errors: [] });
});

test('a schema that never answers costs its job an attempt, and no thread for ever', async () => {
  const { mill, job, clock } = await preparing('thread');
  const errored = record(mill, 'errored');
  await clock.armed(30_000);
  await clock.advance(30_000);
  const [event] = await errored.reached(1);
  expect(event).toMatchObject(['errored', { error: { code: 'MILLRACE_TIMEOUT' } }]);
  expect(await job.snapshot()).toMatchObject({ state: 'retryable', attempt: 1 });
});

test.each([
  ['a thread job', scriptedThread, 'MILLRACE_RESULT_INVALID'],
  ['an inline job', scriptedInline, 'MILLRACE_RESULT_INVALID'],
])('the result of %s may take as many bytes as its type says', async (_kind, work, code) => {
  const { options, closing } = await bench();
  const value = 'x'.repeat(300);
  const { byteLength } = encode(value);
  const jobs = {
    exact: work({ maxResultBytes: byteLength }),
    less: work({ maxResultBytes: byteLength - 1 }),
    plain: work(),
  };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  expect(await (await mill.enqueue('exact', { do: 'return', value })).result()).toBe(value);
  const error = await (
    await mill.enqueue('less', { do: 'return', value })
  )
    .result()
    .catch((thrown: unknown) => thrown);
  const { cause, attempt } = error as JobFailedError;
  expect(attempt).toBe(1);
  expect(cause).toMatchObject({
    code,
    message: expect.stringContaining(`at most ${byteLength - 1} bytes, got ${byteLength}`),
  });
  expect((cause as Error).message).toContain('`maxResultBytes` of job type less');
});

test('by default a payload and a result take a mebibyte, and no byte more', async () => {
  const { options, closing } = await bench();
  const mebibyte = 1_048_576;
  const jobs = defineJobs({
    length: inlineJob((bytes: Uint8Array) => bytes.length),
    make: inlineJob((length: number) => new Uint8Array(length)),
    raised: inlineJob((bytes: Uint8Array) => bytes, {
      maxPayloadBytes: 4_000_000,
      maxResultBytes: 4_000_000,
    }),
  });
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const most = mebibyte - (encode(new Uint8Array(mebibyte)).byteLength - mebibyte);
  expect(encode(new Uint8Array(most)).byteLength).toBe(mebibyte);
  expect(await (await mill.enqueue('length', new Uint8Array(most))).result()).toBe(most);
  expect(await (await mill.enqueue('make', most)).result()).toHaveLength(most);
  await expect(mill.enqueue('length', new Uint8Array(most + 1))).rejects.toMatchObject({
    ...invalid,
    message: expect.stringContaining('at most 1048576 bytes, got 1048577 bytes'),
  });
  await expect((await mill.enqueue('make', most + 1)).result()).rejects.toMatchObject({
    cause: { code: 'MILLRACE_RESULT_INVALID' },
  });
  const photograph = new Uint8Array(3_000_000).fill(7);
  expect(await (await mill.enqueue('raised', photograph)).result()).toEqual(photograph);
});

test('what is small, and would take for ever to be looked at, is refused wherever a job gives it', async () => {
  const { options, closing } = await bench();
  const jobs = defineJobs({
    none: inlineJob((payload: object) => payload),
    give: inlineJob(() => twice({}, 450)),
    tell: inlineJob(async (_payload: undefined, job) => {
      const codeOf = (thrown: unknown): unknown => (thrown as { code?: unknown }).code;
      const ofCheckpoint = await job.checkpoint(twice({}, 450)).catch(codeOf);
      try {
        job.progress(twice({}, 450));
      } catch (thrown) {
        return [ofCheckpoint, codeOf(thrown)];
      }
      return [];
    }),
  });
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await expect(mill.enqueue('none', twice({}, 450))).rejects.toMatchObject({
    ...invalid,
    message: expect.stringContaining('Raise `maxPayloadBytes` of job type none'),
  });
  await expect((await mill.enqueue('give')).result()).rejects.toMatchObject({
    cause: { code: 'MILLRACE_RESULT_INVALID' },
  });
  expect(await (await mill.enqueue('tell')).result()).toEqual([invalid.code, invalid.code]);
});

test.each([
  ['a schema', numbersFrom(10)],
  ['an async schema', lateNumbersFrom(10)],
])('a schedule whose payload %s refuses is not taken', async (_what, schema) => {
  const { options, closing } = await bench();
  const jobs = { work: inlineJob((of) => of, { schema }) };
  const schedule = { job: 'work', every: '1h', payload: 9 } as const;
  await expect(Millrace.open({ ...options, jobs, schedules: { nightly: schedule } })).rejects.toMatchObject({
    ...invalid,
    message: expect.stringContaining('schedules.nightly.payload'),
  });
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await expect(mill.schedules.upsert('nightly', schedule)).rejects.toMatchObject(invalid);
  expect(await mill.schedules.list()).toEqual([]);
  await mill.schedules.upsert('nightly', { ...schedule, payload: 10 });
  expect(await (await mill.schedules.runNow('nightly')).result()).toBe(10);
});

test('a tick whose made payload is refused by the schema waits for a better one', async () => {
  const { options, clock, closing } = await ticking();
  const ran = deferred<number>();
  let payload = 9;
  const jobs = { work: inlineJob((of: number) => ran.resolve(of), { schema: numbersFrom(10) }) };
  const schedules = { hourly: { job: 'work', every: '1h', payload: () => payload } } as const;
  const mill = closing(await Millrace.open({ ...options, jobs, schedules }));
  await pass(clock, HOUR);
  const { blockedBecause } = await scheduleThat(mill, 'hourly', ({ state }) => state === 'blocked');
  expect(blockedBecause).toContain('not a number from 10');
  payload = 11;
  await pass(clock, 30_000);
  expect(await ran.promise).toBe(11);
});

test('a tick does not wait for an async schema: its job fails', async () => {
  const { options, clock, closing } = await ticking();
  const jobs = { work: inlineJob((of: number) => of, { schema: lateNumbersFrom(10) }) };
  const schedules = { hourly: { job: 'work', every: '1h', payload: () => 9 } } as const;
  const mill = closing(await Millrace.open({ ...options, jobs, schedules }));
  const failed = record(mill, 'failed');
  await pass(clock, HOUR);
  const [event] = await failed.reached(1);
  expect(event).toMatchObject(['failed', { attempt: 0, error: { code: 'MILLRACE_PAYLOAD_INVALID' } }]);
});

test.each<[given: object, says: string[]]>([
  [{ schema: 7 }, ['schema', 'Standard Schema', '7']],
  [{ schema: {} }, ['schema', '~standard', 'Object']],
  [{ version: 0 }, ['version', '≥ 1', '0']],
  [{ version: 1.5, upgrade: () => 1 }, ['version', '1.5']],
  [{ version: 2 }, ['upgrade', 'a function', '2', 'undefined']],
  [{ version: 2, upgrade: 'up' }, ['upgrade', '"up"']],
  [{ upgrade: () => 1 }, ['upgrade', 'absent where `version` is 1']],
  [{ maxPayloadBytes: 0 }, ['maxPayloadBytes', '≥ 1', '0']],
  [{ maxPayloadBytes: Infinity }, ['maxPayloadBytes', 'Infinity']],
  [{ maxResultBytes: '1mb' }, ['maxResultBytes', '"1mb"']],
])('%o is refused at open()', async (given, says) => {
  const { options } = await bench();
  const opened = Millrace.open({ ...options, jobs: { work: inlineJob(() => 1, given as never) } });
  const error = (await opened.catch((thrown: unknown) => thrown)) as Error;
  expect(error).toMatchObject({ code: 'MILLRACE_OPTION_INVALID' });
  for (const part of ['`jobs.work.', ...says]) expect(error.message).toContain(part);
});
