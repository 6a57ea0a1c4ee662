/** LevelDB is opened again only where its own directory is, and there is room for what that writes. */
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLevelStore } from '../../src/journal/level-store.js';
import type { Store } from '../../src/journal/store.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

const VALUE = Buffer.from('value');

async function put(store: Store, key: string): Promise<void> {
  const batch = store.batch();
  batch.put(key, VALUE);
  await batch.write(true);
}

async function openStore(): Promise<{ store: Store; directory: string; aside: string }> {
  const parent = await temporaryDirectory();
  const directory = join(parent, 'journal');
  await mkdir(directory);
  const store = await openLevelStore(directory);
  await put(store, 'a');
  return { store, directory, aside: join(parent, 'aside') };
}

const openFailed = (text: string) => ({
  code: 'MILLRACE_JOURNAL_OPEN_FAILED',
  message: expect.stringContaining(text),
});

test('it has what was written, takes more, and leaves nothing behind', async () => {
  const { store, directory } = await openStore();
  await store.reopen();
  await put(store, 'b');
  expect(await store.getMany(['a', 'b'])).toEqual([VALUE, VALUE]);
  await store.close();
  expect(await readdir(directory)).not.toContain('ROOM');
});

test('a directory that is gone is not made anew, and the journal is read until it is back', async () => {
  const { store, directory, aside } = await openStore();
  await rename(directory, aside);
  await expect(store.reopen()).rejects.toMatchObject(openFailed('ENOENT'));
  expect(await store.getMany(['a'])).toEqual([VALUE]);
  await rename(aside, directory);
  await store.reopen();
  expect(await store.getMany(['a'])).toEqual([VALUE]);
  await store.close();
});

test('another directory in its place is not taken for it', async () => {
  const { store, directory, aside } = await openStore();
  await rename(directory, aside);
  await mkdir(directory);
  await expect(store.reopen()).rejects.toMatchObject(openFailed('another directory has taken its place'));
  expect(await readdir(directory)).toEqual([]);
  await store.close();
});

test('a directory whose files are gone is not taken for a new journal', async () => {
  const { store, directory } = await openStore();
  for (const file of await readdir(directory)) await rm(join(directory, file));
  await expect(store.reopen()).rejects.toMatchObject(openFailed('does not exist'));
  await store.close();
});

test('nothing counts as written to files that are not there any more', async () => {
  const { store, directory, aside } = await openStore();
  await rename(directory, aside);
  await expect(put(store, 'b')).rejects.toThrow('ENOENT');
  await mkdir(directory);
  await writeFile(join(directory, 'CURRENT'), 'MANIFEST-000001\n');
  await expect(put(store, 'c')).rejects.toThrow('another directory has taken its place');
  await store.close();
});
