/** pause() and resume(), of a queue and of the whole engine: what starts, what goes on, and what outlasts the process. */
import { Level } from 'level';
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { startProgram } from '../fixtures/child.js';
import { deferred } from '../fixtures/deferred.js';
import { bench, record, scriptedInline, scriptedThread, type Bench } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { Gate } from '../fixtures/gate.js';
import { openInline } from '../fixtures/inline-engine.js';
import { NOW } from '../fixtures/jobs.js';
import { StoreSpy } from '../fixtures/store-spy.js';

const echo = inlineJob((payload: string) => payload);
const queues = { default: {}, other: {} };

const openEcho = async ({ options, closing }: Pick<Bench, 'options' | 'closing'>) =>
  closing(await Millrace.open({ ...options, jobs: { echo }, queues }));

test('a queue that is paused starts nothing until it is resumed, and the others go on', async () => {
  const mill = await openEcho(await bench());
  const started = record(mill, 'started');
  await mill.pause('other');
  expect(await mill.isPaused('other')).toBe(true);
  expect(await mill.isPaused('default')).toBe(false);
  expect(await mill.isPaused()).toBe(false);
  const held = await mill.enqueue('echo', 'held', { queue: 'other' });
  const many = await mill.enqueueMany([{ name: 'echo', payload: 'too', options: { queue: 'other' } }]);
  for (let i = 0; i < 3; i++) await (await mill.enqueue('echo', `${i}`)).result();
  expect(started.all.map(([, value]) => 'queue' in value && value.queue)).toEqual(Array(3).fill('default'));
  expect(await mill.counts('other')).toMatchObject({ available: 2, running: 0 });
  const drained = mill.drain();
  await mill.resume('other');
  expect(await held.result()).toBe('held');
  expect(await many[0].result()).toBe('too');
  await drained;
  expect(await mill.isPaused('other')).toBe(false);
});

test('the engine and its queues are paused independently, and what is done twice is done once', async () => {
  const mill = await openEcho(await bench());
  await mill.pause('other');
  await mill.pause('other');
  await mill.pause();
  await mill.pause();
  expect([await mill.isPaused(), await mill.isPaused('other'), await mill.isPaused('default')]).toEqual([
    true,
    true,
    false,
  ]);
  const own = await mill.enqueue('echo', 'own');
  const other = await mill.enqueue('echo', 'other', { queue: 'other' });
  await mill.resume('other');
  await mill.pause('other');
  expect(await mill.counts()).toMatchObject({ available: 2 });
  await mill.resume();
  expect(await own.result()).toBe('own');
  expect(await mill.counts()).toMatchObject({ available: 1 });
  await mill.resume('other');
  await mill.resume('other');
  expect(await other.result()).toBe('other');
});

test('the last of several that are asked for at once holds', async () => {
  const mill = await openEcho(await bench());
  await Promise.all([mill.pause('other'), mill.resume('other'), mill.pause('other')]);
  expect(await mill.isPaused('other')).toBe(true);
  await Promise.all([mill.resume('other'), mill.pause('other'), mill.resume('other')]);
  expect(await mill.isPaused('other')).toBe(false);
});

test('a queue that the engine does not have is refused, and so is everything once it is closed', async () => {
  const mill = await openEcho(await bench());
  const nowhere = 'nowhere' as 'default';
  for (const ask of [mill.pause(nowhere), mill.resume(nowhere), mill.isPaused(nowhere)])
    await expect(ask).rejects.toMatchObject({ code: 'MILLRACE_QUEUE_UNKNOWN' });
  await mill.close();
  for (const ask of [mill.pause(), mill.resume('other'), mill.isPaused()])
    await expect(ask).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
});

