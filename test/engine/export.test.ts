/** export() and import(): an engine's jobs as lines, and back, with nothing lost on the way. */
import { createReadStream, createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { ImportError, inlineJob, Millrace, type JobEngine } from '../../src/index.js';
import { collect } from '../fixtures/collect.js';
import { bench, record, scriptedInline, scriptedThread, type Bench } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { anyStorable } from '../fixtures/values.js';

const corrupt = { code: 'MILLRACE_JOURNAL_CORRUPT' };
const linesOf = (mill: Pick<JobEngine, 'export'>): Promise<string[]> => collect(mill.export());

/** The fields of the lines between the first and the last. */
const jobsIn = (lines: readonly string[]): Record<string, unknown>[] =>
  lines.slice(1, -1).map((line) => JSON.parse(line) as Record<string, unknown>);

const byId = (a: Record<string, unknown>, b: Record<string, unknown>): number =>
  String(a['id']) < String(b['id']) ? -1 : 1;

/** An engine in a directory of its own, whose jobs nobody runs. */
async function idle({ options, closing }: Bench, name: string, clock = new FakeClock()) {
  const directory = join(await temporaryDirectory(), name);
  return closing(
    await Millrace.open({
      ...options,
      directory,
      clock,
      jobs: {},
      queues: { none: {} },
      threads: { count: 1 },
    }),
  );
}

const echo = inlineJob((value: unknown) => value, { concurrency: 4 });
const fail = inlineJob(
  (value: unknown) => {
    throw Object.assign(new RangeError('no luck', { cause: value }), { code: 'E_LUCK', detail: value });
  },
  { maxAttempts: 2, backoff: { type: 'exponential', delay: 1, jitter: 'none' } },
);

test('what is exported and imported is exported the same, and is the same', async () => {
  const own = await bench();
  const jobs = { echo, fail, later: echo };
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.tuple(fc.constantFrom('echo', 'fail', 'later'), anyStorable(), fc.integer({ min: -2, max: 2 })),
        {
          maxLength: 12,
        },
      ),
      async (drawn) => {
        const directory = join(await temporaryDirectory(), 'source');
        const source = own.closing(await Millrace.open({ ...own.options, directory, jobs }));
        const handles = await source.enqueueMany(
          drawn.map(([name, payload, priority], i) => ({
            name,
            payload,
            options: {
              id: `job ${(i * 5) % 13} ü`,
              priority,
              ...(name === 'later' && { delay: `${i + 1}h` as const }),
            },
          })),
        );
        const waited = handles.filter(({ name }) => name !== 'later');
        await Promise.allSettled(waited.map((handle) => handle.result()));
        const clock = new FakeClock();
        const lines = await linesOf(source);
        const before = await Promise.all(handles.map((handle) => handle.snapshot()));
        const counts = await source.counts();
        await source.close();

        const target = await idle(own, 'target', clock);
        expect(await target.import(lines)).toEqual({ imported: drawn.length, skipped: 0 });
        expect((await linesOf(target)).slice(1)).toEqual(lines.slice(1));
        const after = await Promise.all(handles.map(({ id }) => target.job(id)));
        expect(isDeepStrictEqual(after, before)).toBe(true);
        expect(await target.counts()).toEqual(counts);
        expect(await target.import(lines)).toEqual({ imported: 0, skipped: drawn.length });
        await target.close();
      },
    ),
    { numRuns: 12 },
  );
});

test('plain values are plain JSON, and all others the codec’s bytes', async () => {
  const own = await bench();
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: { echo } }));
  const plain = { text: 'ü "quoted" \n', list: [1, null, true, { deep: -0.5 }], '2': 'two', empty: {} };
  const rich = [-0, { a: undefined }, new Map([[1, 2n]]), new Date(5), Buffer.from('bytes'), NaN];
  for (const [i, payload] of [plain, ...rich, undefined].entries())
    await (await mill.enqueue('echo', payload, { id: `${i}` })).result();
  const lines = jobsIn(await linesOf(mill)).toSorted((a, b) => Number(a['id']) - Number(b['id']));
  expect(lines[0]).toMatchObject({
    name: 'echo',
    queue: 'default',
    state: 'completed',
    payload: plain,
    result: plain,
  });
  for (const line of lines.slice(1, -1)) {
    expect(line).not.toHaveProperty('payload');
    expect(line).toMatchObject({ payloadBase64: expect.any(String), resultBase64: expect.any(String) });
  }
  for (const absent of ['payload', 'payloadBase64', 'result', 'resultBase64'])
    expect(lines.at(-1)).not.toHaveProperty(absent);
});

