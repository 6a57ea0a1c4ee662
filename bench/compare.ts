/**
 * Compares the engines of two commits at the scenarios throughput and heavy: each is built in a worktree of its own,
 * and they take turns. The ratio is the second's speed over the first's.
 *
 *   npm run bench:compare -- COMMIT_A COMMIT_B [--json]
 */
import { parseArgs } from 'node:util';
import { UsageError } from './arguments.js';
import { Checkout, resolveCommit } from './measure/checkout.js';
import { Workspace } from './measure/workspace.js';
import { toJson } from './report/report.js';
import { toText } from './report/table.js';
import { duel, type Engine } from './scenarios/duel.js';
import { Stage } from './scenarios/stage.js';

const USAGE = 'npm run bench:compare -- COMMIT_A COMMIT_B [--json]';
const SHORT = 8;

interface Arguments {
  readonly commits: readonly [string, string];
  readonly json: boolean;
}

/** @throws UsageError */
function readArguments(): Arguments {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: { json: { type: 'boolean', default: false } },
    });
    const [a, b, ...more] = positionals;
    if (a === undefined || b === undefined || more.length > 0) throw new Error('Expected two commits');
    return { commits: [a, b], json: values.json };
  } catch (thrown) {
    throw new UsageError(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function build(name: string, label: string, workspace: Workspace): Engine {
  let commit: string;
  try {
    commit = resolveCommit(name);
  } catch {
    throw new UsageError(`Expected a commit of this repository, got: ${name}`);
  }
  console.error(`${label}: ${name} (${commit.slice(0, SHORT)})`);
  const { engine } = Checkout.make(commit, workspace.directory(`commit-${label}`));
  return { name: `${label} ${commit.slice(0, SHORT)}`, module: engine };
}

async function run({ commits: [a, b], json }: Arguments): Promise<void> {
  const workspace = new Workspace();
  try {
    const engines = [build(a, 'A', workspace), build(b, 'B', workspace)] as const;
    for (const scenario of ['throughput', 'heavy'] as const) {
      const report = await duel(new Stage(workspace), scenario, engines);
      console.log(toText(report));
      if (json) console.log(toJson(report));
    }
  } finally {
    await workspace.close();
  }
}

try {
  await run(readArguments());
} catch (thrown) {
  if (!(thrown instanceof UsageError)) throw thrown;
  console.error(`${thrown.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