test('what runs goes on, jobs become due and schedules tick while the engine is paused', async () => {
  const { options, closing, directory } = await bench();
  const clock = new FakeClock();
  const gate = await Gate.in(directory);
  const mill = closing(
    await Millrace.open({ ...options, clock, jobs: { work: scriptedInline({ maxAttempts: 1 }) }, queues }),
  );
  const running = await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'at', value: 'done' });
  await gate.arrived('at');
  await mill.pause();
  const enqueued = record(mill, 'enqueued');
  const later = await mill.enqueue('work', { do: 'return', value: 'later' }, { delay: 1_000 });
  await mill.schedules.upsert('hourly', {
    every: '1h',
    job: 'work',
    payload: { do: 'return', value: 'tick' },
  });
  await clock.armed(1_000);
  await clock.advance(3_600_000);
  await enqueued.reached(2);
  gate.open('at');
  expect(await running.result()).toBe('done');
  expect(await mill.counts()).toMatchObject({ available: 2, running: 0, scheduled: 0 });
  await mill.resume();
  expect(await later.result()).toBe('later');
  const tick = `hourly@${new Date(NOW + 3_600_000).toISOString()}`;
  expect(await mill.handle('work', tick).result()).toBe('tick');
});

test('once pause() has resolved, nothing starts that was not claimed before', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread(), quick: scriptedInline({ concurrency: 50 }) };
  const mill = closing(
    await Millrace.open({ ...options, jobs, queues, threads: { count: 2 }, durability: 'os' }),
  );
  const started = record(mill, 'started');
  const script = { do: 'return' } as const;
  for (let round = 1; round <= 5; round++) {
    const some = Array.from({ length: 300 }, (_, i) =>
      mill.enqueue(i % 2 === 0 ? 'work' : 'quick', script, { queue: 'other' }),
    );
    // Whatever is on its way just then.
    await started.reached(started.all.length + 20 * round);
    await mill.pause('other');
    const before = started.all.length;
    await Promise.all(some);
    await (await mill.enqueue('work', script)).result();
    // What was claimed before has ended by now, and made room.
    while ((await mill.counts('other')).running > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(
      started.all.slice(before).filter(([, value]) => 'queue' in value && value.queue === 'other'),
    ).toEqual([]);
    await mill.resume('other');
    await mill.drain();
  }
  expect(await mill.counts('other')).toMatchObject({ completed: 1_500 });
});

test('pause() waits for what was chosen before it and is still being claimed', async () => {
  const store = new StoreSpy(openMemoryStore(new MemoryDisk()));
  const { engine, starts } = await openInline(store);
  const reading = deferred();
  const read = deferred();
  store.onRead = () => {
    reading.resolve();
    return read.promise;
  };
  // Too large to be kept in memory while they wait.
  const payload = 'x'.repeat(10_000);
  const jobs = await Promise.all([engine.enqueue('work', payload), engine.enqueue('work', payload)]);
  await reading.promise;
  let startedBefore = -1;
  const paused = engine.pauses.pause().then(() => (startedBefore = starts.all.length));
  while (!(await engine.isPaused())) await new Promise((resolve) => setImmediate(resolve));
  expect([starts.all.length, startedBefore]).toEqual([0, -1]);
  read.resolve();
  expect(await paused).toBe(2);
  expect(starts.all).toEqual(jobs.map(({ id }) => id));
});

test('in strict order a heavier queue that is paused does not hold up a lighter one', async () => {
  const { options, closing } = await bench();
  const strict = { default: { weight: 1 }, other: { weight: 5 } };
  const mill = closing(
    await Millrace.open({ ...options, jobs: { echo }, queues: strict, selection: 'strict' }),
  );
  await mill.pause('other');
  await mill.enqueue('echo', 'heavy', { queue: 'other' });
  const jobs = await mill.enqueueMany([
    { name: 'echo', payload: 'light' },
    { name: 'echo', payload: 'light' },
  ]);
  await Promise.all(jobs.map((job) => job.result()));
  expect(await mill.counts('other')).toMatchObject({ available: 1 });
});

