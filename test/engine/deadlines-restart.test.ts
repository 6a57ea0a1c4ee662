/** Deadlines across restarts, crashes, outages, copies and damage: none is lost, and none is left behind. */
import { setImmediate as turn } from 'node:timers/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { expect, onTestFinished, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { startProgram } from '../fixtures/child.js';
import { collect } from '../fixtures/collect.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { Gate } from '../fixtures/gate.js';
import { openInline } from '../fixtures/inline-engine.js';
import { KillableStore, type Kill } from '../fixtures/killable-store.js';
import { NOW } from '../fixtures/jobs.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const isExpired = { name: 'ExpiredError', code: 'MILLRACE_EXPIRED' };
const work = scriptedInline();

/** The keys by deadline in a journal that nobody has open. */
async function deadlineKeys(directory: string): Promise<string[]> {
  const level = new Level<string, Uint8Array>(directory, { valueEncoding: 'view' });
  const keys = await level.keys({ gt: 'x!', lt: 'x"' }).all();
  await level.close();
  return keys;
}

test('what expired while nobody ran it fails after the next open, before anything of it starts', async () => {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const all = { ...options, clock, jobs: { work } };
  const first = closing(await Millrace.open(all));
  await first.enqueue('work', { do: 'return' }, { id: 'late', delay: '10m', expiresIn: '20m' });
  await first.enqueue('work', { do: 'return' }, { id: 'in time', delay: '10m', expiresIn: '2h' });
  await first.close();
  await clock.advance(HOUR);
  const second = closing(await Millrace.open(all));
  const events = record(second, 'started', 'errored', 'failed', 'completed');
  await events.reached(3);
  expect(events.all.toSorted(([a], [b]) => (a < b ? -1 : 1))).toMatchObject([
    ['completed', { id: 'in time' }],
    ['failed', { id: 'late', attempt: 0, error: isExpired }],
    ['started', { id: 'in time' }],
  ]);
  await second.close();
  expect(await deadlineKeys(options.directory)).toEqual([]);
});

test('killed with jobs in every state, those whose deadline has come since fail, and the others go on', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const program = startProgram('expiring', directory, gate.path);
  await gate.arrived('running');
  await program.lines.until((line) => line === 'enqueued');
  program.kill('SIGKILL');
  await program.exit;
  const clock = new FakeClock();
  clock.jump(Date.now() - NOW + 2 * HOUR);
  const mill = closing(await Millrace.open({ ...options, clock, jobs: { threaded: scriptedThread() } }));
  const events = record(mill, 'rescued', 'started', 'failed', 'errored');
  expect(await mill.handle('threaded', 'longer').result()).toBe('in time');
  await events.until(() => events.all.filter(([event]) => event === 'failed').length === 4);
  for (const [id, attempt] of [
    ['running', 0],
    ['available', 0],
    ['scheduled', 0],
    ['retryable', 1],
  ] as const)
    expect(await mill.job(id)).toMatchObject({ state: 'failed', attempt, error: isExpired });
  const told = events.all.map(([event, value]) => `${event} ${'id' in value && value.id}`);
  expect(told.filter((one) => /^(rescued|started|errored)/.test(one))).toEqual([
    'rescued running',
    'started longer',
  ]);
  await mill.close();
  expect(await deadlineKeys(options.directory)).toEqual([]);
});

/** A job that waits until it expires, one that runs then, and one that completes before. */
async function live(disk: MemoryDisk, clock: FakeClock, kill?: Kill) {
  const store = new KillableStore(openMemoryStore(disk), kill);
  const opened = openInline(store, { clock, dies: kill !== undefined });
  const options = { durability: 'os', expiresIn: '10s' } as const;
  const run = async (): Promise<void> => {
    const { engine, starts } = await opened;
    await engine.enqueue('work', null, { ...options, id: 'runs' });
    await engine.enqueue('work', null, { ...options, id: 'runs, too' });
    await starts.reached(2);
    await engine.enqueue('work', null, { ...options, id: 'waits' });
    await engine.enqueue('work', null, { ...options, id: 'is later', delay: '1h' });
  };
  void run();
  await store.quiet();
  await clock.advance(10 * SECOND);
  await store.quiet();
  // Their grace.
  await clock.advance(1);
  await store.quiet();
  return { store };
}

