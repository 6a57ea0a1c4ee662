/** Files of payloads that earlier processes have left. */
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { headerOf } from '../../src/job/payload-file.js';
import { PayloadFiles, PAYLOADS } from '../../src/journal/payload-files.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

test('a sweep goes on where a file has gone meanwhile, with its job', async () => {
  const journal = await temporaryDirectory();
  const directory = join(journal, PAYLOADS);
  await mkdir(directory);
  const left = ['a', 'b', 'c', 'd'];
  for (const id of left) await writeFile(join(directory, id), headerOf(id));
  const seen: string[] = [];
  const isReferredTo = async (id: string): Promise<boolean> => {
    seen.push(id);
    // All but one of those that come behind the first.
    if (seen.length === 1)
      for (const other of left.filter((one) => one !== id).slice(1)) await rm(join(directory, other));
    return false;
  };
  await new PayloadFiles(journal).sweep(isReferredTo, () => false);
  expect(seen).toHaveLength(2);
  expect(await readdir(directory)).toEqual([]);
});
