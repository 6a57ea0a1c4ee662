/** jobs(): which jobs a filter means, by an index or not. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Millrace, type JobFilter, type JobSnapshot } from '../../src/index.js';
import { statusKey } from '../../src/journal/keys.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { collect } from '../fixtures/collect.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';
import { openInline } from '../fixtures/inline-engine.js';

/** One job of each state, and one of another type and queue. */
async function oneOfEach() {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const clock = new FakeClock();
  const backoff = { type: 'exponential', delay: '1h', jitter: 'none' } as const;
  const jobs = {
    work: scriptedThread({ backoff }),
    mail: scriptedInline({ queue: 'other', concurrency: 1 }),
  };
  const queues = { default: {}, other: {} };
  const mill = closing(await Millrace.open({ ...options, jobs, queues, threads: { count: 1 }, clock }));
  const startedAt = clock.now();
  const end = async (id: string, script: Parameters<typeof mill.enqueue<'work'>>[1]): Promise<void> => {
    await (await mill.enqueue('work', script, { id })).result().catch(() => {});
    await clock.advance(1_000);
  };
  await end('completed', { do: 'return' });
  await end('failed', { do: 'throwUnrecoverable' });
  await (await mill.enqueue('work', { do: 'return' }, { id: 'cancelled', delay: '2h' })).cancel();
  const retrying = record(mill, 'retrying');
  await mill.enqueue('work', { do: 'throw', message: 'the disk is full' }, { id: 'retryable' });
  await retrying.reached(1);
  await mill.enqueue('work', { do: 'return' }, { id: 'scheduled', delay: '1h' });
  await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'busy' }, { id: 'running' });
  await gate.arrived('busy');
  await mill.enqueue('work', { do: 'return' }, { id: 'available' });
  const mail = await mill.enqueue('mail', { do: 'return' }, { id: 'mail' });
  await mail.result();
  const ids = async (filter?: JobFilter): Promise<string[]> =>
    (await collect(mill.jobs(filter))).map(({ id }) => id).sort();
  return { mill, ids, clock, startedAt };
}

test('each filter means the jobs that are as all of its fields say', async () => {
  const { mill, ids, startedAt } = await oneOfEach();
  const all = ['available', 'cancelled', 'completed', 'failed', 'mail', 'retryable', 'running', 'scheduled'];
  expect(await ids()).toEqual(all);
  expect(await ids({})).toEqual(all);
  for (const state of ['failed', 'cancelled', 'scheduled', 'available', 'running', 'retryable'] as const) {
    const [only, ...others] = await collect(mill.jobs({ state }));
    expect(only).toEqual(await mill.job(state));
    expect(only).toMatchObject({ id: state, state });
    expect(others).toEqual([]);
  }
  expect(await ids({ state: 'completed' })).toEqual(['completed', 'mail']);
  expect(await ids({ state: ['failed', 'cancelled'] })).toEqual(['cancelled', 'failed']);
  expect(await ids({ state: ['scheduled', 'retryable'] })).toEqual(['retryable', 'scheduled']);
  expect(await ids({ state: ['running', 'available', 'completed'] })).toEqual([
    'available',
    'completed',
    'mail',
    'running',
  ]);
  expect(await ids({ state: [] })).toEqual([]);
  expect(await ids({ state: 'waiting' })).toEqual([]);
  for (const only of [
    { name: 'mail' },
    { queue: 'other' },
    { queue: ['other', 'nowhere'], name: ['mail'] },
  ]) {
    expect(await ids(only)).toEqual(['mail']);
    expect(await ids({ ...only, state: 'completed' })).toEqual(['mail']);
    expect(await ids({ ...only, state: 'available' })).toEqual([]);
    expect(await ids({ ...only, state: 'scheduled' })).toEqual([]);
  }
  expect(await ids({ name: 'gone' })).toEqual([]);
  expect(await ids({ error: 'E_LUCK' })).toEqual(['retryable']);
  expect(await ids({ error: 'RangeError' })).toEqual(['retryable']);
  expect(await ids({ error: 'disk is', state: 'retryable' })).toEqual(['retryable']);
  expect(await ids({ error: 'MILLRACE_UNRECOVERABLE', state: 'failed' })).toEqual(['failed']);
  expect(await ids({ error: 'something else' })).toEqual([]);
  // Of ended jobs by their end, of others by their enqueue.
  expect(await ids({ state: 'completed', until: startedAt + 1 })).toEqual(['completed']);
  expect(await ids({ state: 'completed', since: new Date(startedAt + 1) })).toEqual(['mail']);
  expect(await ids({ until: startedAt })).toEqual([]);
  expect(await ids({ since: startedAt, until: startedAt + 1_001 })).toEqual(['completed', 'failed']);
  expect(await ids({ since: startedAt + 2_000 })).toEqual(
    all.filter((id) => id !== 'completed' && id !== 'failed'),
  );
});