test('jobs that wait are claimed in the same order after an import, behind those that wait there', async () => {
  const own = await bench();
  const priorities = [0, 5, -1, 5, 0, 0, 7, -1];
  const source = own.closing(
    await Millrace.open({
      ...own.options,
      jobs: { a: scriptedInline(), b: scriptedInline(), block: scriptedInline() },
      queues: { default: { concurrency: 1 } },
    }),
  );
  const gate = await Gate.in(own.directory);
  const stop = { do: 'passGate', gate: gate.path, label: 'stop' } as const;
  await source.enqueue('block', stop, { id: 'running', priority: 9 });
  await gate.arrived('stop');
  // Ids whose order is not that of the jobs.
  for (const [i, priority] of priorities.entries())
    await source.enqueue(i % 3 === 0 ? 'a' : 'b', { do: 'return' }, { id: `${(i * 5) % 8}`, priority });
  const lines = await linesOf(source);
  gate.open('stop');
  const ran = record(source, 'started');
  await source.drain();
  const expected = ran.all.flatMap(([, value]) => ('id' in value ? value.id : []));
  expect(expected).toHaveLength(8);

  const started: string[] = [];
  const note = inlineJob((_: unknown, job) => void started.push(job.id), { concurrency: 1 });
  const directory = join(own.directory, 'target');
  const target = own.closing(
    await Millrace.open({
      ...own.options,
      directory,
      jobs: {
        a: note,
        b: note,
        block: note,
        own: inlineJob(() => started.push('own')),
        first: scriptedInline(),
      },
      queues: { default: { concurrency: 1 } },
    }),
  );
  const hold = await target.enqueue('first', { ...stop, label: 'hold' }, { priority: 100 });
  await gate.arrived('hold');
  await target.enqueue('own', undefined, { priority: 9 });
  expect(await target.import(lines)).toEqual({ imported: 9, skipped: 0 });
  gate.open('hold');
  await hold.result();
  await target.drain();
  expect(started).toEqual(['own', 'running', ...expected]);
});

test('a file is a way to carry jobs', async () => {
  const own = await bench();
  const source = own.closing(await Millrace.open({ ...own.options, jobs: { echo } }));
  const items = Array.from(
    { length: 3_000 },
    (_, i) => ({ name: 'echo', payload: { i, text: 'ü'.repeat(100) } }) as const,
  );
  const handles = await source.enqueueMany(items);
  await source.drain();
  const file = join(own.directory, 'jobs.jsonl');
  await pipeline(source.export(), createWriteStream(file));
  const target = await idle(own, 'target');
  expect(await target.import(createReadStream(file, { highWaterMark: 1_001 }))).toEqual({
    imported: 3_000,
    skipped: 0,
  });
  expect(await target.counts()).toMatchObject({ completed: 3_000 });
  expect(await target.job(handles[7]?.id ?? '')).toMatchObject({ result: { i: 7 } });
});

test('an export is of the moment in which its first line is taken', async () => {
  const own = await bench();
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: { echo } }));
  const options = { delay: '1h' } as const;
  await mill.enqueueMany(Array.from({ length: 2_000 }, (_, i) => ({ name: 'echo', payload: i, options })));
  const lines = mill.export();
  await mill.enqueue('echo', 'before', options);
  const first = await lines.next();
  await mill.enqueueMany(Array.from({ length: 500 }, (_, i) => ({ name: 'echo', payload: -i, options })));
  const ids = jobsIn([first.value ?? '', ...(await collect(lines))]).map(({ payload }) => payload);
  expect(ids).toHaveLength(2_001);
  expect(ids).toContain('before');
});

