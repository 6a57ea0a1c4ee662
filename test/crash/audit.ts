/**
 * The last process: `audit.js JOURNAL FACTS DURABILITY`. It opens the journal, lets everything in it run to its end,
 * tells what the engine counts, and closes.
 */
import type { Durability } from '../../src/index.js';
import { queues, type Engine, type Tuning } from './catalogue.js';
import { tell } from './facts.js';
import { Session } from './session.js';

const [, , journal = '', facts = '', durability] = process.argv;

const TUNING: Tuning = { threads: { count: 2, batchSize: 100, maxHeapMb: 64 }, selection: 'weighted' };

/** Drained is not enough: jobs that are due later, or again, count as well. */
async function allEnded(engine: Engine): Promise<void> {
  for (;;) {
    // Subscribed first, so that no end is missed in between.
    const oneEnded = nextEnd(engine);
    const { waiting, scheduled, available, running, retryable } = await engine.counts();
    if (waiting + scheduled + available + running + retryable === 0) return;
    await oneEnded;
  }
}

const nextEnd = (engine: Engine): Promise<void> =>
  new Promise((resolve) => {
    const stops = (['completed', 'failed', 'cancelled'] as const).map((event) =>
      engine.on(event, () => {
        for (const stop of stops) stop();
        resolve();
      }),
    );
  });

// The harness passes one of the two.
const place = { journal, facts, durability: durability as Durability, heavy: 0, tuning: () => TUNING };
const session = new Session(place, (fact) => tell(facts, fact));
await session.open();
await allEnded(session.engine);
await session.engine.drain();
tell(facts, { kind: 'counted', counts: await session.engine.counts() });
// Safe: these are the names that the engine was opened with.
for (const queue of Object.keys(queues) as (keyof typeof queues)[]) {
  tell(facts, { kind: 'counted', queue, counts: await session.engine.counts(queue) });
}
await session.close(0);
