/** Unique keys on the real engine: threads, a journal on disk, and processes that are killed. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, UniqueConflictError, type EnqueueOptions } from '../../src/index.js';
import { startProgram } from '../fixtures/child.js';
import { collect } from '../fixtures/collect.js';
import { deferred } from '../fixtures/deferred.js';
import { bench, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';

const jobs = { threaded: scriptedThread(), inline: scriptedInline() };
const script = { do: 'return', value: 'done' } as const;
const later = { delay: '1h' } as const;

test('a thousand enqueues at once of fifty keys make fifty jobs, and each gets its own', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 2 } }));
  const handles = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) =>
      mill.enqueue('threaded', { do: 'return', value: i % 50 }, { uniqueKey: `key ${i % 50}`, ...later }),
    ),
  );
  expect(new Set(handles.map(({ id }) => id)).size).toBe(50);
  for (const [i, { id }] of handles.entries()) expect(id).toBe(handles[i % 50]?.id);
  expect(await mill.counts()).toMatchObject({ scheduled: 50 });
});

test('the key is free as soon as the end of its job is known', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 2 } }));
  const ids = new Set<string>();
  for (let i = 0; i < 50; i++) {
    const name = i % 2 === 0 ? 'threaded' : 'inline';
    const job = await mill.enqueue(name, i % 3 === 0 ? { do: 'throwUnrecoverable' } : script, {
      uniqueKey: 'k',
    });
    await job.result().catch(() => {});
    ids.add(job.id);
  }
  expect(ids.size).toBe(50);
});

test.each([10, 60, 150])('killed after %i lines, no key is leaked, and none is lost', async (lines) => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const program = startProgram('unique-keys', directory, gate.path);
  await gate.arrived('running');
  await program.lines.reached(lines);
  program.kill('SIGKILL');
  await program.exit;
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 2 } }));
  for (const line of program.lines.all) {
    const [, key, id] = /^held (\w+) (.*)$/.exec(line) ?? [];
    if (key !== undefined) expect((await mill.enqueue('threaded', script, { uniqueKey: key })).id).toBe(id);
  }
  gate.open('running');
  // Whatever ran then ends now, and with that every key is free; but for that of the job that waits.
  await mill.drain();
  for (const name of ['threaded', 'inline'] as const) {
    for (let n = 0; n < 7; n++) {
      const options = { uniqueKey: { key: `key ${n}`, onConflict: 'reject' }, ...later } as const;
      expect(await mill.enqueue(name, script, options)).toBeDefined();
    }
  }
  for (const key of ['waiting', 'throttled']) {
    await expect(
      mill.enqueue('threaded', script, { uniqueKey: { key, onConflict: 'reject' } }),
    ).rejects.toThrow(UniqueConflictError);
  }
  await mill.close();
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
});

test.each(['a!b', 'u!x"', '..', '/', 'ü ñ 漢 🙂', '\u0000', ' spaces ', '~', 'x'.repeat(512)])(
  'the key %j is one like any other',
  async (key) => {
    const { options, closing } = await bench();
    const mill = closing(await Millrace.open({ ...options, jobs: { inline: scriptedInline() } }));
    const one = await mill.enqueue('inline', script, { uniqueKey: key, ...later });
    const other = await mill.enqueue('inline', script, { uniqueKey: `${key.slice(0, 500)}x.`, ...later });
    expect((await mill.enqueue('inline', script, { uniqueKey: key })).id).toBe(one.id);
    expect(other.id).not.toBe(one.id);
    expect(await mill.job(one.id)).toMatchObject({ uniqueKey: key });
    await mill.close();
    expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true, damage: [] });
  },
);

test('jobs of an array see each other, and one that is rejected refuses all', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { inline: scriptedInline() } }));
  const item = (options: EnqueueOptions<'default'>) =>
    ({ name: 'inline', payload: script, options }) as const;
  const [a, b, again] = await mill.enqueueMany([
    item({ uniqueKey: 'a', ...later }),
    item({ uniqueKey: 'b', id: 'mine', ...later }),
    item({ uniqueKey: 'a', ...later }),
  ]);
  expect(again.id).toBe(a.id);
  expect(b.id).toBe('mine');
  const rejecting = { key: 'b', onConflict: 'reject' } as const;
  const refused = mill.enqueueMany([item({}), item({ uniqueKey: 'c' }), item({ uniqueKey: rejecting })]);
  await expect(refused).rejects.toMatchObject({
    code: 'MILLRACE_UNIQUE_CONFLICT',
    jobId: 'mine',
    message: expect.stringMatching(/^items\[2\]: .*"b".*mine/),
  });
  expect(await mill.counts()).toMatchObject({ scheduled: 2, available: 0, completed: 0 });
  // Of those that would replace each other at once only the last is made, and all get it.
  const handles = await mill.enqueueMany([1, 2, 3].map(() => item({ uniqueKey: 'a', debounce: '1h' })));
  expect(new Set(handles.map(({ id }) => id)).size).toBe(1);
  expect(await mill.job(a.id)).toMatchObject({ state: 'cancelled' });
  expect(await mill.counts()).toMatchObject({ scheduled: 2, cancelled: 1 });
});

test('a job that is about to be claimed is not rejected where its key is for the queue', async () => {
  const { options, closing } = await bench();
  const released = deferred();
  const held = inlineJob((_payload: number) => released.promise, { concurrency: 100 });
  const mill = closing(await Millrace.open({ ...options, jobs: { held } }));
  const uniqueKey = { key: 'k', while: 'queued', onConflict: 'replace' } as const;
  // Each comes while the one before is on its way to its thread, or waits for that.
  const handles = await Promise.all(
    Array.from({ length: 200 }, (_, i) => mill.enqueue('held', i, { uniqueKey })),
  );
  expect(new Set(handles.map(({ id }) => id)).size).toBe(200);
  released.resolve();
  await mill.drain();
  const { completed, cancelled } = await mill.counts();
  expect(completed + cancelled).toBe(200);
  expect(await mill.job(handles[199]?.id ?? '')).toMatchObject({ state: 'completed', payload: 199 });
});

test.each<[options: unknown, message: RegExp]>([
  [{ uniqueKey: '' }, /`uniqueKey`.*1 to 512 characters/],
  [{ uniqueKey: 'x'.repeat(513) }, /`uniqueKey`.*1 to 512 characters/],
  [{ uniqueKey: '\ud800' }, /`uniqueKey`.*well-formed/],
  [{ uniqueKey: 7 }, /`uniqueKey`.*got: 7/],
  [{ uniqueKey: {} }, /`uniqueKey.key`.*got: undefined/],
  [{ uniqueKey: { key: 'k', until: 1 } }, /`uniqueKey.until`.*key, while, onConflict/],
  [{ uniqueKey: { key: 'k', while: 'running' } }, /`uniqueKey.while`.*'queued'.*got: "running"/],
  [{ uniqueKey: { key: 'k', while: 0 } }, /`uniqueKey.while`/],
  [{ uniqueKey: { key: 'k', onConflict: 'throw' } }, /`uniqueKey.onConflict`.*'replace'/],
  [{ debounce: '5s' }, /`uniqueKey`.*`debounce`/],
  [{ throttle: '5s' }, /`uniqueKey`.*`throttle`/],
  [{ uniqueKey: 'k', debounce: 0 }, /`debounce`/],
  [{ uniqueKey: 'k', throttle: 'soon' }, /`throttle`/],
  [{ uniqueKey: 'k', debounce: '5s', throttle: '5s' }, /`throttle`.*`debounce`/],
  [{ uniqueKey: 'k', debounce: '5s', delay: '1s' }, /`delay`.*absent.*`debounce`/],
  [{ uniqueKey: 'k', debounce: '5s', runAt: 1 }, /`runAt`.*absent.*`debounce`/],
  [{ uniqueKey: { key: 'k', while: 'active' }, throttle: '5s' }, /`uniqueKey.while`.*`throttle`/],
  [{ uniqueKey: { key: 'k', onConflict: 'return' }, debounce: 1 }, /`uniqueKey.onConflict`.*`debounce`/],
])('refused: %j', async (wrong, message) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { inline: scriptedInline() } }));
  await expect(mill.enqueue('inline', script, wrong as EnqueueOptions<'default'>)).rejects.toMatchObject({
    code: 'MILLRACE_OPTION_INVALID',
    message: expect.stringMatching(message),
  });
  expect(await mill.counts()).toMatchObject({ available: 0, scheduled: 0, running: 0, completed: 0 });
});

test('whoever gets the job that holds the key needs no room in a queue that is full', async () => {
  const { options, closing } = await bench();
  const queues = { default: { maxSize: 1, onFull: 'reject' } } as const;
  const mill = closing(await Millrace.open({ ...options, jobs: { inline: scriptedInline() }, queues }));
  const first = await mill.enqueue('inline', script, { uniqueKey: 'k', ...later });
  expect((await mill.enqueue('inline', script, { uniqueKey: 'k' })).id).toBe(first.id);
  const full = { code: 'MILLRACE_QUEUE_FULL' };
  await expect(mill.enqueue('inline', script, { uniqueKey: 'other' })).rejects.toMatchObject(full);
  await first.cancel();
  await (await mill.enqueue('inline', script, { uniqueKey: 'other' })).result();
});

test('what is exported and imported holds its key where that is free, and goes on without where it is not', async () => {
  const { options, closing, directory } = await bench();
  const inline = { inline: scriptedInline() };
  const source = closing(await Millrace.open({ ...options, jobs: inline }));
  const taken = await source.enqueue('inline', script, { uniqueKey: 'taken', ...later });
  const free = await source.enqueue('inline', script, { uniqueKey: { key: 'free', while: '2h' }, ...later });
  const lines = await collect(source.export());
  const target = closing(
    await Millrace.open({ ...options, directory: join(directory, 'target'), jobs: inline }),
  );
  const warnings: string[] = [];
  target.on('warning', ({ code }) => warnings.push(code));
  const own = await target.enqueue('inline', script, { uniqueKey: 'taken', ...later });
  expect(await target.import(lines)).toEqual({ imported: 2, skipped: 0 });
  expect(warnings).toEqual(['MILLRACE_UNIQUE_CONFLICT']);
  expect((await target.enqueue('inline', script, { uniqueKey: 'free' })).id).toBe(free.id);
  expect((await target.enqueue('inline', script, { uniqueKey: 'taken' })).id).toBe(own.id);
  // The one without does not free what it never had.
  expect(await target.cancel(taken.id)).toBe('cancelled');
  expect((await target.enqueue('inline', script, { uniqueKey: 'taken' })).id).toBe(own.id);
});

test('a job that is retried takes a key again that another had in the meantime', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const keyed = (id: string, onConflict: 'reject' | 'replace') =>
    mill.enqueue(
      'inline',
      { do: 'return' },
      {
        id,
        delay: '1h',
        uniqueKey: { key: 'k', while: 'retained', onConflict },
      },
    );
  await keyed('a', 'reject');
  await mill.cancel('a');
  await keyed('b', 'replace');
  await mill.remove('b');
  await mill.pause();
  expect(await mill.retry('a')).toBe('available');
  await expect(keyed('c', 'reject')).rejects.toMatchObject({ code: 'MILLRACE_UNIQUE_CONFLICT', jobId: 'a' });
});
