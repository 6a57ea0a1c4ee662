/**
 * The crash harness: kills a process with an engine at work, again and again, and looks for what should never be.
 *
 *   npm run crash -- [--cycles N] [--seed S] [--durability os|fsync] [--json]
 *
 * Exits with 1 where it finds something; then the journal and the facts stay where it says.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Durability } from '../../src/index.js';
import { runCycles } from './harness.js';
import { tellStory } from './story.js';

const { values } = parseArgs({
  options: {
    cycles: { type: 'string', default: '100' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    durability: { type: 'string', default: 'fsync' },
    json: { type: 'boolean', default: false },
  },
});

function integer(name: 'cycles' | 'seed'): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw new TypeError(`Expected --${name} to be an integer ≥ 0, got: ${values[name]}`);
}

function durability(): Durability {
  const value = values.durability;
  if (value === 'os' || value === 'fsync') return value;
  throw new TypeError(`Expected --durability to be os or fsync, got: ${value}`);
}

const plan = { cycles: integer('cycles'), seed: integer('seed'), durability: durability() };
const directory = await mkdtemp(join(tmpdir(), 'millrace-crash-'));
const { facts, violations, summary } = await runCycles({ ...plan, directory });

if (violations.length > 0) {
  console.log(tellStory(violations, facts));
  console.log(
    `\nSeed ${plan.seed}, durability ${plan.durability}; the journal and the facts are in ${directory}`,
  );
  process.exitCode = 1;
} else {
  await rm(directory, { recursive: true });
}
console.log(values.json ? JSON.stringify(summary) : summary);
