/** Why a job is not running: each reason on the engine, as data, and that one moment later it is another. */
import { Level } from 'level';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, UnrecoverableError, type Reason } from '../../src/index.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { deferred } from '../fixtures/deferred.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';
import { NOW } from '../fixtures/jobs.js';
import { Recorder } from '../fixtures/recorder.js';

const MINUTE = 60_000;

interface Explainable {
  explain(): Promise<{ readonly reasons: readonly Reason[] }>;
}

const kindsOf = async (job: Explainable): Promise<string[]> =>
  (await job.explain()).reasons.map(({ reason }) => reason);

/** Handlers that begin and stay until they are let go. */
function held() {
  const { promise, resolve } = deferred();
  const begun = new Recorder<string>();
  const handler = async (_payload: unknown, job: { readonly id: string }): Promise<void> => {
    begun.push(job.id);
    await promise;
  };
  return { handler, begun, release: resolve };
}

test('a paused engine, a paused queue, and the jobs before it', async () => {
  const { options, closing } = await bench();
  const { handler, begun, release } = held();
  const mill = closing(
    await Millrace.open({
      ...options,
      jobs: { work: inlineJob(handler), other: inlineJob(handler) },
      queues: { default: {}, low: {} },
    }),
  );
  await mill.pause('low');
  await mill.enqueue('work', 0, { queue: 'low' });
  await mill.enqueue('other', 0, { queue: 'low' });
  // Another queue's is not before it, nor is one of less priority.
  await mill.enqueue('work', 0, { queue: 'low', priority: -1 });
  await mill.pause();
  await mill.enqueue('work', 0);
  const job = await mill.enqueue('work', 0, { queue: 'low', id: '42' });
  expect(await job.explain()).toEqual({
    id: '42',
    name: 'work',
    queue: 'low',
    state: 'available',
    summary:
      'Job work 42 is available, and waits because all queues are paused; queue low is paused; 2 jobs are before it.',
    reasons: [
      { reason: 'enginePaused' },
      { reason: 'queuePaused', queue: 'low' },
      { reason: 'behind', jobs: 2, sameType: 1, more: false },
    ],
  });
  await mill.resume();
  expect(await kindsOf(job)).toEqual(['queuePaused', 'behind']);
  await mill.resume('low');
  await begun.until((id) => id === '42');
  expect(await mill.explain('42')).toMatchObject({ state: 'running', reasons: [{ reason: 'running' }] });
  release();
  await job.result();
  expect(await kindsOf(job)).toEqual(['ended']);
});

test('jobs that are due later, were put off, or are tried again', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const mill = closing(
    await Millrace.open({
      ...options,
      clock,
      jobs: {
        work: inlineJob(() => {}),
        snoozing: inlineJob((_payload: unknown, job) => job.snooze('2m')),
        failing: inlineJob(
          (_payload: unknown, job) => {
            throw job.attempt === 2 ? new UnrecoverableError('no use') : new Error('no luck');
          },
          { backoff: ['3m'] },
        ),
      },
    }),
  );
  const errored = record(mill, 'errored', 'failed');
  const later = await mill.enqueue('work', undefined, { delay: '1m' });
  expect((await later.explain()).reasons).toEqual([
    { reason: 'scheduled', dueAt: NOW + MINUTE, inMs: MINUTE, snoozed: false },
  ]);
  const putOff = await mill.enqueue('snoozing', 0);
  const again = await mill.enqueue('failing', 0);
  await errored.reached(1);
  await mill.drain();
  const reasons = async (): Promise<readonly Reason[]> => (await again.explain()).reasons;
  expect(await putOff.explain()).toMatchObject({
    state: 'scheduled',
    reasons: [{ reason: 'scheduled', dueAt: NOW + 2 * MINUTE, inMs: 2 * MINUTE, snoozed: true }],
  });
  const retrying = { reason: 'retrying', dueAt: NOW + 3 * MINUTE, attempt: 1, error: 'no luck' };
  expect(await reasons()).toEqual([{ ...retrying, inMs: 3 * MINUTE }]);
  await mill.pause();
  expect(await reasons()).toEqual([{ ...retrying, inMs: 3 * MINUTE }, { reason: 'enginePaused' }]);
  // It is due, for the clock was set, and no timer has noticed.
  clock.jump(4 * MINUTE);
  expect(await kindsOf(again)).toEqual(['enginePaused']);
  await mill.resume();
  expect(await again.explain()).toMatchObject({
    state: 'retryable',
    summary: `Job failing ${again.id} is retryable, and nothing holds it back: it should be available at any moment.`,
    reasons: [{ reason: 'aboutToStart' }],
  });
  await clock.advance(4 * MINUTE);
  await errored.until(([event]) => event === 'failed');
  expect(await reasons()).toEqual([
    { reason: 'ended', state: 'failed', finishedAt: expect.any(Number), error: 'no use' },
  ]);
  const cancelled = await mill.enqueue('work', undefined, { delay: '1h' });
  await cancelled.cancel({ reason: 'a duplicate' });
  expect((await cancelled.explain()).reasons).toEqual([
    { reason: 'ended', state: 'cancelled', finishedAt: clock.now(), cancelReason: 'a duplicate' },
  ]);
});

