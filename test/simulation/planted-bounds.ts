/** Engines that are wrong in how many jobs they let into a queue. */
import { MillraceError } from '../../src/index.js';
import type { Settings } from '../../src/options.js';
import type { Bound } from '../../src/queue/admission.js';
import type { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { engine, type Planted } from './wrong.js';

export const PLANTED_BOUNDS: Readonly<Record<string, Planted>> = {
  'any number may wait in a queue with a bound': {
    invariant: 'overSize',
    wrap: () => ({ settings: (own) => bounded(own, () => undefined) }),
  },
  'a queue is full while there is room for one more': {
    invariant: 'refusedInVain',
    wrap: () => ({ settings: (own) => bounded(own, (bound) => ({ ...bound, maxSize: bound.maxSize - 1 })) }),
  },
  'who is turned away has got in': {
    invariant: 'refusedStayed',
    wrap: () => ({
      settings: (own) => bounded(own, () => undefined),
      ...engine((own) => ({
        async enqueue(name, payload, options) {
          const handle = await own.enqueue(name, payload, options);
          if (options?.queue === 'small') await refuseBeyond(own, 2);
          return handle;
        },
        async enqueueMany(items) {
          const handles = await own.enqueueMany(items);
          if (items[0]?.options?.queue === 'small') await refuseBeyond(own, 2);
          return handles;
        },
      })),
    }),
  },
};

async function refuseBeyond(engine: EmbeddedEngine, max: number): Promise<void> {
  const { waiting, scheduled, available, retryable } = await engine.counts('small');
  if (waiting + scheduled + available + retryable > max)
    throw new MillraceError('MILLRACE_QUEUE_FULL', 'They are there all the same');
}

/** The same with other bounds. */
const bounded = (settings: Settings, change: (bound: Bound) => Bound | undefined): Settings => ({
  ...settings,
  queues: new Map(
    [...settings.queues].map(([name, { bound: before, ...queue }]) => {
      const bound = before && change(before);
      return [name, { ...queue, ...(bound && { bound }) }];
    }),
  ),
});
