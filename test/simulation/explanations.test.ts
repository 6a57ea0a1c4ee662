/** What an engine says of why jobs are not running, held against histories: whenever it rests, there is a reason. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { MillraceError, type Explanation } from '../../src/index.js';
import type { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { anyHistory } from './draw.js';
import type { History } from './history.js';
import { Machine } from './machine.js';
import { settingsOf } from './simulation.js';

/** That a job is not there, any more or yet, or that a journal that has failed cannot be read. */
const REFUSALS = new Set(['MILLRACE_JOB_NOT_FOUND', 'MILLRACE_JOURNAL_WRITE_FAILED', 'MILLRACE_CLOSED']);

/** They keep no job from running that is the first of its line. */
const NO_HINDRANCES = new Set(['behind', 'aboutToStart']);

async function explanationOf(
  machine: Machine,
  engine: EmbeddedEngine,
  id: string,
): Promise<Explanation | undefined> {
  const asked = engine.explain(id).catch((thrown: unknown) => {
    if (thrown instanceof MillraceError && REFUSALS.has(thrown.code)) return undefined;
    throw thrown;
  });
  await machine.goOn('rest');
  return asked;
}

/** @returns what was said of all jobs, whenever the engine had come to its rest. */
async function explanationsIn({ tuning, steps }: History): Promise<Explanation[]> {
  const machine = new Machine(
    tuning,
    (version) => settingsOf(tuning, version),
    () => ({}),
  );
  machine.boot('workload');
  await machine.goOn('rest');
  const explanations: Explanation[] = [];
  for (const step of steps) {
    await machine.step(step);
    const { engine } = machine.process;
    if (step.until !== 'rest' || !engine) continue;
    const ids = new Set(machine.facts.flatMap((fact) => (fact.kind === 'enqueued' ? fact.id : [])));
    for (const id of ids) {
      const explanation = await explanationOf(machine, engine, id);
      if (explanation) explanations.push(explanation);
    }
  }
  machine.kill();
  return explanations;
}

test('whenever an engine rests, there is a reason why each job is not running, and it is told', async () => {
  const kinds = new Set<string>();
  await fc.assert(
    fc.asyncProperty(anyHistory, async (history) => {
      for (const { state, reasons, summary } of await explanationsIn(history)) {
        for (const { reason } of reasons) kinds.add(reason);
        expect(summary).toMatch(/^Job \w+ \S+ .+\.$/);
        if (state !== 'available' && state !== 'waiting') continue;
        const hindrances = reasons.filter(({ reason }) => !NO_HINDRANCES.has(reason));
        expect(hindrances, summary).not.toEqual([]);
      }
    }),
    { numRuns: 300, seed: 1 },
  );
  // The histories have it in them.
  expect([...kinds]).toEqual(
    expect.arrayContaining([
      'ended',
      'journalFailed',
      'queuePaused',
      'retrying',
      'running',
      'scheduled',
      'threadsBusy',
      'typeBusy',
      'waitingForParents',
    ]),
  );
});
