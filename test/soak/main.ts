/**
 * The soak: an engine under a mixed load for as long as you like, with failures, timeouts, threads that are ended and
 * jobs that are kept for seconds. Nothing may grow after the first minute.
 *
 *   npm run soak -- [--minutes M] [--rate OPERATIONS_PER_SECOND] [--seed S] [--json]
 *
 * The last line is what it came to. Exits with 1 where something grew, and says what.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Sample } from './samples.js';
import { soak } from './soak.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    rate: { type: 'string', default: '200' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    json: { type: 'boolean', default: false },
  },
});

function positive(name: 'minutes' | 'rate' | 'seed'): number {
  const value = Number(values[name]);
  if (Number.isFinite(value) && value > 0) return value;
  throw new TypeError(`Expected --${name} to be a number above 0, got: ${values[name]}`);
}

function show(sample: Sample): void {
  const figures = Object.entries(sample).map(
    ([what, value]) => `${what} ${Math.round(Number(value) * 10) / 10}`,
  );
  console.log(figures.join('  '));
}

const { gc } = globalThis;
if (!gc) throw new Error('Expected to be run with --expose-gc, as `npm run soak` does');

const directory = await mkdtemp(join(tmpdir(), 'millrace-soak-'));
try {
  const { report, reasons } = await soak({
    minutes: positive('minutes'),
    operationsPerSecond: positive('rate'),
    seed: Math.trunc(positive('seed')),
    directory: join(directory, 'journal'),
    collect: () => gc(),
    ...(!values.json && { onSample: show }),
  });
  for (const reason of reasons) console.error(reason);
  if (!report.flat) process.exitCode = 1;
  console.log(values.json ? JSON.stringify(report) : report);
} finally {
  await rm(directory, { recursive: true });
}