test('an export can be left early, and ends with its engine', async () => {
  const own = await bench();
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: { echo } }));
  await mill.enqueueMany(
    Array.from({ length: 2_000 }, (_, i) => ({
      name: 'echo',
      payload: i,
      options: { delay: '1h' } as const,
    })),
  );
  for await (const line of mill.export()) if (line.includes('"id"')) break;
  const [paused, untouched] = [mill.export(), mill.export()];
  await paused.next();
  await mill.close();
  for (const lines of [paused, untouched, mill.export()])
    await expect(lines.next()).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
  await expect(mill.import([])).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
});

test('a job that runs is exported as waiting, one that is being cancelled as cancelled', async () => {
  const own = await bench();
  const mill = own.closing(
    await Millrace.open({ ...own.options, jobs: { work: scriptedInline({ concurrency: 2, grace: '1h' }) } }),
  );
  const gate = await Gate.in(own.directory);
  const stop = { do: 'passGate', gate: gate.path, label: 'in' } as const;
  const [kept, cancelled] = [await mill.enqueue('work', stop), await mill.enqueue('work', stop)];
  await gate.arrived('in', 2);
  const cancelling = cancelled.cancel();
  await mill.enqueue('work', { do: 'return' }, { delay: '1h' }); // Committed behind the cancel.
  const lines = jobsIn(await linesOf(mill));
  expect(lines.find(({ id }) => id === kept.id)).toMatchObject({ state: 'available', attempt: 0 });
  expect(lines.find(({ id }) => id === cancelled.id)).toMatchObject({ state: 'cancelled' });
  gate.open('in');
  await cancelling;
});

test('what was said of a cancel, and how a job was retried, goes along', async () => {
  const own = await bench();
  const directory = join(await temporaryDirectory(), 'source');
  const work = scriptedThread({ maxAttempts: 1 });
  const source = own.closing(await Millrace.open({ ...own.options, directory, jobs: { work } }));
  const failed = await source.enqueue('work', { do: 'throw' });
  await failed.result().catch(() => {});
  await source.retry(failed.id);
  await failed.result().catch(() => {});
  const later = await source.enqueue('work', { do: 'return' }, { delay: '1h' });
  await later.cancel({ reason: 'too late' });
  const again = await source.enqueue('work', { do: 'return' }, { delay: '1h' });
  await again.cancel();
  const lines = await linesOf(source);
  const target = await idle(own, 'target');
  await target.import(lines);
  expect(jobsIn(await linesOf(target)).sort(byId)).toEqual(jobsIn(lines).sort(byId));
  expect(await target.job(failed.id)).toEqual(await failed.snapshot());
  expect((await failed.snapshot()).errors.map(({ thread }) => typeof thread)).toEqual(['number', 'number']);
  expect(await target.job(later.id)).toMatchObject({ state: 'cancelled', cancelReason: 'too late' });
  // Each is listed under the end that it has.
  expect(await collect(target.jobs({ state: ['failed', 'cancelled'] }))).toHaveLength(3);
  for (const wrong of [
    { cancelReason: '' },
    { retries: 0 },
    { retries: 1 },
    { attemptsBefore: 1 },
    { retries: 1, attemptsBefore: 9 },
  ]) {
    const [head = '', job = '{}', ...rest] = lines;
    const bad = JSON.stringify({
      ...(JSON.parse(job) as object),
      id: 'new',
      retries: undefined,
      attemptsBefore: undefined,
      ...wrong,
    });
    await expect(target.import([head, bad, ...rest])).rejects.toThrow(ImportError);
  }
});

test('jobs of types and queues that the code does not know are kept, and warned of once', async () => {
  const own = await bench();
  const source = own.closing(
    await Millrace.open({ ...own.options, jobs: { echo, other: echo }, queues: { default: {}, gone: {} } }),
  );
  const options = { delay: 50 } as const;
  for (const name of ['echo', 'other'] as const)
    for (const queue of ['default', 'gone', 'gone'] as const)
      await source.enqueue(name, 1, { queue, ...options });
  const lines = await linesOf(source);
  const target = own.closing(
    await Millrace.open({ ...own.options, directory: join(own.directory, 'target'), jobs: { echo } }),
  );
  const warnings = record(target, 'warning');
  const completed = record(target, 'completed');
  expect(await target.import(lines)).toEqual({ imported: 6, skipped: 0 });
  expect(warnings.all.map(([, warning]) => 'code' in warning && warning.code)).toEqual([
    'MILLRACE_QUEUE_UNKNOWN',
    'MILLRACE_JOB_UNKNOWN',
  ]);
  await completed.reached(1);
  expect(await target.counts()).toMatchObject({ completed: 1 });
});

