/** Work on a journal that nobody has open: meanwhile nobody can open it. */
import { statSync } from 'node:fs';
import { asError, JournalLockedError, MillraceError } from '../errors.js';
import { assertNotOpen, isLevelLocked } from './level-store.js';
import { openFailed, reserveDirectory } from './owner.js';

/**
 * @param work Given the directory's real path.
 * @throws MillraceError `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`
 */
export async function whileOwned<Result>(
  path: string,
  work: (directory: string) => Promise<Result>,
): Promise<Result> {
  assertDirectory(path);
  const owner = reserveDirectory(path);
  try {
    // Where the owner file does not tell whether its owner lives, LevelDB's lock does.
    if (owner.holder() !== undefined) await assertNotOpen(owner.directory);
    owner.announce();
    try {
      return await work(owner.directory);
    } finally {
      owner.withdraw();
    }
  } catch (thrown) {
    if (isLevelLocked(thrown))
      throw new JournalLockedError(owner.directory, owner.holder(), { cause: thrown });
    throw thrown instanceof MillraceError ? thrown : unreadable(owner.directory, thrown);
  } finally {
    owner.release();
  }
}

/** An owner makes its directory where there is none; here that would hide a mistake. */
function assertDirectory(path: string): void {
  try {
    if (statSync(path).isDirectory()) return;
  } catch (thrown) {
    throw openFailed(path, thrown);
  }
  throw openFailed(path, new Error('it is not a directory'));
}

export function unreadable(directory: string, thrown: unknown): MillraceError {
  const cause = asError(thrown);
  const message = `The files of the journal in ${directory} could not be read, or written: ${cause.message}`;
  return new MillraceError('MILLRACE_JOURNAL_OPEN_FAILED', message, { cause });
}
