/** The simulation finds what it is there to find: without that, a run without violations would prove nothing. */
import { describe, expect, test } from 'vitest';
import { tellStory } from '../crash/story.js';
import { explore } from './explore.js';
import { PLANTED } from './planted.js';

/** What finds every one of the mistakes, the rarest among the last, and nothing in the engine as it is. */
const MOST_HISTORIES = 1_000;
const HISTORIES = 500;
const SEED = 1;

describe('each engine that is wrong is found out', () => {
  test.each(Object.entries(PLANTED))('%s', async (_name, { invariant, wrap }) => {
    const { failure } = await explore({
      histories: MOST_HISTORIES,
      seed: SEED,
      wrap,
      invariant,
      shrinks: false,
    });
    expect(failure?.verdict.violations.map((violation) => violation.invariant)).toContain(invariant);
  });
});

test('the same histories find nothing in the engine as it is', async () => {
  const { failure } = await explore({ histories: HISTORIES, seed: SEED });
  expect(failure && tellStory(failure.verdict.violations, failure.verdict.facts)).toBeUndefined();
});
