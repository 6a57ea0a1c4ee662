/** drain() and close(): what they wait for, and what they leave behind. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { startProgram } from '../fixtures/child.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';

const closed = { code: 'MILLRACE_CLOSED' };

test('drain() waits for what is available and running, and for nothing else', async () => {
  const { options, closing } = await bench();
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: scriptedInline({ concurrency: 2 }) } }),
  );
  await mill.drain();
  await mill.enqueue('work', { do: 'return' }, { delay: '1h' });
  await mill.drain();
  const drained = record(mill, 'drained');
  await Promise.all(Array.from({ length: 50 }, () => mill.enqueue('work', { do: 'takeTurns', turns: 1 })));
  await Promise.all([mill.drain(), mill.drain()]);
  expect(await mill.counts()).toMatchObject({ completed: 50, scheduled: 1, available: 0, running: 0 });
  expect(drained.all.length).toBeGreaterThan(0);
});

test.each([
  ['a thread job', scriptedThread()],
  ['an inline job', scriptedInline()],
])('close() lets %s that runs finish, and starts no other', async (_what, work) => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const jobs = { work };
  const first = closing(
    await Millrace.open({ ...options, jobs, queues: { default: { concurrency: 1 } }, threads: { count: 1 } }),
  );
  const running = await first.enqueue('work', {
    do: 'passGate',
    gate: gate.path,
    label: 'in',
    value: 'done',
  });
  const waiting = await first.enqueue('work', { do: 'return', value: 'next' });
  await gate.arrived('in');
  const result = running.result();
  const closing1 = first.close({ timeout: '1h' });
  gate.open('in');
  await closing1;
  expect(await result).toBe('done');

  const second = closing(await Millrace.open({ ...options, jobs }));
  expect(await second.handle('work', waiting.id).result()).toBe('next');
  expect(await second.job(running.id)).toMatchObject({ state: 'completed', attempt: 1 });
});

test('whoever waits for a result hears of the closing when it is over, so that a crash over it harms nothing', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedInline({ grace: 1 }) };
  const first = closing(await Millrace.open({ ...options, jobs }));
  const result = (await first.enqueue('work', { do: 'hang' })).result();
  void first.close({ timeout: 0 });
  await expect(result).rejects.toMatchObject(closed);
  // The directory is free by now.
  closing(await Millrace.open({ ...options, jobs }));
});

test.each([
  ['a thread job that loops', scriptedThread({ grace: 1 }), 'loop'],
  ['a thread job that hangs', scriptedThread({ grace: 1 }), 'hang'],
  ['an inline job that hangs', scriptedInline({ grace: 1 }), 'hang'],
] as const)('close() releases %s, and no attempt is counted', async (_what, work, act) => {
  const { options, closing } = await bench();
  const first = closing(await Millrace.open({ ...options, jobs: { work } }));
  const begun = record(first, 'progress');
  const { id } = await first.enqueue('work', { do: act }, { maxAttempts: 1 });
  await begun.reached(1);
  await first.close({ timeout: 0 });

  const second = closing(await Millrace.open({ ...options, jobs: { work } }));
  const started = record(second, 'started', 'progress', 'rescued');
  await started.until(([event]) => event === 'progress');
  expect(started.all[0]).toMatchObject(['started', { id, attempt: 1 }]);
  expect(await second.job(id)).toMatchObject({ state: 'running', errors: [] });
  await second.close({ timeout: 0 });
});

test('a job that hears of the close can end in its own time, and completes', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread({ grace: '1h' }) };
  const first = closing(await Millrace.open({ ...options, jobs }));
  const begun = record(first, 'progress');
  const { id } = await first.enqueue('work', { do: 'spinUntil', sees: 'aborted' });
  await begun.reached(1);
  await first.close({ timeout: 0 });
  const second = closing(await Millrace.open({ ...options, jobs }));
  expect(await second.handle('work', id).result()).toBe('seen');
});

test('the signal’s reason says that the engine closes', async () => {
  const { options, closing } = await bench();
  const reasons: unknown[] = [];
  const work = inlineJob(
    (_nothing: undefined, job) =>
      new Promise((_, reject) => {
        job.signal.addEventListener('abort', () => {
          reasons.push(job.signal.reason);
          reject(job.signal.reason);
        });
      }),
    { maxAttempts: 1 },
  );
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const started = record(mill, 'started', 'failed');
  await mill.enqueue('work');
  await started.reached(1);
  await mill.close({ timeout: 0 });
  expect(reasons).toMatchObject([{ code: 'MILLRACE_SHUTTING_DOWN' }]);
  expect(started.all).toHaveLength(1);
});

test.each([
  ['a thread job', scriptedThread({ grace: '1h' })],
  ['an inline job', scriptedInline({ grace: '1h' })],
])('%s that gives up by itself while the engine closes has failed', async (_what, work) => {
  const { options, closing } = await bench();
  const first = closing(await Millrace.open({ ...options, jobs: { work } }));
  const begun = record(first, 'progress');
  const { id } = await first.enqueue('work', { do: 'onceStopped', next: { do: 'throwUnrecoverable' } });
  await begun.reached(1);
  await first.close({ timeout: 0 });
  const second = closing(await Millrace.open({ ...options, jobs: { work } }));
  expect(await second.job(id)).toMatchObject({
    state: 'failed',
    attempt: 1,
    error: { code: 'MILLRACE_UNRECOVERABLE' },
  });
});

test('a job that is cancelled while the engine closes stays cancelled', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread({ grace: 1 }) };
  const first = closing(await Millrace.open({ ...options, jobs }));
  const begun = record(first, 'progress');
  const job = await first.enqueue('work', { do: 'loop' });
  await begun.reached(1);
  const [state] = await Promise.all([job.cancel(), first.close({ timeout: 0 })]);
  expect(state).toBe('cancelled');
  const second = closing(await Millrace.open({ ...options, jobs }));
  expect(await second.job(job.id)).toMatchObject({ state: 'cancelled' });
});

test('after close() everything is refused, and close() is done', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const job = await mill.enqueue('work', { do: 'return' });
  await job.result();
  await Promise.all([mill.close(), mill.close()]);
  await mill.close();
  const asks = [
    () => mill.enqueue('work', { do: 'return' }),
    () => mill.counts(),
    () => mill.job(job.id),
    () => mill.cancel(job.id),
    () => mill.drain(),
    () => job.result(),
    () => job.snapshot(),
    () => job.explain(),
    () => mill.logs(job.id),
  ];
  for (const ask of asks) await expect(ask()).rejects.toMatchObject(closed);
});

test('until the journal is closed what is in it can be asked for, and nothing can be changed', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const jobs = { work: scriptedInline({ concurrency: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const ended = await mill.enqueue('work', { do: 'return', value: 'ended' });
  await ended.result();
  const pass = { do: 'passGate', gate: gate.path, label: 'in', value: 'passed' } as const;
  const [running, waiting] = [await mill.enqueue('work', pass), await mill.enqueue('work', pass)];
  await gate.arrived('in');
  const closes = mill.close({ timeout: '1h' });

  expect(await ended.result()).toBe('ended');
  expect(await mill.job(ended.id)).toMatchObject({ state: 'completed' });
  expect(await running.snapshot()).toMatchObject({ state: 'running' });
  expect(await mill.logs(ended.id)).toEqual([]);
  expect(await mill.counts()).toMatchObject({ completed: 1, running: 1, available: 1 });
  const refused = { ...closed, message: expect.stringContaining('nothing was enqueued') };
  await expect(mill.enqueue('work', pass)).rejects.toMatchObject(refused);
  await expect(mill.enqueueMany([{ name: 'work', payload: pass }])).rejects.toMatchObject(refused);
  await expect(waiting.cancel()).rejects.toMatchObject(closed);
  const results = Promise.allSettled([running.result(), waiting.result()]);
  gate.open('in');
  await closes;
  expect(await results).toMatchObject([
    { status: 'fulfilled', value: 'passed' },
    { status: 'rejected', reason: { ...closed, message: expect.stringContaining('after the next open()') } },
  ]);
});

test('whoever waits when the engine closes is told', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const jobs = { work: scriptedInline({ concurrency: 1, grace: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const pass = { do: 'passGate', gate: gate.path, label: 'in' } as const;
  const [running, waiting] = [await mill.enqueue('work', pass), await mill.enqueue('work', pass)];
  await gate.arrived('in');
  const progress = running.progress()[Symbol.asyncIterator]().next();
  const waits = [running.result(), waiting.result(), mill.drain()];
  const told = Promise.allSettled(waits);
  await mill.close({ timeout: 0 });
  for (const one of await told) expect(one).toMatchObject({ status: 'rejected', reason: closed });
  expect(await progress).toEqual({ done: true, value: undefined });
});

test('of what is enqueued while the engine closes, what is acknowledged is there afterwards', async () => {
  const { options, closing } = await bench();
  const jobs = { work: inlineJob((n: number) => n) };
  const first = closing(await Millrace.open({ ...options, jobs }));
  const enqueues = Array.from({ length: 20 }, (_, i) =>
    first.enqueue('work', i, i % 2 === 0 ? {} : { id: `own-${i}` }),
  );
  const close = first.close();
  enqueues.push(first.enqueue('work', 20));
  const settled = await Promise.allSettled(enqueues);
  await close;
  const second = closing(await Millrace.open({ ...options, jobs }));
  for (const [i, one] of settled.entries()) {
    if (one.status === 'fulfilled') expect(await second.handle('work', one.value.id).result()).toBe(i);
    else expect(one.reason).toMatchObject(closed);
  }
  expect(settled.at(-1)?.status).toBe('rejected');
});

test('an engine that is closed in the turn it was opened runs nothing', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedInline() };
  const first = closing(await Millrace.open({ ...options, jobs }));
  const { id } = await first.enqueue('work', { do: 'return', value: 1 }, { delay: 1 });
  await first.close();
  const second = closing(await Millrace.open({ ...options, jobs }));
  await second.close();
  const third = closing(await Millrace.open({ ...options, jobs }));
  expect(await third.handle('work', id).result()).toBe(1);
});

test.each([
  ['nothing', ['threaded', 'inline', 'exit']],
  ['closed', ['threaded', 'inline', 'exit']],
  ['closed while running', ['threaded', 'inline', 'exit']],
  ['a running job', ['threaded', 'inline', 'ran', 'exit']],
  ['a deadline', ['threaded', 'inline', 'in time', 'exit']],
  ['a job for later', ['threaded', 'inline', 'later', 'exit']],
])('a process ends by itself: %s', async (left, lines) => {
  const { directory } = await bench();
  const program = startProgram('idle', directory, left);
  expect(await program.exit).toEqual({ code: 0, signal: null });
  expect(program.lines.all).toEqual(lines);
});

test.skipIf(process.platform === 'win32').each(['result', 'progress', 'drain', 'room'])(
  'a process stays while somebody waits for what a pause holds back: %s',
  async (what) => {
    const { directory } = await bench();
    const program = startProgram('held-back', directory, what);
    // By then there was nothing left to do, and it would have gone.
    await program.lines.until((line) => line === 'about to exit');
    program.kill('SIGUSR2');
    expect(await program.exit).toEqual({ code: 0, signal: null });
    expect(program.lines.all.filter((line) => line !== 'about to exit')).toEqual(['resumed', 'done']);
    expect(program.stderr()).toBe('');
  },
);

test.each([
  ['nothing', 'key'],
  ['cancel', 'key'],
  ['pause', 'key'],
  ['pause', 'type'],
])('a process ends, although a rate is used up, where no job waits for that: %s, %s', async (what, limit) => {
  const { directory } = await bench();
  const program = startProgram('rate-used-up', directory, what, limit);
  expect(await program.exit).toEqual({ code: 0, signal: null });
  expect(program.lines.all).toEqual(['done']);
});

test('a misspelt option of close() is refused, and nothing is closed', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: {} }));
  // @ts-expect-error what plain JavaScript may pass
  await expect(mill.close({ timout: 1 })).rejects.toMatchObject({
    code: 'MILLRACE_OPTION_INVALID',
    message: expect.stringContaining('`timout`'),
  });
  expect(await mill.counts()).toMatchObject({ available: 0 });
});
