/** backup(): one moment of a journal that goes on, whole or not there. */
import { spawnSync } from 'node:child_process';
import { mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { inlineJob, Millrace, type JobCounts } from '../../src/index.js';
import { startProgram } from '../fixtures/child.js';
import { collect } from '../fixtures/collect.js';
import { bench, record, scriptedInline, scriptedThread, type Bench } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';

const refused = { code: 'MILLRACE_OPTION_INVALID' };
const jobs = { work: scriptedThread() };

interface Line {
  readonly id: string;
  readonly state: keyof JobCounts;
  readonly payload: { readonly value: number };
  readonly result?: number;
}

/** The jobs that were enqueued together. */
function groupsOf(lines: readonly Line[]): Map<number, Line[]> {
  const groups = new Map<number, Line[]>();
  for (const line of lines) groups.set(line.payload.value, [...(groups.get(line.payload.value) ?? []), line]);
  return groups;
}

/** What a copy holds, read by an engine that knows none of its jobs and so leaves them alone. */
async function contentsOf(directory: string, { closing, logger }: Bench) {
  const copy = closing(
    await Millrace.open({ directory, logger, jobs: {}, queues: { none: {} }, threads: { count: 1 } }),
  );
  const lines = (await collect(copy.export())).slice(1, -1).map((line) => JSON.parse(line) as Line);
  const counts = await copy.counts();
  await copy.close();
  return { lines, counts };
}

test('under load a backup is of one moment: groups are whole, counters agree, what was told is there', async () => {
  const own = await bench();
  const mill = own.closing(await Millrace.open({ ...own.options, jobs, threads: { count: 2 } }));
  const [acknowledged, completed] = [new Set<string>(), new Map<string, unknown>()];
  mill.on('completed', ({ id, result }) => completed.set(id, result));
  const groupSize = 20;
  const load = { goesOn: true };
  const loading = (async () => {
    for (let group = 0; load.goesOn; group++) {
      const payload = { do: 'return', value: group } as const;
      const handles = await mill.enqueueMany(
        Array.from({ length: groupSize }, () => ({ name: 'work', payload })),
      );
      for (const { id } of handles) acknowledged.add(id);
    }
  })();
  const before: { acknowledged: string[]; completed: [string, unknown][]; directory: string }[] = [];
  const completions = record(mill, 'completed');
  for (const n of [1, 2, 3]) {
    await completions.reached(n * 1_000);
    const directory = join(own.directory, `backup-${n}`);
    before.push({ acknowledged: [...acknowledged], completed: [...completed], directory });
    expect(await mill.backup(directory)).toMatchObject({ damaged: [] });
  }
  load.goesOn = false;
  await loading;

  for (const { acknowledged, completed, directory } of before) {
    const { lines, counts } = await contentsOf(directory, own);
    const found = new Map(lines.map((line) => [line.id, line]));
    expect(found.size).toBe(lines.length);
    expect(acknowledged.filter((id) => !found.has(id))).toEqual([]);
    for (const [id, result] of completed) expect(found.get(id)).toMatchObject({ state: 'completed', result });
    const groups = groupsOf(lines);
    for (const [, members] of groups) expect(members).toHaveLength(groupSize);
    expect(counts.completed).toBe(lines.filter(({ state }) => state === 'completed').length);
    expect(counts.available).toBe(lines.length - counts.completed);
    expect(counts.running).toBe(0);
  }

  const [last] = before.slice(-1);
  const copy = own.closing(await Millrace.open({ ...own.options, directory: last?.directory ?? '', jobs }));
  await copy.drain();
  const { completed: ended, ...others } = await copy.counts();
  expect(ended).toBeGreaterThanOrEqual(last?.acknowledged.length ?? NaN);
  expect(Object.values(others)).toEqual([0, 0, 0, 0, 0, 0, 0]);
});

test('a job that runs while a backup is made runs again in the copy', async () => {
  const own = await bench();
  const gate = await Gate.in(own.directory);
  const mill = own.closing(await Millrace.open({ ...own.options, jobs }));
  const script = { do: 'passGate', gate: gate.path, label: 'in', value: 'through' } as const;
  const job = await mill.enqueue('work', script);
  await gate.arrived('in');
  const directory = join(own.directory, 'backup');
  expect(await mill.backup(directory)).toMatchObject({ jobs: 1 });
  gate.open('in');
  expect(await job.result()).toBe('through');
  const copy = own.closing(await Millrace.open({ ...own.options, directory, jobs }));
  const rescued = record(copy, 'rescued');
  expect(await copy.handle('work', job.id).result()).toBe('through');
  expect(rescued.all).toMatchObject([['rescued', { id: job.id }]]);
  expect(gate.arrivals('in')).toBe(2);
});

/** An engine with so many jobs for later, which is a few pages. */
async function withJobs(own: Bench, count = 5_000) {
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: { work: scriptedInline() } }));
  const payload = { do: 'return', value: 'x'.repeat(1_000) } as const;
  const options = { delay: '1h' } as const;
  await mill.enqueueMany(Array.from({ length: count }, () => ({ name: 'work', payload, options })));
  return mill;
}

