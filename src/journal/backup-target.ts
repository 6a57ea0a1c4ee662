/**
 * The directory that a backup is made in: empty before, reserved like any journal while it is being made, and either a
 * whole journal afterwards, also after a power cut, or empty again.
 */
import { lstatSync, readdirSync, realpathSync, statSync } from 'node:fs';
import { readdir, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { asError, invalidOption, MillraceError } from '../errors.js';
import { syncDirectory } from './file-sync.js';
import { openLevelStore } from './level-store.js';
import { openFailed, reserveDirectory, type Owner } from './owner.js';
import type { Store } from './store.js';

export interface BackupTarget {
  readonly store: Store;
  /** Everything is written: makes it a journal that lasts. */
  finish(): Promise<void>;
  /** Removes what was written. */
  discard(): Promise<void>;
}

/**
 * @param path Where it goes; made with mode 0700 where it does not exist.
 * @param journal The directory of the journal that is copied.
 * @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`,
 *   `MILLRACE_BACKUP_FAILED`
 */
export async function openTarget(path: string, journal: string): Promise<BackupTarget> {
  const made = checkPath(path, journal);
  const owner = reserveDirectory(path);
  try {
    checkEmpty(owner.directory, path);
    owner.announceBackup();
  } catch (thrown) {
    owner.release();
    throw thrown;
  }
  try {
    await syncDirectories(owner.directory, made);
    const store = await openLevelStore(owner.directory);
    return {
      store,
      finish: () => finish(store, owner, made),
      discard: async () => {
        await store.close();
        await remove(owner, made);
      },
    };
  } catch (thrown) {
    await remove(owner, made);
    throw backupFailed(path, thrown);
  }
}

/** @returns the topmost directory that has to be made, if any. */
function checkPath(path: unknown, journal: string): string | undefined {
  if (typeof path !== 'string' || path === '') throw invalidOption('directory', 'a path', path);
  try {
    const { existing, missing } = split(resolve(path));
    const directory = join(existing, ...missing);
    if (isWithin(realpathSync(journal), directory))
      throw invalidOption('directory', 'outside the journal’s own directory', path);
    const [first] = missing;
    if (first !== undefined) return join(existing, first);
    checkEmpty(directory, path);
    return undefined;
  } catch (thrown) {
    throw thrown instanceof MillraceError ? thrown : openFailed(path, thrown);
  }
}

/** The real path of what exists of a path, and the names of what does not. */
function split(path: string): { existing: string; missing: readonly string[] } {
  const missing: string[] = [];
  let existing = path;
  while (!lstatSync(existing, { throwIfNoEntry: false }) && existing !== dirname(existing)) {
    missing.unshift(basename(existing));
    existing = dirname(existing);
  }
  return { existing: realpathSync(existing), missing };
}

function isWithin(parent: string, path: string): boolean {
  const way = relative(parent, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function checkEmpty(directory: string, path: string): void {
  const isEmpty = statSync(directory).isDirectory() && readdirSync(directory).length === 0;
  if (!isEmpty) throw invalidOption('directory', 'a directory that is empty or does not exist', path);
}

async function finish(store: Store, owner: Owner, made: string | undefined): Promise<void> {
  await store.close();
  // The names of LevelDB's files, before what says that they are not whole yet goes.
  await syncDirectories(owner.directory, made);
  owner.withdraw();
  await syncDirectories(owner.directory, undefined);
  owner.release();
}

/** The owner file last: whatever remains when this is cut short is known for what it is. */
async function remove(owner: Owner, made: string | undefined): Promise<void> {
  try {
    const files = await readdir(owner.directory);
    const ownerFiles = files.filter((file) => file.startsWith('OWNER'));
    const others = files.filter((file) => !file.startsWith('OWNER'));
    for (const file of [...others, ...ownerFiles])
      await rm(join(owner.directory, file), { recursive: true, force: true });
    if (made !== undefined) await removeEmpty(owner.directory, made);
  } finally {
    owner.release();
  }
}

/** The directories that were made, unless something has been put there since. */
async function removeEmpty(directory: string, topmost: string): Promise<void> {
  for (let path = directory; ; path = dirname(path)) {
    if ((await readdir(path)).length > 0) return;
    await rmdir(path);
    if (path === topmost) return;
  }
}

/** A file's name is on the disk once its directory is; and that directory's name, where it is new, likewise. */
async function syncDirectories(directory: string, made: string | undefined): Promise<void> {
  const topmost = made === undefined ? directory : dirname(made);
  for (let path = directory; ; path = dirname(path)) {
    await syncDirectory(path);
    if (path === topmost) return;
  }
}

/** What a target that could not be written, or made to last, is told as. */
export function backupFailed(path: string, thrown: unknown): MillraceError {
  const cause = asError(thrown);
  const message = `The backup could not be written to ${path}: ${cause.message}. What was written of it was removed; the engine goes on. Make room or use another directory`;
  return new MillraceError('MILLRACE_BACKUP_FAILED', message, { cause });
}
