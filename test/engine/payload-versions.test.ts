/** Stored payloads outlive code: what was enqueued by other code is upgraded, checked, or left for newer code. */
import { setImmediate as turn } from 'node:timers/promises';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import {
  inlineJob,
  Millrace,
  threadJob,
  type JobFailedError,
  type JobSnapshot,
  type JobTypeOptions,
} from '../../src/index.js';
import { startProgram } from '../fixtures/child.js';
import { collect } from '../fixtures/collect.js';
import { bench, record, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { pass } from '../fixtures/ticking.js';

const later = { delay: 1 } as const;
/** When what newer code enqueued is looked at again. */
const NEWER_AFTER_MS = 300_000;

const failure = async (result: Promise<unknown>): Promise<JobFailedError> =>
  (await result.catch((thrown: unknown) => thrown)) as JobFailedError;

/** A journal with a job that code without schema and version has enqueued, and a clock at which it is due. */
async function withOldJob(payload: unknown, options: JobTypeOptions = {}) {
  const own = await bench();
  const clock = new FakeClock();
  const old = await Millrace.open({
    ...own.options,
    clock,
    jobs: { work: inlineJob((of: unknown) => of, options) },
  });
  await old.enqueue('work', payload, { ...later, id: 'old' });
  await old.close();
  return { ...own, clock, options: { ...own.options, clock } };
}

async function due(clock: FakeClock, ms = 1): Promise<void> {
  await clock.armed(ms);
  await clock.advance(ms);
}

/** The old job, once it is due at that instant. */
async function jobDue(mill: Pick<Millrace, 'job'>, runAt: number): Promise<JobSnapshot | undefined> {
  for (;;) {
    const job = await mill.job('old');
    if (job?.runAt === runAt) return job;
    await turn();
  }
}

test('a stored payload that the schema of newer code refuses fails its job, without an attempt', async () => {
  const { options, clock, closing } = await withOldJob({ path: 'a' });
  const schema = v.object({ file: v.string() });
  let runs = 0;
  const jobs = { work: inlineJob(() => void runs++, { schema, maxAttempts: 5 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const events = record(mill, 'started', 'errored', 'failed', 'retrying');
  const result = mill.handle('work', 'old').result();
  await due(clock);
  const { attempt, cause } = await failure(result);
  expect(attempt).toBe(0);
  const issues = [{ path: ['file'], message: expect.any(String) }];
  expect(cause).toMatchObject({ code: 'MILLRACE_PAYLOAD_INVALID', name: 'PayloadInvalidError', issues });
  expect(runs).toBe(0);
  expect(events.all.map(([event]) => event)).toEqual(['errored', 'failed']);
  expect(await mill.job('old')).toMatchObject({
    state: 'failed',
    attempt: 0,
    payload: { path: 'a' },
    errors: [{ error: { code: 'MILLRACE_PAYLOAD_INVALID', properties: { issues } } }],
  });
  expect(await mill.counts()).toMatchObject({ failed: 1, running: 0, retryable: 0 });
});

test('a refusal keeps no more issues with the job than somebody would read', async () => {
  const list = Array.from({ length: 1_000 }, (_, i) => `no number ${i}`);
  const { options, clock, closing } = await withOldJob({ list });
  const jobs = { work: inlineJob(() => 1, { schema: v.object({ list: v.array(v.number()) }) }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const result = mill.handle('work', 'old').result();
  await due(clock);
  const { cause } = await failure(result);
  expect((cause as { issues?: unknown }).issues).toHaveLength(20);
  expect((cause as Error).message).toContain('and 997 more');
});

test.each([
  ['at once', (payload: unknown) => ({ do: 'return', value: payload })],
  ['later', async (payload: unknown) => ({ do: 'return', value: payload })],
])('an older payload is upgraded, %s, and stays as it was stored', async (_when, upgrade) => {
  const { options, clock, closing } = await withOldJob({ path: 'a' });
  const jobs = { work: scriptedThread({ version: 2, upgrade }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const old = mill.handle('work', 'old');
  const result = old.result();
  await due(clock);
  expect(await result).toEqual({ path: 'a' });
  const snapshot = await old.snapshot();
  expect(snapshot).toMatchObject({ payload: { path: 'a' }, attempt: 1, errors: [] });
  expect(snapshot).not.toHaveProperty('payloadVersion');
  const fresh = await mill.enqueue('work', { do: 'return', value: 'fresh' });
  expect(await fresh.result()).toBe('fresh');
  expect(await fresh.snapshot()).toMatchObject({ payloadVersion: 2 });
});

test('an upgrade that throws fails the job, without an attempt, and says why', async () => {
  const { options, clock, closing } = await withOldJob({ path: 'a' });
  const upgrade = (): never => {
    throw new RangeError('no such path');
  };
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: inlineJob(() => 1, { version: 2, upgrade }) } }),
  );
  const result = mill.handle('work', 'old').result();
  await due(clock);
  const { attempt, cause } = await failure(result);
  expect(attempt).toBe(0);
  expect(cause).toMatchObject({
    code: 'MILLRACE_PAYLOAD_INVALID',
    message: expect.stringContaining('no such path'),
    cause: { name: 'RangeError', message: 'no such path' },
  });
});

test('each attempt is given the upgraded payload afresh', async () => {
  const { options, clock, closing } = await withOldJob(1);
  const given: unknown[] = [];
  let times = 0;
  const upgrade = (payload: unknown, from: number) => ({ payload, from, time: ++times });
  const work = inlineJob(
    (payload: unknown, { attempt }) => {
      given.push(payload);
      if (attempt < 2) throw new Error('again');
    },
    { version: 4, upgrade, backoff: { type: 'exponential', delay: 7, jitter: 'none' } },
  );
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const result = mill.handle('work', 'old').result();
  await due(clock);
  await due(clock, 7);
  await result;
  expect(given).toEqual([
    { payload: 1, from: 1, time: 1 },
    { payload: 1, from: 1, time: 2 },
  ]);
});

test('what newer code enqueued waits for newer code, and says so once', async () => {
  const upgrade = (payload: unknown): unknown => payload;
  const { options, clock, closing } = await withOldJob('newer', { version: 3, upgrade });
  let runs = 0;
  const older = await Millrace.open({ ...options, jobs: { work: inlineJob(() => void runs++) } });
  const warnings = record(older, 'warning');
  await due(clock);
  for (let round = 1; round <= 3; round++) {
    const runAt = clock.now() + NEWER_AFTER_MS;
    const waiting = { state: 'scheduled', attempt: 0, errors: [], payloadVersion: 3 };
    expect(await jobDue(older, runAt)).toMatchObject(waiting);
    if (round < 3) await pass(clock, NEWER_AFTER_MS);
  }
  expect(runs).toBe(0);
  expect(await older.explain('old')).toMatchObject({
    summary: expect.stringContaining('it was enqueued for version 3 of work, and the code has version 1'),
    reasons: [{ reason: 'scheduled' }, { reason: 'codeOlder', name: 'work', payloadVersion: 3, version: 1 }],
  });
  expect(warnings.all).toMatchObject([['warning', { code: 'MILLRACE_PAYLOAD_NEWER' }]]);
  expect(warnings.all[0]?.[1]).toMatchObject({
    message: expect.stringMatching(/work old .*version 3 .*version 1/),
  });
  await older.close();

  const work = inlineJob((payload: unknown) => payload, { version: 3, upgrade });
  const newer = closing(await Millrace.open({ ...options, jobs: { work } }));
  const result = newer.handle('work', 'old').result();
  await pass(clock, NEWER_AFTER_MS);
  expect(await result).toBe('newer');
  expect(await newer.job('old')).toMatchObject({ attempt: 1 });
});

test('jobs of older code are upgraded after a kill -9, those that were running and those of its schedules, too', async () => {
  const { options, closing, directory } = await bench();
  const program = startProgram('older-code', directory);
  await program.lines.until((line) => line === 'enqueued');
  await program.lines.until((line) => line === 'running');
  program.kill('SIGKILL');
  await program.exit;
  const upgrade = (payload: unknown, from: number) => ({ file: (payload as { path: string }).path, from });
  const schema = v.object({ file: v.string(), from: v.number() });
  const work = inlineJob((payload) => payload, { schema, version: 2, upgrade });
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const results = ['a', 'b', 'c'].map((id) => mill.handle('work', id).result());
  expect(await Promise.all(results)).toEqual(['a', 'b', 'c'].map((file) => ({ file, from: 1 })));
  expect(await mill.job('a')).toMatchObject({ attempt: 1, errors: [] });
  // Nobody has described the schedule anew: its payload is as old as it was.
  expect(await (await mill.schedules.runNow('nightly')).result()).toEqual({ file: 'scheduled', from: 1 });
  await mill.schedules.upsert('nightly', { job: 'work', every: '1h', payload: { file: 'new', from: 2 } });
  expect((await mill.schedules.list())[0]).toMatchObject({ payloadVersion: 2 });
  expect(await (await mill.schedules.runNow('nightly')).result()).toEqual({ file: 'new', from: 2 });
});

test('the version of a payload goes along with an export', async () => {
  const [here, there] = [await bench(), await bench()];
  const upgrade = (payload: unknown, from: number) => ({ payload, from });
  const jobsOf = (version: number) => ({
    work: inlineJob((of: unknown) => of, { version, ...(version > 1 && { upgrade }) }),
  });
  const one = here.closing(await Millrace.open({ ...here.options, jobs: jobsOf(2) }));
  await one.enqueue('work', 'mine', { delay: '1h', id: 'two' });
  const lines = await collect(one.export());
  expect(lines.join('')).toContain('"payloadVersion":2');
  const wrong = lines.map((line) => line.replace('"payloadVersion":2', '"payloadVersion":0'));
  const other = there.closing(await Millrace.open({ ...there.options, jobs: jobsOf(3) }));
  await expect(other.import(wrong)).rejects.toMatchObject({
    message: expect.stringContaining('payloadVersion'),
  });
  await other.import(lines);
  expect(await other.job('two')).toMatchObject({ payload: 'mine', payloadVersion: 2 });
});

test('a job without schema or version is given to its thread as it is stored', async () => {
  const { options, closing } = await bench();
  const plain = threadJob<typeof import('../fixtures/scripted.js')>(
    new URL('../fixtures/scripted.js', import.meta.url),
  );
  const mill = closing(await Millrace.open({ ...options, jobs: { plain } }));
  const job = await mill.enqueue('plain', { do: 'return', value: 1 });
  expect(await job.result()).toBe(1);
  expect(await job.snapshot()).not.toHaveProperty('payloadVersion');
});
