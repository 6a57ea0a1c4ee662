/** cancel() in every state. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { openInline } from '../fixtures/inline-engine.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';
import type { Script } from '../fixtures/scripted.js';

async function single() {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const jobs = { work: scriptedInline({ concurrency: 1, grace: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  /** Takes the only place there is. */
  const occupy = async () => {
    const job = await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'busy' });
    await gate.arrived('busy');
    return job;
  };
  return { mill, gate, occupy, events: record(mill, 'started', 'completed', 'cancelled', 'failed') };
}

test('a scheduled job is cancelled at once, and its result says so', async () => {
  const { mill, events } = await single();
  const job = await mill.enqueue('work', { do: 'return' }, { delay: '1h' });
  const result = expect(job.result()).rejects.toMatchObject({
    name: 'JobCancelledError',
    code: 'MILLRACE_JOB_CANCELLED',
    jobId: job.id,
    jobName: 'work',
  });
  expect(await job.cancel()).toBe('cancelled');
  await result;
  expect(await job.snapshot()).toMatchObject({ state: 'cancelled', attempt: 0 });
  expect(events.all).toEqual([['cancelled', { id: job.id, name: 'work', queue: 'default' }]]);
});

test('an available job is cancelled and never runs', async () => {
  const { mill, gate, occupy, events } = await single();
  await occupy();
  const job = await mill.enqueue('work', { do: 'return' });
  const behind = await mill.enqueue('work', { do: 'return', value: 'behind' });
  expect(await job.cancel()).toBe('cancelled');
  gate.open('busy');
  expect(await behind.result()).toBe('behind');
  expect(events.all.some(([event, value]) => event === 'started' && value.id === job.id)).toBe(false);
  expect(await mill.counts()).toMatchObject({ completed: 2, cancelled: 1, available: 0, running: 0 });
});

test('an available job far behind the window is cancelled and never runs', async () => {
  const { mill, gate, occupy } = await single();
  await occupy();
  const jobs = await Promise.all(
    Array.from({ length: 2_500 }, () => mill.enqueue('work', { do: 'return' }, { durability: 'os' })),
  );
  const cancelled = [jobs[999], jobs[1_000], jobs[1_001], jobs[2_499]];
  for (const job of cancelled) expect(await job?.cancel()).toBe('cancelled');
  gate.open('busy');
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: 2_497, cancelled: 4, available: 0, running: 0 });
});

test('a job that is just being claimed is cancelled, and its handler never starts', async () => {
  const { options, closing } = await bench();
  let ran = false;
  const jobs = { work: inlineJob(() => void (ran = true)) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  // An acknowledged job is chosen in the same turn; its claim takes a write.
  const job = await mill.enqueue('work');
  expect(await job.cancel()).toBe('cancelled');
  await mill.drain();
  expect(ran).toBe(false);
  expect(await job.snapshot()).toMatchObject({ state: 'cancelled' });
});

test.each([
  ['in a thread', scriptedThread()],
  ['inline', scriptedInline()],
])('a running job %s that listens ends in its own time', async (_where, work) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const job = await mill.enqueue('work', { do: 'untilAborted', ends: 'return' }, { delay: 1 });
  for await (const progress of job.progress()) {
    expect(progress).toBe('begun');
    expect(await job.cancel()).toBe('cancelled');
  }
  expect(await job.snapshot()).toMatchObject({ state: 'cancelled', attempt: 1, errors: [] });
  await expect(job.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_CANCELLED' });
});

test('a running job that is stuck in a loop is ended', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread({ grace: 20 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const job = await mill.enqueue('work', { do: 'loop' }, { delay: 1 });
  for await (const _begun of job.progress()) expect(await job.cancel()).toBe('cancelled');
  const next = await mill.enqueue('work', { do: 'return', value: 'next' });
  expect(await next.result()).toBe('next');
});

test('a running job that was told to cancel is `stopping` until it has gone', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const jobs = { work: scriptedInline({ grace: '1m' }) };
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  const events = record(mill, 'progress');
  const job = await mill.enqueue('work', { do: 'hang' });
  await events.reached(1);
  expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: false });
  const cancelled = job.cancel();
  expect(await job.snapshot()).toMatchObject({ state: 'running', stopping: true });
  // The grace begins when the request is journaled.
  await clock.armed(60_000);
  await clock.advance(60_000);
  expect(await cancelled).toBe('cancelled');
});

