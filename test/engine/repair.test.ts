/** `Millrace.verify()` and `Millrace.repair()`, on what only they can tell: records that do not agree. */
import { readdir, rename, writeFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Level } from 'level';
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { sealText } from '../../src/journal/integrity.js';
import { bench, record, type Bench } from '../fixtures/engine.js';

const corrupt = 'MILLRACE_JOURNAL_CORRUPT';
const BOTH = [
  (directory: string) => Millrace.verify(directory),
  (directory: string) => Millrace.repair(directory),
];
const ran: string[] = [];
const jobs = {
  work: inlineJob((payload: string) => {
    ran.push(payload);
    return `did ${payload}`;
  }),
};

/** A journal with `done` completed, `later` scheduled, and `a`, `b` and `c` available; closed. */
async function written({ options, closing }: Bench): Promise<string> {
  const blocked = { ...jobs, block: inlineJob(() => new Promise(() => {}), { grace: 1, queue: 'slow' }) };
  const queues = { default: {}, slow: { concurrency: 1 } };
  const mill = closing(await Millrace.open({ ...options, jobs: blocked, queues }));
  await (await mill.enqueue('work', 'done', { id: 'done' })).result();
  const started = record(mill, 'started');
  await mill.enqueue('block', undefined, { id: 'stuck' });
  await started.reached(1);
  for (const id of ['a', 'b', 'c']) await mill.enqueue('work', id, { id, queue: 'slow' });
  await mill.enqueue('work', 'later', { id: 'later', delay: '1h' });
  await mill.close({ timeout: 0 });
  ran.length = 0;
  return options.directory;
}

type Change = (key: string, value: Uint8Array) => Uint8Array | 'removed' | undefined;

/** Changes records below the engine, as only damage, or a bug, would. */
async function tamper(directory: string, change: Change): Promise<void> {
  const level = new Level<string, Uint8Array>(directory, { valueEncoding: 'view' });
  for await (const [key, value] of level.iterator()) {
    const changed = change(key, value);
    if (changed === 'removed') await level.del(key);
    else if (changed) await level.put(key, changed);
  }
  await level.close();
}

const removing =
  (prefix: string): Change =>
  (key) =>
    key.startsWith(prefix) ? 'removed' : undefined;

const flipping =
  (prefix: string): Change =>
  (key, value) => {
    if (!key.startsWith(prefix)) return undefined;
    const flipped = Uint8Array.from(value);
    flipped[5] = (flipped[5] ?? 0) ^ 1;
    return flipped;
  };

async function reopened({ options, closing }: Bench) {
  const block = inlineJob(() => 'unblocked', { queue: 'slow' });
  const queues = { default: {}, slow: {} };
  const mill = closing(await Millrace.open({ ...options, jobs: { ...jobs, block }, queues }));
  const warnings = record(mill, 'warning');
  await mill.drain();
  return { mill, warnings };
}

test('a sound journal is found sound, and repair() leaves it alone', async () => {
  const own = await bench();
  const directory = await written(own);
  expect(await Millrace.verify(directory)).toMatchObject({
    sound: true,
    jobs: { available: 4, scheduled: 1, completed: 1, running: 0 },
    damage: [],
    damageCount: 0,
    notes: [],
  });
  const before = await readdir(directory);
  expect(await Millrace.repair(directory)).toMatchObject({ repaired: false, soundCount: 6 });
  expect(await readdir(directory)).toStrictEqual(before);
});

test('where a log is gone, repair() does not say that nothing else is lost', async () => {
  const own = await bench();
  const directory = await written(own);
  for (const file of await readdir(directory)) if (file.endsWith('.log')) await rm(join(directory, file));
  const report = await Millrace.repair(directory);
  expect(report).toMatchObject({ repaired: true, mayLackMore: true });
  expect(report.damage).toMatchObject([{ message: 'it is missing' }]);
  // Nothing of it is of use only to whoever reads the files.
  expect(Object.keys(report.damage[0] ?? {}).toSorted()).toEqual(['file', 'message']);
});

