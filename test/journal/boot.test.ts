/** Low-water marks are for the start of the machine in which they were raised. */
import { expect, test } from 'vitest';
import { currentBoot, isSameBoot } from '../../src/journal/boot.js';
import type { MillraceError } from '../../src/errors.js';
import { Journal } from '../../src/journal/journal.js';
import { laneSpan, metaKey, readyKey } from '../../src/journal/keys.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { specOf } from '../fixtures/jobs.js';
import { enqueue, readyIds } from './harness.js';

/** A job whose claim a power cut has taken back, and a mark above it, which was kept. */
async function lostClaim(boot: string): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  const journal = await Journal.open(openMemoryStore(disk), boot);
  await enqueue(journal, specOf(1), specOf(2));
  // A mark never passes what the last two writes have put.
  for (const sequence of [3, 4]) await enqueue(journal, specOf(sequence, { queue: 'other' }));
  journal.raiseMark(laneSpan('default', 'resize').from, readyKey(specOf(9)));
  await enqueue(journal, specOf(10));
  await journal.close();
  return disk;
}

test('within one start of the machine a mark is trusted', async () => {
  const disk = await lostClaim('one');
  expect(await readyIds(await Journal.open(openMemoryStore(disk), 'one'))).toStrictEqual(['job-10']);
});

test('after another start of the machine no job stays below a mark, then and later', async () => {
  const disk = await lostClaim('one');
  for (let opened = 0; opened < 2; opened++) {
    const journal = await Journal.open(openMemoryStore(disk), 'two');
    expect(await readyIds(journal)).toStrictEqual(['job-1', 'job-2', 'job-10']);
    await journal.close();
  }
});

test('a start of the machine is the same for all who ask, where it can be told', () => {
  const asked = [currentBoot(), currentBoot()];
  expect(new Set(asked).size).toBe(process.platform === 'linux' ? 1 : 2);
});

test('a process has crashed where it was at work, in this start of the machine', async () => {
  const disk = new MemoryDisk();
  const open = (boot: string) => Journal.open(openMemoryStore(disk), boot);
  const first = await open('one');
  expect(await first.hasCrashed()).toBe(false);
  await first.noteWork(true);
  expect(await (await open('one')).hasCrashed()).toBe(true);
  expect(await (await open('two')).hasCrashed()).toBe(false);
  await (await open('two')).noteWork(true);
  expect(await (await open('one')).hasCrashed()).toBe(false);
  await (await open('two')).noteWork(false);
  expect(await (await open('two')).hasCrashed()).toBe(false);
});

test('where the note of a process at work is damaged, nobody is suspected', async () => {
  const disk = new MemoryDisk();
  const store = openMemoryStore(disk);
  const journal = await Journal.open(store, 'one');
  await journal.noteWork(true);
  const batch = store.batch();
  batch.put(metaKey('atWork'), Uint8Array.of(1, 2, 3, 4, 5));
  await batch.write(true);
  const reported: MillraceError[] = [];
  journal.onCorrupt = (error) => reported.push(error);
  expect(await journal.hasCrashed()).toBe(false);
  expect(reported).toMatchObject([{ code: 'MILLRACE_JOURNAL_CORRUPT' }]);
});

test('where a start has no name, two of about the same instant are taken for one', () => {
  const since = (ms: number, id: string): string => `since ${ms} ${id}`;
  expect(isSameBoot(since(1_700_000_000_000, 'a'), since(1_700_000_001_000, 'b'))).toBe(true);
  expect(isSameBoot(since(1_700_000_000_000, 'a'), since(1_700_000_010_000, 'b'))).toBe(false);
  expect(isSameBoot(since(1_700_000_000_000, 'a'), 'named')).toBe(false);
  expect(isSameBoot(currentBoot(), currentBoot())).toBe(true);
});
