/** Engines that are wrong in running jobs again, and in removing them. */
import { isEnd } from '../../src/job/record.js';
import { writing } from '../fixtures/writing.js';
import { batching, engine, type Planted } from './wrong.js';

export const PLANTED_AGAIN: Readonly<Record<string, Planted>> = {
  'that a job runs again is acknowledged, and it does not': {
    invariant: 'retriesLost',
    wrap: () =>
      engine((own) => ({
        async retry(job) {
          const before = typeof job === 'string' ? await own.snapshot(job) : undefined;
          const isEnded = before?.state === 'failed' || before?.state === 'cancelled';
          return isEnded ? 'available' : own.retry(job);
        },
      })),
  },
  'a removal is acknowledged, and not made': {
    invariant: 'removalsUndone',
    wrap: () =>
      engine((own) => ({
        async remove(job) {
          const before = typeof job === 'string' ? await own.snapshot(job) : undefined;
          return before && isEnd(before.state) ? true : own.remove(job);
        },
      })),
  },
  'what is removed stays in the journal': {
    invariant: 'removalsUndone',
    wrap: () => ({
      store: (store) =>
        batching(store, (own) => ({
          ...writing(own, (sync) => own.write(sync)),
          del: (key) => (key.startsWith('j!') ? undefined : own.del(key)),
        })),
    }),
  },
  'whatever is removed takes another job along': {
    invariant: 'lost',
    wrap: () =>
      engine((own) => ({
        async remove(job) {
          for await (const { id } of own.jobs({ state: 'available' })) {
            await own.remove(id);
            break;
          }
          return own.remove(job);
        },
      })),
  },
};
