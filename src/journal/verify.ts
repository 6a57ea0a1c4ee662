/** Verifies a journal that nobody has open: its files, its records, and that they agree. It changes nothing. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isPayloadLost } from '../job/payload-file.js';
import type { JobSpec } from '../job/record.js';
import { currentBoot } from './boot.js';
import { EvidenceStore } from './evidence.js';
import { checkFiles, type FileCheck } from './file-check.js';
import { describeFault, type FileFault } from './file-fault.js';
import { JournalFiles } from './journal-files.js';
import { whileOwned } from './offline.js';
import { PAYLOADS, readPayload } from './payload-files.js';
import { Listed, type JournalDamage, type JournalReport } from './report.js';
import { survey } from './survey.js';

/**
 * @param now Epoch milliseconds.
 * @throws MillraceError `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`, `MILLRACE_JOURNAL_FORMAT`
 */
export function verifyJournal(path: string, now: number): Promise<JournalReport> {
  return whileOwned(path, (directory) => verifyFiles(directory, now));
}

/** To be called by the directory's owner. */
export async function verifyFiles(directory: string, now: number): Promise<JournalReport> {
  const check = await checkFiles(directory, currentBoot());
  const files = await JournalFiles.open(directory, check);
  const damage = new Listed<JournalDamage>();
  for (const fault of check.damage) damage.add(damageOf(fault));
  // Outside the journal, for it may be on a disk that is full, or not to be written to.
  const scratch = await mkdtemp(join(tmpdir(), 'millrace-verify-'));
  try {
    const evidence = new EvidenceStore(scratch);
    try {
      const { counts, records } = await survey(files, evidence, now, {
        fault: (fault) => damage.add(fault),
        job: () => {},
        lostPayload: (spec) => lostPayload(directory, spec),
      });
      addBlocks(damage, files, check);
      return {
        directory,
        sound: damage.count === 0,
        jobs: counts,
        records,
        damage: damage.first,
        damageCount: damage.count,
        notes: [...check.torn, ...check.doubts].map(describeFault),
      };
    } finally {
      await evidence.close();
    }
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** Why the payload of a job that has a file is lost, if it is. */
export async function lostPayload(directory: string, { payloadFile }: JobSpec): Promise<string | undefined> {
  if (!payloadFile) return undefined;
  try {
    await readPayload({ ...payloadFile, path: join(directory, PAYLOADS, payloadFile.name) });
    return undefined;
  } catch (thrown) {
    if (isPayloadLost(thrown)) return thrown.message;
    throw thrown;
  }
}

/** What is told of it: the keys of a block are of use only to whoever reads the files. */
export function damageOf({ file, offset, message }: FileFault): JournalDamage {
  return offset === undefined ? { file, message } : { file, offset, message };
}

/** Blocks of tables, but for those that the check of the files has told of. */
export function addBlocks(damage: Listed<JournalDamage>, files: JournalFiles, check: FileCheck): void {
  const told = new Set(check.damage.map(({ file, offset }) => `${file}:${offset}`));
  for (const fault of files.faults)
    if (!told.has(`${fault.file}:${fault.offset}`)) damage.add(damageOf(fault));
}
