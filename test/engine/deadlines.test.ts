/** Deadlines: what has not started by its own fails as expired, and what runs is stopped then. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type JobTypeOptions } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';
import { openInline } from '../fixtures/inline-engine.js';
import { StoreSpy } from '../fixtures/store-spy.js';

const SECOND = 1_000;
const HOUR = 3_600_000;
const jobFailed = 'MILLRACE_JOB_FAILED';
const isExpired = { name: 'ExpiredError', code: 'MILLRACE_EXPIRED' };
const isStopped = { name: 'DeadlineError', code: 'MILLRACE_DEADLINE' };

/** An engine on a clock that stands still, with one place for inline jobs and one thread. */
async function onFakeClock(own: JobTypeOptions = {}) {
  const { options, closing, directory } = await bench();
  const clock = new FakeClock();
  const gate = await Gate.in(directory);
  const jobs = {
    inline: scriptedInline({ concurrency: 1, ...own }),
    threaded: scriptedThread(own),
  };
  const all = { ...options, clock, jobs, threads: { count: 1 } };
  const mill = closing(await Millrace.open(all));
  const events = record(mill, 'started', 'progress', 'errored', 'retrying', 'failed', 'completed', 'warning');
  /** Takes the only place there is. */
  const occupy = async (name: 'inline' | 'threaded') => {
    const job = await mill.enqueue(name, { do: 'passGate', gate: gate.path, label: name });
    await gate.arrived(name);
    return job;
  };
  /** What was told of a job. */
  const story = (id: string): string[] =>
    events.all.flatMap(([event, value]) => ('id' in value && value.id === id ? [event] : []));
  return { mill, clock, gate, events, occupy, story };
}

test('a job that is for later than its deadline expires, and its result says so', async () => {
  const { mill, clock, story } = await onFakeClock();
  const deadlineAt = clock.now() + 10 * SECOND;
  const job = await mill.enqueue('inline', { do: 'return' }, { delay: '1h', expiresIn: '10s' });
  expect(await job.snapshot()).toMatchObject({ state: 'scheduled', deadlineAt });
  const result = expect(job.result()).rejects.toMatchObject({
    code: jobFailed,
    attempt: 0,
    message: expect.stringContaining('before its first attempt'),
    cause: { ...isExpired, message: expect.stringContaining(new Date(deadlineAt).toISOString()) },
  });
  await clock.armed(10 * SECOND);
  await clock.advance(10 * SECOND - 1);
  expect(await job.snapshot()).toMatchObject({ state: 'scheduled' });
  await clock.advance(1);
  await result;
  // There was no attempt, so none errored.
  expect(await job.snapshot()).toMatchObject({
    state: 'failed',
    attempt: 0,
    finishedAt: deadlineAt,
    errors: [],
    error: isExpired,
  });
  expect(story(job.id)).toEqual(['failed']);
  expect(await mill.counts()).toMatchObject({ scheduled: 0, failed: 1 });
  await clock.advance(HOUR);
  expect(story(job.id)).toEqual(['failed']);
});

test.each(['inline', 'threaded'] as const)(
  'a job that waits for a busy place (%s) expires meanwhile, and what waits behind it runs',
  async (name) => {
    const { mill, clock, gate, occupy, story } = await onFakeClock();
    const busy = await occupy(name);
    const deadline = new Date(clock.now() + 10 * SECOND);
    const job = await mill.enqueue(name, { do: 'return' }, { deadline });
    const behind = await mill.enqueue(name, { do: 'return', value: 'behind' });
    await clock.armed(10 * SECOND);
    await clock.advance(10 * SECOND);
    await expect(job.result()).rejects.toMatchObject({ cause: isExpired });
    expect(await busy.snapshot()).toMatchObject({ state: 'running' });
    gate.open(name);
    expect(await behind.result()).toBe('behind');
    expect(story(job.id)).toEqual(['failed']);
    expect(await mill.counts()).toMatchObject({ available: 0, running: 0, failed: 1, completed: 2 });
  },
);

