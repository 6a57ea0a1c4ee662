/** What a job tells of itself, progress and log lines, can be read later: while it runs, after a restart, after its end. */
import { describe, expect, test } from 'vitest';
import { inlineJob, Millrace, type JobContext, type JobTypeOptions } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { bench, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { Gate } from '../fixtures/gate.js';
import { openJobs } from '../fixtures/jobs-engine.js';
import { Recorder } from '../fixtures/recorder.js';
import type { Script } from '../fixtures/scripted.js';

describe.each([
  ['in a thread', scriptedThread],
  ['inline', scriptedInline],
] as const)('%s', (_where, scripted) => {
  async function open(typeOptions: JobTypeOptions = {}) {
    const { options, closing, directory, logger } = await bench();
    const backoff = { type: 'exponential', delay: 1, max: 1 } as const;
    const jobs = { work: scripted({ maxAttempts: 2, backoff, grace: 1, ...typeOptions }) };
    const reopen = async () => closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
    return { mill: await reopen(), reopen, gate: await Gate.in(directory), lines: logger.lines };
  }

  test('the last progress shows while the job runs, after its end and after a restart', async () => {
    const { mill, reopen, gate } = await open();
    const stand: Script = { do: 'passGate', gate: gate.path, label: 'in' };
    const last: Script = { do: 'progress', value: { percent: 50, seen: new Set([1]) }, next: stand };
    const job = await mill.enqueue('work', { do: 'progress', value: 'first', next: last });
    await gate.arrived('in');
    const progress = { percent: 50, seen: new Set([1]) };
    expect(await job.snapshot()).toMatchObject({ state: 'running', progress });
    gate.open('in');
    await job.result();
    expect(await job.snapshot()).toMatchObject({ state: 'completed', progress });
    await mill.close();
    expect(await (await reopen()).job(job.id)).toMatchObject({ state: 'completed', progress });
  });

  test('a job that tells nothing of itself has no progress and no lines', async () => {
    const { mill } = await open();
    const job = await mill.enqueue('work', { do: 'return' });
    await job.result();
    expect(await job.snapshot()).not.toHaveProperty('progress');
    expect(await mill.logs(job.id)).toEqual([]);
    await expect(mill.logs('nobody')).rejects.toMatchObject({ code: 'MILLRACE_JOB_NOT_FOUND' });
  });

  test('the last lines of the log are kept, over all attempts', async () => {
    const { mill, reopen } = await open({ logLines: 3 });
    const scripts: Script[] = [
      { do: 'log', messages: ['a', 'b', 'c'], next: { do: 'throw' } },
      { do: 'log', messages: ['d', 'e'] },
    ];
    const before = Date.now();
    const job = await mill.enqueue('work', { do: 'inTurn', scripts });
    await job.result();
    const lines = [
      { level: 'warn', message: 'c', fields: { i: 2 }, attempt: 1 },
      { level: 'warn', message: 'd', fields: { i: 0 }, attempt: 2 },
      { level: 'warn', message: 'e', fields: { i: 1 }, attempt: 2 },
    ];
    const kept = await mill.logs(job.id);
    expect(kept).toMatchObject(lines);
    for (const { at } of kept) expect(at).toBeGreaterThanOrEqual(before);
    await mill.close();
    expect(await (await reopen()).logs(job.id)).toEqual(kept);
  });

  test('they can be read while the job runs', async () => {
    const { mill, gate } = await open();
    const next: Script = { do: 'passGate', gate: gate.path, label: 'in' };
    const job = await mill.enqueue('work', { do: 'log', messages: ['so far'], next });
    await gate.arrived('in');
    expect(await mill.logs(job.id)).toMatchObject([{ message: 'so far' }]);
  });

  test('a type can keep fifty, or none', async () => {
    const messages = Array.from({ length: 60 }, (_, i) => `line ${i}`);
    const { mill } = await open();
    const job = await mill.enqueue('work', { do: 'log', messages });
    await job.result();
    expect((await mill.logs(job.id)).map(({ message }) => message)).toEqual(messages.slice(10));
    const without = await open({ logLines: 0 });
    const silent = await without.mill.enqueue('work', { do: 'log', messages });
    await silent.result();
    expect(await without.mill.logs(silent.id)).toEqual([]);
  });

  test('an error is kept with its stack, and a field that cannot be read costs neither the line nor the job', async () => {
    const { mill, lines } = await open({ maxAttempts: 1 });
    const job = await mill.enqueue('work', { do: 'logUnreadable' });
    await job.result();
    const stack = expect.stringMatching(/^RangeError: no luck\n +at .*scripted/);
    const kept = await mill.logs(job.id);
    expect(kept.map(({ message, fields }) => [message, fields])).toEqual([
      ['no luck', { err: stack }],
      ['failed', { err: stack }],
      ['aborted', { err: expect.stringContaining('AbortError') }],
      ['a getter', { fine: 1, bad: 'a field that cannot be read: no way in' }],
      ['a proxy', { value: 'an object whose fields cannot be read: no way in' }],
      ['a proxy within', { fine: 1, bad: expect.stringContaining('cannot be looked into') }],
      ['a prototype', { fine: 1 }],
    ]);
    const logged = lines.all.filter(({ fields }) => fields['jobId'] === job.id);
    expect(logged.map(({ message }) => message)).toEqual(kept.map(({ message }) => message));
    for (const { fields } of logged.slice(0, 2)) {
      expect(fields['err']).toBeInstanceOf(Error);
      expect(fields['err']).toMatchObject({ message: 'no luck', stack });
    }
  });

  test('what is too large, or cannot be stored, is cut or described', async () => {
    const { mill } = await open();
    const job = await mill.enqueue('work', { do: 'logOddly' });
    await job.result();
    const [line] = await mill.logs(job.id);
    expect(line?.message).toHaveLength(4_096);
    expect(line?.fields).toEqual({
      call: expect.stringContaining('function'),
      long: `${'x'.repeat(1_023)}…`,
      large: 'an array of 2000',
      err: expect.stringMatching(/^RangeError: no luck\n +at .*scripted/),
      fine: new Date(7),
    });
  });
});

/** An engine on a clock that stands still, whose handler does what the test says. */
async function openStill(handler: (job: JobContext) => Promise<unknown>, options: JobTypeOptions = {}) {
  const [disk, clock] = [new MemoryDisk(), new FakeClock()];
  const store = new FragileStore(openMemoryStore(disk));
  const jobs = { work: inlineJob((_nothing: undefined, job) => handler(job), { grace: 1, ...options }) };
  const opened = await openJobs(store, jobs, { clock });
  let writes = 0;
  store.onWrite = () => writes++;
  /** What another process would find. */
  const found = async (id: string) => {
    const idle = { work: inlineJob(() => new Promise(() => {}), { grace: 1 }) };
    const { engine } = await openJobs(openMemoryStore(disk.copy()), idle);
    return { progress: (await engine.snapshot(id))?.progress, lines: await engine.logs(id) };
  };
  return { ...opened, disk, clock, store, found, writes: () => writes };
}

/** Lets a test give a handler its orders, one after another. */
class Orders {
  readonly #given = new Recorder<(job: JobContext) => void>();
  readonly #done = new Recorder<number>();

  async follow(job: JobContext): Promise<void> {
    for (let i = 0; ; i++) {
      const order = (await this.#given.reached(i + 1))[i];
      if (order === END) return;
      order?.(job);
      this.#done.push(i);
    }
  }

  async give(order: (job: JobContext) => void): Promise<void> {
    this.#given.push(order);
    if (order !== END) await this.#done.reached(this.#given.all.length);
  }
}
const END = (): void => {};

test('they reach the journal at most once a second, however often a job tells of itself', async () => {
  const orders = new Orders();
  const { engine, clock, found, writes } = await openStill((job) => orders.follow(job));
  const { id } = await engine.enqueue('work', undefined);
  await orders.give((job) => {
    for (let i = 0; i <= 100; i++) job.progress(i);
    job.log.info('a line');
  });
  const before = writes();
  await clock.advance(999);
  expect(writes()).toBe(before);
  expect(await engine.snapshot(id)).toMatchObject({ progress: 100 });
  await clock.advance(1);
  await orders.give((job) => job.progress('more'));
  expect(writes()).toBe(before + 1);
  expect(await found(id)).toMatchObject({ progress: 100, lines: [{ message: 'a line' }] });
  await clock.advance(1_000);
  expect(writes()).toBe(before + 2);
  expect(await found(id)).toMatchObject({ progress: 'more', lines: [{ message: 'a line' }] });
  await clock.advance(10_000);
  expect(writes()).toBe(before + 2);
  await orders.give((job) => job.progress('last'));
  await orders.give(END);
  await engine.result(id);
  // In the write of the outcome.
  expect(writes()).toBe(before + 3);
  expect(await found(id)).toMatchObject({ progress: 'last', lines: [{ message: 'a line' }] });
});

test('an outage keeps nothing of them from the journal for ever', async () => {
  const orders = new Orders();
  const { engine, clock, store, warnings, found } = await openStill((job) => orders.follow(job));
  const { id } = await engine.enqueue('work', undefined);
  await orders.give((job) => job.progress('before'));
  store.writes = 'lost';
  await clock.advance(1_000);
  await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_WRITE_FAILED');
  await orders.give((job) => job.log.info('during'));
  expect(await engine.snapshot(id)).toMatchObject({ progress: 'before' });
  store.writes = undefined;
  await clock.armed(100);
  await clock.advance(100);
  await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED');
  await clock.advance(1_000);
  expect(await found(id)).toMatchObject({ progress: 'before', lines: [{ message: 'during' }] });
  await orders.give(END);
  await engine.result(id);
  expect(await found(id)).toMatchObject({ progress: 'before', lines: [{ message: 'during' }] });
});

test('they go when the job is removed, and a checkpoint does', async () => {
  const options = { retention: { failed: '1m' }, maxAttempts: 1 } as const;
  const { engine, disk, clock } = await openStill(async (job) => {
    job.progress(1);
    job.log.info('a line');
    await job.checkpoint(1);
    throw new Error('no luck');
  }, options);
  const beside = (): string[] => disk.keys().filter((key) => /^[ko]!/.test(key));
  const { id } = await engine.enqueue('work', undefined);
  await expect(engine.result(id)).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
  expect(beside()).toEqual([`k!${id}`, `o!${id}`]);
  for (let i = 0; i < 1_000 && beside().length > 0; i++) {
    await clock.advance(60_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(beside()).toEqual([]);
  expect(await engine.snapshot(id)).toBe(undefined);
});

test.each([-1, 1_001, 2.5, '50'])('%j lines are refused', async (logLines) => {
  const { options } = await bench();
  // What a caller in JavaScript may give.
  const jobs = { work: scriptedInline({ logLines: logLines as number }) };
  await expect(Millrace.open({ ...options, jobs })).rejects.toMatchObject({
    code: 'MILLRACE_OPTION_INVALID',
    message: expect.stringContaining('jobs.work.logLines'),
  });
});