test('killed at any write, each job ends once, and no deadline is left behind', async () => {
  const { writes } = (await live(new MemoryDisk(), new FakeClock())).store;
  expect(writes).toBeGreaterThan(6);
  for (let write = 1; write <= writes; write++) {
    for (const when of ['before', 'after'] as const) {
      const disk = new MemoryDisk();
      const clock = new FakeClock();
      await live(disk, clock, { write, when });
      const store = new KillableStore(openMemoryStore(disk));
      const { engine, warnings, starts } = await openInline(store, { clock });
      await store.quiet();
      const where = `${when} write ${write}`;
      const { failed, ...others } = await engine.counts();
      expect(Object.values(others), where).toEqual(Object.values(others).map(() => 0));
      expect(starts.all, where).toEqual([]);
      expect(warnings.all, where).toEqual([]);
      let known = 0;
      for (const id of ['runs', 'runs, too', 'waits', 'is later']) {
        const job = await engine.snapshot(id);
        if (job) known++;
        if (job) expect(job.error?.code, where).toMatch(/^MILLRACE_(EXPIRED|DEADLINE)$/);
      }
      expect(known, where).toBe(failed);
      expect(await store.page({ from: 'x!', to: 'x"', limit: 10 }), where).toEqual([]);
    }
  }
});

test.each(['lost', 'applied'] as const)(
  'what expires while the journal cannot be written fails afterwards, and once (a write that failed: %s)',
  async (fault) => {
    const clock = new FakeClock();
    const store = new FragileStore(openMemoryStore(new MemoryDisk()));
    const { engine, ends, warnings } = await openInline(store, { clock });
    await engine.enqueue('work', null, { id: 'it', delay: '1h', expiresIn: '10s' });
    store.writes = fault;
    await clock.armed(10 * SECOND);
    await clock.advance(10 * SECOND);
    await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_WRITE_FAILED');
    store.writes = undefined;
    await clock.armed(100);
    await clock.advance(100);
    await expect(engine.result('it')).rejects.toMatchObject({ cause: isExpired });
    for (let i = 0; i < 10; i++) await turn();
    expect(ends.all).toEqual(['failed it']);
    expect(await engine.counts()).toMatchObject({ failed: 1, scheduled: 0 });
  },
);

/** A closed journal with a job that has expired, one with a deadline and one without. */
async function written() {
  const own = await bench();
  const clock = new FakeClock();
  const all = { ...own.options, clock, jobs: { work } };
  const mill = own.closing(await Millrace.open(all));
  const gone = await mill.enqueue('work', { do: 'return' }, { id: 'gone', deadline: 0 });
  await gone.result().catch(() => {});
  await mill.enqueue('work', { do: 'return' }, { id: 'later', delay: '1h', expiresIn: '10m' });
  await mill.enqueue('work', { do: 'return' }, { id: 'plain', delay: '1h' });
  return { ...own, clock, all, mill };
}

/** Opens it, and sees that deadlines hold there. */
async function expectKept(options: Parameters<typeof Millrace.open>[0], clock: FakeClock): Promise<Millrace> {
  const mill = await Millrace.open(options);
  onTestFinished(() => mill.close());
  expect(await mill.job('gone')).toMatchObject({ state: 'failed', error: isExpired, errors: [] });
  const events = record(mill, 'failed');
  await clock.armed(MINUTE);
  await clock.advance(10 * MINUTE);
  await events.reached(1);
  expect(events.all).toMatchObject([['failed', { id: 'later', error: isExpired }]]);
  expect(await mill.job('plain')).toMatchObject({ state: 'scheduled' });
  return mill;
}

test('an exported job keeps its deadline, and why it failed', async () => {
  const { clock, all, mill, directory } = await written();
  const lines = await collect(mill.export());
  await mill.close();
  const target = { ...all, directory: join(directory, 'target') };
  const other = await Millrace.open(target);
  expect(await other.import(lines)).toEqual({ imported: 3, skipped: 0 });
  expect((await collect(other.export())).slice(1)).toEqual(lines.slice(1));
  await other.close();
  await expectKept(target, clock);
});

