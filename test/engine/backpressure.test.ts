/** Queues with a bound: who is refused, who waits, and that there are never more jobs than it says. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type QueueOptions } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { bench, record, scriptedInline, scriptedThread, type Bench } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openInline } from '../fixtures/inline-engine.js';

const full = { code: 'MILLRACE_QUEUE_FULL' };
const echo = inlineJob((payload: number) => payload);

/** An engine with a queue `small` that is paused, so that what is in it waits. */
async function openSmall({ options, closing }: Pick<Bench, 'options' | 'closing'>, small: QueueOptions) {
  const queues = { default: {}, small };
  const jobs = { echo, small: inlineJob((payload: number) => payload, { queue: 'small', concurrency: 2 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, queues, durability: 'os' }));
  await mill.pause('small');
  return mill;
}

test('a queue that is full refuses a job until one has left it, and no other queue does', async () => {
  const mill = await openSmall(await bench(), { maxSize: 3 });
  const [first] = [await mill.enqueue('small', 1), await mill.enqueue('small', 2, { delay: '1h' })];
  await mill.enqueue('small', 3);
  await expect(mill.enqueue('small', 4)).rejects.toMatchObject({
    ...full,
    message: expect.stringContaining('Queue small is full: 3 jobs'),
  });
  await expect(mill.enqueue('echo', 4, { queue: 'small', id: 'own' })).rejects.toMatchObject(full);
  await mill.enqueue('echo', 4);
  await first.cancel();
  await mill.enqueue('small', 4);
  await expect(mill.enqueue('small', 5)).rejects.toMatchObject(full);
  await mill.resume('small');
  await mill.drain();
  // The one that is delayed still counts.
  await mill.pause('small');
  await mill.enqueueMany([
    { name: 'small', payload: 6 },
    { name: 'small', payload: 7 },
  ]);
  await expect(mill.enqueue('small', 8)).rejects.toMatchObject(full);
});

test('those that run do not count', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread() };
  const queues = { default: { maxSize: 1, concurrency: 1 } };
  const mill = closing(await Millrace.open({ ...options, jobs, queues, threads: { count: 1 } }));
  const started = record(mill, 'started');
  await mill.enqueue('work', { do: 'untilAborted', ends: 'return' });
  await started.reached(1);
  await mill.enqueue('work', { do: 'return' });
  await expect(mill.enqueue('work', { do: 'return' })).rejects.toMatchObject(full);
});

test('of ten thousand at once as many get in as there is room for, also from within events', async () => {
  const mill = await openSmall(await bench(), { maxSize: 700 });
  const more: Promise<unknown>[] = [];
  mill.on('enqueued', () => more.push(expect(mill.enqueue('small', 0)).rejects.toMatchObject(full)));
  const told = await Promise.allSettled(Array.from({ length: 10_000 }, (_, i) => mill.enqueue('small', i)));
  expect(told.filter(({ status }) => status === 'fulfilled')).toHaveLength(700);
  expect(told.find(({ status }) => status === 'rejected')).toMatchObject({ reason: full });
  expect(await mill.counts('small')).toMatchObject({ available: 700 });
  await Promise.all(more);
  expect(more).toHaveLength(700);
});

test('a listener finds exactly the room that there is', async () => {
  const mill = await openSmall(await bench(), { maxSize: 100 });
  const more: Promise<unknown>[] = [];
  mill.on('enqueued', () => {
    if (more.length < 50) more.push(mill.enqueue('small', 0));
  });
  await Promise.all(Array.from({ length: 50 }, (_, i) => mill.enqueue('small', i)));
  await Promise.all(more);
  expect(await mill.counts('small')).toMatchObject({ available: 100 });
});

test('those that wait get in in order, as others leave, and there are never too many', async () => {
  const mill = await openSmall(await bench(), { maxSize: 5, onFull: 'wait' });
  const enqueued = record(mill, 'enqueued');
  const most: number[] = [];
  mill.on('enqueued', () => {
    void mill
      .counts('small')
      .then(({ available, scheduled, retryable }) => most.push(available + scheduled + retryable));
  });
  await mill.resume('small');
  const all = Array.from({ length: 400 }, (_, i) =>
    i % 4 === 0
      ? mill.enqueue('small', i, { id: `own-${i}` })
      : mill.enqueue('small', i, i % 7 === 0 ? { delay: 1 } : {}),
  );
  const handles = await Promise.all(all);
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(handles.map((_, i) => i));
  expect(Math.max(...most)).toBeLessThanOrEqual(5);
  // Ids that callers chose are looked up first, and those jobs line up when that is done.
  const isOwn = (id: string): boolean => id.startsWith('own-');
  const order = enqueued.all.flatMap(([, value]) => ('id' in value && !isOwn(value.id) ? [value.id] : []));
  expect(order).toEqual(handles.flatMap(({ id }) => (isOwn(id) ? [] : [id])));
});

