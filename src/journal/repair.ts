/**
 * Repairs a journal: makes a new one of all that can be read of the old one, beside it, and puts it in its place. The
 * old one's files are kept aside first. A file says that a repair is under way, and from which files: until it is over
 * nobody opens the journal, and whoever repairs it again begins anew from them.
 */
import { copyFile, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { enqueued } from '../job/transitions.js';
import { heldUntil, holdsKey } from '../job/uniqueness.js';
import { isEnd, isSuspect, type Job, type JobSpec, type JobState } from '../job/record.js';
import { encodeSpec, encodeStatus } from '../job/record-format.js';
import { pack } from '../job/packer.js';
import { currentBoot } from './boot.js';
import { EvidenceStore } from './evidence.js';
import { checkFiles, REPAIRING } from './file-check.js';
import { type FileFault, isMissingFile } from './file-fault.js';
import { syncDirectory, syncFile } from './file-sync.js';
import { isDataFile } from './files/names.js';
import { flowEntries } from './flow-entries.js';
import { FORMAT_VERSION } from './format.js';
import { seal, sealBytes, sealText } from './integrity.js';
import { readKeyEntries, sealKeyEntry } from './key-entry.js';
import { JournalFiles } from './journal-files.js';
import {
  COUNTERS_SPAN,
  countersKey,
  deadlineKeyOf,
  endedKey,
  FLOW_SPANS,
  MARKS_SPAN,
  metaKey,
  PAUSES_SPAN,
  placeOf,
  specKey,
  statusKey,
  suspectKey,
  SUSPECTS_SPAN,
  sweepKey,
  uniqueKeyOf,
} from './keys.js';
import { openLevelStore } from './level-store.js';
import { putNumber } from './meta.js';
import { whileOwned } from './offline.js';
import { PAYLOADS } from './payload-files.js';
import { Listed, type JournalDamage, type RepairReport, type SalvagedJob } from './report.js';
import { sealRoster } from './roster.js';
import type { Store } from './store.js';
import { survey, type Survey, type SurveyListener } from './survey.js';
import type { Verdict } from './verdict.js';
import { DAMAGED } from './table-check.js';
import { addBlocks, damageOf, lostPayload, verifyFiles } from './verify.js';
import { WITNESS } from './witness.js';

/** The new journal, while it is made. */
const REBUILT = 'rebuilt';
/** What follows from the other records, or need not be known. */
const DERIVED = [
  COUNTERS_SPAN.from,
  MARKS_SPAN.from,
  SUSPECTS_SPAN.from,
  ...FLOW_SPANS.map(({ from }) => from),
  ...['boot', 'sequence', 'format'].map(metaKey),
];
/** Its records are written so many at a time. */
const BATCH = 4_096;

/**
 * @param now Epoch milliseconds.
 * @throws MillraceError `MILLRACE_JOURNAL_LOCKED`, `MILLRACE_JOURNAL_OPEN_FAILED`, `MILLRACE_JOURNAL_FORMAT`
 */
export function repairJournal(path: string, now: number): Promise<RepairReport> {
  return whileOwned(path, async (directory) => {
    const interrupted = await keptByInterrupted(directory);
    if (interrupted !== undefined) return repairFrom(directory, interrupted, now);
    const { damage } = await checkFiles(directory, currentBoot());
    if (damage.length > 0) return repairFrom(directory, await keepAside(directory, now), now);
    const { sound, jobs } = await verifyFiles(directory, now);
    if (!sound) return repairFrom(directory, await keepAside(directory, now), now);
    const soundCount = Object.values(jobs).reduce((sum, count) => sum + count, 0);
    const lost = { lost: [], lostCount: 0, unnamedCount: 0, mayLackMore: false };
    const nothing = { salvaged: [], salvagedCount: 0, ...lost };
    return { directory, repaired: false, soundCount, ...nothing, damage: [], damageCount: 0 };
  });
}

/** The directory that an interrupted repair keeps the files in. */
async function keptByInterrupted(directory: string): Promise<string | undefined> {
  try {
    return basename((await readFile(join(directory, REPAIRING), 'utf8')).trim());
  } catch (thrown) {
    if (isMissingFile(thrown)) return undefined;
    throw thrown;
  }
}

/** @returns the name of the directory with the files. */
async function keepAside(directory: string, now: number): Promise<string> {
  const name = `damaged-${new Date(now).toISOString().replaceAll(/[:.]/g, '-')}`;
  const kept = join(directory, name);
  await mkdir(kept, { mode: 0o700 });
  for (const file of await readdir(directory)) {
    if (!isDataFile(file) && file !== WITNESS) continue;
    await linkOrCopy(join(directory, file), join(kept, file));
  }
  await keepPayloads(directory, kept);
  await syncDirectory(kept);
  const marker = join(directory, REPAIRING);
  await writeFile(`${marker}.new`, `${name}\n`, { mode: 0o600 });
  await syncFile(`${marker}.new`);
  await rename(`${marker}.new`, marker);
  await syncDirectory(directory);
  return name;
}

/** They stay where they are, too; but those of jobs that are lost go when the journal is opened. */
async function keepPayloads(directory: string, kept: string): Promise<void> {
  const [from, to] = [join(directory, PAYLOADS), join(kept, PAYLOADS)];
  const names = await readdir(from).catch((thrown: unknown) => {
    if (isMissingFile(thrown)) return undefined;
    throw thrown;
  });
  if (!names) return;
  await mkdir(to, { mode: 0o700 });
  for (const name of names) await linkOrCopy(join(from, name), join(to, name));
  await syncDirectory(to);
}

/** A link costs no room; some file systems have none. */
async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to);
  } catch {
    await copyFile(from, to);
    await syncFile(to);
  }
}