test.each([
  ['deadlineAt', -1, 'an integer from 0'],
  ['deadlineAt', 9e15, 'an integer from 0'],
  ['failure', { name: 'Error', message: 'why' }, 'absent in a job that is scheduled'],
])('a line whose %s is %o is refused', async (field, value, says) => {
  const { all, mill, directory, closing } = await written();
  const lines = await collect(mill.export());
  const at = lines.findIndex((line) => line.includes('"later"'));
  lines[at] = JSON.stringify({ ...(JSON.parse(lines[at] ?? '') as object), [field]: value });
  const other = closing(await Millrace.open({ ...all, directory: join(directory, 'target') }));
  await expect(other.import(lines)).rejects.toMatchObject({
    code: 'MILLRACE_IMPORT_INVALID',
    message: expect.stringContaining(says),
  });
});

test('a backup has the deadlines of its jobs', async () => {
  const { clock, all, mill, directory } = await written();
  const copy = join(directory, 'copy');
  await mill.backup(copy);
  await mill.close();
  await expectKept({ ...all, directory: copy }, clock);
});

test.each(['removed', 'damaged'] as const)('a %s entry by deadline is found, and repaired', async (how) => {
  const { clock, all, mill, options } = await written();
  await mill.close();
  const [key = ''] = await deadlineKeys(options.directory);
  const level = new Level<string, Uint8Array>(options.directory, { valueEncoding: 'view' });
  if (how === 'removed') await level.del(key);
  else await level.put(key, Uint8Array.of(1, 2, 3, 4, 5));
  await level.close();
  const found = await Millrace.verify(options.directory);
  expect(found).toMatchObject({ sound: false });
  expect(found.damage).toContainEqual(expect.objectContaining({ key, jobId: 'later' }));
  expect(await Millrace.repair(options.directory)).toMatchObject({
    repaired: true,
    soundCount: 2,
    salvaged: [{ id: 'later', state: 'scheduled' }],
  });
  expect(await deadlineKeys(options.directory)).toEqual([key]);
  const repaired = await expectKept(all, clock);
  await repaired.close();
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
});

test('a damaged entry by deadline is told once, and keeps no other from expiring', async () => {
  const { clock, all, mill, options } = await written();
  await mill.enqueue('work', { do: 'return' }, { id: 'after', delay: '1h', expiresIn: '11m' });
  await mill.close();
  const [key = ''] = await deadlineKeys(options.directory);
  const level = new Level<string, Uint8Array>(options.directory, { valueEncoding: 'view' });
  await level.put(key, Uint8Array.of(1, 2, 3, 4, 5));
  await level.close();
  const again = await Millrace.open(all);
  onTestFinished(() => again.close());
  const events = record(again, 'failed', 'warning');
  await clock.armed(MINUTE);
  await clock.advance(11 * MINUTE);
  await events.until(([event]) => event === 'failed');
  expect(events.all).toMatchObject([
    ['warning', { code: 'MILLRACE_JOURNAL_CORRUPT', message: expect.stringContaining(key) }],
    ['failed', { id: 'after' }],
  ]);
  // What is left of its deadline is looked at when it would start.
  await clock.armed(MINUTE);
  await clock.advance(HOUR);
  await events.until(([event, value]) => event === 'failed' && 'id' in value && value.id === 'later');
  expect(await again.job('later')).toMatchObject({ state: 'failed', error: isExpired });
});

test('an entry that a power cut has brought back goes, and its job stays as it is', async () => {
  const { clock, all, mill, options } = await written();
  await mill.close();
  const [key = ''] = await deadlineKeys(options.directory);
  const level = new Level<string, Uint8Array>(options.directory, { valueEncoding: 'view' });
  const entry = await level.get(key);
  await level.close();
  const first = await expectKept(all, clock);
  await first.close();
  expect(await deadlineKeys(options.directory)).toEqual([]);
  const again = new Level<string, Uint8Array>(options.directory, { valueEncoding: 'view' });
  await again.put(key, entry ?? Uint8Array.of());
  await again.close();
  const second = await Millrace.open(all);
  onTestFinished(() => second.close());
  const events = record(second, 'failed', 'warning');
  const ran = await second.enqueue('work', { do: 'return', value: 'ran' });
  expect(await ran.result()).toBe('ran');
  for (let i = 0; i < 10; i++) await turn();
  await second.close();
  expect(await deadlineKeys(options.directory)).toEqual([]);
  expect(events.all).toEqual([]);
});
