/** The process dies at a write, or the journal fails: no key stays with a job that does not hold it, none is held twice. */
import { expect, test } from 'vitest';
import type { EnqueueOptions, UniqueKeyOptions } from '../../src/index.js';
import type { Kill } from '../fixtures/killable-store.js';
import { UniqueBench } from './bench.js';

const WHILES = ['queued', 'active', 'retained', '1h'] as const;

/** Takes, replaces and frees a key in several ways, until the process dies. */
async function live(bench: UniqueBench, held: (typeof WHILES)[number]): Promise<void> {
  const uniqueKey: UniqueKeyOptions = { key: 'k', while: held, onConflict: 'replace' };
  const steps: EnqueueOptions[] = [
    { uniqueKey },
    { uniqueKey, delay: '1m' },
    { uniqueKey, delay: '1m' },
    { uniqueKey },
  ];
  for (const options of steps) {
    const id = await bench.enqueue(options);
    if (bench.store.isDead) return;
    if (!bench.held.includes(id)) continue;
    await bench.letGo(id);
    if (bench.store.isDead) return;
  }
}

/** @returns whether the process died. */
async function dies(held: (typeof WHILES)[number], kill: Kill): Promise<boolean> {
  const bench = await UniqueBench.make(kill);
  // It may have died while it opened.
  if (!bench.store.isDead) await live(bench, held);
  const { isDead } = bench.store;
  await bench.restart();
  const ids = bench.disk.keys().flatMap((key) => (key.startsWith('j!') ? key.slice(2) : []));
  const waiting: string[] = [];
  for (const id of ids) {
    const state = await bench.stateOf(id);
    if (state === 'scheduled') waiting.push(id);
    if (state === 'running' && held !== 'queued') waiting.push(id);
  }
  expect(waiting.length).toBeLessThanOrEqual(1);
  const id = await bench.enqueue({ uniqueKey: { key: 'k', while: held }, delay: '1h' });
  const [holder] = waiting;
  if (holder !== undefined) expect(id).toBe(holder);
  else if (held === 'queued' || held === 'active') expect(ids).not.toContain(id);
  // At the end nobody holds it, and nothing is left of it.
  for (const running of bench.held) await bench.letGo(running);
  for (let hours = 0; hours < 3; hours++) {
    await bench.pass(3_700_000);
    for (const running of bench.held) await bench.letGo(running);
  }
  expect(bench.entries).toEqual([]);
  await bench.stop();
  return isDead;
}

test.each(WHILES.flatMap((held) => (['before', 'after'] as const).map((when) => ({ held, when }))))(
  'a key that is held while $held, and a process that dies $when any write',
  async ({ held, when }) => {
    let write = 1;
    while (await dies(held, { write, when })) write++;
    expect(write).toBeGreaterThan(8);
  },
);

test.each(['lost', 'applied'] as const)(
  'an outage in between: what was refused holds no key, or can be asked for again (the write: %s)',
  async (fault) => {
    const bench = await UniqueBench.make();
    const uniqueKey = { key: 'k', onConflict: 'replace' } as const;
    const first = await bench.enqueue({ uniqueKey, delay: '1h' });
    bench.fragile.writes = fault;
    const refused = { code: 'MILLRACE_JOURNAL_WRITE_FAILED' };
    await expect(bench.enqueue({ uniqueKey, delay: '1h' })).rejects.toMatchObject(refused);
    await expect(bench.enqueue({ uniqueKey: 'k' })).rejects.toMatchObject(refused);
    bench.fragile.writes = undefined;
    await bench.pass(1_000);
    expect(bench.warnings.map(({ code }) => code)).toContain('MILLRACE_JOURNAL_REOPENED');
    const holder = await bench.enqueue({ uniqueKey: 'k' });
    expect(await bench.stateOf(holder)).toBe('scheduled');
    expect(holder === first).toBe(fault === 'lost');
    expect(await bench.stateOf(first)).toBe(fault === 'lost' ? 'scheduled' : 'cancelled');
    expect(await bench.engine.counts()).toMatchObject({ scheduled: 1 });
    const second = await bench.enqueue({ uniqueKey, delay: '1h' });
    expect(await bench.stateOf(holder)).toBe('cancelled');
    expect(await bench.enqueue({ uniqueKey: 'k' })).toBe(second);
  },
);

test('the end of a job that is kept in an outage frees its key when it is written, and not before', async () => {
  const bench = await UniqueBench.make();
  const first = await bench.enqueue({ uniqueKey: 'k' });
  bench.fragile.writes = 'lost';
  await bench.letGo(first);
  bench.fragile.writes = undefined;
  await bench.pass(1_000);
  expect(await bench.stateOf(first)).toBe('completed');
  const second = await bench.enqueue({ uniqueKey: 'k' });
  expect(second).not.toBe(first);
  expect(bench.held).toEqual([second]);
});