test('a job whose next attempt comes after its deadline expires then, and keeps the errors of its attempts', async () => {
  const { mill, clock, events, story } = await onFakeClock({
    backoff: { type: 'exponential', delay: '1h', jitter: 'none' },
  });
  const job = await mill.enqueue('inline', { do: 'throw' }, { expiresIn: '10s' });
  await events.until(([event]) => event === 'retrying');
  await clock.advance(10 * SECOND);
  await expect(job.result()).rejects.toMatchObject({ code: jobFailed, attempt: 1, cause: isExpired });
  expect(await job.snapshot()).toMatchObject({
    state: 'failed',
    attempt: 1,
    error: isExpired,
    errors: [{ attempt: 1, error: { code: 'E_LUCK' } }],
  });
  expect(story(job.id)).toEqual(['started', 'errored', 'retrying', 'failed']);
});

test('a job in a queue that is paused expires', async () => {
  const { mill, clock, story } = await onFakeClock();
  await mill.pause('default');
  const job = await mill.enqueue('inline', { do: 'return' }, { expiresIn: '10s' });
  await clock.armed(10 * SECOND);
  await clock.advance(10 * SECOND);
  await expect(job.result()).rejects.toMatchObject({ cause: isExpired });
  expect(story(job.id)).toEqual(['failed']);
});

test('a job that waits for its parents expires, and those that wait for it hear of it', async () => {
  const { mill, clock, gate, occupy, story } = await onFakeClock();
  await occupy('inline');
  const child = { name: 'inline', payload: { do: 'return' } } as const;
  const { parent, late, last } = await mill.enqueueFlow({
    parent: child,
    late: { ...child, parents: ['parent'], options: { expiresIn: '10s' } },
    last: { ...child, parents: ['late'] },
  });
  expect(await late.snapshot()).toMatchObject({ state: 'waiting' });
  await clock.armed(10 * SECOND);
  await clock.advance(10 * SECOND);
  await expect(late.result()).rejects.toMatchObject({ cause: isExpired });
  await expect(last.result()).rejects.toMatchObject({
    cause: { code: 'MILLRACE_PARENT_FAILED', cause: isExpired },
  });
  gate.open('inline');
  await parent.result();
  expect(story(late.id)).toEqual(['failed']);
});

test('jobs of a type, or in a queue, that nobody knows expire', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const work = scriptedInline({ concurrency: 1 });
  const first = closing(
    await Millrace.open({ ...options, clock, jobs: { work }, queues: { default: {}, other: {} } }),
  );
  const started = record(first, 'started');
  await first.enqueue('work', { do: 'hang' }, { timeout: '1d' });
  await started.reached(1);
  const jobs = [
    await first.enqueue('work', { do: 'return' }, { expiresIn: '1h' }),
    await first.enqueue('work', { do: 'return' }, { expiresIn: '1h', queue: 'other' }),
  ];
  await Promise.all([
    first.close({ timeout: 0 }),
    clock.armed(5 * SECOND).then(() => clock.advance(5 * SECOND)),
  ]);

  const second = closing(await Millrace.open({ ...options, clock, jobs: { other: work } }));
  const failed = record(second, 'failed');
  await clock.armed(60 * SECOND);
  await clock.advance(HOUR);
  await failed.reached(2);
  expect(failed.all.map(([, value]) => 'id' in value && value.id)).toEqual(jobs.map(({ id }) => id));
});

test.each(['inline', 'threaded'] as const)(
  'a job that runs at its deadline (%s) is stopped, and fails whatever attempts it has left',
  async (name) => {
    const { mill, clock, events, story } = await onFakeClock({ grace: '1m', timeout: '1h' });
    const script = { do: 'untilAborted', ends: 'return' } as const;
    const job = await mill.enqueue(name, script, { expiresIn: '10s', maxAttempts: 5 });
    await events.until(([event]) => event === 'progress');
    await clock.advance(10 * SECOND - 1);
    expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: false });
    await clock.advance(1);
    // The value that it returns within its grace changes nothing any more.
    await expect(job.result()).rejects.toMatchObject({ code: jobFailed, attempt: 1, cause: isStopped });
    expect(await job.snapshot()).toMatchObject({
      state: 'failed',
      error: isStopped,
      errors: [{ attempt: 1, error: isStopped }],
    });
    expect(story(job.id)).toEqual(['started', 'progress', 'errored', 'failed']);
  },
);

