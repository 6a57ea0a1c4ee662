/**
 * One trial of damage: a copy of a journal in which one bit is flipped, or one file cut, is opened, run to its end and
 * verified. What must hold: no handler gets a wrong payload, no job that has ended runs again, nothing is lost in
 * silence, and what was refused can be repaired.
 */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inlineJob, Millrace, MillraceError, type JobState } from '../../src/index.js';
import type { WrittenJob, WrittenJournal } from '../fixtures/damaged-journal.js';
import { recordingLogger } from '../fixtures/logger.js';

/** Memory where there is some, for a thousand trials sync a lot. */
const ROOM = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** At most. */
const JOBS_IN_BLOCK = 6;

/** How long a journal may take to run dry; one that has lost an entry of a queue never does. */
const PATIENCE_MS = 3_000;

export interface Harm {
  readonly file: string;
  readonly offset: number;
  /** The bit to flip; absent where the file is cut at the offset. */
  readonly bit?: number;
}

export interface Trial {
  readonly harm: Harm;
  /** How it was noticed: at open, by warnings, or by `verify()`; not at all where nothing is lost. */
  readonly noticedAt?: 'open' | 'warning' | 'verify';
  /** What must not be. */
  readonly violations: readonly string[];
}

/** The files of a journal, in memory, so that each trial writes its own. */
export async function filesOf({ directory }: WrittenJournal): Promise<ReadonlyMap<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const file of await readdir(directory)) {
    // Of these the journal needs none, and reading LOCK gives it away.
    if (/^LO(?:CK|G|G\.old)$/.test(file)) continue;
    files.set(file, await readFile(join(directory, file)));
  }
  return files;
}

export async function runTrial(
  files: ReadonlyMap<string, Buffer>,
  jobs: ReadonlyMap<string, WrittenJob>,
  harm: Harm,
): Promise<Trial> {
  const directory = await mkdtemp(join(ROOM, 'millrace-damage-'));
  try {
    await Promise.all(
      [...files].map(([file, bytes]) => {
        const written = file === harm.file ? harmed(bytes, harm) : bytes;
        return writeFile(join(directory, file), written);
      }),
    );
    return await trial(directory, jobs, harm);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function harmed(bytes: Buffer, { offset, bit }: Harm): Buffer {
  if (bit === undefined) return bytes.subarray(0, offset);
  const flipped = Buffer.from(bytes);
  flipped[offset] = (flipped[offset] ?? 0) ^ (1 << bit);
  return flipped;
}

async function trial(directory: string, jobs: ReadonlyMap<string, WrittenJob>, harm: Harm): Promise<Trial> {
  const violations: string[] = [];
  const seen = await run(directory, jobs, violations);
  if (!(seen instanceof MillraceError)) {
    const lost = losses(jobs, seen.states);
    if (seen.isWarned) return { harm, noticedAt: 'warning', violations };
    // A journal that was noticed already is verified in the tests of that.
    const report = await Millrace.verify(directory);
    if (!report.sound) return { harm, noticedAt: 'verify', violations };
    violations.push(...lost.map((loss) => `in silence: ${loss}`));
    return { harm, violations };
  }
  if (seen.code !== 'MILLRACE_JOURNAL_CORRUPT') violations.push(`refused with ${seen.code}: ${seen.message}`);
  await tryRepair(directory, jobs, harm, violations);
  return { harm, noticedAt: 'open', violations };
}

interface Seen {
  readonly isWarned: boolean;
  /** Absent where it cannot be read. */
  readonly states: ReadonlyMap<string, JobState | undefined>;
}

async function run(
  directory: string,
  jobs: ReadonlyMap<string, WrittenJob>,
  violations: string[],
  mayRunAgain = false,
): Promise<Seen | MillraceError> {
  const ran = new Set<string>();
  const handler = inlineJob((payload: unknown, { id }) => {
    const job = jobs.get(id);
    if (job?.payload !== payload) violations.push(`${id} got a payload that is not its own`);
    if (job?.state !== 'available' && !mayRunAgain) violations.push(`${id} ran, and was ${job?.state}`);
    if (ran.has(id)) violations.push(`${id} ran twice`);
    ran.add(id);
    return 'done';
  });
  let mill: Millrace;
  try {
    mill = await Millrace.open({
      directory,
      jobs: { good: handler, bad: handler, again: handler, block: handler },
      queues: { default: {}, later: {} },
      logger: recordingLogger(),
    });
  } catch (thrown) {
    if (thrown instanceof MillraceError) return thrown;
    throw thrown;
  }
  let isWarned = false;
  mill.on('warning', ({ code }) => (isWarned ||= code !== 'MILLRACE_QUEUE_UNKNOWN'));
  const impatience = new AbortController();
  const drained = mill.drain().catch(() => {});
  await Promise.race([drained, patience(impatience.signal)]);
  impatience.abort();
  const states = new Map<string, JobState | undefined>();
  for (const id of jobs.keys()) {
    const snapshot = await mill.job(id).catch(() => {
      isWarned = true;
    });
    states.set(id, snapshot?.state);
  }
  await mill.close({ timeout: 0 });
  return { isWarned, states };
}

function patience(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, PATIENCE_MS);
    signal.addEventListener('abort', () => clearTimeout(timer));
  });
}

/** The jobs that are not what they must be once the journal has run dry. */
function losses(
  jobs: ReadonlyMap<string, WrittenJob>,
  states: ReadonlyMap<string, JobState | undefined>,
): string[] {
  return [...jobs.values()].flatMap(({ id, state }) => {
    const expected = state === 'available' ? 'completed' : state;
    const found = states.get(id);
    return found === expected ? [] : [`${id} is ${found ?? 'not there'}, and was ${state}`];
  });
}

async function tryRepair(
  directory: string,
  jobs: ReadonlyMap<string, WrittenJob>,
  harm: Harm,
  violations: string[],
): Promise<void> {
  const report = await Millrace.repair(directory);
  if (!report.repaired) violations.push('it was refused, and there was nothing to repair');
  const after = await Millrace.verify(directory);
  if (!after.sound) violations.push(`repaired, and not sound: ${JSON.stringify(after.damage[0])}`);
  // What a log has lost at its end may have been the end of a job.
  const mayRunAgain = harm.bit === undefined || harm.file.endsWith('.log');
  const seen = await run(directory, jobs, violations, mayRunAgain);
  if (seen instanceof MillraceError) {
    violations.push(`repaired, and refused: ${seen.message}`);
    return;
  }
  if (harm.bit === undefined) return;
  const told = new Set([...report.salvaged, ...report.lost].map(({ id }) => id));
  const untold = losses(jobs, seen.states).filter((loss) => !told.has(loss.split(' ')[0] ?? ''));
  if (untold.length > report.unnamedCount) violations.push(`not told by repair: ${untold.join('; ')}`);
  // A table's block is packed as a whole, and what is behind the bit refers to what is before it.
  if (report.lostCount + report.unnamedCount > (harm.file.endsWith('.ldb') ? JOBS_IN_BLOCK : 1))
    violations.push(`one bit has lost ${report.lostCount} jobs, and ${report.unnamedCount} without a name`);
}