test('neither touches a journal that is open, or makes one', async () => {
  const own = await bench();
  await written(own);
  const mill = own.closing(await Millrace.open({ ...own.options, jobs, queues: { default: {}, slow: {} } }));
  for (const call of BOTH) {
    await expect(call(own.options.directory)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_LOCKED' });
    await expect(call(join(own.directory, 'none'))).rejects.toMatchObject({
      code: 'MILLRACE_JOURNAL_OPEN_FAILED',
    });
    await expect(call('')).rejects.toMatchObject({ code: 'MILLRACE_OPTION_INVALID' });
  }
  expect(await readdir(own.directory)).not.toContain('none');
  await mill.close();
});

test.each<[what: string, change: Change, damage: object, report: object]>([
  [
    'a damaged spec',
    flipping('j!b'),
    { key: 'j!b', jobId: 'b' },
    { soundCount: 5, lost: [{ id: 'b' }], lostCount: 1, unnamedCount: 0, mayLackMore: false },
  ],
  ['a missing spec', removing('j!b'), { key: 'j!b', jobId: 'b' }, { soundCount: 5, lost: [{ id: 'b' }] }],
  [
    'a lost place',
    removing('r!slow!work'),
    { jobId: 'a' },
    { soundCount: 3, salvagedCount: 3, salvaged: [{ id: 'a', state: 'available' }, {}, {}], lostCount: 0 },
  ],
  [
    'a damaged place',
    flipping('t!'),
    { key: expect.stringMatching(/^t!/) as string },
    { soundCount: 5, salvaged: [{ id: 'later', state: 'scheduled' }] },
  ],
  [
    'a lost status of a completed job',
    removing('s!done'),
    { key: 's!done', jobId: 'done' },
    { soundCount: 5, salvaged: [{ id: 'done', state: 'completed' }] },
  ],
  [
    'a damaged status of a completed job',
    flipping('s!done'),
    { key: 's!done', jobId: 'done' },
    { soundCount: 5, salvaged: [{ id: 'done', state: 'completed' }] },
  ],
  [
    'wrong counters',
    removing('c!slow'),
    { key: 'c!slow' },
    { soundCount: 6, salvagedCount: 0, lostCount: 0 },
  ],
  ['a lost roster of ended jobs', removing('f!'), { jobId: 'done' }, { soundCount: 5, salvagedCount: 1 }],
  ['lost numbers', removing('m!sequence'), { key: 'm!sequence' }, { soundCount: 6 }],
])('%s is found, and repaired', async (_what, change, damage, expected) => {
  const own = await bench();
  const directory = await written(own);
  await tamper(directory, change);
  const found = await Millrace.verify(directory);
  expect(found.sound).toBe(false);
  expect(found.damage).toContainEqual(expect.objectContaining(damage));
  const report = await Millrace.repair(directory);
  expect(report).toMatchObject({ repaired: true, ...expected });
  expect(await readdir(join(directory, report.keptIn ?? ''))).toContain('CURRENT');
  expect(await Millrace.verify(directory)).toMatchObject({ sound: true });
  const { mill, warnings } = await reopened(own);
  const gone = new Set(report.lost.map(({ id }) => id));
  // Each once, and none that had ended.
  expect(ran.toSorted()).toStrictEqual(['a', 'b', 'c'].filter((id) => !gone.has(id)));
  expect(await mill.counts()).toMatchObject({ scheduled: 1, available: 0 });
  expect(warnings.all).toStrictEqual([]);
  // Numbers go on where they were.
  await (await mill.enqueue('work', 'new')).result();
  await mill.close();
  expect(await Millrace.verify(directory)).toMatchObject({ sound: true });
});

test('the result of a job of which only the end is known is told as lost', async () => {
  const own = await bench();
  const directory = await written(own);
  await tamper(directory, removing('s!done'));
  await Millrace.repair(directory);
  const { mill } = await reopened(own);
  await expect(mill.handle('work', 'done').result()).rejects.toMatchObject({ code: corrupt });
  expect(await mill.job('done')).toMatchObject({ state: 'completed' });
});

test('a job of which nothing tells whether it has ended fails, and says why', async () => {
  const own = await bench();
  const directory = await written(own);
  await tamper(directory, (key, value) => removing('f!')(key, value) ?? flipping('s!done')(key, value));
  const report = await Millrace.repair(directory);
  expect(report).toMatchObject({ salvaged: [{ id: 'done', state: 'failed' }] });
  const { mill } = await reopened(own);
  await expect(mill.handle('work', 'done').result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
    cause: { code: corrupt },
  });
});