test('a thread that does not stop at the deadline of its job is ended after the grace', async () => {
  const { mill, clock, events } = await onFakeClock({ grace: '3s' });
  const job = await mill.enqueue('threaded', { do: 'loop' }, { expiresIn: '10s' });
  await events.until(([event]) => event === 'progress');
  await clock.advance(10 * SECOND);
  await clock.armed(3 * SECOND);
  await clock.advance(3 * SECOND - 1);
  expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: true });
  await clock.advance(1);
  await expect(job.result()).rejects.toMatchObject({ cause: isStopped });
  expect(await (await mill.enqueue('threaded', { do: 'return', value: 'next' })).result()).toBe('next');
});

test('an inline job that goes on past its deadline has its outcome, and its place until it has gone', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const ends: ((value: string) => void)[] = [];
  const work = inlineJob(() => new Promise<string>((resolve) => ends.push(resolve)), {
    concurrency: 1,
    grace: '5s',
    expiresIn: '10s',
  });
  const mill = closing(await Millrace.open({ ...options, clock, jobs: { work } }));
  const events = record(mill, 'started', 'errored', 'failed', 'completed', 'warning');
  const job = await mill.enqueue('work');
  await events.until(([event]) => event === 'started');
  await clock.advance(10 * SECOND);
  await clock.armed(5 * SECOND);
  await clock.advance(5 * SECOND);
  await expect(job.result()).rejects.toMatchObject({ cause: isStopped });
  const next = await mill.enqueue('work');
  ends[0]?.('too late');
  await events.until(([event, value]) => event === 'started' && value.id === next.id);
  ends[1]?.('in time');
  expect(await next.result()).toBe('in time');
  expect(events.all).toMatchObject([
    ['started', { id: job.id }],
    ['warning', { code: 'MILLRACE_INLINE_STUCK' }],
    ['errored', { id: job.id, error: isStopped }],
    ['failed', { id: job.id, error: isStopped }],
    ['started', { id: next.id }],
    ['completed', { id: next.id }],
  ]);
  expect(await job.snapshot()).toMatchObject({ state: 'failed', error: isStopped });
});

test('a timeout is retried, a deadline is not, and their errors tell which it was', async () => {
  const { mill, clock, events, story } = await onFakeClock({
    timeout: '6s',
    grace: '1m',
    backoff: { type: 'exponential', delay: 0 },
  });
  const script = { do: 'untilAborted', ends: 'throw' } as const;
  const job = await mill.enqueue('inline', script, { expiresIn: '10s', maxAttempts: 5 });
  await events.until(([event]) => event === 'progress');
  await clock.advance(6 * SECOND);
  await events.until(([event, value]) => event === 'progress' && value.attempt === 2);
  await clock.advance(4 * SECOND);
  await expect(job.result()).rejects.toMatchObject({ attempt: 2, cause: isStopped });
  expect((await job.snapshot()).errors).toMatchObject([
    { attempt: 1, error: { name: 'TimeoutError', code: 'MILLRACE_TIMEOUT' } },
    { attempt: 2, error: isStopped },
  ]);
  expect(story(job.id).filter((event) => event === 'failed')).toHaveLength(1);
});

test('a cancel of a job that is being stopped at its deadline tells how it ended', async () => {
  const { mill, clock, events } = await onFakeClock({ grace: '5s' });
  const job = await mill.enqueue('inline', { do: 'hang' }, { expiresIn: '10s' });
  await events.until(([event]) => event === 'progress');
  await clock.advance(10 * SECOND);
  // Its grace has begun.
  await clock.armed(5 * SECOND);
  expect(await job.snapshot()).toMatchObject({ stopping: true });
  const cancelled = job.cancel();
  await clock.advance(5 * SECOND);
  expect(await cancelled).toBe('failed');
});