test('a pause outlasts restarts, also of code that does not know the queue, and so does its end', async () => {
  const around = await bench();
  const first = await openEcho(around);
  await first.pause('other');
  await first.pause();
  await first.resume();
  const { id } = await first.enqueue('echo', 'held', { queue: 'other' });
  await first.close();

  const { options, closing } = around;
  const second = closing(await Millrace.open({ ...options, jobs: { echo } }));
  expect(await (await second.enqueue('echo', 'runs')).result()).toBe('runs');
  expect(await second.isPaused()).toBe(false);
  await second.close();

  const third = await openEcho(around);
  expect(await third.isPaused('other')).toBe(true);
  expect(await (await third.enqueue('echo', 'runs')).result()).toBe('runs');
  expect(await third.job(id)).toMatchObject({ state: 'available' });
  await third.resume('other');
  expect(await third.handle('echo', id).result()).toBe('held');
  await third.close();

  const fourth = await openEcho(around);
  expect(await fourth.isPaused('other')).toBe(false);
});

test.each(['', 'other'])('a pause of %j that was acknowledged holds after a kill -9', async (queue) => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const program = startProgram('pausing', directory, gate.path, queue);
  await gate.arrived('running');
  await program.lines.until((line) => line === 'paused');
  program.kill('SIGKILL');
  await program.exit;
  gate.open('running');
  const mill = closing(
    await Millrace.open({ ...options, jobs: { threaded: scriptedThread() }, queues, threads: { count: 1 } }),
  );
  const started = record(mill, 'started');
  const isAll = queue === '';
  expect(await mill.isPaused(isAll ? undefined : 'other')).toBe(true);
  if (!isAll) await mill.handle('threaded', 'of default').result();
  else await record(mill, 'rescued').reached(1);
  expect(started.all.map(([, value]) => 'id' in value && value.id)).toEqual(
    isAll ? [] : ['running', 'of default'],
  );
  await mill.resume(isAll ? undefined : 'other');
  expect(await mill.handle('threaded', 'of other').result()).toBe('other');
});

test.each(['lost', 'applied'] as const)(
  'where the write of a pause fails, what the journal holds counts (the write: %s)',
  async (fault) => {
    const clock = new FakeClock();
    const store = new FragileStore(openMemoryStore(new MemoryDisk()));
    const { engine, warnings, starts, release } = await openInline(store, { clock });
    release();
    store.writes = fault;
    await expect(engine.pauses.pause('default')).rejects.toMatchObject({
      code: 'MILLRACE_JOURNAL_WRITE_FAILED',
    });
    await expect(engine.pauses.resume()).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_WRITE_FAILED' });
    store.writes = undefined;
    await clock.armed(100);
    await clock.advance(100);
    await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED');
    expect(await engine.isPaused('default')).toBe(fault === 'applied');
    const { id } = await engine.enqueue('work', null);
    if (fault === 'applied') {
      expect(await engine.counts()).toMatchObject({ available: 1 });
      await engine.pauses.resume('default');
    }
    await engine.result(id);
    expect(starts.all).toEqual([id]);
  },
);

test('a pause is in a backup, stays in a repair, and holds although its record is damaged', async () => {
  const { options, closing, directory } = await bench();
  const first = closing(await Millrace.open({ ...options, jobs: { echo }, queues }));
  await first.pause('other');
  await first.pause();
  await first.backup(`${directory}/copy`);
  await first.close();
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
  const copy = closing(
    await Millrace.open({ ...options, directory: `${directory}/copy`, jobs: { echo }, queues }),
  );
  expect([await copy.isPaused('other'), await copy.isPaused()]).toEqual([true, true]);

  const level = new Level<string, Uint8Array>(options.directory, { valueEncoding: 'view' });
  await level.put('p!other', new Uint8Array(4));
  await level.close();
  const second = closing(await Millrace.open({ ...options, jobs: { echo }, queues }));
  expect([await second.isPaused('other'), await second.isPaused()]).toEqual([true, true]);
  await second.close();

  expect(await Millrace.verify(options.directory)).toMatchObject({
    sound: false,
    damage: [{ key: 'p!other' }],
  });
  expect(await Millrace.repair(options.directory)).toMatchObject({ repaired: true, lostCount: 0 });
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
  const third = closing(await Millrace.open({ ...options, jobs: { echo }, queues }));
  expect([await third.isPaused('other'), await third.isPaused()]).toEqual([true, true]);
});
