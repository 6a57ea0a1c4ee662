/** What a repair makes of a journal of which a whole table is lost. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { openCheckedStore } from '../../src/journal/checked-store.js';
import { Journal } from '../../src/journal/journal.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { NOW, specOf } from '../fixtures/jobs.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { claim, enqueue, move } from './harness.js';

async function session(directory: string, work: (journal: Journal) => Promise<void>): Promise<void> {
  const store = await openCheckedStore({ directory, clock: new FakeClock(), onWarning: () => {} });
  const journal = await Journal.open(store);
  await work(journal);
  await journal.close();
}

/** The tables, in the order in which they were made. */
const tables = async (directory: string): Promise<string[]> =>
  (await readdir(directory)).filter((file) => file.endsWith('.ldb')).sort();

test('a job whose end was in it is not told to be as it was', async () => {
  const directory = await temporaryDirectory();
  await session(directory, async (journal) => {
    await enqueue(journal, specOf(1), specOf(2));
  });
  const first = specOf(1);
  await session(directory, async (journal) => {
    const read = await journal.job(first.id);
    if (!read || !('spec' in read)) throw new Error('There is no such job');
    const running = await claim(journal, read);
    await move(journal, running, {
      ...running.status,
      state: 'completed',
      attempt: 1,
      finishedAt: NOW,
    });
  });
  await session(directory, async () => {});
  const [, lost = ''] = await tables(directory);
  await rm(join(directory, lost));
  const report = await Millrace.repair(directory);
  // It may run again: whoever repairs it hears that, and can cancel it.
  expect(report.salvaged).toMatchObject([{ id: 'job-1', state: 'available' }]);
  expect(report.soundCount).toBe(1);
});
