/** Engines whose schedules are wrong on purpose. */
import { resumed } from '../../src/schedule/progress.js';
import { writing } from '../fixtures/writing.js';
import {
  batching,
  choosing,
  collecting,
  isSchedule,
  isTick,
  loading,
  schedules,
  writeAll,
  type Planted,
} from './wrong.js';

export const PLANTED_TICKS: Readonly<Record<string, Planted>> = {
  'a tick enqueues its job, and its schedule does not go on': {
    invariant: 'ticksDoubled',
    wrap: () => ({
      store: (store) => choosing(store, (key, keys) => !isSchedule(key) || !keys.some(isTick)),
      // A tick that finds its job would be content with that.
      ...loading((progress) => ({ ...progress, repeatsUntil: Number.MAX_SAFE_INTEGER })),
    }),
  },
  'a schedule goes on, and its job is not written': {
    invariant: 'ticksLost',
    wrap: () => ({ store: (store) => choosing(store, (key) => !isTick(key)) }),
  },
  'a schedule goes on in one write, and its job follows in another': {
    invariant: 'ticksLost',
    wrap: () => ({
      store: (store) =>
        collecting(store, async (changes, sync) => {
          const [ahead, rest] = [
            changes.filter(([key]) => isSchedule(key)),
            changes.filter(([key]) => !isSchedule(key)),
          ];
          if (ahead.length === 0 || rest.length === 0) return writeAll(store, changes, sync);
          await writeAll(store, ahead, sync);
          await writeAll(store, rest, sync);
        }),
    }),
  },
  'a tick that waits for its predecessor is forgotten': {
    invariant: 'ticksLost',
    wrap: () =>
      loading((progress) => {
        const { queuedFor: _, ...rest } = progress;
        return rest;
      }),
  },
  'nothing is made up for': {
    invariant: 'ticksLost',
    wrap: () => loading((progress, definition, now) => resumed({ name: '', definition, progress }, now)),
  },
  'an interval begins anew at each start': {
    invariant: 'ticksInvented',
    wrap: () => loading((progress, _definition, now) => ({ ...progress, anchorAt: now })),
  },
  'an upsert is acknowledged before it is committed': {
    invariant: 'ticksLost',
    wrap: () =>
      schedules((own) => ({
        async upsert(name, schedule) {
          own.upsert(name, schedule).catch(() => {});
        },
      })),
  },
  'a pause is acknowledged and not kept': {
    invariant: 'ticksInvented',
    wrap: () => schedules(() => ({ pause: async () => {} })),
  },
  'a schedule that was removed comes back': {
    invariant: 'ticksInvented',
    wrap: () => ({
      store: (store) =>
        batching(store, (own) => ({
          ...writing(own, (sync) => own.write(sync)),
          del: (key) => (isSchedule(key) ? undefined : own.del(key)),
        })),
    }),
  },
};
