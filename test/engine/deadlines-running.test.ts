/** Jobs that run at their deadline are stopped then, whatever else the engine is at: closing, preparing, an outage. */
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, threadJob, type Duration } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { deferred } from '../fixtures/deferred.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openInline } from '../fixtures/inline-engine.js';
import { schemaThat } from '../fixtures/schemas.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const isExpired = { name: 'ExpiredError', code: 'MILLRACE_EXPIRED' };
const isStopped = { name: 'DeadlineError', code: 'MILLRACE_DEADLINE' };
const kinds = ['inline', 'thread'] as const;

/** An engine on a clock that stands still. */
async function onFakeClock() {
  const { options, closing, directory } = await bench();
  const clock = new FakeClock();
  const own = { grace: '1m', maxAttempts: 5 } as const;
  const jobs = { inline: scriptedInline(own), thread: scriptedThread(own) };
  const all = { ...options, clock, jobs, threads: { count: 1 } };
  const mill = closing(await Millrace.open(all));
  const events = record(mill, 'started', 'progress', 'completed', 'failed', 'cancelled', 'warning');
  /** A job that ends as soon as it is told to stop, and runs by now. */
  const run = async (kind: (typeof kinds)[number], options: { expiresIn?: Duration }) => {
    const job = await mill.enqueue(kind, { do: 'untilAborted', ends: 'return' }, options);
    await events.until(([event, value]) => event === 'progress' && value.id === job.id);
    return job;
  };
  return { mill, clock, events, run, all, closing, directory };
}

test.each(kinds)('a job that runs at its deadline while the engine closes (%s) is stopped', async (kind) => {
  const { mill, clock, events, run, all, closing } = await onFakeClock();
  const { id } = await run(kind, { expiresIn: '10s' });
  const deadlineAt = clock.now() + 10 * SECOND;
  const closed = mill.close({ timeout: '30s' });
  await clock.armed(30 * SECOND);
  await clock.advance(10 * SECOND - 1);
  expect(await mill.job(id)).toMatchObject({ state: 'running', stopping: false });
  await clock.advance(1);
  // Nobody has to wait any longer.
  await closed;
  expect(events.all.at(-1)).toMatchObject(['failed', { id, error: isStopped }]);
  const next = closing(await Millrace.open(all));
  expect(await next.job(id)).toMatchObject({ state: 'failed', finishedAt: deadlineAt, error: isStopped });
});

test('of jobs that run together, each is stopped at its own deadline', async () => {
  const { mill, clock, run } = await onFakeClock();
  const late = await run('inline', { expiresIn: '1h' });
  const never = await run('inline', {});
  const early = [await run('inline', { expiresIn: '20s' }), await run('inline', { expiresIn: '10s' })];
  const ends = Promise.allSettled(early.map((job) => job.result()));
  const now = clock.now();
  await clock.advance(20 * SECOND);
  await ends;
  await clock.advance(HOUR - 20 * SECOND);
  await late.result().catch(() => {});
  const finished = await Promise.all([...early, late].map(async (job) => (await job.snapshot()).finishedAt));
  expect(finished).toEqual([now + 20 * SECOND, now + 10 * SECOND, now + HOUR]);
  expect(await never.snapshot()).toMatchObject({ state: 'running', stopping: false });
  expect(await mill.counts()).toMatchObject({ failed: 3, running: 1 });
});

test('a deadline that no timer can wait for holds, and goes by the clock as it is set', async () => {
  const { clock, run } = await onFakeClock();
  const job = await run('inline', { expiresIn: '60d' });
  const result = expect(job.result()).rejects.toMatchObject({ cause: isStopped });
  clock.jump(61 * DAY);
  clock.jump(-2 * DAY);
  await clock.advance(MINUTE);
  expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: false });
  clock.jump(DAY);
  // The clock is looked at once a minute.
  await clock.advance(MINUTE);
  await result;
});

test('a job that is run again by hand has no deadline, however it ended before', async () => {
  const { mill, clock, events, run } = await onFakeClock();
  const job = await run('inline', { expiresIn: '10s' });
  await clock.advance(10 * SECOND);
  await expect(job.result()).rejects.toMatchObject({ cause: isStopped });
  await mill.retry(job.id);
  await events.until(() => events.all.filter(([event]) => event === 'progress').length === 2);
  await clock.advance(HOUR);
  expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: false });
});

/** Time passes until something is so. */
async function passUntil(clock: FakeClock, isSo: () => boolean): Promise<void> {
  while (!isSo()) {
    await clock.advance(SECOND);
    await turn();
  }
}

