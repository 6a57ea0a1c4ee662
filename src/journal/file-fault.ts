/** What is wrong with a file of the journal, and how it is told. */
import { MillraceError } from '../errors.js';

/** A fault of one file. */
export interface FileFault {
  readonly file: string;
  /** Where it begins, in bytes. */
  readonly offset?: number;
  readonly message: string;
}

/** One error for all damage to a journal's files. */
export function damagedFiles(directory: string, damage: readonly FileFault[]): MillraceError {
  const shown = damage.slice(0, 3).map(describeFault).join('; ');
  const more = damage.length > 3 ? `; and ${damage.length - 3} more` : '';
  const message = `The journal in ${directory} is damaged: ${shown}${more}. Nothing was changed. Millrace.verify(directory) tells what is affected, and Millrace.repair(directory) keeps the files aside and saves what can be saved`;
  return new MillraceError('MILLRACE_JOURNAL_CORRUPT', message);
}

export function describeFault({ file, offset, message }: FileFault): string {
  return offset === undefined ? `${file}: ${message}` : `${file} at byte ${offset}: ${message}`;
}

/** Whether something failed because the file is not there. */
export const isMissingFile = (thrown: unknown): boolean =>
  thrown instanceof Error && 'code' in thrown && thrown.code === 'ENOENT';
