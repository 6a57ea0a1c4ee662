/** Damage is noticed when it is read, has a code, and never becomes another value. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MillraceError } from '../../src/errors.js';
import { cancelled } from '../../src/job/transitions.js';
import { sealBytes, sealText } from '../../src/journal/integrity.js';
import { FORMAT_VERSION } from '../../src/journal/format.js';
import type { Journal } from '../../src/journal/journal.js';
import { metaKey, statusKey } from '../../src/journal/keys.js';
import { Transaction } from '../../src/journal/transaction.js';
import type { Disk, DiskFactory } from '../fixtures/disks.js';
import { jobOf, NOW, specOf } from '../fixtures/jobs.js';
import {
  claim,
  dueIds,
  endedIds,
  enqueue,
  openOn,
  move,
  plain,
  readyIds,
  runningIds,
  tamper,
} from './harness.js';

const CORRUPT = { code: 'MILLRACE_JOURNAL_CORRUPT' };
const isIndex = (key: string): boolean => /^[rtafh]!/.test(key);

/** A journal with a job in every place, and a schedule, closed. */
async function fill(disk: Disk): Promise<void> {
  const { journal } = await openOn(disk);
  const [, , job = jobOf(3), other = jobOf(4)] = await enqueue(
    journal,
    ...[1, 2, 3, 4].map((sequence) => specOf(sequence)),
    specOf(5, { runAt: NOW + 5 }),
  );
  await claim(journal, job);
  await move(journal, other, cancelled(other.status, NOW));
  await journal.commit(new Transaction().putSchedule('nightly', Uint8Array.of(1, 2, 3)));
  await journal.close();
}

async function keysOn(disk: Disk): Promise<string[]> {
  const keys: string[] = [];
  await tamper(disk, (key) => {
    keys.push(key);
    return undefined;
  });
  return keys;
}

/** Everything that can be read of a journal, and what was reported while it was. */
async function readAll(
  journal: Journal,
): Promise<{ reads: unknown[]; indexes: string[][]; reports: MillraceError[] }> {
  const reports: MillraceError[] = [];
  journal.onCorrupt = (error) => reports.push(error);
  const reads = await journal.jobs([1, 2, 3, 4, 5].map((n) => `job-${n}`));
  const indexes = [
    await readyIds(journal),
    await dueIds(journal),
    await runningIds(journal),
    await endedIds(journal, 'cancelled'),
    (await journal.indexes.schedules(undefined, 10)).schedules.map(({ name }) => name),
  ];
  return {
    reads: reads.map((read) => (read instanceof MillraceError ? read.code : plain(read))),
    indexes,
    reports,
  };
}

/** What became of a journal in which one record was damaged: that one is missed, and nothing else. */
async function expectOneDamaged(
  disk: Disk,
  damagedKey: string,
  sound: Awaited<ReturnType<typeof readAll>>,
): Promise<void> {
  if (/^[cm]!/.test(damagedKey)) {
    await expect(openOn(disk)).rejects.toMatchObject(CORRUPT);
    return;
  }
  const { journal } = await openOn(disk);
  const found = await readAll(journal);
  await journal.close();
  const id = damagedKey.slice(2);
  expect(found.reads).toStrictEqual(
    sound.reads.map((read, i) => (/^[js]!/.test(damagedKey) && id === `job-${i + 1}` ? CORRUPT.code : read)),
  );
  const missing = sound.indexes.flat().filter((one) => !found.indexes.flat().includes(one));
  expect(missing).toHaveLength(isIndex(damagedKey) ? 1 : 0);
  expect(found.reports.map(({ code }) => code)).toStrictEqual(isIndex(damagedKey) ? [CORRUPT.code] : []);
}

