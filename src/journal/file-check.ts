/**
 * Checks LevelDB's files before LevelDB opens them, for that drops what is damaged in a log, says so in none but its
 * own file `LOG`, and deletes the evidence. What a crash leaves at the end of a log is told from damage by the witness:
 *
 * - Below what it claims, all must be there and sound.
 * - Beyond that, the death of a process can only end the file in the middle of a record. LevelDB leaves that out.
 * - After a power cut, anything can be there. It is cut off where it begins, so that nothing behind a hole is applied,
 *   and kept aside. So is a log whose first write does not follow on the last of the log before it: that was left
 *   without a sync.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileFault } from './file-fault.js';
import { sequencesIn } from './files/batch.js';
import { readLog, scanLog, type LogScan } from './files/log.js';
import { readManifest, type Manifest } from './files/manifest.js';
import { CURRENT, logName, manifestName, manifestOf, sortNames, tableName } from './files/names.js';
import type { FileNames } from './files/names.js';
import { checkTable, DAMAGED } from './table-check.js';
import { readWitness, WITNESS, type Testimony } from './witness.js';

const FIRST_MANIFEST = 1;

/** It is there while a repair is under way. */
export const REPAIRING = 'REPAIRING';

/**
 * How much of the tables is checked before the journal opens, the newest first, for those are merged into others first:
 * LevelDB ends the process where what it merges is not in order. The others follow in the background.
 */
const TABLE_BYTES_AT_OPEN = 8 << 20;

export interface FileCheck {
  readonly names: FileNames;
  /** Absent where it cannot be read at all. */
  readonly manifest?: Manifest;
  readonly damage: readonly FileFault[];
  /** What a power cut has left at the end of a file. */
  readonly torn: readonly FileFault[];
  /** The witness, where it is missing or damaged. */
  readonly doubts: readonly FileFault[];
  readonly testimony?: Testimony;
  /** A power cut has left what LevelDB had begun when it made the journal: nothing was ever written to it. */
  readonly isUnfinished?: boolean;
}

interface Draft {
  readonly damage: FileFault[];
  readonly torn: FileFault[];
  readonly doubts: FileFault[];
}

/** What must be there of a log or manifest, and what may follow. */
interface Expectation {
  /** Bytes. */
  readonly claim: number;
  readonly mode: 'clean' | 'same boot' | 'other boot' | 'unknown';
}

/**
 * Changes nothing.
 * @param boot Which start of the machine this is.
 */
export async function checkFiles(directory: string, boot: string): Promise<FileCheck> {
  const list = readdirSync(directory);
  const names = sortNames(list);
  const { testimony, isDamaged } = readWitness(directory);
  const draft: Draft = { damage: [], torn: [], doubts: [] };
  const found = { names, ...draft, ...(testimony && { testimony }) };
  if (isDamaged) draft.doubts.push({ file: WITNESS, message: 'the witness is damaged' });
  if (list.includes(REPAIRING)) {
    draft.damage.push({ file: REPAIRING, message: 'a repair was interrupted: run it again' });
    return found;
  }
  if (!names.hasCurrent) {
    if (!isNew(names, list)) draft.damage.push({ file: CURRENT, message: 'it is missing' });
    return found;
  }
  if (!testimony && isUnfinished(directory, names)) return { ...found, isUnfinished: true };
  const manifest = checkManifest(directory, names, testimony, boot, draft);
  if (!manifest) return found;
  await checkTables(directory, names, manifest, draft);
  await checkLogs(directory, names, manifest, testimony, boot, draft);
  return { ...found, manifest };
}

/** A process that died while it made a journal leaves a first manifest, and no data. */
function isNew({ logs, tables, manifests }: FileNames, list: readonly string[]): boolean {
  return (
    logs.length === 0 &&
    tables.size === 0 &&
    manifests.every((number) => number === FIRST_MANIFEST) &&
    !list.includes(WITNESS)
  );
}

/**
 * LevelDB makes a first manifest, without syncing it, and another before it takes any write. So where the first one is
 * named and is not whole, no write has ended; each of the first ones is synced, so there is no more than one. With a
 * witness, or more in a log, it is damaged.
 */
function isUnfinished(directory: string, { tables, logs }: FileNames): boolean {
  if (tables.size > 0 || manifestOf(readFileSync(join(directory, CURRENT), 'latin1')) !== FIRST_MANIFEST)
    return false;
  for (const log of logs) {
    const records = [...readLog(readFileSync(join(directory, logName(log))))];
    if (records.filter(({ isSound }) => isSound).length > 1) return false;
  }
  const path = join(directory, manifestName(FIRST_MANIFEST));
  if (!existsSync(path)) return true;
  const { scan, lastSequence } = readManifest(readFileSync(path));
  return scan.fault !== undefined || lastSequence === undefined;
}

