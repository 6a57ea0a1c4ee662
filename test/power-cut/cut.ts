/** One power cut: a moment of a recording, what the disk holds then, and what an engine makes of that. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Durability } from '../../src/index.js';
import { maxAttemptsOf, TERMS } from '../crash/catalogue.js';
import { readJournal, type Contents } from '../crash/contents.js';
import { readFacts, tell, type Recorded } from '../crash/facts.js';
import { findViolations, type Violation } from '../crash/invariants.js';
import { runAudit } from '../crash/processes.js';
import type { Random } from '../crash/random.js';
import { drawImage, type Image } from './disk.js';
import { drawMoment } from './moment.js';
import { withoutExpected, withoutTaken } from './promise.js';
import { FACTS, JOURNAL } from './recorder.js';
import { factsUntil, isJournal, type Recording } from './recording.js';

export interface CutPlan {
  readonly recording: Recording;
  readonly durability: Durability;
  readonly random: Random;
  /** Is made, and left as it is. */
  readonly directory: string;
}

export interface Cut {
  readonly facts: readonly Recorded[];
  readonly violations: readonly Violation[];
  readonly unsynced: Image['unsynced'];
  /** How often something had been acknowledged. */
  readonly acknowledged: number;
}

export async function runCut({ recording, durability, random, directory }: CutPlan): Promise<Cut> {
  const at = drawMoment(recording, random);
  const { files, unsynced } = drawImage(recording.history, at, random, isJournal);
  const known = factsUntil(recording, at);
  const [journal, file] = [join(directory, JOURNAL), join(directory, FACTS)];
  await mkdir(journal, { recursive: true });
  for (const [name, bytes] of files) await put(join(directory, name), bytes);
  for (const fact of known) tell(file, fact);
  tell(file, { kind: 'spawned', cycle: recording.ends.length + 1, role: 'audit' });
  tell(
    file,
    await runAudit([journal, FACTS, durability], { cwd: directory, execArgv: ['--import', OTHER_BOOT] }),
  );

  const facts = readFacts(file);
  const whole = factsUntil(recording, Infinity);
  const judged = [...withoutTaken(known, whole), ...withoutExpected(facts.slice(known.length))];
  const violations = findViolations({ facts: judged, contents: await contentsOf(journal), terms: CUT_TERMS });
  const acknowledged = known.filter(({ kind }) => kind === 'enqueued' || kind === 'ended').length;
  if (violations.length === 0) await rm(directory, { recursive: true });
  return { facts, violations, unsynced, acknowledged };
}

/** What was told of unsynced jobs before the cut is left out, and with it how often they had been snoozed. */
const CUT_TERMS = { ...TERMS, maxSnoozes: 0 };

const OTHER_BOOT = new URL('./other-boot.js', import.meta.url).href;

async function put(path: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}

/** A journal that cannot be opened is one that cannot be read. */
async function contentsOf(journal: string): Promise<Contents> {
  try {
    return await readJournal(journal, maxAttemptsOf);
  } catch (thrown) {
    const nothing = {
      jobs: new Map(),
      schedules: new Map(),
      counters: new Map(),
      places: [],
      keyEntries: [],
      strayFiles: [],
    };
    return { ...nothing, unreadable: [String(thrown)] };
  }
}