/**
 * The journal is moved away, and a write fails; what it would have changed may be there all the same.
 * @returns brings it back, and waits until the engine has noticed.
 */
async function losing(
  { mill, clock, directory }: { mill: Pick<Millrace, 'on'>; clock: FakeClock; directory: string },
  write: () => Promise<unknown>,
): Promise<() => Promise<void>> {
  const [journal, aside] = [join(directory, 'journal'), join(directory, 'aside')];
  const warnings = record(mill, 'warning');
  await rename(journal, aside);
  await expect(write()).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_WRITE_FAILED' });
  const isBack = () =>
    warnings.all.some(([, value]) => 'code' in value && value.code === 'MILLRACE_JOURNAL_REOPENED');
  return async () => {
    await rename(aside, journal);
    await passUntil(clock, isBack);
  };
}

/** An engine whose job was claimed, while its schema, or its upgrade, does not answer. */
async function preparing(kind: (typeof kinds)[number], whatHangs: 'schema' | 'upgrade') {
  const { options, closing, directory } = await bench();
  const clock = new FakeClock();
  const { promise: asked, resolve: ask } = deferred();
  let hangs = false;
  const prepare = async (value: unknown): Promise<{ value: { do: 'return'; value: number } }> => {
    if (hangs) {
      ask();
      await new Promise(() => {});
    }
    return { value: value as { do: 'return'; value: number } };
  };
  const script = new URL('../fixtures/scripted.js', import.meta.url);
  type Scripted = typeof import('../fixtures/scripted.js');
  const own =
    whatHangs === 'schema'
      ? { schema: schemaThat(prepare) }
      : { version: 2, upgrade: async (payload: unknown) => (await prepare(payload)).value };
  const old = { inline: scriptedInline(), thread: scriptedThread() };
  const jobs = {
    inline: inlineJob(({ value }: { do: 'return'; value: number }) => value, { ...own, concurrency: 1 }),
    thread: threadJob<Scripted>(script, own),
  };
  const all = { ...options, clock, threads: { count: 1 } };
  const first = await Millrace.open({ ...all, jobs: old });
  // The first one finds out that its answers come late.
  await first.enqueue(kind, { do: 'return', value: 1 }, { id: 'first', delay: 1 });
  await first.enqueue(kind, { do: 'return', value: 2 }, { id: 'it', delay: 2, expiresIn: '10s' });
  await first.enqueue(kind, { do: 'return', value: 3 }, { id: 'behind', delay: 11 * SECOND });
  await first.close();
  const mill = closing(await Millrace.open({ ...all, jobs }));
  const events = record(mill, 'started', 'errored', 'failed', 'cancelled', 'warning');
  await clock.armed(1);
  await clock.advance(1);
  await mill.handle(kind, 'first').result();
  hangs = true;
  await clock.armed(1);
  await clock.advance(1);
  await asked;
  hangs = false;
  const job = mill.handle(kind, 'it');
  const reopen = async () => closing(await Millrace.open({ ...all, jobs }));
  return { mill, clock, job, events, reopen, directory };
}

test.each([
  ['inline', 'schema'],
  ['inline', 'upgrade'],
  ['thread', 'schema'],
  ['thread', 'upgrade'],
] as const)('a job expires (%s) although its %s hangs, and its place is free again', async (kind, what) => {
  const { mill, clock, job, events } = await preparing(kind, what);
  expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: false });
  await clock.advance(10 * SECOND - 3);
  expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: false });
  await clock.advance(1);
  await expect(job.result()).rejects.toMatchObject({ attempt: 0, cause: isExpired });
  expect(await job.snapshot()).toMatchObject({ state: 'failed', attempt: 0, errors: [] });
  await clock.advance(SECOND);
  expect(await mill.handle(kind, 'behind').result()).toBe(3);
  // Nor is it heard of when the schema would have had its time.
  await clock.advance(MINUTE);
  expect(events.all.map(([event, value]) => [event, 'id' in value && value.id])).toEqual([
    ['started', 'first'],
    ['failed', 'it'],
    ['started', 'behind'],
  ]);
});

test.each(kinds)(
  'a cancel of a job whose schema hangs, after its deadline, tells how it ended: %s',
  async (kind) => {
    const { clock, job } = await preparing(kind, 'schema');
    await clock.advance(10 * SECOND - 3);
    await clock.advance(1);
    // It may not have expired yet, where it waits again.
    expect(await job.cancel()).toBeOneOf(['failed', 'cancelled']);
    expect(await job.snapshot()).toMatchObject({ attempt: 0, errors: [] });
  },
);