export function integritySuite(name: string, createDisk: DiskFactory): void {
  test(`${name}: any bit of any record that flips makes that record corrupt, and never another value`, async () => {
    const disk = await createDisk();
    await fill(disk);
    const opened = await openOn(disk);
    const sound = await readAll(opened.journal);
    await opened.journal.close();
    const keys = await keysOn(disk);
    const flip = (key: string, bit: number): Promise<void> =>
      tamper(disk, (other, value) => {
        if (other !== key) return undefined;
        const changed = value.slice();
        const at = bit % (8 * changed.length);
        changed[at >> 3] = (changed[at >> 3] ?? 0) ^ (1 << (at & 7));
        return changed;
      });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...keys), fc.nat(100_000), async (key, bit) => {
        await flip(key, bit);
        await expectOneDamaged(disk, key, sound);
        await flip(key, bit);
      }),
      { numRuns: name === 'memory' ? 200 : 50, endOnFailure: true },
    );
  });

  test.each([0, 3, 4, 5])(`${name}: a record that was cut to %d bytes is corrupt`, async (length) => {
    const disk = await createDisk();
    await fill(disk);
    await tamper(disk, (key, value) => (key === 'j!job-1' ? value.slice(0, length) : undefined));
    const { journal } = await openOn(disk);
    expect(await journal.job('job-1')).toMatchObject(CORRUPT);
    expect(await journal.job('job-2')).toHaveProperty('spec');
  });

  test(`${name}: a value that lies under another key is corrupt there`, async () => {
    const disk = await createDisk();
    await fill(disk);
    const values = new Map<string, Uint8Array>();
    await tamper(disk, (key, value) => void values.set(key, value));
    await tamper(disk, (key) => (key === 'j!job-2' ? values.get('j!job-1') : undefined));
    const { journal } = await openOn(disk);
    expect(await journal.job('job-1')).toHaveProperty('spec');
    expect(await journal.job('job-2')).toMatchObject(CORRUPT);
  });

  test(`${name}: a record whose checksum holds and that makes no sense is corrupt`, async () => {
    const disk = await createDisk();
    await fill(disk);
    await tamper(disk, (key) => (key === 'j!job-1' ? sealBytes(key, Uint8Array.of(0xc1, 0xc1)) : undefined));
    const { journal } = await openOn(disk);
    expect(await journal.job('job-1')).toMatchObject(CORRUPT);
  });

  test(`${name}: a job whose status is damaged is corrupt, although its spec is sound`, async () => {
    const disk = await createDisk();
    await fill(disk);
    await tamper(disk, (key, value) => (key === statusKey('job-4') ? value.map((byte) => ~byte) : undefined));
    const { journal } = await openOn(disk);
    expect(await journal.job('job-4')).toMatchObject(CORRUPT);
  });

  test(`${name}: a damaged index entry is left out of its page, reported, and does not end the paging`, async () => {
    const disk = await createDisk();
    const first = await openOn(disk);
    await enqueue(first.journal, ...[1, 2, 3, 4, 5].map((sequence) => specOf(sequence)));
    const { entries } = await first.journal.indexes.ready('default', 'resize', undefined, 5);
    await first.journal.close();
    const damaged = new Set(entries.slice(1, 4).map(({ key }) => key));
    await tamper(disk, (key, value) => (damaged.has(key) ? value.map((byte) => ~byte) : undefined));

    const { journal } = await openOn(disk);
    const reports: string[] = [];
    journal.onCorrupt = ({ code }) => reports.push(code);
    const pages = [await journal.indexes.ready('default', 'resize', undefined, 2)];
    for (let next = pages[0]?.next; next; next = pages.at(-1)?.next)
      pages.push(await journal.indexes.ready('default', 'resize', next, 2));
    expect(pages.map((page) => page.entries.map(({ text }) => text))).toStrictEqual([
      ['job-1'],
      [],
      ['job-5'],
    ]);
    expect(pages.map(({ next }) => next)).toStrictEqual([entries[1]?.key, entries[3]?.key, undefined]);
    expect(reports).toStrictEqual(Array.from({ length: 3 }, () => CORRUPT.code));
  });

  test(`${name}: a journal of a newer format is refused, and let go`, async () => {
    const disk = await createDisk();
    await fill(disk);
    const key = metaKey('format');
    const write = (version: number): Promise<void> =>
      tamper(disk, (other) => (other === key ? sealText(key, String(version)) : undefined));
    await write(FORMAT_VERSION + 1);
    await expect(openOn(disk)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_FORMAT' });
    await write(FORMAT_VERSION);
    expect(await readyIds((await openOn(disk)).journal)).toHaveLength(2);
  });

  test(`${name}: a journal of format 4, which had no schedules, becomes one of this format`, async () => {
    const disk = await createDisk();
    await fill(disk);
    const key = metaKey('format');
    await tamper(disk, (other) => (other === key ? sealText(key, '4') : undefined));
    const { journal } = await openOn(disk);
    expect(await readyIds(journal)).toHaveLength(2);
    await journal.close();
    const values: Uint8Array[] = [];
    await tamper(disk, (other, value) => {
      if (other === key) values.push(value);
      return undefined;
    });
    expect(plain(values)).toEqual([plain(sealText(key, String(FORMAT_VERSION)))]);
  });

  test.each([1, 2, 3])(
    `${name}: a journal of format %d, from before the first release, is refused`,
    async (format) => {
      const disk = await createDisk();
      await fill(disk);
      // The checksums of the first two came behind the value.
      const old = format < 3 ? Buffer.from([0x30 + format, 1, 2, 3, 4]) : sealText(metaKey('format'), '3');
      await tamper(disk, (key) => (key === metaKey('format') ? old : undefined));
      await expect(openOn(disk)).rejects.toMatchObject({
        code: 'MILLRACE_JOURNAL_FORMAT',
        message: expect.stringContaining(`has format ${format}`),
      });
    },
  );
}
