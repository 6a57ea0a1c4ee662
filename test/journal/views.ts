/** A view of a store: one moment of it, whatever is written later. And what a backup makes of one. */
import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { systemClock } from '../../src/clock.js';
import { cancelled } from '../../src/job/transitions.js';
import { backUp } from '../../src/journal/backup.js';
import type { Journal } from '../../src/journal/journal.js';
import { metaKey, specKey, statusKey } from '../../src/journal/keys.js';
import { openJournal } from '../../src/journal/open.js';
import type { StoreReader, StoreView } from '../../src/journal/store.js';
import type { Disk, DiskFactory } from '../fixtures/disks.js';
import { jobOf, NOW, specOf } from '../fixtures/jobs.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { claim, dueIds, enqueue, move, openOn, plain, readyIds, runningIds, tamper } from './harness.js';

const ALL = { from: '!', to: '~', limit: 10_000 };
const noSignal = new AbortController().signal;

async function keysIn(reader: StoreReader): Promise<string[]> {
  return (await reader.page(ALL)).map(({ key }) => key);
}

/** A journal with a job in every place, open. */
async function filled(disk: Disk): Promise<Journal> {
  const { journal } = await openOn(disk);
  const specs = [1, 2, 3, 4].map((sequence) => specOf(sequence));
  const later = specOf(5, { runAt: NOW + 5 });
  const [, , job = jobOf(3), other = jobOf(4)] = await enqueue(journal, ...specs, later);
  await claim(journal, job);
  await move(journal, other, cancelled(other.status, NOW));
  return journal;
}

async function contents(journal: Journal): Promise<unknown> {
  return {
    jobs: plain(await journal.jobs([1, 2, 3, 4, 5].map((n) => `job-${n}`))),
    counts: journal.counts(),
    indexes: [await readyIds(journal), await dueIds(journal), await runningIds(journal)],
  };
}

/** Backs a journal up into a directory that does not exist yet. */
async function backUpInto(journal: Journal, signal = noSignal) {
  const parent = await temporaryDirectory();
  const own = await temporaryDirectory();
  const directory = join(parent, 'made', 'backup');
  return { parent, directory, report: await backUp(journal.view(), directory, own, signal) };
}

const openAt = (directory: string): Promise<Journal> =>
  openJournal({ directory, lockTimeoutMs: 0, clock: systemClock });

