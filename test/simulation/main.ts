/**
 * The simulation: an engine in memory goes through histories of whatever can happen to it, and never breaks a promise.
 *
 *   npm run simulate -- [--histories N] [--seed S] [--path P] [--json]
 *
 * Exits with 1 where it finds something, and tells the smallest history that it found, and how to repeat it.
 */
import { parseArgs } from 'node:util';
import { tellStory } from '../crash/story.js';
import { explore, type Failure } from './explore.js';

const { values } = parseArgs({
  options: {
    histories: { type: 'string', default: '500' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    path: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});

function integer(name: 'histories' | 'seed', min: number): number {
  const value = Number(values[name]);
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new TypeError(`Expected --${name} to be an integer ≥ ${min}, got: ${values[name]}`);
}

function tell({ history: { tuning, steps }, verdict, seed, path }: Failure): void {
  console.log(`The smallest history that fails: ${JSON.stringify(tuning)}`);
  for (const { act, until } of steps) console.log(`  ${JSON.stringify(act)}, until ${until}`);
  console.log(`\n${tellStory(verdict.violations, verdict.facts)}`);
  console.log(`\nTo repeat it: npm run simulate -- --seed ${seed} --path ${path}`);
}

const { path } = values;
const { summary, failure } = await explore({
  histories: integer('histories', 1),
  seed: integer('seed', 0),
  ...(path !== undefined && { path }),
});
if (failure) {
  tell(failure);
  process.exitCode = 1;
}
console.log(values.json ? JSON.stringify(summary) : summary);
