/** What was asked for on the command line. */
import { parseArgs } from 'node:util';
import { SCENARIOS } from './scenarios/catalogue.js';
import type { Scenario } from './scenarios/stage.js';

export interface Arguments {
  readonly scenarios: readonly Scenario[];
  readonly json: boolean;
  readonly chart?: string;
}

/** Misuse of the command line: shown without a stack. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

export const HELP = `npm run bench -- [scenario…] [--json] [--chart FILE]

Measures Millrace beside its peers; each scenario takes up to 50 seconds. Without a scenario: all.

${SCENARIOS.map(({ name, what }) => `  ${name.padEnd(12)} ${what}`).join('\n')}

  --json         after each table one JSON object in a line of its own; the last line is one
  --chart FILE   an SVG of the throughput scenario
  --help         this text`;

/** @returns undefined where help was asked for. @throws UsageError */
export function readArguments(args: readonly string[]): Arguments | undefined {
  const { values, positionals } = parse(args);
  if (values.help) return undefined;
  const scenarios = positionals.length === 0 ? SCENARIOS : positionals.map(find);
  if (values.chart !== undefined && !scenarios.some(({ name }) => name === 'throughput')) {
    throw new UsageError('--chart draws the scenario throughput, which is not among those asked for');
  }
  return { scenarios, json: values.json, ...(values.chart !== undefined && { chart: values.chart }) };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        json: { type: 'boolean', default: false },
        chart: { type: 'string' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (thrown) {
    throw new UsageError(thrown instanceof Error ? thrown.message : String(thrown));
  }
}

function find(wanted: string): Scenario {
  const scenario = SCENARIOS.find(({ name }) => name === wanted);
  if (scenario) return scenario;
  const known = SCENARIOS.map(({ name }) => name).join(', ');
  throw new UsageError(`Expected a scenario (${known}), got: ${wanted}`);
}