test.each([
  ['on an idle engine', 1],
  ['among others', 3],
])('a job whose deadline has passed is taken, and fails at once: %s', async (_where, count) => {
  const { mill, clock, story } = await onFakeClock();
  const late = { name: 'inline', payload: { do: 'return' }, options: { deadline: clock.now() } } as const;
  const enqueue = () => mill.enqueue(late.name, late.payload, late.options);
  const jobs =
    count === 1 ? [await enqueue()] : await mill.enqueueMany(Array.from({ length: count }, () => late));
  for (const job of jobs) {
    await expect(job.result()).rejects.toMatchObject({ code: jobFailed, cause: isExpired });
    expect(story(job.id)).toEqual(['failed']);
  }
  expect(await mill.counts()).toMatchObject({ available: 0, running: 0, failed: count });
  await mill.drain();
});

test('a job that ends in time is not heard of at its deadline', async () => {
  const { mill, clock, events } = await onFakeClock();
  const jobs = [
    await mill.enqueue('inline', { do: 'return', value: 1 }, { expiresIn: '10s' }),
    await mill.enqueue('inline', { do: 'throwUnrecoverable' }, { expiresIn: '10s' }),
    await mill.enqueue('inline', { do: 'return' }, { expiresIn: '10s', delay: '1h' }),
  ];
  await Promise.allSettled([jobs[0]?.result(), jobs[1]?.result(), jobs[2]?.cancel()]);
  const told = events.all.length;
  await clock.advance(60 * SECOND);
  // Something else is committed meanwhile.
  await (await mill.enqueue('inline', { do: 'return' })).result();
  expect(events.all.slice(told).filter(([event]) => event === 'failed')).toEqual([]);
  expect((await Promise.all(jobs.map((job) => job.snapshot()))).map(({ state }) => state)).toEqual([
    'completed',
    'failed',
    'cancelled',
  ]);
});

test('a job type’s `expiresIn` is for all its jobs that have no other', async () => {
  const { mill, clock, occupy } = await onFakeClock({ expiresIn: '10s' });
  await occupy('threaded');
  const now = clock.now();
  const own = await mill.enqueue('threaded', { do: 'return' });
  const longer = await mill.enqueue('threaded', { do: 'return' }, { expiresIn: '1m' });
  const at = await mill.enqueue('threaded', { do: 'return' }, { deadline: now + HOUR });
  const deadlines = (await Promise.all([own, longer, at].map((job) => job.snapshot()))).map(
    ({ deadlineAt }) => deadlineAt,
  );
  expect(deadlines).toEqual([now + 10 * SECOND, now + 60 * SECOND, now + HOUR]);
  await clock.advance(60 * SECOND);
  await expect(longer.result()).rejects.toMatchObject({ cause: isExpired });
  expect(await at.snapshot()).toMatchObject({ state: 'available' });
});

test('the hook of a job type hears of a job that expired', async () => {
  const failures: unknown[] = [];
  const { mill, clock } = await onFakeClock({
    onFailed: ({ id, attempt }, error) => void failures.push({ id, attempt, error }),
  });
  const job = await mill.enqueue('inline', { do: 'return' }, { deadline: clock.now() });
  await job.result().catch(() => {});
  expect(failures).toMatchObject([{ id: job.id, attempt: 0, error: { code: 'MILLRACE_EXPIRED' } }]);
});

