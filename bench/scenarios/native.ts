/**
 * What sharp leaves of libuv's pool, which commits and files share: how long a commit and a read of a small file take
 * while four threads make images, with the engine's bound on native work (`usesNativePool`) and without.
 *
 *   npm run bench -- native
 */
import { quantile, round } from '../measure/statistics.js';
import type { NativeAnswer, NativeSetup, NativeTurn } from '../probes/native.js';
import { Field } from './field.js';
import { makePhotograph } from './photograph.js';
import type { Scenario, Stage } from './stage.js';

/** As many as libuv's pool has: with fewer there is always one free. */
const THREADS = 4;
const TURN: NativeTurn = { images: 6, samples: 100, everyMs: 20 };

function entry(stage: Stage, system: string, handler: string, input: string) {
  const directory = stage.workspace.directory('native');
  const setup: NativeSetup = { engine: stage.engine, directory, threads: THREADS, handler, input };
  return stage.entry({ system, durability: 'fsync', runsIn: 'thread', threads: THREADS }, 'native', setup);
}

export const native: Scenario = {
  name: 'native',
  what: 'commits and file reads while sharp saturates its threads, with the bound and without',
  async run(stage) {
    const input = await makePhotograph(stage.workspace.directory('photograph'));
    const field = await Field.open<NativeAnswer>([
      entry(stage, 'idle', 'encode-bounded', input),
      entry(stage, 'bounded', 'encode-bounded', input),
      entry(stage, 'unbounded', 'encode', input),
    ]);
    try {
      const command = (system: string): NativeTurn => (system === 'idle' ? { ...TURN, images: 0 } : TURN);
      await field.warmUp(command);
      await field.takeTurns(command, stage);
      const rows = field.rows((answers) => ({
        commitP50Ms: round(
          quantile(
            answers.flatMap(({ commitsMs }) => commitsMs),
            0.5,
          ),
        ),
        commitP99Ms: round(
          quantile(
            answers.flatMap(({ commitsMs }) => commitsMs),
            0.99,
          ),
        ),
        readFileP50Ms: round(
          quantile(
            answers.flatMap(({ readsMs }) => readsMs),
            0.5,
          ),
        ),
        readFileP99Ms: round(
          quantile(
            answers.flatMap(({ readsMs }) => readsMs),
            0.99,
          ),
        ),
        imagesPerSec: round(
          quantile(
            answers.map(({ imagesPerSec }) => imagesPerSec),
            0.5,
          ),
        ),
      }));
      const ratios = [
        ...field.ratio('commit-bounded/unbounded', 'bounded', 'unbounded', ({ commitsMs }) =>
          quantile(commitsMs, 0.99),
        ),
        ...field.ratio('readFile-bounded/unbounded', 'bounded', 'unbounded', ({ readsMs }) =>
          quantile(readsMs, 0.99),
        ),
      ];
      return { scenario: 'native', rows, ratios: new Map(ratios) };
    } finally {
      await field.close();
    }
  },
};