test('a job whose deadline has come, before it fails for that', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const mill = closing(await Millrace.open({ ...options, clock, jobs: { work: inlineJob(() => {}) } }));
  const job = await mill.enqueue('work', undefined, { delay: '2h', deadline: NOW + MINUTE });
  expect(await kindsOf(job)).toEqual(['scheduled']);
  // No timer has noticed yet.
  clock.jump(MINUTE);
  expect((await job.explain()).reasons).toEqual([
    { reason: 'deadlinePassed', deadlineAt: NOW + MINUTE },
    expect.objectContaining({ reason: 'scheduled' }),
  ]);
  await clock.advance(MINUTE);
  await expect(job.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
  expect((await job.explain()).reasons).toMatchObject([
    { reason: 'ended', error: expect.stringMatching(/deadline/) },
  ]);
});

test('a job of a flow waits for parents, of which the first that are open are told', async () => {
  const { options, closing } = await bench();
  const { handler, begun, release } = held();
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: inlineJob(handler), done: inlineJob(() => {}) } }),
  );
  const completed = record(mill, 'completed');
  const many = Object.fromEntries(
    Array.from({ length: 120 }, (_, i) => [`done${i}`, { name: 'done' } as const]),
  );
  const flow = await mill.enqueueFlow({
    ...many,
    running: { name: 'work', payload: 0 },
    later: { name: 'work', payload: 0, options: { delay: '1h' } },
    child: { name: 'done', parents: [...Object.keys(many), 'running', 'later'] },
  });
  await completed.reached(120);
  await begun.reached(1);
  // They are told of together, a moment after the last of them.
  let explanation = await flow.child.explain();
  while (explanation.reasons.some((reason) => reason.reason === 'waitingForParents' && reason.count > 2)) {
    await new Promise((resolve) => setImmediate(resolve));
    explanation = await flow.child.explain();
  }
  const parent = (key: 'running' | 'later', state: string) => ({
    key,
    id: flow[key].id,
    name: 'work',
    state,
  });
  expect(explanation).toMatchObject({
    state: 'waiting',
    summary: `Job done ${flow.child.id} waits for 2 parents: running (running) and later (scheduled).`,
    reasons: [
      {
        reason: 'waitingForParents',
        count: 2,
        parents: [parent('running', 'running'), parent('later', 'scheduled')],
      },
    ],
  });
  release();
  await mill.cancel(flow.later.id);
  await expect(flow.child.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
  expect((await flow.child.explain()).reasons).toMatchObject([{ reason: 'ended', state: 'failed' }]);
});

test('a queue or a handler that the code no longer knows', async () => {
  const { options, closing } = await bench();
  const work = inlineJob(() => {});
  const first = closing(
    await Millrace.open({ ...options, jobs: { work, gone: work }, queues: { default: {}, old: {} } }),
  );
  await first.pause();
  await first.enqueue('gone', undefined, { id: 'type' });
  await first.enqueue('work', undefined, { id: 'queue', queue: 'old' });
  await first.enqueue('gone', undefined, { id: 'both', queue: 'old', delay: '1h' });
  await first.close();
  const second = closing(await Millrace.open({ ...options, jobs: { work }, queues: { default: {} } }));
  await second.resume();
  expect((await second.explain('type')).reasons).toEqual([{ reason: 'handlerUnknown', name: 'gone' }]);
  expect((await second.explain('queue')).reasons).toEqual([{ reason: 'queueUnknown', queue: 'old' }]);
  const both = await second.explain('both');
  expect(both.reasons.map(({ reason }) => reason)).toEqual(['scheduled', 'queueUnknown', 'handlerUnknown']);
});

