/** The readers of LevelDB's files: on what LevelDB wrote, and on bytes that nobody wrote. */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { assert, integer, property, tuple, uint8Array } from 'fast-check';
import { Level } from 'level';
import { expect, test } from 'vitest';
import { findChanges, readBatch } from '../../src/journal/files/batch.js';
import { readLog, scanLog } from '../../src/journal/files/log.js';
import { readManifest } from '../../src/journal/files/manifest.js';
import { manifestOf } from '../../src/journal/files/names.js';
import {
  findBlocks,
  findEntries,
  readEntries,
  readFooter,
  readIndex,
} from '../../src/journal/files/table.js';
import { checkTable } from '../../src/journal/table-check.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

/** Of all lengths around those of a log's blocks and fragments. */
const SIZES = [0, 1, 20, 32_740, 32_747, 32_748, 32_749, 32_755, 32_761, 65_500, 100_000, 3];

async function written(values: readonly Buffer[], removed: readonly string[] = []): Promise<string> {
  const directory = await temporaryDirectory();
  const level = new Level<string, Uint8Array>(directory, { valueEncoding: 'view' });
  for (const [i, value] of values.entries()) await level.put(`key-${String(i).padStart(4, '0')}`, value);
  for (const key of removed) await level.del(key);
  await level.close();
  return directory;
}

async function theFile(directory: string, pattern: RegExp): Promise<Buffer> {
  const name = (await readdir(directory)).find((file) => pattern.test(file)) ?? '';
  return readFile(join(directory, name));
}

test('a log is read as it was written, whatever the lengths', async () => {
  const values = SIZES.map((size) => randomBytes(size));
  const log = await theFile(await written(values, ['key-0003']), /\.log$/);
  expect(scanLog(log)).toStrictEqual({ soundEnd: log.length, continues: false });
  const changes = [...readLog(log)].flatMap(({ data }) => readBatch(data).changes);
  expect(changes.map(({ value }) => value?.toString('hex'))).toStrictEqual([
    ...values.map((value) => value.toString('hex')),
    undefined,
  ]);
});

test('a log that is cut anywhere ends in a torn record, or between two', async () => {
  const log = await theFile(await written(SIZES.map((size) => randomBytes(size))), /\.log$/);
  const ends = new Set([...readLog(log)].map(({ offset }) => offset));
  assert(
    property(integer({ min: 0, max: log.length - 1 }), (end) => {
      const { soundEnd, fault, continues } = scanLog(log.subarray(0, end));
      expect(fault).not.toBe('bad');
      expect(continues).toBe(false);
      expect(soundEnd).toBeLessThanOrEqual(end);
      // The next record begins where this one ends, but for the unused end of a block.
      expect([...ends, log.length].some((offset) => offset - soundEnd >= 0 && offset - soundEnd < 7)).toBe(
        true,
      );
    }),
    { numRuns: 300 },
  );
});

test('a flipped bit in a log takes one record, and the others are found', async () => {
  const values = SIZES.map((size) => randomBytes(size));
  const log = await theFile(await written(values), /\.log$/);
  const flips = tuple(integer({ min: 0, max: log.length - 1 }), integer({ min: 0, max: 7 }));
  assert(
    property(flips, ([at, bit]) => {
      const flipped = Buffer.from(log);
      flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
      const sound = [...readLog(flipped)].filter(({ isSound }) => isSound);
      expect(sound.length).toBeGreaterThanOrEqual(values.length - 1);
      const isUnused = sound.length === values.length;
      expect(scanLog(flipped).fault === undefined).toBe(isUnused);
    }),
    { numRuns: 200 },
  );
});

test('a table is read as it was written, and each flipped bit in it is noticed', async () => {
  const values = Array.from({ length: 300 }, (_, i) => Buffer.from(`value ${i} `.repeat(20)));
  const directory = await written(values);
  // The log of a database becomes a table when it is opened.
  const level = new Level(directory);
  await level.open();
  await level.close();
  const manifest = readManifest(await theFile(directory, /^MANIFEST/));
  const [table] = manifest.tables.values();
  expect(table).toMatchObject({ smallest: Buffer.from('key-0000'), largest: Buffer.from('key-0299') });
  const bytes = await theFile(directory, /\.ldb$/);
  expect(table?.size).toBe(bytes.length);
  const [index] = readFooter(bytes.subarray(-48)) ?? [];
  const blocks =
    readIndex(bytes.subarray(index?.offset, (index?.offset ?? 0) + (index?.size ?? 0) + 5)) ?? [];
  const entries = blocks.flatMap(
    ({ offset, size }) => readEntries(bytes.subarray(offset, offset + size + 5)) ?? [],
  );
  expect(entries.map(({ value }) => value?.toString())).toStrictEqual(values.map(String));
  // The same blocks, found without the index.
  expect(findBlocks(bytes).slice(0, blocks.length)).toMatchObject(
    blocks.map(({ offset, size }) => ({ offset, size })),
  );
  const name = (await readdir(directory)).find((file) => file.endsWith('.ldb')) ?? '';
  expect(await checkTable(directory, name)).toStrictEqual({ faults: [], bytes: bytes.length });
});

test('bytes that nobody wrote are read to their end', () => {
  const bytes = uint8Array({ maxLength: 4_000 }).map((array) => Buffer.from(array));
  assert(
    property(bytes, (some) => {
      for (const { data } of readLog(some)) readBatch(data);
      scanLog(some);
      readManifest(some);
      readEntries(some);
      readIndex(some);
      findBlocks(some);
      expect([...findChanges(some, () => false)].filter(({ value }) => value)).toStrictEqual([]);
      expect(findEntries(some, () => false).filter(({ value }) => value)).toStrictEqual([]);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ['MANIFEST-000004\n', 4],
  ['MANIFEST-000004', undefined],
  ['MANIFEST-00000x\n', undefined],
  ['', undefined],
])('CURRENT %j names manifest %s', (text, number) => {
  expect(manifestOf(text)).toBe(number);
});
