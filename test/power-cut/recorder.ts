/** Records a workload: processes on one journal under strace, each killed, and the journal as each left it. */
import { cp, mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { Durability } from '../../src/index.js';
import { runAndKill } from '../crash/processes.js';
import type { Random } from '../crash/random.js';
import { strace } from './trace.js';

/** A second one finds what the first one left, and recovers it. */
export const PROCESSES = 2;

/** How long each process is at work. */
const WORK_MS = { min: 700, max: 2_500 } as const;
/** Enough that LevelDB begins another log every second or so. */
const HEAVY = 0.4;

export interface RecordPlan {
  readonly random: Random;
  readonly seed: number;
  readonly durability: Durability;
  /** Is made, and left as it is. */
  readonly directory: string;
  /** More options of strace. */
  readonly options?: readonly string[];
}

/** The names of the journal and of the facts, in the directory that is each process's own. */
export const JOURNAL = 'journal';
/** Payloads hold it, and handlers that run after a cut must leave their facts with the cut's, so it is relative. */
export const FACTS = 'facts';

/** Where things lie in the directory of a recording. */
export const layout = (directory: string) => ({
  journal: join(directory, JOURNAL),
  trace: (process: number) => join(directory, `trace.${process}`),
  /** As that process left it. */
  left: (process: number) => join(directory, `journal.${process}`),
});

/** @throws Error where a process does not get to where it is to be killed. */
export async function record(plan: RecordPlan): Promise<void> {
  const { random, seed, durability, options = [] } = plan;
  await mkdir(plan.directory, { recursive: true });
  // As the engine spells it.
  const root = await realpath(plan.directory);
  const { journal, trace, left } = layout(root);
  for (let process = 1; process <= PROCESSES; process++) {
    const args = [journal, FACTS, durability, String(seed), String(process), String(HEAVY)];
    const end = await runAndKill(
      args,
      { after: 'opened', count: 1, delayMs: random.integer(WORK_MS.min, WORK_MS.max) },
      underStrace(root, trace(process), options),
    );
    if (end.kind !== 'killed') throw new Error(`Could not record the workload: ${JSON.stringify(end)}`);
    await cp(journal, left(process), { recursive: true });
  }
}

const underStrace = (cwd: string, trace: string, options: readonly string[]) => ({
  cwd,
  execPath: 'strace',
  execArgv: [...strace(trace, ...options), process.execPath],
  // What goes through io_uring, strace does not see.
  env: { ...process.env, UV_USE_IO_URING: '0' },
});