test('a retryable job is cancelled, and does not come back', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const jobs = { work: scriptedInline({ backoff: { type: 'exponential', jitter: 'none' } }) };
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  const events = record(mill, 'retrying', 'started', 'cancelled');
  const job = await mill.enqueue('work', { do: 'throw' });
  await events.until(([event]) => event === 'retrying');
  expect(await job.cancel()).toBe('cancelled');
  await clock.advance(3_600_000);
  const other = await mill.enqueue('work', { do: 'return' });
  await other.result();
  expect(events.all.filter(([event]) => event === 'started')).toHaveLength(2);
  expect(await job.snapshot()).toMatchObject({ state: 'cancelled', attempt: 1, error: { code: 'E_LUCK' } });
});

test.each([
  ['completed', { do: 'return' }],
  ['failed', { do: 'throwUnrecoverable' }],
] as const)('a job that has %s says so, and stays so', async (state, script: Script) => {
  const { mill } = await single();
  const job = await mill.enqueue('work', script);
  await job.result().catch(() => {});
  expect(await job.cancel()).toBe(state);
  expect(await job.snapshot()).toMatchObject({ state });
});

test.each(['scheduled', 'available', 'running'] as const)(
  'two cancels of a %s job at the same time agree, and one is told',
  async (state) => {
    const { mill, occupy, events } = await single();
    const running = await occupy();
    const options = state === 'scheduled' ? ({ delay: '1h' } as const) : {};
    const job = state === 'running' ? running : await mill.enqueue('work', { do: 'return' }, options);
    // The handler at the gate does not listen, and is let go after its grace.
    const cancels = Promise.all([job.cancel(), mill.cancel(job.id), job.cancel()]);
    expect(await cancels).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(events.all.filter(([event]) => event === 'cancelled')).toHaveLength(1);
  },
);

test('between a cancel and an outcome the order of their commits decides, and both are told the same', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: inlineJob(() => 'done') } }));
  const states = new Set<string>();
  for (let turns = 0; turns < 40; turns++) {
    const job = await mill.enqueue('work', undefined, { durability: 'os' });
    for (let turn = 0; turn < turns / 4; turn++) await new Promise((resolve) => setImmediate(resolve));
    const [state, outcome] = await Promise.all([
      job.cancel(),
      job.result().then(
        () => 'completed',
        () => 'cancelled',
      ),
    ]);
    expect((await job.snapshot()).state).toBe(state);
    expect(outcome).toBe(state);
    states.add(state);
  }
  expect(states).toContain('cancelled');
  const { completed, cancelled } = await mill.counts();
  expect(completed + cancelled).toBe(40);
});

test('a cancel that comes while an error is on its way into the journal leaves no further attempt', async () => {
  const { options, closing } = await bench();
  const backoff = { type: 'exponential', delay: 0 } as const;
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline({ backoff }) } }));
  for (let turns = 0; turns < 40; turns++) {
    const job = await mill.enqueue('work', { do: 'throw' }, { maxAttempts: 1_000_000, durability: 'os' });
    for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(await job.cancel()).toBe('cancelled');
    expect(await job.snapshot()).toMatchObject({ state: 'cancelled' });
  }
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ cancelled: 40, retryable: 0, failed: 0 });
});

test('a handler that goes on after its job was cancelled counts in the limit of its queue until it has gone', async () => {
  const store = openMemoryStore(new MemoryDisk());
  const { engine, starts, release } = await openInline(store, { queues: { default: { concurrency: 1 } } });
  const first = await engine.enqueue('work', null);
  await starts.reached(1);
  expect(await engine.cancel(first.id)).toBe('cancelled');
  const second = await engine.enqueue('work', null);
  for (let i = 0; i < 10; i++) await new Promise(setImmediate);
  expect(starts.all).toEqual([first.id]);
  release();
  await engine.result(second.id);
  expect(starts.all).toEqual([first.id, second.id]);
});