test('limits of a queue, of a type, and rate limits until they allow it', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const { handler, begun, release } = held();
  const mill = closing(
    await Millrace.open({
      ...options,
      clock,
      jobs: {
        limited: inlineJob(handler, { concurrency: 1 }),
        rated: inlineJob(() => {}, { rateLimit: { max: 1, per: '1m' } }),
        work: inlineJob(handler),
      },
      queues: { default: {}, narrow: { concurrency: 1 }, slow: { rateLimit: { max: 1, per: '1m' } } },
    }),
  );
  const reasonsOf = async (id: string): Promise<readonly Reason[]> => (await mill.explain(id)).reasons;
  for (const id of ['type 1', 'type 2']) await mill.enqueue('limited', 0, { id });
  for (const id of ['queue 1', 'queue 2']) await mill.enqueue('work', 0, { id, queue: 'narrow' });
  for (const id of ['rate 1', 'rate 2']) await mill.enqueue('rated', undefined, { id, queue: 'slow' });
  await mill.handle('rated', 'rate 1').result();
  await begun.reached(2);
  await clock.advance(20);
  const full = { running: 1, limit: 1 };
  expect(await reasonsOf('type 2')).toEqual([
    { reason: 'typeBusy', name: 'limited', ...full, jobs: [{ id: 'type 1', name: 'limited', forMs: 20 }] },
  ]);
  expect(await reasonsOf('queue 2')).toEqual([
    { reason: 'queueBusy', queue: 'narrow', ...full, jobs: [{ id: 'queue 1', name: 'work', forMs: 20 }] },
  ]);
  const limits = await reasonsOf('rate 2');
  expect(limits).toMatchObject([
    { reason: 'rateLimited', by: 'queue', name: 'slow' },
    { reason: 'rateLimited', by: 'type', name: 'rated' },
  ]);
  const [first] = limits;
  if (first?.reason !== 'rateLimited') throw new Error('it is not limited');
  expect(first.untilAt).toBe(clock.now() + first.inMs);
  await clock.advance(first.inMs - 1);
  expect(await mill.handle('rated', 'rate 2').snapshot()).toMatchObject({ state: 'available' });
  await clock.advance(1);
  await mill.handle('rated', 'rate 2').result();
  release();
  await mill.drain();
});

