/**
 * What a backlog costs: opening journals of 1 k to 1 M waiting and delayed jobs beside opening the same directory with
 * LevelDB alone, the memory after it, and the throughput while as many wait. Also after a SIGKILL.
 *
 *   npm run bench -- backlog
 */
import { median, ratioOf, round } from '../measure/statistics.js';
import type { Opened } from '../probes/backlog.js';
import type { Ratio, Report, Row } from '../report/report.js';
import { ask, askCopy, fill, type Journal, type Wanted } from './backlog-journals.js';
import type { Scenario, Stage } from './stage.js';

/** In two lines, one for each core; the large ones take longest. */
const FIRST: readonly Wanted[] = [{ name: '1M', jobs: 1_000_000, killed: true }];
const SECOND: readonly Wanted[] = [
  { name: '1k', jobs: 1_000 },
  { name: '10k', jobs: 10_000 },
  { name: '100k', jobs: 100_000, killed: true },
  { name: '100k delayed', jobs: 100_000, delayed: true },
  { name: '1M delayed', jobs: 1_000_000, delayed: true },
];
const FILL_MS = 18_000;
const WORK = { warmUpMs: 1_500, forMs: 1_000 };
const MOST_ROUNDS = 7;
const HAS_THROUGHPUT = new Set(['1k', '100k', '1M']);

/** Of one journal, a value for each round. */
class Samples {
  readonly openMs: number[] = [];
  readonly levelMs: number[] = [];
  readonly rssMB: number[] = [];
  readonly perSec: number[] = [];
}

async function fillInLine(stage: Stage, wanted: readonly Wanted[], until: number): Promise<Journal[]> {
  const journals: Journal[] = [];
  for (const one of wanted) {
    journals.push(...(await fill(stage, one, Math.max(0, until - performance.now()))));
  }
  return journals;
}

async function sample(stage: Stage, { name, directory }: Journal, samples: Samples): Promise<void> {
  samples.levelMs.push((await askCopy<{ openMs: number }>(stage, directory, 'level')).openMs);
  const { openMs, rssMB } = await askCopy<Opened>(stage, directory, 'open');
  samples.openMs.push(openMs);
  samples.rssMB.push(rssMB);
  if (HAS_THROUGHPUT.has(name)) {
    samples.perSec.push(await ask<number>(stage, directory, 'work', WORK));
  }
}

function rowOf({ name, missing }: Journal, { openMs, levelMs, rssMB, perSec }: Samples): Row {
  const facts = {
    system: `millrace ${name}`,
    durability: 'fsync',
    runsIn: HAS_THROUGHPUT.has(name) ? 'thread' : 'nowhere',
    threads: HAS_THROUGHPUT.has(name) ? 1 : 0,
  } as const;
  if (missing !== undefined) return { ...facts, notMeasured: missing };
  return {
    ...facts,
    openMs: round(median(openMs)),
    levelOpenMs: round(median(levelMs)),
    rssMB: round(median(rssMB)),
    ...(perSec.length > 0 && { jobsPerSec: round(median(perSec)) }),
  };
}

function reportOf(journals: ReadonlyMap<Journal, Samples>): Report {
  const named = new Map([...journals].map(([{ name }, samples]) => [name, samples]));
  const of = (name: string): Samples => named.get(name) ?? new Samples();
  const ratios = new Map<string, Ratio>();
  const add = (key: string, ratio: Ratio | undefined): void => {
    if (ratio) ratios.set(key, ratio);
  };
  add('throughput-1M/throughput-1k', ratioOf(of('1M').perSec, of('1k').perSec));
  add('throughput-100k/throughput-1k', ratioOf(of('100k').perSec, of('1k').perSec));
  for (const name of ['100k', '100k killed', '1M', '1M killed', '1M delayed']) {
    add(`open-${name}/leveldb-${name}`, ratioOf(of(name).openMs, of(name).levelMs));
  }
  const baseMB = median(of('10k').rssMB);
  const memoryMB = Object.fromEntries(
    ['100k', '1M', '100k delayed', '1M delayed'].flatMap((name) => {
      const moreMB = median(of(name).rssMB) - baseMB;
      return Number.isFinite(moreMB) ? [[name, round(moreMB)]] : [];
    }),
  );
  const rows = [...journals].map(([journal, samples]) => rowOf(journal, samples));
  return { scenario: 'backlog', rows, ratios, memoryMB, notes: ['memoryMB: resident, over that with 10k'] };
}

export const backlog: Scenario = {
  name: 'backlog',
  what: 'opening, memory and throughput with 1 k to 1 M waiting jobs, and delayed ones',
  async run(stage) {
    const until = performance.now() + FILL_MS;
    const lines = await Promise.all([FIRST, SECOND].map((line) => fillInLine(stage, line, until)));
    const journals = new Map(lines.flat().map((journal) => [journal, new Samples()]));
    let lastMs = 0;
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const startedAt = performance.now();
      if (round > 0 && startedAt + lastMs > stage.deadline) break;
      for (const [journal, samples] of journals) {
        if (journal.missing === undefined) await sample(stage, journal, samples);
      }
      lastMs = performance.now() - startedAt;
    }
    return reportOf(journals);
  },
};