test('a job that an enqueue and an import bring at once is made once', async () => {
  const own = await bench();
  const source = own.closing(await Millrace.open({ ...own.options, jobs: { echo } }));
  await source.enqueue('echo', 'imported', { id: 'one', delay: '1h' });
  const lines = await linesOf(source);
  const target = own.closing(
    await Millrace.open({ ...own.options, directory: join(own.directory, 'target'), jobs: { echo } }),
  );
  const [counts, handle] = await Promise.all([
    target.import(lines),
    target.enqueue('echo', 'enqueued', { id: 'one', delay: '1h' }),
    target.import(lines),
  ]);
  expect(await target.counts()).toMatchObject({ scheduled: 1 });
  const { payload } = await handle.snapshot();
  expect(payload).toBe(counts.imported === 1 ? 'imported' : 'enqueued');
});

/** Lines as an export writes them. */
const header = { format: 'millrace-jobs', version: 1 };
const sound = {
  id: 'a',
  name: 'echo',
  queue: 'default',
  state: 'scheduled',
  runAt: 9e12,
  priority: 0,
  enqueuedAt: 1,
  durability: 'fsync',
  attempt: 0,
};
const ended = { ...sound, runAt: undefined, state: 'failed', attempt: 1, finishedAt: 2 };
const attempt = { attempt: 1, startedAt: 1, endedAt: 2, error: { name: 'Error', message: 'no' } };

test.each([
  ['no JSON', 'nonsense', 'an object of JSON'],
  ['no object', '[1]', 'an object'],
  ['an id that is none', { ...sound, id: '' }, '`id`'],
  ['a name that is none', { ...sound, name: 'a b' }, '`name`'],
  ['a queue that is none', { ...sound, queue: 'a!b' }, '`queue`'],
  ['a state that is none', { ...sound, state: 'running' }, '`state`'],
  ['a field that is none', { ...sound, and: 1 }, '`and`'],
  ['no runAt', { ...sound, runAt: undefined }, '`runAt`'],
  ['a runAt too many', { ...sound, state: 'available' }, '`runAt`'],
  ['a runAt before all time', { ...sound, runAt: -1 }, '`runAt`'],
  ['a priority out of bounds', { ...sound, priority: 1e6 }, '`priority`'],
  ['no number of attempts', { ...sound, attempt: '1' }, '`attempt`'],
  ['more attempts than another could be counted with', { ...sound, attempt: 2 ** 32 - 1 }, '`attempt`'],
  ['no durability', { ...sound, durability: undefined }, '`durability`'],
  ['two payloads', { ...sound, payload: 1, payloadBase64: 'AQ==' }, '`payload`'],
  ['a payload that no codec made', { ...sound, payloadBase64: '/w8=' }, '`payloadBase64`'],
  ['a payload that is not base64', { ...sound, payloadBase64: '!' }, '`payloadBase64`'],
  [
    'a payload that cannot be stored',
    `${JSON.stringify(sound).slice(0, -1)},"payload":{"__proto__":1}}`,
    '__proto__',
  ],
  ['no end', { ...ended, finishedAt: undefined }, '`finishedAt`'],
  ['a result of a failed job', { ...ended, result: 1 }, '`result`'],
  [
    'errors that are none',
    { ...ended, errors: [{ ...attempt, error: { name: 'Error' } }] },
    '`errors[0].error`',
  ],
  [
    'a cause that is none',
    { ...ended, errors: [{ ...attempt, error: { ...attempt.error, cause: { name: 5 } } }] },
    '`errors[0].error`',
  ],
  ['too many errors', { ...ended, errors: Array.from({ length: 11 }, () => attempt) }, '`errors`'],
  ['another’s id', { ...sound, id: 'known', name: 'other' }, 'a job of echo'],
])(
  'a line with %s is refused; what stands before it comes in, and nothing behind',
  async (_what, wrong, expected) => {
    const own = await bench();
    const mill = own.closing(await Millrace.open({ ...own.options, jobs: { echo } }));
    await mill.enqueue('echo', 1, { id: 'known', delay: '1h' });
    const line = typeof wrong === 'string' ? wrong : JSON.stringify(wrong);
    const lines = [header, { ...sound, id: 'first' }, { ...sound, id: 'known' }].map((one) =>
      JSON.stringify(one),
    );
    const last = [
      { ...sound, id: 'last' },
      { end: true, jobs: 4 },
    ].map((one) => JSON.stringify(one));
    const error: unknown = await mill.import([...lines, line, ...last]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ImportError);
    expect(error).toMatchObject({ code: 'MILLRACE_IMPORT_INVALID', line: 4, imported: 1, skipped: 1 });
    expect(error).toHaveProperty('message', expect.stringContaining(expected));
    expect(await mill.job('first')).toMatchObject({ state: 'scheduled', runAt: 9e12 });
    expect(await mill.job('last')).toBeUndefined();
  },
);

