/** An id of the caller's own: of several enqueues with one id, the first makes the job. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { bench, record } from '../fixtures/engine.js';
import { openInline } from '../fixtures/inline-engine.js';
import { StoreSpy } from '../fixtures/store-spy.js';

function counting() {
  const runs: unknown[] = [];
  const work = inlineJob((payload: string) => {
    runs.push(payload);
    return `did ${payload}`;
  });
  return { runs, jobs: { work, other: inlineJob((payload: string) => payload) } };
}

test('of several enqueues in one turn one makes the job, and all get it', async () => {
  const { options, closing } = await bench();
  const { runs, jobs } = counting();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const events = record(mill, 'enqueued');
  const handles = await Promise.all(
    ['a', 'b', 'c', 'd', 'e'].map((payload) => mill.enqueue('work', payload, { id: 'once' })),
  );
  expect(handles.map(({ id }) => id)).toEqual(Array(5).fill('once'));
  expect(await Promise.all(handles.map((handle) => handle.result()))).toEqual(Array(5).fill('did a'));
  expect(runs).toEqual(['a']);
  expect(events.all).toHaveLength(1);
});

test('an enqueue after the job has ended gets the job that was, and its result', async () => {
  const { options, closing } = await bench();
  const { runs, jobs } = counting();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await (await mill.enqueue('work', 'first', { id: 'once' })).result();
  const again = await mill.enqueue('work', 'second', { id: 'once', delay: '1h' });
  expect(await again.result()).toBe('did first');
  expect(runs).toEqual(['first']);
  expect(await mill.counts()).toMatchObject({ completed: 1, scheduled: 0 });
});

test('the id counts after a restart, too', async () => {
  const { options, closing } = await bench();
  const { runs, jobs } = counting();
  const first = closing(await Millrace.open({ ...options, jobs }));
  await (await first.enqueue('work', 'first', { id: 'once' })).result();
  await first.close();
  const second = closing(await Millrace.open({ ...options, jobs }));
  expect(await (await second.enqueue('work', 'second', { id: 'once' })).result()).toBe('did first');
  expect(runs).toEqual(['first']);
});

test('a job of another name under the same id is refused, at once and later', async () => {
  const { options, closing } = await bench();
  const { jobs } = counting();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const [first, conflicting] = await Promise.allSettled([
    mill.enqueue('work', 'a', { id: 'once' }),
    mill.enqueue('other', 'b', { id: 'once' }),
  ]);
  expect(first.status).toBe('fulfilled');
  const conflict = { code: 'MILLRACE_ID_CONFLICT', message: expect.stringMatching(/once.*work/) };
  expect(conflicting).toMatchObject({ status: 'rejected', reason: conflict });
  await expect(mill.enqueue('other', 'c', { id: 'once' })).rejects.toMatchObject(conflict);
});

test('an enqueue that was refused leaves its id free', async () => {
  const { options, closing } = await bench();
  const { jobs } = counting();
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const refused = mill.enqueue('work', (() => {}) as never, { id: 'once' });
  const [, taken] = await Promise.allSettled([refused, mill.enqueue('work', 'good', { id: 'once' })]);
  expect(taken.status === 'fulfilled' && (await taken.value.result())).toBe('did good');
  await expect(refused).rejects.toMatchObject({ code: 'MILLRACE_PAYLOAD_INVALID' });
});

test.each(['a!b', 'j!x"', '..', '/', 'ü ñ 漢 🙂', '\u0000', ' spaces ', 'x'.repeat(512)])(
  'the id %j is a name like any other',
  async (id) => {
    const { options, closing } = await bench();
    const { jobs } = counting();
    const mill = closing(await Millrace.open({ ...options, jobs }));
    const job = await mill.enqueue('work', 'it', { id });
    expect(await job.result()).toBe('did it');
    expect(await mill.job(id)).toMatchObject({ id, state: 'completed' });
    expect(await mill.job(`${id}x`)).toBeUndefined();
  },
);

test.each([
  { made: 'os', asked: 'fsync', isSynced: true },
  { made: 'os', asked: 'os', isSynced: false },
  { made: 'fsync', asked: 'fsync', isSynced: false },
] as const)(
  'an enqueue with $asked that gets a job made with $made is as durable as it was asked to be',
  async ({ made, asked, isSynced }) => {
    const store = new StoreSpy(openMemoryStore(new MemoryDisk()));
    const { engine } = await openInline(store, { places: 1 });
    // The first write of a journal syncs in any case.
    await engine.enqueue('work', null);
    await engine.enqueue('work', null, { id: 'once', durability: made });
    const before = store.writes.length;
    await engine.enqueue('work', null, { id: 'once', durability: asked });
    expect(store.writes.slice(before).some(({ sync }) => sync)).toBe(isSynced);
  },
);
