/**
 * Cuts off what a power cut, or a write that failed, has left at the end of a file, so that LevelDB applies nothing behind a hole, and keeps it
 * aside.
 */
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { MillraceError } from '../errors.js';
import type { FileFault } from './file-fault.js';
import { syncDirectory, syncFile } from './file-sync.js';

/** Where it is kept, below the journal's directory. */
const TORN = 'torn';

/** @returns what to tell of it. */
export async function cutTorn(directory: string, torn: readonly FileFault[]): Promise<MillraceError[]> {
  const warnings: MillraceError[] = [];
  for (const { file, offset = 0, message } of torn) {
    const path = join(directory, file);
    const kept = await keepAside(directory, file, (await readFile(path)).subarray(offset), offset);
    await truncate(path, offset);
    await syncFile(path);
    warnings.push(
      new MillraceError(
        'MILLRACE_JOURNAL_TORN',
        `A power cut, or a write that failed, has left the end of ${path} as it is: ${message}. They are cut off and kept in ${kept}; nothing in them had been acknowledged as synced, unless in the last moments before it`,
      ),
    );
  }
  return warnings;
}

async function keepAside(directory: string, file: string, bytes: Buffer, offset: number): Promise<string> {
  const folder = join(directory, TORN);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  let path = join(folder, `${file}.${offset}`);
  // A file of the same name is of another time: LevelDB begins its numbers anew after a repair.
  for (let i = 2; existsSync(path); i++) path = join(folder, `${file}.${offset}.${i}`);
  const handle = await open(path, 'wx', 0o600);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await syncDirectory(folder);
  return path;
}