test('a backup goes into a directory that is empty or new, and outside the journal’s own', async () => {
  const own = await bench();
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: {} }));
  const at = (name: string): string => join(own.directory, name);
  await mkdir(at('empty'));
  await mkdir(at('full'));
  await writeFile(at('full/file'), 'mine');
  await symlink(own.options.directory, at('link'));
  for (const directory of ['', 5 as unknown as string, at('full'), at('full/file')])
    await expect(mill.backup(directory)).rejects.toMatchObject(refused);
  for (const directory of [
    own.options.directory,
    join(own.options.directory, 'new'),
    at('link'),
    at('link/new'),
  ])
    await expect(mill.backup(directory)).rejects.toMatchObject(refused);
  expect(await readdir(at('full'))).toEqual(['file']);
  expect(await readdir(own.options.directory)).not.toContain('new');
  await expect(mill.backup(at('full/file/below'))).rejects.toMatchObject({
    code: 'MILLRACE_JOURNAL_OPEN_FAILED',
  });
  await expect(mill.backup(at('x'), { signal: 5 as unknown as AbortSignal })).rejects.toMatchObject(refused);

  const target = at('empty');
  const both = await Promise.allSettled([mill.backup(target), mill.backup(target)]);
  expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  await expect(mill.backup(target)).rejects.toMatchObject(refused);
  const name = at('of/many/new/folders');
  expect(await mill.backup(name)).toMatchObject({ jobs: 0, damaged: [] });
  await own.closing(await Millrace.open({ ...own.options, directory: name, jobs: {} })).close();
});

test('while it is made, nobody opens a backup', async () => {
  const own = await bench();
  const mill = await withJobs(own);
  const directory = join(own.directory, 'backup');
  const making = mill.backup(directory);
  await expect(Millrace.open({ ...own.options, directory, jobs: {} })).rejects.toMatchObject({
    code: 'MILLRACE_JOURNAL_LOCKED',
  });
  expect(await making).toMatchObject({ jobs: 5_000 });
});

test.each(['before', 'while'])('a backup that is cancelled %s it is made leaves nothing', async (when) => {
  const own = await bench();
  const mill = await withJobs(own);
  const controller = new AbortController();
  if (when === 'before') controller.abort(new Error('not now'));
  const making = mill.backup(join(own.directory, 'some', 'backup'), { signal: controller.signal });
  if (when === 'while') controller.abort(new Error('not now'));
  await expect(making).rejects.toThrow('not now');
  expect(await readdir(own.directory)).toEqual(['journal']);
  expect(await mill.counts()).toMatchObject({ scheduled: 5_000 });
});

test('an engine that closes ends a backup, which leaves nothing', async () => {
  const own = await bench();
  const mill = await withJobs(own);
  await mkdir(join(own.directory, 'backup'));
  const making = mill.backup(join(own.directory, 'backup'));
  const told = expect(making).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
  await mill.close();
  expect(await readdir(join(own.directory, 'backup'))).toEqual([]);
  await told;
  await expect(mill.backup(join(own.directory, 'other'))).rejects.toMatchObject({ code: 'MILLRACE_CLOSED' });
  expect(await readdir(own.directory)).not.toContain('other');
});

test('half a backup is never opened as a journal', async () => {
  const own = await bench();
  const program = startProgram('backing-up', own.directory);
  expect(await program.exit).toEqual({ code: null, signal: 'SIGKILL' });
  expect(program.lines.all).toEqual([]);
  const directory = join(own.directory, 'backup');
  expect(await readdir(directory)).toContain('CURRENT');
  // Again, for what refuses it must not take away the mark.
  for (let time = 0; time < 2; time++)
    await expect(Millrace.open({ ...own.options, directory, jobs: {} })).rejects.toMatchObject({
      code: 'MILLRACE_JOURNAL_CORRUPT',
      message: expect.stringContaining('did not finish the backup'),
    });
  await rm(join(directory, 'OWNER'));
  await expect(Millrace.open({ ...own.options, directory, jobs: {} })).rejects.toMatchObject({
    code: 'MILLRACE_JOURNAL_CORRUPT',
    message: expect.stringContaining('format'),
  });
  // The journal itself is as it was.
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: { work: scriptedInline() } }));
  expect(await mill.counts()).toMatchObject({ scheduled: 5_000 });
  await expect(mill.backup(directory)).rejects.toMatchObject(refused);
});

/** A small disk of its own, where the system lets the test have one. */
function mountSmall(directory: string): boolean {
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory]);
  if (status === 0) onTestFinished(() => void spawnSync('umount', [directory]));
  return status === 0;
}

test('a disk that is full is told, what was written is removed, and the engine goes on', async ({ skip }) => {
  const own = await bench();
  const small = join(own.directory, 'small');
  await mkdir(small);
  if (!mountSmall(small)) skip();
  const mill = await withJobs(own, 10_000);
  const before = (await stat(small)).ino;
  for (const directory of [small, join(small, 'new')]) {
    await expect(mill.backup(directory)).rejects.toMatchObject({
      code: 'MILLRACE_BACKUP_FAILED',
      message: expect.stringContaining(directory),
    });
    expect(await readdir(small)).toEqual([]);
  }
  expect((await stat(small)).ino).toBe(before);
  expect(await (await mill.enqueue('work', { do: 'return', value: 1 })).result()).toBe(1);
  expect(await mill.backup(join(own.directory, 'roomy'))).toMatchObject({ jobs: 10_001 });
});

test('a backup of many jobs keeps the event loop free', async () => {
  const own = await bench();
  const work = inlineJob((n: number) => n);
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: { work } }));
  const items = Array.from(
    { length: 10_000 },
    (_, payload) => ({ name: 'work', payload, options: { delay: '1h' } }) as const,
  );
  for (let i = 0; i < 5; i++) await mill.enqueueMany(items);
  const state = { isMade: false, turns: 0 };
  const making = mill.backup(join(own.directory, 'backup')).finally(() => (state.isMade = true));
  while (!state.isMade) {
    await new Promise((resolve) => setImmediate(resolve));
    state.turns++;
  }
  expect(await making).toMatchObject({ jobs: 50_000 });
  // 100,000 records and more, in pages of a thousand, each with a read and a write that give others their turn.
  expect(state.turns).toBeGreaterThan(200);
});
