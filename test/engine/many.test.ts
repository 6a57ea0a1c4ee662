/** Many jobs in one call: all or none, in one write, in order. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { bench } from '../fixtures/engine.js';

const jobs = {
  echo: inlineJob((payload: number) => payload * 2),
  shout: inlineJob((payload: string) => payload.toUpperCase()),
  tick: inlineJob(() => 'tock'),
};

async function open() {
  const { options, closing } = await bench();
  return closing(await Millrace.open({ ...options, jobs }));
}

test('each job has its handle, in the order of the array, with its own result type', async () => {
  const mill = await open();
  const [two, abc, tock] = await mill.enqueueMany([
    { name: 'echo', payload: 1 },
    { name: 'shout', payload: 'abc', options: { priority: 1 } },
    { name: 'tick' },
  ]);
  const double: number = await two.result();
  const loud: string = await abc.result();
  expect([double, loud, await tock.result()]).toEqual([2, 'ABC', 'tock']);
  expect(await abc.snapshot()).toMatchObject({ name: 'shout', priority: 1 });
});

test('ten thousand jobs run, in order', async () => {
  const mill = await open();
  const started: string[] = [];
  mill.on('started', ({ id }) => started.push(id));
  const items = Array.from({ length: 10_000 }, (_, i) => ({ name: 'echo' as const, payload: i }));
  const handles = await mill.enqueueMany(items);
  expect(await handles.at(-1)?.result()).toBe(19_998);
  await mill.drain();
  expect(started).toEqual(handles.map(({ id }) => id));
  expect(await mill.counts()).toMatchObject({ completed: 10_000 });
});

test('one that is refused keeps the others out', async () => {
  const mill = await open();
  const refused = mill.enqueueMany([
    { name: 'echo', payload: 1 },
    // @ts-expect-error what plain JavaScript may pass
    { name: 'echo', payload: () => {} },
  ]);
  await expect(refused).rejects.toMatchObject({
    code: 'MILLRACE_PAYLOAD_INVALID',
    message: expect.stringMatching(/^items\[1\]: .* function /),
  });
  // @ts-expect-error what plain JavaScript may pass
  await expect(mill.enqueueMany([{ name: 'echo', payload: 1 }, null])).rejects.toMatchObject({
    code: 'MILLRACE_OPTION_INVALID',
    message: expect.stringContaining('items[1]'),
  });
  // @ts-expect-error a misspelt field must not pass for a job without payload, in plain JavaScript neither
  await expect(mill.enqueueMany([{ name: 'tick', opts: { delay: '1h' } }] as const)).rejects.toMatchObject({
    code: 'MILLRACE_OPTION_INVALID',
    message: expect.stringContaining('items[0].opts'),
  });
  expect(await mill.counts()).toMatchObject({ available: 0, completed: 0 });
});

test('more than ten thousand are refused, and none at all are fine', async () => {
  const mill = await open();
  const items = Array.from({ length: 10_001 }, () => ({ name: 'tick' as const }));
  await expect(mill.enqueueMany(items)).rejects.toMatchObject({ code: 'MILLRACE_OPTION_INVALID' });
  expect(await mill.enqueueMany([])).toEqual([]);
});

test('an id makes one job, whoever names it how often', async () => {
  const mill = await open();
  await mill.enqueue('echo', 1, { id: 'old' });
  const named = (id: string) => ({ name: 'echo' as const, payload: 2, options: { id } });
  const [handles, single] = await Promise.all([
    mill.enqueueMany([named('old'), named('new'), named('new'), { name: 'echo', payload: 3 }]),
    mill.enqueue('echo', 4, { id: 'new' }),
  ]);
  expect(handles.slice(0, 3).map(({ id }) => id)).toEqual(['old', 'new', 'new']);
  // Which of the two calls made the job is theirs to settle.
  const made = await single.result();
  expect([4, 8]).toContain(made);
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual([2, made, made, 6]);
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: 3 });
});

test('an id of a job of another name refuses them all', async () => {
  const mill = await open();
  await mill.enqueue('tick', undefined, { id: 'taken' });
  const refused = mill.enqueueMany([
    { name: 'echo', payload: 1 },
    { name: 'echo', payload: 1, options: { id: 'taken' } },
  ]);
  await expect(refused).rejects.toMatchObject({ code: 'MILLRACE_ID_CONFLICT' });
  const twice = mill.enqueueMany([
    { name: 'echo', payload: 1, options: { id: 'both' } },
    { name: 'tick', options: { id: 'both' } },
  ]);
  await expect(twice).rejects.toMatchObject({ code: 'MILLRACE_ID_CONFLICT' });
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: 1 });
});
