/** Tables that are not checked before the journal opens are checked after that. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { MillraceError } from '../../src/index.js';
import type { Journal } from '../../src/journal/journal.js';
import { openJournal } from '../../src/journal/open.js';
import { TableWatch } from '../../src/journal/table-watch.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { specOf } from '../fixtures/jobs.js';
import { Recorder } from '../fixtures/recorder.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { enqueue } from './harness.js';

async function open(directory: string, clock = new FakeClock()): Promise<Journal> {
  const journal = await openJournal({ directory, lockTimeoutMs: 0, clock });
  onTestFinished(() => journal.close());
  return journal;
}

/** Jobs of a megabyte each: random, so that they do not pack. */
const big = (sequence: number) => specOf(sequence, { payload: randomBytes(1 << 20) });

test('damage in a table is told while the journal is open, and the next open refuses it', async () => {
  const directory = await temporaryDirectory();
  let journal = await open(directory);
  await enqueue(journal, big(1), big(2));
  await journal.close();
  journal = await open(directory);
  const oldest = (await readdir(directory)).find((file) => file.endsWith('.ldb')) ?? '';
  await enqueue(journal, ...Array.from({ length: 10 }, (_, i) => big(10 + i)));
  await journal.close();
  // What was in the log goes into tables that are newer.
  await (await open(directory)).close();
  const path = join(directory, oldest);
  const bytes = await readFile(path);
  bytes[1_000] = (bytes[1_000] ?? 0) ^ 1;
  await writeFile(path, bytes);

  const clock = new FakeClock();
  journal = await open(directory, clock);
  const warnings = new Recorder<MillraceError>();
  journal.onCorrupt = warnings.push;
  // It rests between slices.
  while (warnings.all.length === 0) {
    await clock.advanceToNext();
    await stat(path);
  }
  expect(warnings.all).toMatchObject([
    { code: 'MILLRACE_JOURNAL_CORRUPT', message: expect.stringContaining(oldest) },
  ]);
  expect(warnings.all[0]?.message).toMatch(/held keys .*j!job-1/);
  await journal.close();
  await expect(open(directory)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_CORRUPT' });
});

test('closing does not wait for the rest of the tables', async () => {
  const directory = await temporaryDirectory();
  const journal = await open(directory);
  await enqueue(journal, ...Array.from({ length: 6 }, (_, i) => big(1 + i)));
  await journal.close();
  await (await open(directory)).close();
  const clock = new FakeClock();
  const again = await open(directory, clock);
  await clock.armed(20);
  await again.close();
  expect(clock.isIdle).toBe(true);
});

test('a table that the journal did not have when it was opened may be half made, and is not told', async () => {
  const directory = await temporaryDirectory();
  const [had, beingMade] = ['000007.ldb', '000008.ldb'];
  for (const file of [had, beingMade]) await writeFile(join(directory, file), 'half of a table');
  const warnings = new Recorder<MillraceError>();
  const onWarning = warnings.push;
  const watch = new TableWatch({ directory, tables: [had], clock: new FakeClock(), onWarning });
  watch.begin();
  await warnings.until(({ message }) => message.includes(had));
  await watch.stop();
  // The newest would have been checked first.
  expect(warnings.all.filter(({ message }) => message.includes(beingMade))).toEqual([]);
});
