/** A journal whose owner is about to close it while the next one looks at its files. */
import { copyFile, readdir, readFile, rename, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test, vi } from 'vitest';
import { openCheckedStore } from '../../src/journal/checked-store.js';
import { openLevelStore } from '../../src/journal/level-store.js';
import type { Store } from '../../src/journal/store.js';
import { readWitness } from '../../src/journal/witness.js';
import { WitnessKeeper } from '../../src/journal/witness-keeper.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

/** What the owner still does before it lets go of LevelDB's lock. */
const owner = vi.hoisted(() => ({ finish: (): Promise<void> => Promise.resolve() }));

afterEach(() => {
  owner.finish = () => Promise.resolve();
});

vi.mock('../../src/journal/level-store.js', async (load) => {
  const original = await load<typeof import('../../src/journal/level-store.js')>();
  const assertNotOpen = async (directory: string): Promise<void> => {
    await owner.finish();
    await original.assertNotOpen(directory);
  };
  return { ...original, assertNotOpen };
});

async function open(directory: string, boot: string): Promise<{ store: Store; warnings: Error[] }> {
  const warnings: Error[] = [];
  const onWarning = (error: Error): void => void warnings.push(error);
  const store = await openCheckedStore({ directory, clock: new FakeClock(), onWarning, boot });
  return { store, warnings };
}

/** A journal with three records, as it is while it is open. */
async function journal(): Promise<string> {
  const directory = await temporaryDirectory();
  const { store } = await open(directory, 'one');
  await expect.poll(() => readWitness(directory).testimony).toBeDefined();
  for (const key of ['a', 'b', 'c']) await put(store, key);
  const copy = await copied(directory);
  await store.close();
  return copy;
}

async function put(store: Store, key: string): Promise<void> {
  const batch = store.batch();
  batch.put(key, Uint8Array.of(1));
  await batch.write(true);
}

async function copied(directory: string): Promise<string> {
  const copy = await temporaryDirectory();
  for (const file of await readdir(directory)) await copyFile(join(directory, file), join(copy, file));
  return copy;
}

async function keys(store: Store): Promise<string[]> {
  return (await store.page({ from: ' ', to: '~', limit: 10 })).map(({ key }) => key);
}

const named = async (directory: string, pattern: RegExp): Promise<string> =>
  join(directory, (await readdir(directory)).find((name) => pattern.test(name)) ?? '');

test('what the owner was writing is not cut off', async () => {
  const directory = await journal();
  const log = await named(directory, /\.log$/);
  const whole = await readFile(log);
  await truncate(log, whole.length - 5);
  owner.finish = () => writeFile(log, whole);
  const { store, warnings } = await open(directory, 'another');
  onTestFinished(() => store.close());
  expect(await keys(store)).toStrictEqual(['a', 'b', 'c']);
  expect(warnings).toStrictEqual([]);
});

test('a file that is missing and then there again is no loss', async () => {
  const directory = await journal();
  const manifest = await named(directory, /^MANIFEST/);
  await rename(manifest, `${manifest}.aside`);
  owner.finish = () => rename(`${manifest}.aside`, manifest);
  const { store } = await open(directory, 'one');
  onTestFinished(() => store.close());
  expect(await keys(store)).toStrictEqual(['a', 'b', 'c']);
});

test('a file that goes while it is looked at is no failure', async () => {
  const directory = await journal();
  const log = await named(directory, /\.log$/);
  await rename(log, `${log}.aside`);
  // Its name is there, and it cannot be opened: as one that goes between the two.
  await symlink(`${log}.none`, log);
  owner.finish = () => rename(`${log}.aside`, log);
  const { store } = await open(directory, 'one');
  onTestFinished(() => store.close());
  expect(await keys(store)).toStrictEqual(['a', 'b', 'c']);
});

test('a witness that is late says nothing of the files of the next owner', async () => {
  const directory = await temporaryDirectory();
  const level = await openLevelStore(directory);
  const warnings: Error[] = [];
  const onWarning = (error: Error): void => void warnings.push(error);
  const options = { directory, boot: 'one', turn: 1, clock: new FakeClock(), onWarning };
  const late = new WitnessKeeper(options);
  late.begin();
  const manifest = (): number | undefined => readWitness(directory).testimony?.manifest;
  await expect.poll(manifest).toBeDefined();
  const before = manifest();
  await put(level, 'a');
  await level.close();
  const { store } = await open(directory, 'one');
  onTestFinished(() => store.close());
  await expect.poll(manifest).not.toBe(before);
  await put(store, 'b');
  await late.close();
  expect(warnings).toStrictEqual([]);
  await put(store, 'c');
  const copy = await copied(directory);
  const { store: after } = await open(copy, 'one');
  onTestFinished(() => after.close());
  expect(await keys(after)).toStrictEqual(['a', 'b', 'c']);
});