test('an error is looked for in what a job failed with, be that its last attempt or not', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedInline({ maxAttempts: 1 }), next: scriptedInline() };
  const clock = new FakeClock();
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  const expired = { id: 'expired', delay: '1h', deadline: clock.now() + 1_000 } as const;
  await mill.enqueue('work', { do: 'return' }, expired);
  const flow = await mill.enqueueFlow({
    first: { name: 'work', payload: { do: 'throw' } },
    second: { name: 'next', payload: { do: 'return' }, parents: ['first'] },
  });
  await expect(flow.second.result()).rejects.toMatchObject({ cause: { code: 'MILLRACE_PARENT_FAILED' } });
  await clock.advance(2_000);
  await expect(mill.handle('work', 'expired').result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
  });
  const ids = async (error: string): Promise<string[]> =>
    (await collect(mill.jobs({ state: 'failed', error }))).map(({ id }) => id);
  for (const error of ['MILLRACE_EXPIRED', 'ExpiredError', 'by its deadline'])
    expect(await ids(error), error).toEqual(['expired']);
  expect(await ids('MILLRACE_PARENT_FAILED')).toEqual([flow.second.id]);
  expect(await ids('E_LUCK')).toEqual([flow.first.id]);
  expect(await mill.remove({ error: 'MILLRACE_EXPIRED' })).toBe(1);
  expect(await mill.retry({ error: 'MILLRACE_PARENT_FAILED' })).toBe(1);
});

test.each([
  [{ state: 'gone' }, 'filter.state'],
  [{ state: ['failed', 7] }, 'filter.state[1]'],
  [{ name: 'a name' }, 'filter.name'],
  [{ queue: [''] }, 'filter.queue[0]'],
  [{ since: 'yesterday' }, 'filter.since'],
  [{ until: new Date(Number.NaN) }, 'filter.until'],
  [{ error: '' }, 'filter.error'],
  [{ error: /x/ }, 'filter.error'],
  [{ sate: 'failed' }, 'filter.sate'],
  [null, 'filter'],
  ['failed', 'filter'],
])('the filter %j is refused', async (filter, option) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  // What no type lets pass.
  const wrong = filter as unknown as JobFilter;
  expect(() => mill.jobs(wrong)).toThrow(`\`${option}\``);
  if (typeof filter === 'string') return;
  for (const call of [
    () => mill.cancel(wrong),
    () => mill.retry(wrong),
    () => mill.remove(wrong),
    () => mill.promote(wrong),
  ])
    await expect(call()).rejects.toMatchObject({ code: 'MILLRACE_OPTION_INVALID' });
});

test('in bulk, what may be a forgotten id or value is not taken for all jobs', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  await mill.enqueue('work', { do: 'return' }, { delay: '1h' });
  for (const wrong of [undefined, null, 7, [], { name: undefined }]) {
    const filter = wrong as unknown as JobFilter;
    for (const call of [() => mill.cancel(filter), () => mill.remove(filter), () => mill.promote(filter)])
      await expect(call()).rejects.toMatchObject({ code: 'MILLRACE_OPTION_INVALID' });
  }
  expect(await mill.counts()).toMatchObject({ scheduled: 1 });
  expect(await mill.remove({})).toBe(1);
});

test('of many jobs each is met once, page by page, while the event loop goes on', async () => {
  const { options, closing } = await bench();
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: scriptedInline({ concurrency: 5 }) }, durability: 'os' }),
  );
  const later = Array.from({ length: 1_200 }, (_, i) => ({
    name: 'work' as const,
    payload: { do: 'return' } as const,
    options: { delay: i % 2 === 0 ? 3_600_000 + i : 0 },
  }));
  await mill.enqueueMany(later);
  await mill.drain();
  let turns = 0;
  const noticed = new AbortController();
  const turning = (async () => {
    for (; !noticed.signal.aborted; turns++) await turn();
  })();
  for (const filter of [{}, { state: 'scheduled' }, { state: 'completed' }] satisfies JobFilter[]) {
    const found = await collect(mill.jobs(filter));
    expect(found).toHaveLength('state' in filter ? 600 : 1_200);
    expect(new Set(found.map(({ id }) => id)).size).toBe(found.length);
  }
  noticed.abort();
  await turning;
  expect(turns).toBeGreaterThan(50);
  // Nobody has to take the last one, and nothing keeps the engine from closing.
  for await (const job of mill.jobs({ state: 'scheduled' })) {
    expect(job).toMatchObject({ state: 'scheduled' });
    break;
  }
});

