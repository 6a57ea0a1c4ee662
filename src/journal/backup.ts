/**
 * A backup: every record of one moment, copied into a new journal while this one goes on. It is a copy of records and
 * not of files, for LevelDB's files change under a reader, and reading one of them gives its lock away.
 */
import { MillraceError } from '../errors.js';
import { decodeSpec } from '../job/record-format.js';
import { backupFailed, openTarget, type BackupTarget } from './backup-target.js';
import { isSealed, unseal } from './integrity.js';
import { PayloadCopies } from './payload-copies.js';
import { COUNTERS_SPAN, MARKS_SPAN, metaKey, specKey } from './keys.js';
import type { Entry, Store, StoreView } from './store.js';
import { AT_WORK } from './transaction.js';

/** What a backup holds. */
export interface BackupReport {
  /** How many jobs, in whatever state. */
  readonly jobs: number;
  /** How many records of all kinds. */
  readonly records: number;
  /** Of their keys and values. */
  readonly bytes: number;
  /**
   * The keys of records whose checksum did not match; the first 1,000. They were damaged in the journal before, and
   * are so in the backup.
   */
  readonly damaged: readonly string[];
}

type Draft = { -readonly [Field in keyof BackupReport]: Field extends 'damaged' ? string[] : number };

/** What is read, and then written and synced, in one go: few enough not to be felt on the event loop. */
const PAGE = 1_000;
const PAGE_BYTES = 1 << 20;
const MAX_DAMAGED = 1_000;
/** Before and behind every key. */
const ALL = { from: '!', to: '~' };
const FORMAT = metaKey('format');
const JOBS = specKey('');
const META = metaKey('');

/**
 * A record that is damaged is copied as it is, and told. To leave it out would take the jobs of a damaged list or place
 * along without a trace; to refuse would leave an operator whose disk fails without a copy of all the rest. So the copy
 * says of that record what the journal says, when it is read: its job fails with `MILLRACE_JOURNAL_CORRUPT`. Only where
 * it could not even be opened, because the damage is in what a journal keeps about itself, there is no backup.
 * @param view What is copied; it is closed in any case.
 * @throws MillraceError `MILLRACE_OPTION_INVALID`, `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`,
 *   `MILLRACE_JOURNAL_CORRUPT`, `MILLRACE_BACKUP_FAILED`
 * @throws the signal's reason
 */
export async function backUp(
  view: StoreView,
  path: string,
  journal: string,
  signal: AbortSignal,
): Promise<BackupReport> {
  try {
    signal.throwIfAborted();
    const target = await openTarget(path, journal);
    try {
      const payloads = new PayloadCopies(journal, path);
      const report = await copy(view, target.store, payloads, path, signal);
      await target.finish().catch((thrown: unknown) => {
        throw backupFailed(path, thrown);
      });
      return report;
    } catch (thrown) {
      await discard(target, path, thrown);
      throw thrown;
    }
  } finally {
    await view.close();
  }
}

async function discard(target: BackupTarget, path: string, reason: unknown): Promise<void> {
  try {
    await target.discard();
  } catch (thrown) {
    const cause = new AggregateError([reason, thrown], 'The backup failed, and could not be removed');
    const message = `What was written of a backup to ${path} could not be removed: remove it before you use the directory. It is not opened as a journal`;
    throw new MillraceError('MILLRACE_BACKUP_FAILED', message, { cause });
  }
}

async function copy(
  view: StoreView,
  target: Store,
  payloads: PayloadCopies,
  path: string,
  signal: AbortSignal,
): Promise<BackupReport> {
  const report: Draft = { jobs: 0, records: 0, bytes: 0, damaged: [] };
  for (let after: string | undefined; ;) {
    const start = after === undefined ? ALL : { ...ALL, from: after, after: true };
    const page = await view.page({ ...start, limit: PAGE, bytes: PAGE_BYTES });
    signal.throwIfAborted();
    const last = page.at(-1);
    if (!last) break;
    await write(target, page.filter(isCopied), path, report);
    for (const { key, value } of page)
      if (key.startsWith(JOBS)) await copyPayload(payloads, key, value, path, report, signal);
    after = last.key;
  }
  await payloads.sync().catch((thrown: unknown) => {
    throw backupFailed(path, thrown);
  });
  const [format] = await view.getMany([FORMAT]);
  if (!format) throw new MillraceError('MILLRACE_JOURNAL_CORRUPT', `The record ${FORMAT} is missing`);
  // Last of all: records without it are not opened as a journal.
  await write(target, [{ key: FORMAT, value: format }], path, report);
  return report;
}

/**
 * A new journal has no deleted keys to be spared, so it needs none of the old one's marks. And the engine that is at work
 * on the old one never was on this one: what ran at that moment is not suspected of anything.
 */
function isCopied({ key }: Entry): boolean {
  return (
    key !== FORMAT && key !== metaKey('boot') && key !== metaKey(AT_WORK) && !key.startsWith(MARKS_SPAN.from)
  );
}

/** Each is synced: LevelDB does not sync a log that it leaves for a new one, so the last sync would not cover them. */
async function write(target: Store, entries: readonly Entry[], path: string, report: Draft): Promise<void> {
  const batch = target.batch();
  for (const { key, value } of entries) {
    check(key, value, report);
    batch.put(key, value);
    report.records++;
    report.bytes += key.length + value.byteLength;
    if (key.startsWith(JOBS)) report.jobs++;
  }
  try {
    await batch.write(true);
  } catch (thrown) {
    throw backupFailed(path, thrown);
  }
}

/** One that is not there is told as the damage that it is. */
async function copyPayload(
  payloads: PayloadCopies,
  key: string,
  value: Uint8Array,
  path: string,
  report: Draft,
  signal: AbortSignal,
): Promise<void> {
  if (!isSealed(key, value)) return;
  const { payloadFile } = decodeSpec(key.slice(JOBS.length), value);
  if (!payloadFile) return;
  signal.throwIfAborted();
  try {
    if (await payloads.copy(payloadFile)) report.bytes += payloadFile.bytes;
    else if (report.damaged.length < MAX_DAMAGED) report.damaged.push(key);
  } catch (thrown) {
    throw backupFailed(path, thrown);
  }
}

function check(key: string, value: Uint8Array, { damaged }: Draft): void {
  try {
    unseal(key, value);
  } catch (thrown) {
    if (key.startsWith(META) || key.startsWith(COUNTERS_SPAN.from)) throw thrown;
    if (damaged.length < MAX_DAMAGED) damaged.push(key);
  }
}
