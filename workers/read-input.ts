/** Reads a file that a payload names, telling apart what trying again may help from what it cannot. */
import { readFile } from 'node:fs/promises';
import { UnrecoverableError } from '../src/errors.js';
import { show } from './payload.js';

/** What opening a file answers when trying again cannot help. */
const NOT_THERE = new Map([
  ['ENOENT', 'there is no such file'],
  ['ENOTDIR', 'a part of the path is not a directory'],
  ['EISDIR', 'it is a directory'],
  ['ENAMETOOLONG', 'the path is too long'],
  ['ERR_FS_FILE_TOO_LARGE', 'the file is larger than 2 GiB'],
]);

/**
 * @param source The file's path, or its bytes, which are handed back as they are.
 * @param where Where in the payload `source` stands, for the message.
 * @throws UnrecoverableError when there is no such file; any other error (`EACCES`, `EIO`, `EMFILE`, …) as the
 *   file system gave it, since trying again may help.
 */
export async function readInput(source: string | Uint8Array, where: string): Promise<Uint8Array> {
  if (typeof source !== 'string') return source;
  try {
    return await readFile(source);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : '';
    const reason = NOT_THERE.get(code);
    if (reason === undefined) throw error;
    throw new UnrecoverableError(`Could not read \`${where}\` ${show(source)}: ${reason}`, { cause: error });
  }
}