test('lines that do not begin or end as an export does are refused', async () => {
  const own = await bench();
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: { echo } }));
  const jobs = ['b', 'c'].map((id) => ({ ...sound, id }));
  const end = { end: true, jobs: 2 };
  const wrong: [lines: object[], line: number, expected: string][] = [
    [[], 1, 'a last line'],
    [[...jobs, end], 1, 'millrace-jobs'],
    [[{ ...header, version: 2 }, ...jobs, end], 1, 'newer'],
    [[header, ...jobs], 4, 'a last line'],
    [[header, ...jobs, { end: true, jobs: 3 }], 4, '`jobs`'],
    [[header, ...jobs, end, ...jobs], 5, 'last one'],
  ];
  for (const [lines, line, expected] of wrong)
    await expect(mill.import(lines.map((one) => JSON.stringify(one)))).rejects.toMatchObject({
      line,
      message: expect.stringContaining(expected),
    });
  expect(await mill.counts()).toMatchObject({ scheduled: 2 });
});

test('a job that cannot be read is warned of, and its line says so', async () => {
  const own = await bench();
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: { echo } }));
  for (const id of ['a', 'b', 'c']) await mill.enqueue('echo', id, { id, delay: '1h' });
  await mill.close();
  const { Level } = await import('level');
  const level = new Level<string, Uint8Array>(own.options.directory, { valueEncoding: 'view' });
  await level.put('j!b', Uint8Array.of(1, 2, 3, 4, 5, 6));
  await level.close();
  const damaged = own.closing(await Millrace.open({ ...own.options, jobs: { echo } }));
  const warnings = record(damaged, 'warning');
  const lines = await linesOf(damaged);
  expect(jobsIn(lines).map(({ id, damaged }) => id ?? damaged)).toEqual(['a', 'c', 'b']);
  expect(lines.at(-1)).toBe('{"end":true,"jobs":2}\n');
  expect(warnings.all).toMatchObject([['warning', { ...corrupt, message: expect.stringContaining('j!b') }]]);
  const target = await idle(own, 'target');
  const missing = record(target, 'warning');
  expect(await target.import(lines)).toEqual({ imported: 2, skipped: 0 });
  expect(missing.all.map(([, warning]) => 'code' in warning && warning.code)).toContain(corrupt.code);
});

test('what the iterable throws is thrown, and the import can be made again', async () => {
  const own = await bench();
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: { echo } }));
  const lines = [
    header,
    ...Array.from({ length: 1_200 }, (_, i) => ({ ...sound, id: `${i}` })),
    { end: true, jobs: 1_200 },
  ].map((one) => JSON.stringify(one));
  const breaking = function* () {
    yield* lines.slice(0, 1_100);
    throw new Error('the line is dead');
  };
  await expect(mill.import(breaking())).rejects.toThrow('the line is dead');
  expect(await mill.counts()).toMatchObject({ scheduled: 1_000 });
  expect(await mill.import(lines.join('\n'))).toEqual({ imported: 200, skipped: 1_000 });
});