async function repairFrom(directory: string, kept: string, now: number): Promise<RepairReport> {
  const source = join(directory, kept);
  const rebuilt = join(directory, REBUILT);
  await rm(rebuilt, { recursive: true, force: true });
  await mkdir(rebuilt, { mode: 0o700 });
  const report = await rebuild(directory, source, rebuilt, now);
  await replaceFiles(directory, rebuilt);
  return { directory, repaired: true, keptIn: kept, ...report };
}

type Rebuilt = Omit<RepairReport, 'directory' | 'repaired' | 'keptIn'>;

/** Whoever damages a log can take the only trace of jobs with it: their counters lie there, too. */
const isOfLog = ({ file }: FileFault): boolean => file.endsWith('.log');

/** @param directory The journal's, where the files of payloads stay. */
async function rebuild(directory: string, source: string, target: string, now: number): Promise<Rebuilt> {
  const check = await checkFiles(source, currentBoot());
  const files = await JournalFiles.open(source, check);
  const evidence = new EvidenceStore(join(target, 'evidence'));
  const store = await openLevelStore(join(target, 'journal'));
  try {
    const builder = new Builder(store, directory, now);
    for (const fault of check.damage) builder.damage.add(damageOf(fault));
    const found = await survey(files, evidence, now, builder);
    addBlocks(builder.damage, files, check);
    await builder.conclude(found);
    return { ...builder.report(found), mayLackMore: check.damage.some(isOfLog) };
  } finally {
    await evidence.close();
    await store.close();
  }
}

/** Writes the new journal. */
class Builder implements SurveyListener {
  readonly damage = new Listed<JournalDamage>();
  readonly #salvaged = new Listed<SalvagedJob & { state: JobState }>();
  readonly #lost = new Listed<SalvagedJob>();
  readonly #store: Store;
  readonly #directory: string;
  readonly #now: number;
  #soundCount = 0;
  #batch;

  constructor(store: Store, directory: string, now: number) {
    this.#store = store;
    this.#directory = directory;
    this.#now = now;
    this.#batch = store.batch();
  }

  fault(fault: JournalDamage): void {
    this.damage.add(fault);
    // Its key says all there is: what was paused stays so.
    const { key } = fault;
    if (key?.startsWith(PAUSES_SPAN.from)) this.#batch.put(key, sealText(key, ''));
  }

