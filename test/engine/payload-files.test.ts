/** Large payloads lie in files beside the journal: as safe as their jobs, and gone with them. */
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import * as v from 'valibot';
import { expect, test } from 'vitest';
import { defineJobs, inlineJob, Millrace, threadJob, UnrecoverableError } from '../../src/index.js';
import { encode } from '../../src/job/codec.js';
import { headerOf } from '../../src/job/payload-file.js';
import { startProgram } from '../fixtures/child.js';
import { collect } from '../fixtures/collect.js';
import { deferred } from '../fixtures/deferred.js';
import { bench, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { pass } from '../fixtures/ticking.js';

const MAX_INLINE = 65_536;
const large = (fill = 7, length = 200_000): Uint8Array<ArrayBuffer> => new Uint8Array(length).fill(fill);
const later = { delay: '1h' } as const;
const HOUR = 3_600_000;

const jobs = defineJobs({
  upload: inlineJob((bytes: Uint8Array) => [bytes.length, bytes[0], bytes.at(-1)], {
    retention: { completed: 60_000 },
  }),
  other: inlineJob((bytes: Uint8Array) => bytes.length),
});

async function files({ directory }: { directory: string }): Promise<string[]> {
  return readdir(join(directory, 'payloads')).catch(() => []);
}

/** Waits until there are so many. */
async function filesLeft(options: { directory: string }, count: number): Promise<void> {
  while ((await files(options)).length !== count) await turn();
}

async function only(options: { directory: string }): Promise<string> {
  const names = await files(options);
  expect(names).toHaveLength(1);
  return join(options.directory, 'payloads', names[0] ?? '');
}

test.each(['thread', 'inline'] as const)(
  '20 MB of bytes get to the handler of an %s job, not through LevelDB',
  async (kind) => {
    const { options, closing } = await bench();
    const most = { maxPayloadBytes: 30_000_000, maxResultBytes: 30_000_000 };
    const types = {
      thread: scriptedThread(most),
      inline: inlineJob(({ value }: { do: 'return'; value: unknown }) => value, most),
    };
    const mill = closing(await Millrace.open({ ...options, jobs: types }));
    const photograph = new Uint8Array(20_000_000).map((_, i) => i * i);
    const job = await mill.enqueue(kind, { do: 'return', value: photograph }, later);
    expect((await stat(await only(options))).size).toBeGreaterThan(photograph.length);
    const others = (await readdir(options.directory)).filter((name) => name !== 'payloads');
    const sizes = await Promise.all(
      others.map(async (name) => (await stat(join(options.directory, name))).size),
    );
    expect(Math.max(...sizes)).toBeLessThan(100_000);
    const { payload } = await job.snapshot();
    expect(Buffer.compare((payload as { value: Uint8Array }).value, photograph)).toBe(0);
    await job.cancel();
    const now = await mill.enqueue(kind, { do: 'return', value: photograph });
    expect(Buffer.compare((await now.result()) as Uint8Array, photograph)).toBe(0);
  },
);

test('a payload that fits into a record has no file, and one byte more has', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const overhead = encode(large(7, MAX_INLINE)).byteLength - MAX_INLINE;
  await mill.enqueue('upload', large(7, MAX_INLINE - overhead), later);
  expect(await files(options)).toEqual([]);
  await mill.enqueue('upload', large(7, MAX_INLINE - overhead + 1), later);
  expect(await files(options)).toHaveLength(1);
});

test('a file outlives a restart, and goes when its job goes', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const before = await Millrace.open({ ...options, jobs, clock });
  await before.enqueue('upload', large(), { id: 'one', ...later });
  await before.close();
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  const result = mill.handle('upload', 'one').result();
  await pass(clock, HOUR);
  expect(await result).toEqual([200_000, 7, 7]);
  expect(await files(options)).toHaveLength(1);
  await clock.armed(60_000);
  await clock.advance(60_000);
  await filesLeft(options, 0);
  expect(await mill.job('one')).toBeUndefined();
});

test('after a kill -9 every acknowledged payload is there, and what belongs to no job is swept', async () => {
  const { options, closing, directory } = await bench();
  const program = startProgram('uploads', directory);
  await program.lines.reached(1);
  program.kill('SIGKILL');
  await program.exit;
  const payloads = join(options.directory, 'payloads');
  await writeFile(join(payloads, 'of-nobody'), Buffer.concat([headerOf('nobody'), large()]));
  await writeFile(join(payloads, 'of-another-try'), Buffer.concat([headerOf('first'), large()]));
  await writeFile(join(payloads, 'cut-off'), headerOf('first').subarray(0, 5));
  const clock = new FakeClock();
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  while (['of-nobody', 'of-another-try', 'cut-off'].some((name) => existsSync(join(payloads, name))))
    await turn();
  expect((await mill.job('first'))?.payload).toEqual(large(7, 500_000));
  const counts = Object.values(await mill.counts());
  await filesLeft(
    options,
    counts.reduce((sum, count) => sum + count, 0),
  );
});