test('jobs of a schedule expire, where it says so', async () => {
  const { mill, clock, occupy } = await onFakeClock();
  await occupy('threaded');
  await mill.schedules.upsert('s', {
    job: 'threaded',
    payload: { do: 'return' },
    every: '1h',
    options: { expiresIn: '10m' },
  });
  expect((await mill.schedules.list())[0]).toMatchObject({ options: { expiresInMs: 600_000 } });
  const job = await mill.schedules.runNow('s');
  expect(await job.snapshot()).toMatchObject({ deadlineAt: clock.now() + 600_000, schedule: 's' });
  await clock.armed(60 * SECOND);
  await clock.advance(600_000);
  await expect(job.result()).rejects.toMatchObject({ cause: isExpired });
});

test('thousands that expire at once fail in pages, and others go on between them', async () => {
  const { mill, clock, occupy } = await onFakeClock();
  await occupy('threaded');
  const item = { name: 'threaded', payload: { do: 'return' }, options: { expiresIn: '10s' } } as const;
  await mill.enqueueMany(Array.from({ length: 5_000 }, () => item));
  let failed = 0;
  let failedBefore = 0;
  let most = 0;
  let isOver = false;
  const over = new Promise<void>((resolve) => {
    mill.on('failed', () => {
      if (++failed === 5_000) resolve();
    });
  }).then(() => (isOver = true));
  const look = (): void => {
    most = Math.max(most, failed - failedBefore);
    failedBefore = failed;
    if (!isOver) setImmediate(look);
  };
  look();
  await clock.armed(10 * SECOND);
  const advanced = clock.advance(10 * SECOND);
  const other = await mill.enqueue('inline', { do: 'return', value: 'between' });
  expect(await other.result()).toBe('between');
  expect(failed).toBeLessThan(5_000);
  await Promise.all([over, advanced]);
  expect(most).toBeLessThanOrEqual(200);
  expect(await mill.counts()).toMatchObject({ failed: 5_000, available: 0, completed: 1 });
});

test('a clock that is set forward makes jobs expire within a minute, and set back it brings none again', async () => {
  const { mill, clock, events, story } = await onFakeClock();
  const job = await mill.enqueue('inline', { do: 'return', value: 'ran' }, { delay: '2d', expiresIn: '1d' });
  const later = await mill.enqueue(
    'inline',
    { do: 'return', value: 'ran' },
    { delay: '2d', expiresIn: '3d' },
  );
  await clock.armed(60 * SECOND);
  clock.jump(24 * HOUR);
  await clock.advance(60 * SECOND);
  await events.until(([event]) => event === 'failed');
  clock.jump(-24 * HOUR);
  for (let hours = 0; hours < 48; hours++) {
    await clock.armed(60 * SECOND);
    await clock.advance(HOUR);
  }
  expect(await later.result()).toBe('ran');
  expect(story(job.id)).toEqual(['failed']);
});

test('a job whose deadline comes while its claim is being written does not start', async () => {
  const clock = new FakeClock();
  const store = new StoreSpy(openMemoryStore(new MemoryDisk()));
  const { engine, starts, ends } = await openInline(store, { clock });
  store.hold();
  const { writes } = store;
  const before = writes.length;
  const enqueued = engine.enqueue('work', null, { expiresIn: '10s' });
  while (writes.length === before) await turn();
  await clock.advance(10 * SECOND);
  store.letGo();
  const { id } = await enqueued;
  await expect(engine.result(id)).rejects.toMatchObject({ attempt: 0, cause: isExpired });
  expect(starts.all).toEqual([]);
  expect(ends.all).toEqual([`failed ${id}`]);
});

test('an expired job that is retried has no deadline any more', async () => {
  const { mill, clock } = await onFakeClock();
  const job = await mill.enqueue('inline', { do: 'return', value: 7 }, { delay: '1h', expiresIn: '10s' });
  const expired = expect(job.result()).rejects.toMatchObject({ cause: isExpired });
  await clock.advance(10 * SECOND);
  await expired;
  expect(await mill.retry(job.id)).toBe('available');
  expect(await job.result()).toBe(7);
  const { deadlineAt, errors } = await job.snapshot();
  expect({ deadlineAt, errors }).toEqual({ deadlineAt: undefined, errors: [] });
});