test('a signal ends the waiting, and nothing else', async () => {
  const mill = await openSmall(await bench(), { maxSize: 2, onFull: 'wait' });
  const controller = new AbortController();
  const { signal } = controller;
  const inside = await mill.enqueue('small', 1, { signal });
  const other = await mill.enqueue('small', 2);
  const waiting = [
    mill.enqueue('small', 3, { signal }),
    mill.enqueue('small', 4, { signal, id: 'own' }),
    mill.enqueueMany([
      { name: 'small', payload: 5 },
      { name: 'small', payload: 6, options: { signal } },
    ]),
  ];
  const next = mill.enqueue('small', 7);
  // Those of ids are looked up before they wait.
  await mill.job('own');
  const reason = new Error('the browser went away');
  controller.abort(reason);
  for (const one of waiting) await expect(one).rejects.toBe(reason);
  await expect(mill.enqueue('echo', 8, { signal })).rejects.toBe(reason);
  expect(await inside.snapshot()).toMatchObject({ state: 'available' });
  await other.cancel();
  expect(await (await next).snapshot()).toMatchObject({ state: 'available' });
  expect(await mill.job('own')).toBeUndefined();
  expect(await mill.counts('small')).toMatchObject({ available: 2 });
});

test('who waits when the engine closes is told, and its job is not there', async () => {
  const around = await bench();
  const mill = await openSmall(around, { maxSize: 1, onFull: 'wait' });
  await mill.enqueue('small', 1);
  const waiting = [
    mill.enqueue('small', 2),
    mill.enqueue('small', 3, { id: 'own' }),
    mill.enqueueMany([{ name: 'small', payload: 4 }]),
  ];
  await mill.job('own');
  const told = Promise.all(
    waiting.map((one) => expect(one).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' })),
  );
  await mill.close();
  await told;
  const next = await openSmall(around, { maxSize: 2 });
  expect(await next.counts('small')).toMatchObject({ available: 1 });
  await next.enqueue('small', 2);
  await expect(next.enqueue('small', 3)).rejects.toMatchObject(full);
});

test('many at once get in all or none, and never where they could not all be in it', async () => {
  const mill = await openSmall(await bench(), { maxSize: 3, onFull: 'wait' });
  const many = (count: number) =>
    Array.from({ length: count }, () => ({ name: 'small', payload: 0 }) as const);
  await expect(mill.enqueueMany(many(4))).rejects.toMatchObject({
    ...full,
    message: expect.stringContaining('never has room for 4'),
  });
  const first = await mill.enqueue('small', 1);
  const second = await mill.enqueue('small', 2);
  const three = mill.enqueueMany([...many(3), { name: 'echo', payload: 7 }]);
  // It fits, and is not next.
  const last = mill.enqueue('small', 3);
  await first.cancel();
  await mill.enqueue('echo', 0);
  expect(await mill.counts('small')).toMatchObject({ available: 1 });
  await second.cancel();
  expect(await three).toHaveLength(4);
  expect(await mill.counts('small')).toMatchObject({ available: 3 });
  await mill.resume('small');
  expect(await (await last).result()).toBe(3);
});

test('a stream waits for room, or for its signal', async () => {
  const mill = await openSmall(await bench(), { maxSize: 3, onFull: 'wait' });
  await mill.resume('small');
  let given = 0;
  const items = Array.from({ length: 50 }, () => ({ name: 'small', payload: ++given }) as const);
  expect(await mill.enqueueStream(items)).toEqual({ enqueued: 50 });
  await mill.drain();
  await mill.pause('small');
  const controller = new AbortController();
  const enqueued = record(mill, 'enqueued');
  const waiting = mill.enqueueStream(items, { signal: controller.signal });
  await enqueued.reached(2);
  controller.abort(new Error('enough'));
  await expect(waiting).rejects.toMatchObject({
    code: 'MILLRACE_STREAM_FAILED',
    enqueued: 2,
    cause: { message: 'enough' },
  });
  expect(await mill.counts('small')).toMatchObject({ available: 2, completed: 50 });
});

test('a stream ends where a queue that is full refuses, and tells how many are in', async () => {
  const mill = await openSmall(await bench(), { maxSize: 5, onFull: 'reject' });
  const items = Array.from(
    { length: 12 },
    (_, i) => ({ name: 'small', payload: i, options: { id: `${i}` } }) as const,
  );
  let asked = 0;
  const counted = function* () {
    for (const item of items) {
      asked++;
      yield item;
    }
  };
  await expect(mill.enqueueStream(counted())).rejects.toMatchObject({
    code: 'MILLRACE_STREAM_FAILED',
    enqueued: 3,
    cause: {
      ...full,
      message: expect.stringMatching(/full: 3 jobs .* no room for 3 at once, .* `maxSize` is 5/),
    },
  });
  expect(asked).toBe(6);
  expect(await mill.counts('small')).toMatchObject({ available: 3 });
  // Those of another queue that were to come with the ones that are refused do not come either.
  await expect(
    mill.enqueueStream([{ name: 'echo', payload: 1 }, ...items.slice(3, 6)] as const),
  ).rejects.toMatchObject({ enqueued: 0, cause: full });
  expect(await mill.counts('default')).toMatchObject({ available: 0, completed: 0 });
  // It goes on behind those.
  await mill.resume('small');
  await mill.drain();
  expect(await mill.enqueueStream(items.slice(3, 5))).toEqual({ enqueued: 2 });
  await mill.drain();
  expect(await mill.counts('small')).toMatchObject({ completed: 5 });
});

test('a job that exists needs no room, and of several that wait with one id one is made', async () => {
  const mill = await openSmall(await bench(), { maxSize: 1, onFull: 'wait' });
  const made = await mill.enqueue('small', 1, { id: 'one' });
  expect((await mill.enqueue('small', 1, { id: 'one' })).id).toBe('one');
  expect(await mill.enqueueMany([{ name: 'small', payload: 1, options: { id: 'one' } }])).toHaveLength(1);
  const twice = [mill.enqueue('small', 2, { id: 'two' }), mill.enqueue('small', 2, { id: 'two' })];
  await mill.job('two');
  await made.cancel();
  await twice[0];
  await mill.resume('small');
  expect((await Promise.all(twice)).map(({ id }) => id)).toEqual(['two', 'two']);
  expect(await mill.handle('small', 'two').result()).toBe(2);
  expect(await mill.counts('small')).toMatchObject({ completed: 1, cancelled: 1, available: 0 });
});

test('ticks and retries come in although there is no room', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const jobs = { work: scriptedInline({ backoff: { type: 'exponential', delay: '1h', jitter: 'none' } }) };
  const queues = { default: { maxSize: 1 } };
  const mill = closing(await Millrace.open({ ...options, clock, jobs, queues }));
  const retrying = record(mill, 'retrying');
  await mill.enqueue('work', { do: 'throw' });
  await retrying.reached(1);
  await mill.pause();
  await mill.schedules.upsert('often', { every: '1m', job: 'work', payload: { do: 'return' } });
  const enqueued = record(mill, 'enqueued');
  await clock.advance(60_000);
  await enqueued.reached(1);
  expect(await mill.counts()).toMatchObject({ retryable: 1, available: 1 });
  await expect(mill.enqueue('work', { do: 'return' })).rejects.toMatchObject(full);
});