test.each([
  ['is missing', (path: string) => rm(path)],
  [
    'is damaged',
    async (path: string) => {
      const bytes = await readFile(path);
      bytes[bytes.length - 10] = 8;
      await writeFile(path, bytes);
    },
  ],
])(
  'a job whose payload %s fails and says so; verify() tells, and repair() makes the journal sound',
  async (_what, harm) => {
    const { options, closing } = await bench();
    const clock = new FakeClock();
    const types = {
      thread: threadJob<{ default: (bytes: Uint8Array) => void }>(
        new URL('../fixtures/scripted.js', import.meta.url),
      ),
      upload: jobs.upload,
      checked: inlineJob((bytes) => bytes.length, { schema: v.instance(Uint8Array) }),
    };
    const before = await Millrace.open({ ...options, jobs: types, clock });
    for (const name of ['thread', 'upload', 'checked'] as const)
      await before.enqueue(name, large(), { id: name, ...later });
    await before.close();
    for (const name of await files(options)) await harm(join(options.directory, 'payloads', name));

    const { sound, damage } = await Millrace.verify(options.directory);
    expect(sound).toBe(false);
    expect(damage).toContainEqual(
      expect.objectContaining({ jobId: 'upload', message: expect.stringContaining('payload') }),
    );

    const mill = await Millrace.open({ ...options, jobs: types, clock });
    const results = (['thread', 'upload', 'checked'] as const).map((name) =>
      mill.handle(name, name).result(),
    );
    await expect(mill.job('upload')).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_CORRUPT' });
    await pass(clock, HOUR);
    for (const result of results)
      await expect(result).rejects.toMatchObject({ cause: { code: 'MILLRACE_JOURNAL_CORRUPT' } });
    await mill.close();

    expect(await Millrace.repair(options.directory)).toMatchObject({ repaired: true, salvagedCount: 3 });
    expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true, jobs: { failed: 3 } });
    const repaired = closing(await Millrace.open({ ...options, jobs: types, clock }));
    expect(await repaired.job('upload')).toMatchObject({ state: 'failed', payload: undefined });
  },
);

test('a timeout counts from the handler, and one that was told to stop before does not begin', async () => {
  const { options, closing } = await bench();
  const begun: number[] = [];
  const quick = inlineJob(
    (bytes: Uint8Array) => {
      begun.push(bytes.length);
      return bytes.length;
    },
    { timeout: 1, grace: 1, maxAttempts: 1, maxPayloadBytes: 64 << 20, concurrency: 1 },
  );
  const mill = closing(await Millrace.open({ ...options, jobs: { quick } }));
  const size = 16 << 20;
  expect(await (await mill.enqueue('quick', large(1, size))).result()).toBe(size);
  // It is read for many milliseconds before its handler could begin.
  mill.on('started', ({ id }) => void mill.cancel(id));
  const cancelled = await mill.enqueue('quick', large(2, 60 << 20));
  await expect(cancelled.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_CANCELLED' });
  await mill.drain();
  expect(begun).toEqual([size]);
});

test('repair() fails a job that waits and has lost its payload', async () => {
  const { options, closing } = await bench();
  const before = await Millrace.open({ ...options, jobs });
  await before.enqueue('upload', large(), { id: 'lost', ...later });
  await before.close();
  await rm(await only(options));
  await Millrace.repair(options.directory);
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await expect(mill.handle('upload', 'lost').result()).rejects.toMatchObject({
    cause: { code: 'MILLRACE_JOURNAL_CORRUPT' },
  });
  expect(await mill.counts()).toMatchObject({ failed: 1, scheduled: 0 });
});

test('what is not enqueued leaves no file', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await mill.enqueue('upload', large(1), { id: 'one', ...later });
  const first = await only(options);
  await Promise.all([
    mill.enqueue('upload', large(2), { id: 'one' }),
    mill.enqueueMany([{ name: 'upload', payload: large(3), options: { id: 'one' } }]),
    expect(mill.enqueue('other', large(4), { id: 'one' })).rejects.toMatchObject({
      code: 'MILLRACE_ID_CONFLICT',
    }),
    expect(
      mill.enqueueMany([
        { name: 'upload', payload: large(5) },
        { name: 'upload', payload: (() => 1) as never },
      ]),
    ).rejects.toMatchObject({ code: 'MILLRACE_PAYLOAD_INVALID' }),
  ]);
  await filesLeft(options, 1);
  expect(await only(options)).toBe(first);
  expect((await mill.job('one'))?.payload).toEqual(large(1));
});

test('where a payload cannot be written, the job is refused, and what is there goes on', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const path = join(options.directory, 'payloads');
  await writeFile(path, 'in the way');
  await expect(mill.enqueue('upload', large())).rejects.toMatchObject({
    code: 'MILLRACE_JOURNAL_WRITE_FAILED',
  });
  expect(await (await mill.enqueue('upload', large(7, 10))).result()).toEqual([10, 7, 7]);
});

