/** Rate limits of keys, where fewer keys have their lanes in memory than wait: none is forgotten, whatever is done to its jobs. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { inlineJob } from '../../src/index.js';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { openJobs } from '../fixtures/jobs-engine.js';

const QUEUES = ['default', 'other'] as const;
const queue = fc.constantFrom(...QUEUES);

type Step =
  | { do: 'enqueue'; keys: number[]; queue: (typeof QUEUES)[number]; priority: number }
  | { do: 'pass'; ms: number }
  | { do: 'cancel'; which: number }
  | { do: 'pause' | 'resume'; queue: (typeof QUEUES)[number] }
  | { do: 'restart' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('enqueue' as const),
      keys: fc.array(fc.nat({ max: 11 }), { minLength: 1, maxLength: 12 }),
      queue,
      priority: fc.integer({ min: 0, max: 2 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.nat(1_500) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pause' as const), queue }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resume' as const), queue }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('restart' as const) }) },
);

const limits = fc.record(
  {
    rateLimitPerKey: fc.record({
      max: fc.integer({ min: 1, max: 2 }),
      per: fc.integer({ min: 100, max: 1_000 }),
    }),
    concurrencyPerKey: fc.integer({ min: 1, max: 2 }),
    concurrency: fc.integer({ min: 1, max: 3 }),
    rateLimit: fc.constant({ max: 20, per: 500 }),
  },
  { requiredKeys: ['rateLimitPerKey'] },
);

/** Turns of the event loop in which an engine on a memory store does all that it can. */
async function idle(): Promise<void> {
  for (let turns = 0; turns < 60; turns++) await new Promise((resolve) => setImmediate(resolve));
}

test('whatever is enqueued, cancelled and paused, all that is left runs in the end, and no key too often', async () => {
  await fc.assert(
    fc.asyncProperty(
      limits,
      fc.constantFrom('weighted' as const, 'strict' as const),
      fc.array(step, { maxLength: 25 }),
      async (options, selection, steps) => {
        const clock = new FakeClock();
        const disk = new MemoryDisk();
        const starts: { key: number; at: number }[] = [];
        const jobs = {
          work: inlineJob((key: number) => void starts.push({ key, at: clock.monotonic() }), options),
        };
        const queues = { default: { weight: 2 }, other: { weight: 1 } };
        // Two lanes.
        const start = () =>
          openJobs(openMemoryStore(disk), jobs, { clock, queues, selection, places: 3, windowSize: 8 });
        let { engine } = await start();
        const ids: string[] = [];
        const perform = async (one: Step): Promise<void> => {
          if (one.do === 'enqueue') {
            const { keys, priority } = one;
            const items = keys.map((key) => ({
              name: 'work',
              payload: key,
              options: { queue: one.queue, priority, concurrencyKey: `key ${key}` },
            }));
            ids.push(...(await engine.enqueueMany(items)).map(({ id }) => id));
          } else if (one.do === 'pass') await clock.advance(one.ms);
          else if (one.do === 'cancel') {
            const id = ids[one.which % Math.max(1, ids.length)];
            if (id !== undefined) await engine.cancel(id);
          } else if (one.do === 'restart') {
            await idle();
            await engine.close(0);
            ({ engine } = await start());
          } else await engine.pauses[one.do](one.queue);
        };
        for (const one of steps) {
          await perform(one);
          await idle();
        }
        for (const paused of QUEUES) await engine.pauses.resume(paused);
        await idle();
        for (let i = 0; i < 2 * ids.length && (await engine.counts()).available > 0; i++) {
          await clock.advance(options.rateLimitPerKey.per + Math.ceil(options.rateLimitPerKey.per / 32) + 2);
          await idle();
        }
        const { completed, cancelled } = await engine.counts();
        expect(completed + cancelled).toBe(ids.length);
        const { max, per } = options.rateLimitPerKey;
        for (let key = 0; key < 12; key++) {
          const at = starts.filter((one) => one.key === key).map((one) => one.at);
          for (let i = max; i < at.length; i++)
            expect((at[i] ?? 0) - (at[i - max] ?? 0)).toBeGreaterThan(per);
        }
        await engine.close(0);
      },
    ),
    { numRuns: 60 },
  );
});