test('room that was taken is given back where the journal fails, and who waits goes on waiting', async () => {
  const clock = new FakeClock();
  const store = new FragileStore(openMemoryStore(new MemoryDisk()));
  const queues = { default: { maxSize: 2, onFull: 'wait' } } as const;
  const { engine, warnings } = await openInline(store, { clock, queues });
  await engine.pauses.pause();
  await engine.enqueue('work', 1);
  store.writes = 'lost';
  const failing = expect(engine.enqueue('work', 2)).rejects.toMatchObject({
    code: 'MILLRACE_JOURNAL_WRITE_FAILED',
  });
  const waiting = engine.enqueue('work', 3);
  const behind = engine.enqueue('work', 4);
  await failing;
  store.writes = undefined;
  await clock.armed(100);
  await clock.advance(100);
  await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_REOPENED');
  const { id } = await waiting;
  expect(await engine.counts()).toMatchObject({ available: 2 });
  await engine.cancel(id);
  await behind;
  expect(await engine.counts()).toMatchObject({ available: 2, cancelled: 1 });
});

test('a job that takes the place of another in its queue needs no room', async () => {
  const mill = await openSmall(await bench(), { maxSize: 2 });
  const debounced = { uniqueKey: 'a', debounce: '1h' } as const;
  await mill.enqueue('small', 1, debounced);
  await mill.enqueue('small', 2);
  const last = await mill.enqueue('small', 3, debounced);
  await mill.enqueue('small', 4, { uniqueKey: { key: 'a', onConflict: 'replace' } });
  expect(await mill.counts('small')).toMatchObject({ available: 2, cancelled: 2 });
  expect(await last.snapshot()).toMatchObject({
    state: 'cancelled',
    cancelReason: expect.stringContaining('replaced'),
  });
  await expect(mill.enqueue('small', 5)).rejects.toMatchObject(full);
});

test.each(['reject', 'wait'] as const)(
  'of several in an array that take the place of one another none needs room (%s)',
  async (onFull) => {
    const mill = await openSmall(await bench(), { maxSize: 2, onFull });
    const debounced = { uniqueKey: 'a', debounce: '1h' } as const;
    await mill.enqueue('small', 1, debounced);
    await mill.enqueue('small', 2);
    const [, , last] = await mill.enqueueMany(
      [3, 4, 5].map((payload) => ({ name: 'small', payload, options: debounced }) as const),
    );
    expect(await last?.snapshot()).toMatchObject({ payload: 5, state: 'scheduled' });
    expect(await mill.counts('small')).toMatchObject({ available: 1, scheduled: 1, cancelled: 1 });
  },
);
