/**
 * What a backlog costs: opens journals with 10,000 and with 1,000,000 waiting jobs, each time in a fresh process,
 * after a clean close and after a SIGKILL, and compares with what LevelDB alone needs for the same directory.
 *
 *   npm run bench:backlog
 *
 * Figures: `openMs`, the time of `Millrace.open()`; `levelMs`, of opening the same directory with `level` alone;
 * `rssMb`, memory after opening and a garbage collection. Medians of several processes, which take turns.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const PROBE = fileURLToPath(new URL('./backlog-probe.js', import.meta.url));
const ROUNDS = 7;

interface Opened {
  openMs: number;
  rssMb: number;
  available: number;
}

const probe = (...args: string[]): unknown =>
  JSON.parse(execFileSync(process.execPath, ['--expose-gc', PROBE, ...args], { encoding: 'utf8' }));

/** The process fills the journal and kills itself, or closes it. */
function fill(directory: string, jobs: number, end: 'close' | 'kill'): void {
  const { signal, status, stderr } = spawnSync(process.execPath, [
    PROBE,
    'fill',
    directory,
    String(jobs),
    end,
  ]);
  if (signal !== 'SIGKILL' && status !== 0) throw new Error(String(stderr));
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

/** A killed journal is opened from a fresh copy each time, for opening it repairs it. */
function measure(directory: string, end: 'close' | 'kill', handlers: 'inline' | 'thread') {
  const opened: Opened[] = [];
  const levelMs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    for (const what of ['level', handlers] as const) {
      const copy = `${directory}-copy`;
      cpSync(directory, copy, { recursive: true });
      // Safe: the probe prints exactly these.
      if (what === 'level') levelMs.push((probe('level', copy) as { openMs: number }).openMs);
      else opened.push(probe('open', copy, handlers) as Opened);
      rmSync(copy, { recursive: true });
    }
  }
  const openMs = median(opened.map((one) => one.openMs));
  const level = median(levelMs);
  return {
    end,
    handlers,
    available: opened[0]?.available,
    openMs: Math.round(openMs),
    levelMs: Math.round(level),
    addedMs: Math.round(openMs - level),
    rssMb: Math.round(median(opened.map((one) => one.rssMb)) * 10) / 10,
  };
}

const root = mkdtempSync(join(tmpdir(), 'millrace-backlog-'));
try {
  const rows = [];
  for (const jobs of [10_000, 1_000_000]) {
    for (const end of ['close', 'kill'] as const) {
      const directory = join(root, `${jobs}-${end}`);
      fill(directory, jobs, end);
      for (const handlers of ['inline', 'thread'] as const)
        rows.push({ jobs, ...measure(directory, end, handlers) });
    }
  }
  console.table(rows);
  console.log(JSON.stringify({ scenario: 'backlog', rows }));
} finally {
  rmSync(root, { recursive: true, force: true });
}