  lostPayload(spec: JobSpec): Promise<string | undefined> {
    return lostPayload(this.#directory, spec);
  }

  async record({ key, value }: { key: string; value: Uint8Array }): Promise<void> {
    if (DERIVED.some((prefix) => key.startsWith(prefix))) return;
    this.#batch.put(key, value);
    await this.#writeFull();
  }

  async job(id: string, { job, isRunning, isUnlisted, problem }: Verdict): Promise<void> {
    if (!job) {
      if (problem) this.#lost.add({ id, message: problem.message });
      return;
    }
    const state = isRunning ? 'running' : job.status.state;
    if (problem) this.#salvaged.add({ id, state, message: problem.message });
    else this.#soundCount++;
    this.#put(job, isRunning, isUnlisted);
    if (job.spec.uniqueKey !== undefined) await this.#putKey(job, isRunning);
    await this.#writeFull();
  }

  #put({ spec, status }: Job, isRunning: boolean, isUnlisted: boolean): void {
    const { id, sequence } = spec;
    this.#batch.put(specKey(id), seal(specKey(id), encodeSpec(spec)));
    if (!isFirst({ spec, status })) this.#batch.put(statusKey(id), seal(statusKey(id), encodeStatus(status)));
    const suspect = suspectKey(id);
    if (isSuspect(status)) this.#batch.put(suspect, sealText(suspect, id));
    const place = isRunning ? undefined : placeOf({ spec, status });
    if (place !== undefined) this.#batch.put(place, sealText(place, id));
    for (const [key, text] of flowEntries({ spec, status })) this.#batch.put(key, sealText(key, text));
    const deadline = deadlineKeyOf({ spec, status });
    if (deadline !== undefined) this.#batch.put(deadline, sealText(deadline, id));
    if (!isUnlisted || !isEnd(status.state) || status.finishedAt === undefined) return;
    const key = endedKey(status.state, spec.name, status.finishedAt, sequence, status.retries);
    this.#batch.put(key, sealRoster(key, [id]));
  }

  /** The entry of its unique key was taken over, if it was sound; of several jobs the last one has the key. */
  async #putKey({ spec, status }: Job, isRunning: boolean): Promise<void> {
    const now = isRunning ? ({ ...status, state: 'running' } as const) : status;
    if (!holdsKey({ spec, status: now }, this.#now)) return;
    const { id, name, sequence, uniqueKey = '' } = spec;
    const key = uniqueKeyOf(name, uniqueKey);
    await this.#write();
    const [entry] = await readKeyEntries(this.#store, [key], () => {});
    if (entry && entry.sequence >= sequence) return;
    const until = heldUntil(spec);
    this.#batch.put(key, sealKeyEntry(key, { id, sequence, ...(until !== undefined && { until }) }));
    if (until === undefined) return;
    const request = sweepKey(until, sequence);
    this.#batch.put(request, sealText(request, key));
  }

  async #writeFull(): Promise<void> {
    if (this.#batch.length >= BATCH) await this.#write();
  }

  async #write(): Promise<void> {
    await this.#batch.write(false);
    this.#batch = this.#store.batch();
  }

  async conclude({ queues, nextSequence }: Survey): Promise<void> {
    for (const [queue, counts] of queues) {
      const key = countersKey(queue);
      this.#batch.put(key, sealBytes(key, pack(counts)));
    }
    putNumber(this.#batch, 'sequence', nextSequence);
    await this.#batch.write(true);
    // Last of all: a journal without it is not whole.
    const last = this.#store.batch();
    putNumber(last, 'format', FORMAT_VERSION);
    await last.write(true);
  }

  report({ counts, countedJobs }: Survey): Omit<Rebuilt, 'mayLackMore'> {
    const found = Object.values(counts).reduce((sum, count) => sum + count, 0);
    return {
      soundCount: this.#soundCount,
      salvaged: this.#salvaged.first,
      salvagedCount: this.#salvaged.count,
      lost: this.#lost.first,
      lostCount: this.#lost.count,
      unnamedCount: Math.max(0, countedJobs - found - this.#lost.count),
      damage: this.damage.first,
      damageCount: this.damage.count,
    };
  }
}

/** Whether the status is the one that follows from the spec, and need not be stored. */
function isFirst({ spec, status }: Job): boolean {
  const { state, runAt } = enqueued(spec);
  return (
    status.attempt === 0 &&
    status.state === state &&
    status.runAt === runAt &&
    status.claim === undefined &&
    status.retries === undefined &&
    !status.hasCheckpoint &&
    !status.hasNotes &&
    status.suspicions === undefined &&
    status.crashes === undefined &&
    !status.errors &&
    !status.keyFreed
  );
}

/** The old files have links, or copies, elsewhere. */
async function replaceFiles(directory: string, rebuilt: string): Promise<void> {
  const journal = join(rebuilt, 'journal');
  const made = (await readdir(journal)).filter(isDataFile);
  // LevelDB leaves a full log for a new one without syncing it.
  for (const file of made) await syncFile(join(journal, file));
  for (const file of await readdir(directory)) {
    if (isDataFile(file) || file === WITNESS || file === DAMAGED) await rm(join(directory, file));
  }
  for (const file of made) await rename(join(journal, file), join(directory, file));
  await rm(rebuilt, { recursive: true });
  await syncDirectory(directory);
  await rm(join(directory, REPAIRING));
  await syncDirectory(directory);
}
