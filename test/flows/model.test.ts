/** Any flow, with any restarts in between, comes to what follows from its jobs' parents alone. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import type { AnyFlow } from '../../src/flow.js';
import { FlowBench, expectedStates, item, type Act } from './bench.js';

const MAX_JOBS = 8;

interface Drawn {
  readonly act: Act;
  readonly onParentFailure: 'fail' | 'cancel' | 'ignore';
  /** Which of the jobs before it are its parents. */
  readonly parents: readonly boolean[];
}

const anyJob: fc.Arbitrary<Drawn> = fc.record({
  act: fc.constantFrom<Act>('return', 'return', 'return', 'throw'),
  onParentFailure: fc.constantFrom('fail', 'cancel', 'ignore'),
  parents: fc.array(fc.boolean(), { minLength: MAX_JOBS, maxLength: MAX_JOBS }),
});

/** The kills come in turn: each process dies at its own, if it lives that long. */
const anyKills = fc.array(
  fc.record({ write: fc.integer({ min: 1, max: 12 }), when: fc.constantFrom('before', 'after') }),
  {
    maxLength: 3,
  },
);

test('a flow comes to what its jobs come to, whatever happens to its processes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyJob, { minLength: 1, maxLength: MAX_JOBS }),
      anyKills,
      async (drawn, kills) => {
        const flow: AnyFlow = Object.fromEntries(
          drawn.map(({ act, onParentFailure, parents }, i) => {
            const before = parents.flatMap((isParent, at) => (isParent && at < i ? [`j${at}`] : []));
            return [`j${i}`, item(`j${i}`, before, { act, onParentFailure })];
          }),
        );
        const expected = expectedStates(flow, (key) => drawn[Number(key.slice(1))]?.act ?? 'return');
        const bench = new FlowBench();
        for (const kill of [...kills, undefined]) {
          await bench.start(kill);
          if (!bench.store.isDead) await bench.run(flow, 'flow');
          if (!bench.store.isDead) break;
        }
        const ids = Object.keys(flow).map((key) => `flow/${key}`);
        expect(await bench.states(ids)).toEqual(Object.values(expected));
        const { waiting, available, running } = await bench.engine.counts();
        expect({ waiting, available, running }).toEqual({ waiting: 0, available: 0, running: 0 });
        await bench.end();
      },
    ),
    { numRuns: 150 },
  );
}, 120_000);