test('what was retried is listed under the end that it has, once, however often it ended in one instant', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const work = scriptedInline({ maxAttempts: 1, retention: { failed: '1h', cancelled: '1h' } });
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, clock }));
  const failed = record(mill, 'failed');
  const many = ['a', 'b', 'c'].map(
    (id) => ({ name: 'work', payload: { do: 'throw' }, options: { id } }) as const,
  );
  await mill.enqueueMany(many);
  await failed.reached(3);
  const found = async (filter: JobFilter): Promise<JobSnapshot[]> => collect(mill.jobs(filter));
  for (let round = 1; round <= 3; round++) {
    expect(await mill.retry('a')).toBe('available');
    await failed.reached(3 + round);
    // All of that in a clock's one millisecond.
    expect((await found({ state: 'failed' })).map(({ id }) => id).sort()).toEqual(['a', 'b', 'c']);
  }
  const job = await mill.enqueue('work', { do: 'return' }, { id: 'd', delay: '1h' });
  for (let round = 0; round < 3; round++) {
    await job.cancel();
    expect(await mill.retry({ state: 'cancelled' })).toBe(1);
    await job.result();
    expect(await mill.remove('d')).toBe(true);
    await mill.enqueue('work', { do: 'return' }, { id: 'd', delay: '1h' });
  }
  expect(await found({ state: ['cancelled', 'completed'] })).toEqual([]);
  await job.cancel();
  expect(await found({ state: ['cancelled', 'completed'] })).toHaveLength(1);
  await mill.close();
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
});

test('a retry of all that failed comes to an end, although they fail again at once', async () => {
  const { options, closing } = await bench();
  const work = scriptedInline({ maxAttempts: 1, concurrency: 20 });
  // A clock that stands still tells nothing of what was before, and what comes after.
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work }, clock: new FakeClock(), durability: 'os' }),
  );
  await mill.enqueueMany(
    Array.from({ length: 700 }, () => ({ name: 'work', payload: { do: 'throw' } }) as const),
  );
  await mill.drain();
  expect(await mill.retry({ state: 'failed' })).toBe(700);
  await mill.drain();
  const found = await collect(mill.jobs({ state: 'failed' }));
  expect(found).toHaveLength(700);
  expect(found.every(({ attempt, retries }) => attempt === 2 && retries === 1)).toBe(true);
});

test('a job that cannot be read is a warning, and left out; in bulk, too', async () => {
  const disk = new MemoryDisk();
  const first = await openInline(openMemoryStore(disk));
  const ids = ['a', 'b', 'c'];
  for (const id of ids) {
    await first.engine.enqueue('work', null, { id, delay: '1h' });
    await first.engine.cancel(id);
  }
  await first.engine.close(0);
  const key = statusKey('b');
  const bytes = Uint8Array.from(disk.get(key) ?? []);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  disk.apply([[key, bytes]], true);
  const { engine, warnings, release } = await openInline(openMemoryStore(disk));
  const found = async (filter?: JobFilter): Promise<string[]> =>
    (await collect(engine.jobs(filter))).map(({ id }) => id);
  expect(await found()).toEqual(['a', 'c']);
  expect(await found({ state: 'cancelled' })).toEqual(['a', 'c']);
  expect(warnings.all.map(({ code }) => code)).toEqual([
    'MILLRACE_JOURNAL_CORRUPT',
    'MILLRACE_JOURNAL_CORRUPT',
  ]);
  release();
  expect(await engine.retry({ state: 'cancelled' })).toBe(2);
  await expect(engine.retry('b')).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_CORRUPT' });
  await expect(engine.remove('b')).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_CORRUPT' });
});

test('an engine that is closed lists nothing', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  await mill.enqueueMany(
    Array.from(
      { length: 100 },
      () => ({ name: 'work', payload: { do: 'return' }, options: { delay: '1h' } }) as const,
    ),
  );
  const jobs = mill.jobs();
  expect(await jobs.next()).toMatchObject({ done: false });
  await mill.close();
  await expect(collect(jobs)).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
  expect(() => mill.jobs()).toThrow('The engine is closed');
  await expect(mill.retry({})).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
});