test('what nothing names any more is counted', async () => {
  const own = await bench();
  const directory = await written(own);
  await tamper(directory, (key) => (/^(?:j!b|r!slow!work!.*)$/.test(key) ? 'removed' : undefined));
  expect(await Millrace.repair(directory)).toMatchObject({ lostCount: 0, unnamedCount: 1, salvagedCount: 2 });
});

test('an interrupted repair is refused, and can be run again', async () => {
  const own = await bench();
  const directory = await written(own);
  await tamper(directory, removing('c!slow'));
  const { keptIn = '' } = await Millrace.repair(directory);
  // As if the process had died while it put the new files in the place of the old ones.
  await rename(join(directory, 'CURRENT'), join(directory, 'gone'));
  await writeFile(join(directory, 'REPAIRING'), `${keptIn}\n`);
  await expect(Millrace.open({ ...own.options, jobs })).rejects.toMatchObject({
    code: corrupt,
    message: expect.stringContaining('repair'),
  });
  expect(await Millrace.verify(directory)).toMatchObject({ sound: false });
  expect(await Millrace.repair(directory)).toMatchObject({ repaired: true, keptIn, soundCount: 6 });
  expect(await Millrace.verify(directory)).toMatchObject({ sound: true });
  await reopened(own);
  expect(ran.toSorted()).toStrictEqual(['a', 'b', 'c']);
});

test('a journal of another format is not touched', async () => {
  const own = await bench();
  const directory = await written(own);
  await tamper(directory, (key) => (key === 'm!format' ? sealText(key, '99') : undefined));
  for (const call of BOTH)
    await expect(call(directory)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_FORMAT' });
});

test('a unique key whose entry is damaged is nobody’s, until repair() gives it back', async () => {
  const own = await bench();
  const { options, closing } = own;
  const open = async () => closing(await Millrace.open({ ...options, jobs }));
  const later = { delay: '1h' } as const;
  const first = await open();
  const held = await first.enqueue('work', 'held', { uniqueKey: 'k', ...later });
  const timed = await first.enqueue('work', 'timed', { uniqueKey: 'timed', throttle: '1h' });
  await timed.result();
  await first.enqueue('work', 'free', { uniqueKey: 'free' });
  await first.drain();
  await first.close();
  await tamper(options.directory, flipping('u!'));
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: false, damageCount: 2 });
  expect(await Millrace.repair(options.directory)).toMatchObject({ repaired: true, lostCount: 0 });
  const second = await open();
  expect((await second.enqueue('work', 'again', { uniqueKey: 'k' })).id).toBe(held.id);
  expect((await second.enqueue('work', 'again', { uniqueKey: 'timed' })).id).toBe(timed.id);
  await (await second.enqueue('work', 'again', { uniqueKey: 'free' })).result();
  await second.close();
  // And without a repair it is told, and can be taken.
  await tamper(options.directory, flipping('u!'));
  const third = await open();
  const warnings = record(third, 'warning');
  expect((await third.enqueue('work', 'new', { uniqueKey: 'k', ...later })).id).not.toBe(held.id);
  expect(warnings.all).toMatchObject([['warning', { code: corrupt }]]);
});
