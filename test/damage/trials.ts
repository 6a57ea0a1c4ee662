/** So many trials over one kind of the journal's files, at offsets that a seed draws. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Random } from '../crash/random.js';
import { writeJournal, type WrittenJournal } from '../fixtures/damaged-journal.js';
import { filesOf, runTrial, type Harm, type Trial } from './trial.js';

const SEED = 20_240_601;

/**
 * @param flips How many trials flip a bit.
 * @param cuts How many cut the file.
 */
export function damageTrials(kind: string, pattern: RegExp, flips: number, cuts: number): void {
  let parent = '';
  let journal: WrittenJournal;
  let files: ReadonlyMap<string, Buffer>;

  beforeAll(async () => {
    parent = await mkdtemp(join(tmpdir(), 'millrace-damaged-'));
    journal = await writeJournal(parent);
    files = await filesOf(journal);
  });
  afterAll(() => rm(parent, { recursive: true, force: true }));

  async function tryAll(count: number, seed: number, harmOf: (random: Random) => Harm): Promise<Trial[]> {
    const random = new Random(SEED, seed);
    const trials: Trial[] = [];
    for (let i = 0; i < count; i++) trials.push(await runTrial(files, journal.jobs, harmOf(random)));
    return trials;
  }

  const draw = (random: Random): { file: string; offset: number } => {
    const names = [...files.keys()].filter((file) => pattern.test(file));
    const file = names[random.integer(0, names.length - 1)] ?? '';
    return { file, offset: random.integer(0, (files.get(file)?.length ?? 1) - 1) };
  };

  const violationsOf = (trials: readonly Trial[]): string[] =>
    trials.flatMap(({ harm, violations }) => violations.map((one) => `${JSON.stringify(harm)}: ${one}`));

  test(`${kind}: a flipped bit, ${flips} times`, { timeout: 600_000 }, async () => {
    const trials = await tryAll(flips, 1, (random) => ({ ...draw(random), bit: random.integer(0, 7) }));
    expect(violationsOf(trials)).toStrictEqual([]);
    expect(trials.filter(({ noticedAt }) => noticedAt).length).toBeGreaterThan(0);
  });

  test(`${kind}: a file that is cut, ${cuts} times`, { timeout: 600_000 }, async () => {
    const trials = await tryAll(cuts, 2, draw);
    expect(violationsOf(trials)).toStrictEqual([]);
    // A file that lacks any byte is noticed.
    expect(trials.filter(({ noticedAt }) => !noticedAt).map(({ harm }) => harm)).toStrictEqual([]);
  });
}