function checkManifest(
  directory: string,
  names: FileNames,
  testimony: Testimony | undefined,
  boot: string,
  draft: Draft,
): Manifest | undefined {
  const number = manifestOf(readFileSync(join(directory, CURRENT), 'latin1'));
  if (number === undefined || !names.manifests.includes(number)) {
    const message = 'it does not name a manifest that is there';
    draft.damage.push({ file: CURRENT, message });
    return undefined;
  }
  if (testimony && number < testimony.manifest) {
    draft.damage.push({ file: CURRENT, message: `it names a manifest older than ${testimony.manifest}` });
    return undefined;
  }
  const file = manifestName(number);
  const bytes = readFileSync(join(directory, file));
  const manifest = readManifest(bytes);
  const expected = expectationOf(testimony, boot, (said) =>
    said.manifest === number && said.isClean ? said.manifestBytes : undefined,
  );
  judge(file, bytes.length, manifest.scan, expected, draft);
  if (manifest.logNumber === undefined || manifest.lastSequence === undefined)
    draft.damage.push({ file, message: 'it does not say what LevelDB needs to know' });
  return manifest;
}

async function checkTables(
  directory: string,
  names: FileNames,
  { tables }: Manifest,
  draft: Draft,
): Promise<void> {
  for (const { number, size } of tables.values()) {
    const file = names.tables.get(number);
    if (file === undefined) {
      draft.damage.push({ file: tableName(number), message: 'the table is missing' });
      continue;
    }
    const found = statSync(join(directory, file)).size;
    if (found === size) continue;
    draft.damage.push({ file, message: `expected a table of ${size} bytes, and it has ${found}` });
  }
  const suspects = await suspectTables(directory);
  let bytes = 0;
  for (const { number, size } of [...tables.values()].sort((a, b) => b.number - a.number)) {
    const file = names.tables.get(number);
    bytes += size;
    if (file === undefined || isTold(draft, file)) continue;
    if (bytes > TABLE_BYTES_AT_OPEN && !suspects.has(file)) continue;
    draft.damage.push(...(await checkTable(directory, file)).faults);
  }
}

async function suspectTables(directory: string): Promise<ReadonlySet<string>> {
  const path = join(directory, DAMAGED);
  return new Set(existsSync(path) ? (await readFile(path, 'latin1')).split('\n') : []);
}

const isTold = ({ damage }: Draft, file: string): boolean => damage.some((fault) => fault.file === file);

async function checkLogs(
  directory: string,
  names: FileNames,
  { logNumber = 0 }: Manifest,
  testimony: Testimony | undefined,
  boot: string,
  draft: Draft,
): Promise<void> {
  const claims = testimony?.logs.filter(({ number, written }) => number >= logNumber && written > 0) ?? [];
  const expected = new Set(claims.map(({ number }) => number));
  if (logNumber > 0) expected.add(logNumber);
  for (const number of expected) {
    if (!names.logs.includes(number)) draft.damage.push({ file: logName(number), message: 'it is missing' });
  }
  const live = names.logs.filter((number) => number >= logNumber);
  /** The number of the next change; none fits where a log is empty that was left for another. */
  let next: number | undefined;
  for (const number of live) {
    const file = logName(number);
    const bytes = await readFile(join(directory, file));
    const expectation = expectationOf(testimony, boot, (said) => {
      const claim = said.logs.find((log) => log.number === number);
      return said.boot === boot ? claim?.written : claim?.synced;
    });
    const scan = scanLog(bytes);
    if (expectation.mode !== 'other boot' || live.length === 1) {
      judge(file, bytes.length, scan, expectation, draft);
      continue;
    }
    const sequences = sequencesIn(bytes.subarray(0, scan.soundEnd));
    const isBehindGap = next !== undefined && sequences !== undefined && sequences.first !== next;
    judge(file, bytes.length, isBehindGap ? NOTHING_SOUND : scan, expectation, draft);
    if (!isBehindGap) next = sequences?.next ?? NaN;
  }
}

const NOTHING_SOUND: LogScan = { soundEnd: 0, fault: 'bad', continues: true };

/** @param claimOf The bytes that a testimony vouches for; nothing where it does not know the file. */
function expectationOf(
  testimony: Testimony | undefined,
  boot: string,
  claimOf: (testimony: Testimony) => number | undefined,
): Expectation {
  if (!testimony) return { claim: 0, mode: 'unknown' };
  const claim = claimOf(testimony);
  const mode = testimony.boot === boot ? 'same boot' : 'other boot';
  if (claim === undefined) return { claim: 0, mode };
  return { claim, mode: testimony.isClean ? 'clean' : mode };
}

function judge(
  file: string,
  size: number,
  { soundEnd, fault, continues }: LogScan,
  { claim, mode }: Expectation,
  { damage, torn, doubts }: Draft,
): void {
  if (size < claim) {
    const message = `it ends after ${size} bytes, and had ${claim}`;
    damage.push({ file, offset: Math.min(size, soundEnd), message });
  } else if (soundEnd < claim || (fault && (mode === 'clean' || (fault === 'bad' && mode === 'same boot')))) {
    damage.push({ file, offset: soundEnd, message: 'what is there is not what was written' });
  } else if (mode === 'clean' && size > claim) {
    damage.push({
      file,
      offset: claim,
      message: `it has ${size} bytes, and had ${claim} when it was closed`,
    });
  } else if (fault && continues && mode !== 'other boot') {
    damage.push({ file, offset: soundEnd, message: 'what is there is not what was written' });
  } else if (fault === 'bad' || (fault && mode === 'other boot')) {
    torn.push({ file, offset: soundEnd, message: `${size - soundEnd} bytes at its end are not whole` });
  }
  if (fault && mode === 'unknown')
    doubts.push({ file, offset: soundEnd, message: 'no witness says whether more was there' });
}