test('an import that fails half-way leaves no file, and can be made again', async () => {
  const [from, to] = [await bench(), await bench()];
  const source = from.closing(await Millrace.open({ ...from.options, jobs }));
  for (const fill of [1, 2, 3]) await source.enqueue('upload', large(fill), { id: `job ${fill}`, ...later });
  const lines = await collect(source.export());
  const mill = to.closing(await Millrace.open({ ...to.options, jobs }));
  await mill.enqueue('upload', large(), later);
  const first = await only(to.options);
  // What the third one's file would be called.
  const taken = first.replace(/\d+$/, (count) => String(Number(count) + 3));
  await mkdir(taken);
  await expect(mill.import(lines)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_WRITE_FAILED' });
  await filesLeft(to.options, 2);
  expect(await mill.counts()).toMatchObject({ scheduled: 1 });
  await rmdir(taken);
  expect(await mill.import(lines)).toEqual({ imported: 3, skipped: 0 });
  expect((await mill.job('job 3'))?.payload).toEqual(large(3));
});

test('a schema checks a large payload, and an upgrade takes one', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const schema = v.pipe(
    v.instance(Uint8Array),
    v.transform((bytes) => bytes.length),
  );
  const before = await Millrace.open({
    ...options,
    jobs: { work: inlineJob((length) => length, { schema }) },
    clock,
  });
  expect(await (await before.enqueue('work', large())).result()).toBe(200_000);
  await before.enqueue('work', large(), { id: 'old', delay: 1 });
  await before.close();
  const upgrade = (payload: unknown, from: number) => [(payload as Uint8Array).length, from];
  const mill = closing(
    await Millrace.open({
      ...options,
      jobs: { work: inlineJob((of: unknown) => of, { version: 2, upgrade }) },
      clock,
    }),
  );
  const result = mill.handle('work', 'old').result();
  await clock.armed(1);
  await clock.advance(1);
  expect(await result).toEqual([200_000, 1]);
});

test('a backup and an export have what lies in files, also of a job that goes meanwhile', async () => {
  const { options, closing, directory } = await bench();
  const clock = new FakeClock();
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  await mill.enqueue('upload', large(5), { id: 'waits', ...later });
  await (await mill.enqueue('upload', large(6), { id: 'goes' })).result();
  const lines = mill.export();
  const first = await lines.next();
  await clock.armed(60_000);
  await clock.advance(60_000);
  while ((await mill.job('goes')) !== undefined) await turn();
  const text = [first.value ?? '', ...(await collect(lines))];
  await filesLeft(options, 1);

  const copy = join(directory, 'backup');
  expect(await mill.backup(copy)).toMatchObject({ jobs: 1, damaged: [] });
  expect(await Millrace.verify(copy)).toMatchObject({ sound: true });
  const other = closing(await Millrace.open({ ...options, directory: copy, jobs, clock }));
  expect((await other.job('waits'))?.payload).toEqual(large(5));

  const target = join(directory, 'target');
  const imported = closing(await Millrace.open({ ...options, directory: target, jobs, clock }));
  expect(await imported.import(text)).toEqual({ imported: 2, skipped: 0 });
  expect(await files({ directory: target })).toHaveLength(2);
  expect((await imported.job('goes'))?.payload).toEqual(large(6));
  expect((await imported.job('waits'))?.payload).toEqual(large(5));
});

test('a flow whose payloads are large runs, and one that is refused leaves no file', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const flow = {
    first: { name: 'upload', payload: large(1) },
    second: { name: 'other', payload: large(2), parents: ['first'] },
  } as const;
  const { first, second } = await mill.enqueueFlow(flow, { id: 'once' });
  expect(await Promise.all([first.result(), second.result()])).toEqual([[200_000, 1, 1], 200_000]);
  await mill.enqueueFlow(flow, { id: 'once' });
  await filesLeft(options, 2);
  const refused = { ...flow, last: { name: 'other', payload: (() => 1) as never } } as const;
  await expect(mill.enqueueFlow(refused)).rejects.toMatchObject({
    code: 'MILLRACE_PAYLOAD_INVALID',
    message: expect.stringMatching(/^flow\.last: /),
  });
  await filesLeft(options, 2);
});

test('onFailed is given the payload that lies in a file', async () => {
  const { options, closing } = await bench();
  const { promise, resolve } = deferred<unknown>();
  const work = inlineJob(
    (_bytes: Uint8Array) => {
      throw new UnrecoverableError('no luck');
    },
    { onFailed: ({ payload }) => resolve(payload) },
  );
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  await mill.enqueue('work', large(3));
  expect(await promise).toEqual(large(3));
});

test('a backup tells of a payload that is missing', async () => {
  const { options, closing, directory } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await mill.enqueue('upload', large(), { id: 'lost', ...later });
  await rm(await only(options));
  expect(await mill.backup(join(directory, 'backup'))).toMatchObject({ jobs: 1, damaged: ['j!lost'] });
});
