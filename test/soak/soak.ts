/** One soak: an engine under load for so long, looked at once a second. */
import { setTimeout as wait } from 'node:timers/promises';
import { openLevelStore } from '../../src/journal/level-store.js';
import { openEngine } from './catalogue.js';
import { Load } from './load.js';
import { report, type Report } from './report.js';
import { takeSample, type Sample } from './samples.js';
import { Tally } from './tally.js';

export interface Plan {
  readonly minutes: number;
  readonly operationsPerSecond: number;
  readonly seed: number;
  /** The journal's. */
  readonly directory: string;
  /** A full collection. */
  readonly collect: () => void;
  readonly onSample?: (sample: Sample) => void;
}

const EVERY_MS = 1_000;

export async function soak(plan: Plan): Promise<{ report: Report; reasons: readonly string[] }> {
  const { minutes, operationsPerSecond, seed, directory, collect, onSample } = plan;
  const engine = await openEngine(directory);
  const tally = new Tally();
  tally.listenTo(engine);
  const load = new Load(engine, operationsPerSecond, seed);
  const running = load.run();
  const samples: Sample[] = [];
  const startedAt = performance.now();
  const passedMs = (): number => performance.now() - startedAt;
  while (passedMs() < minutes * 60_000) {
    await wait(EVERY_MS - (passedMs() % EVERY_MS));
    const sample = await takeSample(engine, directory, passedMs() / 60_000, collect);
    samples.push(sample);
    onSample?.(sample);
  }
  load.stop();
  // Without waiting for the jobs that are awaited: what the journal retains is to be what it was.
  await engine.close({ timeout: 0 });
  await running;
  const unexpected = load.failures.filter((thrown) => !isClosed(thrown)).map(String);
  const { report: found, reasons } = report(samples, tally, await readRetained(directory));
  const all = [...reasons, ...new Set(unexpected.map((reason) => `An operation was refused: ${reason}`))];
  return { report: { ...found, flat: all.length === 0 }, reasons: all };
}

const isClosed = (thrown: unknown): boolean =>
  thrown instanceof Error && 'code' in thrown && thrown.code === 'MILLRACE_CLOSED';

/** Everything that lives in a journal, as it would lie there without what LevelDB adds, and how much that is per job. */
async function readRetained(directory: string): Promise<{ retainedBytes: number; bytesPerJob: number }> {
  const store = await openLevelStore(directory);
  try {
    let retainedBytes = 0;
    let jobs = 0;
    for (let from = ' '; ;) {
      const page = await store.page({ from, after: true, to: '~', limit: 1_000 });
      for (const { key, value } of page) {
        retainedBytes += key.length + value.byteLength;
        if (key.startsWith('j!')) jobs++;
      }
      const last = page.at(-1);
      if (!last) return { retainedBytes, bytesPerJob: retainedBytes / Math.max(jobs, 1) };
      from = last.key;
    }
  } finally {
    await store.close();
  }
}