test.each(kinds)(
  'an engine that closes does not wait for a schema beyond its job’s deadline: %s',
  async (kind) => {
    const { mill, clock, reopen, events } = await preparing(kind, 'schema');
    const closed = mill.close({ timeout: '29s' });
    await clock.armed(29 * SECOND);
    await clock.advance(10 * SECOND);
    await closed;
    expect(events.all.filter(([event]) => event === 'errored')).toEqual([]);
    // And nothing of it keeps the process alive.
    expect(clock.isIdle).toBe(true);
    const next = await reopen();
    await expect(next.handle(kind, 'it').result()).rejects.toMatchObject({ attempt: 0, cause: isExpired });
  },
);

test.each(kinds)(
  'a job that runs at its deadline in an outage of the journal (%s) is stopped',
  async (kind) => {
    const opened = await onFakeClock();
    const { mill, clock, run } = opened;
    const { id } = await run(kind, { expiresIn: '10s' });
    const result = mill.handle(kind, id).result();
    const refused = expect(result).rejects.toMatchObject({ attempt: 1, cause: isStopped });
    const comeBack = await losing(opened, () =>
      mill.enqueue('inline', { do: 'return', value: 4 }, { delay: '1d' }),
    );
    await clock.advance(10 * SECOND - 1);
    expect(await mill.job(id)).toMatchObject({ state: 'running', stopping: false });
    await clock.advance(1);
    expect(await mill.job(id)).toMatchObject({ state: 'running', stopping: true });
    await comeBack();
    await refused;
    expect(await mill.job(id)).toMatchObject({ state: 'failed', errors: [{ attempt: 1, error: isStopped }] });
  },
);

test.each(kinds)(
  'a job whose schema hangs expires after an outage that was on at its deadline: %s',
  async (kind) => {
    const opened = await preparing(kind, 'schema');
    const { mill, clock, job, events } = opened;
    const refused = expect(job.result()).rejects.toMatchObject({ attempt: 0, cause: isExpired });
    const comeBack = await losing(opened, () =>
      mill.enqueue('inline', { do: 'return', value: 4 }, { delay: '1d' }),
    );
    await clock.advance(10 * SECOND);
    expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: true });
    await comeBack();
    await refused;
    expect(events.all.filter(([event]) => event === 'errored')).toEqual([]);
    // Its place is free again.
    await passUntil(clock, () => events.all.some(([, value]) => 'id' in value && value.id === 'behind'));
    expect(await mill.handle(kind, 'behind').result()).toBe(3);
  },
);

/** An engine whose one job runs until it is told to stop, on a journal that a test lets fail. */
async function onFragileStore() {
  const clock = new FakeClock();
  const store = new FragileStore(openMemoryStore(new MemoryDisk()));
  const opened = await openInline(store, { clock });
  await opened.engine.enqueue('work', null, { id: 'it', expiresIn: '10s' });
  await opened.starts.reached(1);
  const heal = async (): Promise<void> => {
    store.writes = undefined;
    store.reopens = undefined;
    await clock.armed();
    await passUntil(clock, () =>
      opened.warnings.all.some(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED'),
    );
  };
  return { ...opened, clock, store, heal };
}

test('a job whose cancel was lost with the journal is stopped at its deadline, which came meanwhile', async () => {
  const { engine, clock, store, warnings, ends, heal } = await onFragileStore();
  store.writes = 'lost';
  store.reopens = new Error('the disk is away');
  const refused = expect(engine.cancel('it')).rejects.toMatchObject({
    code: 'MILLRACE_JOURNAL_WRITE_FAILED',
  });
  await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_WRITE_FAILED');
  await clock.advance(10 * SECOND);
  await heal();
  await refused;
  // Its grace, and the commit.
  await clock.advance(1);
  await expect(engine.result('it')).rejects.toMatchObject({ attempt: 1, cause: isStopped });
  expect(ends.all).toEqual(['failed it']);
});

test('what stops at its deadline in an outage has its grace then, not after it', async () => {
  const { engine, clock, store, warnings, heal } = await onFragileStore();
  store.writes = 'lost';
  store.reopens = new Error('the disk is away');
  await expect(engine.enqueue('work', null)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_WRITE_FAILED' });
  await clock.advance(10 * SECOND);
  expect(warnings.all.some(({ code }) => code === 'MILLRACE_INLINE_STUCK')).toBe(false);
  await clock.advance(1);
  expect(warnings.all.some(({ code }) => code === 'MILLRACE_INLINE_STUCK')).toBe(true);
  await heal();
  await expect(engine.result('it')).rejects.toMatchObject({ cause: isStopped });
  expect(await engine.counts()).toMatchObject({ failed: 1, running: 0, available: 0 });
});