test('an inline handler that goes on after its attempt', async () => {
  const { options, closing } = await bench();
  const backoff = ['0s'] as const;
  const jobs = { stuck: scriptedInline({ timeout: 20, grace: 0, backoff, concurrency: 2 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const retrying = record(mill, 'retrying');
  const job = await mill.enqueue('stuck', { do: 'hang' });
  await retrying.reached(1);
  expect(await job.explain()).toMatchObject({
    reasons: expect.arrayContaining([{ reason: 'handlerLingering' }]),
    summary: expect.stringContaining('the handler of an earlier attempt has not gone yet'),
  });
});

test('all threads busy, for how long and with what, and what is before it there', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const clock = new FakeClock();
  const mill = closing(
    await Millrace.open({
      ...options,
      clock,
      jobs: { work: scriptedThread() },
      queues: { default: { weight: 1 }, critical: { weight: 2 } },
      selection: 'strict',
      threads: { count: 2, batchSize: 1 },
    }),
  );
  const at = (label: string) => ({ do: 'passGate', gate: gate.path, label }) as const;
  const first = await mill.enqueue('work', at('first'));
  await gate.arrived('first');
  await clock.advance(3_000);
  const second = await mill.enqueue('work', at('second'));
  await gate.arrived('second');
  await clock.advance(1_000);
  await mill.enqueue('work', { do: 'return' });
  const job = await mill.enqueue('work', { do: 'return' });
  const { reasons, summary } = await job.explain();
  expect(reasons).toEqual([
    {
      reason: 'threadsBusy',
      threads: 2,
      forMs: 4_000,
      jobs: [
        { id: first.id, name: 'work', forMs: 4_000, thread: expect.any(Number) },
        { id: second.id, name: 'work', forMs: 1_000, thread: expect.any(Number) },
      ],
      ending: 0,
    },
    { reason: 'behind', jobs: 1, sameType: 1, more: false },
  ]);
  expect(summary).toBe(
    `Job work ${job.id} is available, and waits because all 2 threads have been busy for up to 4 s with work ${first.id} and work ${second.id}; 1 job is before it.`,
  );
  expect((await first.explain()).reasons).toEqual([
    {
      reason: 'running',
      attempt: 1,
      startedAt: NOW,
      forMs: 4_000,
      thread: reasons[0]?.reason === 'threadsBusy' && reasons[0].jobs[0]?.thread,
      stopping: false,
      threadEnding: false,
    },
  ]);
  await mill.enqueue('work', { do: 'return' }, { queue: 'critical' });
  expect((await job.explain()).reasons[1]).toEqual({ reason: 'heavierQueues', queues: ['critical'] });
  await mill.pause('critical');
  expect(await kindsOf(job)).toEqual(['threadsBusy', 'behind']);
  await mill.resume('critical');
  gate.open('first');
  gate.open('second');
  await job.result();
});

test('a thread that was ended, and is still in native code', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread({ grace: 0 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const progress = record(mill, 'progress');
  const job = await mill.enqueue('work', { do: 'goNative' });
  await progress.reached(1);
  const cancelled = job.cancel();
  let explanation = await job.explain();
  while (explanation.reasons.some((reason) => reason.reason === 'running' && !reason.threadEnding)) {
    await new Promise((resolve) => setImmediate(resolve));
    explanation = await job.explain();
  }
  expect(explanation).toMatchObject({
    state: 'running',
    summary: expect.stringMatching(/in attempt 1, and its thread was ended and has not gone yet\.$/),
    reasons: [{ reason: 'running', stopping: true, threadEnding: true }],
  });
  expect(await cancelled).toBe('cancelled');
});

test('20,000 jobs before it are counted up to 10,000, quickly, and the event loop turns meanwhile', async () => {
  const { options, closing } = await bench();
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: inlineJob(() => {}), other: inlineJob(() => {}) } }),
  );
  await mill.pause();
  const many = (name: 'work' | 'other', count: number) => Array.from({ length: count }, () => ({ name }));
  await mill.enqueueMany(many('work', 6_000));
  const middle = await mill.enqueue('work');
  await mill.enqueueMany(many('other', 6_000));
  const mixed = await mill.enqueue('other');
  await mill.enqueueMany(many('work', 8_000));
  const last = await mill.enqueue('work');
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  const { reasons, summary } = await last.explain();
  isOver = true;
  expect(reasons[1]).toEqual({ reason: 'behind', jobs: 10_000, sameType: 10_000, more: true });
  expect(summary).toMatch(/more than 10,000 jobs are before it\.$/);
  expect(turns).toBeGreaterThan(10);
  expect((await middle.explain()).reasons[1]).toEqual({
    reason: 'behind',
    jobs: 6_000,
    sameType: 6_000,
    more: false,
  });
  expect((await mixed.explain()).reasons[1]).toEqual({
    reason: 'behind',
    jobs: 10_000,
    sameType: 6_000,
    more: true,
  });
});

test('an engine that is closing, and one that is closed', async () => {
  const { options, closing } = await bench();
  const { handler, begun, release } = held();
  const jobs = { work: inlineJob(handler, { concurrency: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const first = await mill.enqueue('work', 0);
  const second = await mill.enqueue('work', 0);
  await begun.reached(1);
  const closed = mill.close();
  expect(await kindsOf(second)).toEqual(['engineClosing', 'typeBusy']);
  expect(await kindsOf(first)).toEqual(['running', 'engineClosing']);
  release();
  await closed;
  await expect(second.explain()).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
});

test('no job, and one whose record is damaged, are refused', async () => {
  const { options, closing } = await bench();
  const jobs = { work: inlineJob(() => {}) };
  const first = closing(await Millrace.open({ ...options, jobs }));
  await expect(first.explain('none')).rejects.toMatchObject({ code: 'MILLRACE_JOB_NOT_FOUND' });
  await expect(first.handle('work', 'none').explain()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_NOT_FOUND',
  });
  await first.pause();
  await first.enqueue('work', undefined, { id: 'damaged' });
  await first.close();
  const level = new Level<string, Uint8Array>(options.directory, { valueEncoding: 'view' });
  await level.put('j!damaged', new Uint8Array(20));
  await level.close();
  const second = closing(await Millrace.open({ ...options, jobs }));
  await expect(second.explain('damaged')).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_CORRUPT' });
});
