/** Damage that LevelDB itself notices. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Journal } from '../../src/journal/journal.js';
import { openLevelStore } from '../../src/journal/level-store.js';
import { openJournal } from '../../src/journal/open.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { specOf } from '../fixtures/jobs.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { enqueue, readyIds } from './harness.js';

const IDS = Array.from({ length: 200 }, (_, i) => `job-${i + 1}`);

async function open(directory: string): Promise<Journal> {
  const journal = await openJournal({ directory, lockTimeoutMs: 0, clock: new FakeClock() });
  onTestFinished(() => journal.close());
  return journal;
}

/** A journal whose records lie in tables, closed. */
async function inTables(): Promise<string> {
  const directory = await temporaryDirectory();
  const journal = await open(directory);
  await enqueue(journal, ...IDS.map((_, i) => specOf(i + 1, { payload: randomBytes(500) })));
  await journal.close();
  // The log of a journal becomes a table when it is opened.
  await (await open(directory)).close();
  return directory;
}

async function damageTables(directory: string, damage: (table: Buffer) => Buffer | undefined): Promise<void> {
  const tables = (await readdir(directory)).filter((file) => file.endsWith('.ldb'));
  expect(tables).not.toStrictEqual([]);
  for (const table of tables) {
    const path = join(directory, table);
    const damaged = damage(await readFile(path));
    await (damaged ? writeFile(path, damaged) : unlink(path));
  }
}

test('a damaged block takes the jobs in it and no others', async () => {
  const directory = await inTables();
  await damageTables(directory, (table) => table.fill(0x55, table.length >> 1, (table.length >> 1) + 4_000));
  // As in a journal of so many tables that not all are checked before it opens.
  const journal = await Journal.open(await openLevelStore(directory));
  onTestFinished(() => journal.close());
  const reads = await journal.jobs(IDS);
  const damaged = reads.filter((read) => read && 'code' in read);
  expect(damaged.length).toBeGreaterThan(0);
  for (const read of damaged) expect(read).toMatchObject({ code: 'MILLRACE_JOURNAL_CORRUPT' });
  const sound = reads.filter((read) => read && 'spec' in read);
  expect(sound.length).toBeGreaterThan(0);
  expect(sound.length + damaged.length).toBe(IDS.length);
  expect(await readyIds(journal)).toStrictEqual(IDS);
});

test.each([
  [
    'a table without its end',
    (table: Buffer) => table.fill(0, table.length - 60),
    'MILLRACE_JOURNAL_CORRUPT',
  ],
  [
    'a table without its beginning',
    (table: Buffer) => table.fill(0x55, 0, 5_000),
    'MILLRACE_JOURNAL_CORRUPT',
  ],
  ['a missing table', () => undefined, 'MILLRACE_JOURNAL_CORRUPT'],
  ['a table that was cut', (table: Buffer) => table.subarray(0, 3_000), 'MILLRACE_JOURNAL_CORRUPT'],
])('%s is refused with a code, and the directory is let go', async (_what, damage, code) => {
  const directory = await inTables();
  await damageTables(directory, damage);
  const refusal = { code: expect.stringMatching(code) as string };
  for (let i = 0; i < 2; i++) await expect(open(directory)).rejects.toMatchObject(refusal);
  expect(await readdir(directory)).not.toContain('OWNER');
});
