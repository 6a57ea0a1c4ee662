/**
 * The benchmark suite: runs the scenarios asked for, one after the other, and prints what they come to.
 *
 *   npm run bench -- [scenario…] [--json] [--chart FILE]
 */
import { writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { HELP, readArguments, UsageError, type Arguments } from './arguments.js';
import { Workspace } from './measure/workspace.js';
import { toChart } from './report/chart.js';
import { toJson } from './report/report.js';
import { toText } from './report/table.js';
import { Stage } from './scenarios/stage.js';

async function run({ scenarios, json, chart }: Arguments): Promise<void> {
  const workspace = new Workspace();
  try {
    for (const scenario of scenarios) {
      const report = await scenario.run(new Stage(workspace));
      console.log(toText(report));
      if (chart !== undefined && report.scenario === 'throughput') {
        await writeFile(chart, toChart(report, machine()));
      }
      if (json) console.log(toJson(report));
    }
  } finally {
    await workspace.close();
  }
}

const machine = (): string =>
  `${cpus().length} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), Node ${process.versions.node}`;

try {
  const wanted = readArguments(process.argv.slice(2));
  if (wanted) await run(wanted);
  else console.log(HELP);
} catch (thrown) {
  if (!(thrown instanceof UsageError)) throw thrown;
  console.error(`${thrown.message}\n\n${HELP}`);
  process.exitCode = 2;
}
