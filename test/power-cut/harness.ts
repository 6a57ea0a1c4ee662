/** One run: recordings, the power cuts of each, and what is found then. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import PQueue from 'p-queue';
import type { Durability } from '../../src/index.js';
import type { Recorded } from '../crash/facts.js';
import { INVARIANTS, type Violation } from '../crash/invariants.js';
import { Random } from '../crash/random.js';
import { runCut, type Cut } from './cut.js';
import { record } from './recorder.js';
import { readRecording } from './recording.js';

export interface Plan {
  readonly cuts: number;
  readonly seed: number;
  readonly durability: Durability;
  /** Empty; what shows a violation is left in it. */
  readonly directory: string;
  /** More options of strace, for tests. */
  readonly options?: readonly string[];
}

export interface Summary {
  readonly cuts: number;
  readonly recordings: number;
  /** How often something had been acknowledged before a cut: that there is a job, or that it has ended. */
  readonly acknowledged: number;
  /** How many of each invariant. */
  readonly violations: Readonly<Record<string, number>>;
  /** Bytes that no sync had covered at a cut, and those of them that were kept. */
  readonly unsyncedBytes: { readonly written: number; readonly kept: number };
}

/** A cut after which something is not as it should be, and what is needed to make it again. */
export interface Found {
  readonly recording: number;
  readonly cut: number;
  readonly violations: readonly Violation[];
  readonly facts: readonly Recorded[];
}

export interface Run {
  readonly found: readonly Found[];
  readonly summary: Summary;
}

/** Of each recording. */
const CUTS = 10;
/** Recordings at work at a time. */
const AT_A_TIME = 2;

export const placeOf = (directory: string, recording: number): string =>
  join(directory, `recording-${recording}`);
const cutPlaceOf = (directory: string, recording: number, cut: number): string =>
  join(directory, `cut-${recording}-${cut}`);

export async function runPowerCuts(plan: Plan): Promise<Run> {
  const { cuts, directory } = plan;
  const recordings = Math.ceil(cuts / CUTS);
  const queue = new PQueue({ concurrency: AT_A_TIME });
  const results = await queue.addAll(
    Array.from({ length: recordings }, (_, i) => async () => {
      const results = await runRecording(plan, i + 1, Math.min(CUTS, cuts - i * CUTS));
      const isSound = results.every(({ violations }) => violations.length === 0);
      if (isSound) await rm(placeOf(directory, i + 1), { recursive: true });
      return results.map((result, j) => ({ ...result, recording: i + 1, cut: j + 1 }));
    }),
  );
  const all = results.flat();
  const found = all.filter(({ violations }) => violations.length > 0);
  return { found, summary: summarize(recordings, all) };
}

async function runRecording(plan: Plan, number: number, cuts: number): Promise<Cut[]> {
  const { seed, durability, options = [] } = plan;
  const directory = placeOf(plan.directory, number);
  await record({ random: new Random(seed, number), seed: seed + number, durability, directory, options });
  const recording = await readRecording(directory);
  const results: Cut[] = [];
  for (let cut = 1; cut <= cuts; cut++) {
    const random = new Random(seed, number, cut);
    const place = cutPlaceOf(plan.directory, number, cut);
    results.push(await runCut({ recording, durability, random, directory: place }));
  }
  return results;
}

/** The same cut again, of a recording that a run has left. */
export async function repeatCut(
  { seed, durability, directory }: Omit<Plan, 'cuts'>,
  number: number,
  cut: number,
): Promise<Cut> {
  const recording = await readRecording(placeOf(directory, number));
  const place = cutPlaceOf(directory, number, cut);
  await rm(place, { recursive: true, force: true });
  return runCut({ recording, durability, random: new Random(seed, number, cut), directory: place });
}

function summarize(recordings: number, cuts: readonly Cut[]): Summary {
  const sum = (value: (cut: Cut) => number): number => cuts.reduce((total, cut) => total + value(cut), 0);
  return {
    cuts: cuts.length,
    recordings,
    acknowledged: sum(({ acknowledged }) => acknowledged),
    violations: Object.fromEntries(
      INVARIANTS.map(({ name }) => [
        name,
        sum(({ violations }) => violations.filter(({ invariant }) => invariant === name).length),
      ]),
    ),
    unsyncedBytes: {
      written: sum(({ unsynced }) => unsynced.written),
      kept: sum(({ unsynced }) => unsynced.kept),
    },
  };
}
