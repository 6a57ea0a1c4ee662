/** A log that LevelDB left unsynced is synced before a later write counts as synced. */
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { LeftLogs } from '../../src/journal/left-logs.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

/** A directory whose log is left for another one when it has been written to. */
async function openLogs(isSynced: boolean): Promise<{ logs: LeftLogs; left: string; next: string }> {
  const directory = await temporaryDirectory();
  const [left, next] = [join(directory, '000003.log'), join(directory, '000004.log')];
  await writeFile(left, '');
  const logs = new LeftLogs(directory);
  await appendFile(left, 'something');
  await logs.written(isSynced);
  await writeFile(next, 'something');
  return { logs, left, next };
}

/** Something that cannot be synced shows that it was to be. */
async function spoil(log: string): Promise<void> {
  await rm(log);
  await mkdir(log);
}

test('a synced write waits for it, and fails where it cannot be synced', async () => {
  const { logs, left, next } = await openLogs(false);
  await logs.written(false);
  await spoil(left);
  await appendFile(next, 'more');
  await logs.written(false);
  await appendFile(next, 'more');
  await expect(logs.written(true)).rejects.toThrow('EISDIR');
});

test('nothing is to be done for one whose last write was synced', async () => {
  const { logs, left, next } = await openLogs(true);
  await logs.written(false);
  await spoil(left);
  await appendFile(next, 'more');
  await logs.written(true);
});

test('one that is gone is in a table', async () => {
  const { logs, left, next } = await openLogs(false);
  await rm(left);
  await logs.written(true);
  await appendFile(next, 'more');
  await logs.written(true);
});

test('one that was left before its first write was told is synced, too', async () => {
  const { logs, next } = await openLogs(true);
  // The write went there, and a compaction has left it since.
  const afterNext = next.replace('4.log', '5.log');
  await writeFile(afterNext, '');
  await logs.written(false);
  await spoil(next);
  await appendFile(afterNext, 'more');
  await expect(logs.written(true)).rejects.toThrow('EISDIR');
});
