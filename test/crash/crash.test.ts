/** The harness at work, for a few cycles; `npm run crash` has more. */
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { readFacts, tell } from './facts.js';
import { runCycles } from './harness.js';
import { tellStory } from './story.js';

const CYCLES = 12;

test.each(['os', 'fsync'] as const)(
  'killed again and again with durability %s, the engine keeps its promises',
  { timeout: 120_000 },
  async (durability) => {
    const directory = await temporaryDirectory();
    const { facts, violations, summary } = await runCycles({
      cycles: CYCLES,
      seed: 1,
      durability,
      directory,
    });
    expect(violations, tellStory(violations, facts)).toEqual([]);
    expect(summary.acknowledged).toBeGreaterThan(0);
    expect(summary.runs).toBeGreaterThan(0);
    expect(facts.filter(({ kind }) => kind === 'killed')).toHaveLength(CYCLES);
    expect(facts.at(-1)).toMatchObject({ kind: 'finished' });
  },
);

test('a fact that a kill tore takes no other with it', async () => {
  const file = join(await temporaryDirectory(), 'facts');
  tell(file, { kind: 'opening' });
  await appendFile(file, '\n{"at":1,"kind":"clo');
  tell(file, { kind: 'closed' });
  expect(readFacts(file).map(({ kind }) => kind)).toEqual(['opening', 'closed']);
});

test('the story of a violation tells what happened to its job, and to the processes', () => {
  const facts = [
    { at: 5, kind: 'spawned', cycle: 1, role: 'workload' },
    { at: 7, kind: 'enqueued', id: 'a', name: 'tiny' },
    { at: 8, kind: 'enqueued', id: 'b', name: 'tiny' },
    { at: 9, kind: 'killed', moment: '1 ms after opened' },
  ] as const;
  expect(tellStory([{ invariant: 'lost', id: 'a', message: 'is gone' }], facts).split('\n')).toEqual([
    'lost: a is gone',
    '       0 ms  spawned cycle=1 role=workload',
    '       2 ms  enqueued id=a name=tiny',
    '       4 ms  killed moment=1 ms after opened',
  ]);
});
