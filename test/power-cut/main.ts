/**
 * The power-cut harness: records what an engine writes and syncs, cuts the power at moments of that, and looks for
 * what should never be.
 *
 *   npm run power-cut -- [--cuts N] [--seed S] [--durability os|fsync] [--json]
 *   npm run power-cut -- --seed S [--durability os|fsync] --recording N --cut N --directory DIRECTORY
 *
 * It needs strace and Linux. Exits with 1 where it finds something; then the recordings and the journals stay where it
 * says, and the second form cuts one of the recordings again at the same moment.
 */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Durability } from '../../src/index.js';
import { tellStory } from '../crash/story.js';
import { repeatCut, runPowerCuts, type Found } from './harness.js';

const { values } = parseArgs({
  options: {
    cuts: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    durability: { type: 'string', default: 'fsync' },
    recording: { type: 'string' },
    cut: { type: 'string' },
    directory: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

function integer(name: 'cuts' | 'seed' | 'recording' | 'cut'): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new TypeError(`Expected --${name} to be an integer ≥ 0, got: ${values[name]}`);
}

function durability(): Durability {
  const value = values.durability;
  if (value === 'os' || value === 'fsync') return value;
  throw new TypeError(`Expected --durability to be os or fsync, got: ${value}`);
}

function tell({ violations, facts, recording, cut }: Found): void {
  console.log(`Recording ${recording}, cut ${cut}:\n${tellStory(violations, facts)}\n`);
}

/** One cut of a recording that was left. @returns whether nothing was found. */
async function again(directory: string): Promise<boolean> {
  const [recording, cut] = [integer('recording'), integer('cut')];
  const plan = { seed: integer('seed'), durability: durability(), directory };
  const result = await repeatCut(plan, recording, cut);
  tell({ ...result, recording, cut });
  return result.violations.length === 0;
}

/** @returns whether nothing was found. */
async function all(): Promise<boolean> {
  const plan = { cuts: integer('cuts'), seed: integer('seed'), durability: durability() };
  const directory = await mkdtemp(join(tmpdir(), 'millrace-power-cut-'));
  const { found, summary } = await runPowerCuts({ ...plan, directory });
  for (const one of found) tell(one);
  if (found.length > 0) {
    const common = `--seed ${plan.seed} --durability ${plan.durability}`;
    const { recording, cut } = found[0] as Found; // Safe: there is one.
    console.log(
      `Seed ${plan.seed}, durability ${plan.durability}; what was recorded is in ${directory}. Once more:\n` +
        `  npm run power-cut -- ${common} --recording ${recording} --cut ${cut} --directory ${directory}`,
    );
  } else await rm(directory, { recursive: true });
  console.log(values.json ? JSON.stringify(summary) : summary);
  return found.length === 0;
}

if (spawnSync('strace', ['-V']).error) {
  console.error(
    'Expected strace to be installed: it records what is written and synced (apt-get install strace)',
  );
  process.exitCode = 2;
} else {
  const isSound = values.directory === undefined ? await all() : await again(values.directory);
  if (!isSound) process.exitCode = 1;
}
