/**
 * Removes the temporary files of a process that was killed in the middle of writing. Whose they are cannot be
 * seen, so they are listed before the journal is opened and removed after: by then it is certain that no other
 * process works here, and what this one writes is not on the list.
 */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

const TEMPORARY = /^\.millrace-.*\.tmp$/;

export async function findLeftovers(folders: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    folders.map(async (folder) => {
      // A folder that is not there yet has nothing left over in it.
      const names = await readdir(folder).catch(() => []);
      return names.filter((name) => TEMPORARY.test(name)).map((name) => join(folder, name));
    }),
  );
  return found.flat();
}

export async function removeLeftovers(paths: readonly string[]): Promise<void> {
  await Promise.all(paths.map((path) => rm(path, { force: true })));
}