export function viewSuite(name: string, createDisk: DiskFactory): void {
  test(`${name}: a view shows one moment, and the store what comes after`, async () => {
    const { store } = await openOn(await createDisk());
    const put = async (...keys: string[]): Promise<void> => {
      const batch = store.batch();
      for (const key of keys) batch.put(key, Uint8Array.of(1, 2, 3));
      await batch.write(false);
    };
    await put('x1', 'x2');
    const view = store.view();
    const batch = store.batch();
    batch.del('x1');
    batch.put('x2', Uint8Array.of(4));
    await batch.write(false);
    await put('x3');
    const range = { from: 'x', to: 'y', limit: 10 };
    expect((await view.page(range)).map(({ key, value }) => [key, value.length])).toEqual([
      ['x1', 3],
      ['x2', 3],
    ]);
    const found = await view.getMany(['x1', 'x2', 'x3']);
    expect(found.map((value) => value?.length)).toEqual([3, 3, undefined]);
    expect((await store.page(range)).map(({ key }) => key)).toEqual(['x2', 'x3']);
    await view.close();
    await view.close();
  });

  test(`${name}: a page can be bounded by bytes, and goes on behind its last key`, async () => {
    const { store } = await openOn(await createDisk());
    const batch = store.batch();
    for (let n = 0; n < 9; n++) batch.put(`x${n}`, new Uint8Array(1_000));
    await batch.write(false);
    const view = store.view();
    const range = { to: 'y', limit: 8, bytes: 2_500 };
    const first = await view.page({ ...range, from: 'x' });
    expect(first.map(({ key }) => key)).toEqual(['x0', 'x1', 'x2']);
    const second = await view.page({ ...range, from: 'x2', after: true, bytes: 1 << 20 });
    expect(second.map(({ key }) => key)).toEqual(['x3', 'x4', 'x5', 'x6', 'x7', 'x8']);
    expect(await view.page({ ...range, from: 'x8', after: true })).toEqual([]);
    await view.close();
  });

  test(`${name}: a view outlives its store in peace`, async () => {
    const disk = await createDisk();
    const store = await disk.open();
    const view = store.view();
    await store.close();
    await expect(view.page(ALL)).rejects.toThrow();
    await view.close();
  });

  test(`${name}: a backup is a journal with the same jobs in the same places`, async () => {
    const journal = await filled(await createDisk());
    const before = await contents(journal);
    const sequence = journal.nextSequence();
    const { directory, report } = await backUpInto(journal);
    expect(report).toMatchObject({ jobs: 5, damaged: [] });
    if (process.platform !== 'win32') {
      expect((await stat(directory)).mode & 0o777).toBe(0o700);
      expect((await stat(dirname(directory))).mode & 0o077).not.toBe(0);
    }
    expect(await readdir(directory)).not.toContain('OWNER');
    const copy = await openAt(directory);
    expect(await contents(copy)).toEqual(before);
    expect(copy.nextSequence()).toBeGreaterThan(sequence);
    await copy.close();
  });

  test(`${name}: a record that is damaged is copied as it is, and told`, async () => {
    const disk = await createDisk();
    await (await filled(disk)).close();
    const damaged = [specKey('job-1'), statusKey('job-4')];
    await tamper(disk, (key, value) => {
      if (!damaged.includes(key)) return undefined;
      return value.with(value.length - 1, (value.at(-1) ?? 0) ^ 1);
    });
    const { journal } = await openOn(disk);
    const { directory, report } = await backUpInto(journal);
    expect(report).toMatchObject({ jobs: 5, damaged });
    const copy = await openAt(directory);
    expect(await copy.jobs(['job-1', 'job-2', 'job-4'])).toMatchObject([
      { code: 'MILLRACE_JOURNAL_CORRUPT' },
      { spec: { id: 'job-2' } },
      { code: 'MILLRACE_JOURNAL_CORRUPT' },
    ]);
    await copy.close();
  });

  test.each(['c!default', metaKey('format')])(
    `${name}: without a sound %s there is no backup, and nothing is left of it`,
    async (key) => {
      const { journal, store } = await openOn(await createDisk());
      await enqueue(journal, specOf(1));
      const batch = store.batch();
      batch.put(key, Uint8Array.of(1, 2, 3, 4, 5));
      await batch.write(false);
      const parent = await temporaryDirectory();
      const own = await temporaryDirectory();
      await expect(
        backUp(journal.view(), join(parent, 'made', 'backup'), own, noSignal),
      ).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_CORRUPT', message: expect.stringContaining(key) });
      expect(await readdir(parent)).toEqual([]);
    },
  );

  test(`${name}: a backup whose journal cannot be read any more leaves nothing`, async () => {
    const journal = await filled(await createDisk());
    const view = journal.view();
    let pages = 0;
    let isClosed = false;
    const failing: StoreView = {
      getMany: (keys) => view.getMany(keys),
      page(range) {
        if (pages++ > 0) throw new Error('the disk is mad');
        return view.page(range);
      },
      async close() {
        isClosed = true;
        await view.close();
      },
    };
    const parent = await temporaryDirectory();
    const own = await temporaryDirectory();
    await expect(backUp(failing, join(parent, 'backup'), own, noSignal)).rejects.toThrow('the disk is mad');
    expect(await readdir(parent)).toEqual([]);
    expect(isClosed).toBe(true);
  });

  test(`${name}: records without a format are no journal`, async () => {
    const disk = await createDisk();
    const store = await disk.open();
    const batch = store.batch();
    batch.put(specKey('job-1'), Uint8Array.of(1));
    await batch.write(true);
    await store.close();
    await expect(openOn(disk)).rejects.toMatchObject({
      code: 'MILLRACE_JOURNAL_CORRUPT',
      message: expect.stringContaining('j!job-1'),
    });
    const again = await disk.open();
    expect(await keysIn(again)).toEqual([specKey('job-1')]);
    await again.close();
  });
}
