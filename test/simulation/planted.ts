/**
 * Engines that are wrong on purpose, each composed around the right one: what they do wrong, and the invariant that
 * finds it. A feature of the engine's adds the mistakes that it could make.
 */
import type { Timer } from '../../src/clock.js';
import { MillraceError } from '../../src/index.js';
import type { Outcome } from '../../src/job/outcome.js';
import { encodeError } from '../../src/job/error-data.js';
import type { JobRead } from '../../src/journal/journal.js';
import { lostOutcome } from '../../src/pool/answer.js';
import type { Settled } from '../../src/pool/contract.js';
import { PLANTED_AGAIN } from './planted-again.js';
import { PLANTED_BOUNDS } from './planted-bounds.js';
import { PLANTED_FILES } from './planted-files.js';
import { PLANTED_FLOWS } from './planted-flows.js';
import { PLANTED_RATES } from './planted-rates.js';
import { PLANTED_REQUESTS } from './planted-requests.js';
import { PLANTED_TICKS } from './planted-ticks.js';
import { PLANTED_VERSIONS } from './planted-versions.js';
import { writing } from '../fixtures/writing.js';
import {
  batching,
  choosing,
  engine,
  events,
  indexes,
  journal,
  outcomes,
  pool,
  replacing,
  type Planted,
} from './wrong.js';

export const PLANTED: Readonly<Record<string, Planted>> = {
  'a commit is acknowledged before it is written': {
    invariant: 'lost',
    wrap: () => ({
      store: (store) =>
        batching(store, (own) =>
          writing(own, async (sync) => {
            own.write(sync).catch(() => {});
          }),
        ),
    }),
  },
  'a handler starts before its claim is written': {
    invariant: 'ghosts',
    wrap: () => ({
      store: (store) =>
        batching(store, (own) =>
          writing(own, async (sync) => {
            const written = own.write(sync);
            if (sync) await written;
            else written.catch(() => {});
          }),
        ),
    }),
  },
  'an end is announced before it is committed': {
    invariant: 'finishedTwice',
    wrap: () => {
      let announce: ((end: Settled) => void) | undefined;
      return {
        announcer: (own) => {
          announce = ({ task: { id, name, queue, attempt }, outcome }) => {
            if (outcome.kind !== 'completed') return;
            const event = { id, name, queue, attempt, result: undefined, durationMs: 0 };
            own.emitter.emit('completed', () => event);
          };
          return own;
        },
        events: (own) => ({
          ...own,
          settled: (ends) => {
            for (const end of ends) announce?.(end);
            own.settled(ends);
          },
        }),
      };
    },
  },
  'a claim is not journaled': {
    invariant: 'counterDrift',
    wrap: () =>
      journal((own) => ({
        commit: (change) => (change.isUrgent ? Promise.resolve() : own.commit(change)),
      })),
  },
  'an orphan is left as it is': {
    invariant: 'lost',
    wrap: () => indexes(() => ({ running: async () => ({ rosters: [] }) })),
  },
  'a job that ends keeps its unique key': {
    invariant: 'uniqueKeysLeaked',
    wrap: () => ({
      store: (store) =>
        batching(store, (own) => ({
          ...writing(own, (sync) => own.write(sync)),
          del: (key) => (key.startsWith('u!') ? undefined : own.del(key)),
        })),
    }),
  },
  'who looks for the holder of a unique key finds none': {
    invariant: 'uniqueKeysDoubled',
    wrap: () => journal(() => ({ keyEntries: async (keys) => keys.map(() => undefined) })),
  },
  'counters go into the batch after the one that they belong to': {
    invariant: 'counterDrift',
    wrap: () => {
      const late = new Map<string, Uint8Array>();
      return {
        store: (store) =>
          batching(store, (own) => ({
            ...writing(own, (sync) => own.write(sync)),
            put(key, value) {
              if (!key.startsWith('c!')) return own.put(key, value);
              const before = late.get(key);
              if (before) own.put(key, before);
              late.set(key, new Uint8Array(value));
            },
          })),
      };
    },
  },
  'a write that asks for a sync gets none': {
    invariant: 'lost',
    wrap: () => {
      // The first makes the journal one: without its format none of it could be read.
      let isMade = false;
      return {
        store: (store) =>
          batching(store, (own) =>
            writing(own, (sync) => {
              const isFirst = !isMade;
              isMade = true;
              return own.write(sync && isFirst);
            }),
          ),
      };
    },
  },
  'a pause is not journaled': {
    invariant: 'ranWhilePaused',
    wrap: () => ({ store: (store) => choosing(store, (key) => !key.startsWith('p!')) }),
  },
  'pauses are not looked up when the journal opens': {
    invariant: 'ranWhilePaused',
    wrap: () => indexes(() => ({ pauses: async () => [] })),
  },
  'a refill skips a record': {
    invariant: 'lost',
    wrap: () =>
      indexes((own) => ({
        async ready(queue, name, after, limit) {
          const page = await own.ready(queue, name, after, limit);
          return after === undefined ? page : { ...page, entries: page.entries.slice(1) };
        },
      })),
  },
  'an attempt that errored is not counted': {
    invariant: 'miscounted',
    wrap: () => outcomes(({ outcome }) => (outcome.kind === 'errored' ? { kind: 'released' } : outcome)),
  },
  'an attempt that was snoozed is counted': {
    invariant: 'miscounted',
    wrap: () =>
      outcomes(({ outcome }) =>
        outcome.kind === 'snoozed'
          ? { kind: 'errored', error: encodeError(new Error('busy')), unrecoverable: false }
          : outcome,
      ),
  },
  'a job that was snoozed comes back at once': {
    invariant: 'backEarly',
    wrap: () =>
      outcomes(({ outcome }) => (outcome.kind === 'snoozed' ? { ...outcome, delayMs: 0 } : outcome)),
  },
  'an innocent neighbour is blamed': {
    invariant: 'blamed',
    wrap: () =>
      journal((own) => ({
        indexes: replacing(own.indexes, (indexes) => ({
          async running(after, limit) {
            const { rosters } = await indexes.running(after, limit);
            return {
              rosters: rosters.slice(0, 1).map((roster) => ({ ...roster, ids: roster.ids.slice(0, 1) })),
            };
          },
        })),
        async jobs(ids) {
          const reads = await own.jobs(ids);
          return reads.map((read) =>
            read && 'status' in read ? { ...read, status: { ...read.status, suspicions: 2 } } : read,
          );
        },
      })),
  },
  'writing goes on after a write has failed': {
    invariant: 'lost',
    wrap: () => ({
      store: (store) => batching(store, (own) => writing(own, (sync) => own.write(sync).catch(() => {}))),
    }),
  },
  'an outage is over before the store has been opened again': {
    invariant: 'lost',
    wrap: () => ({ store: (store) => ({ ...batching(store, (own) => own), reopen: async () => {} }) }),
  },
  'an outcome that comes in an outage is dropped': {
    invariant: 'lost',
    wrap: () => {
      let hasFailed = (): boolean => false;
      return {
        journal: (own) => {
          hasFailed = () => own.failure !== undefined;
          return own;
        },
        events: (own) => ({
          ...own,
          settled: (ends) => {
            if (!hasFailed()) own.settled(ends);
          },
        }),
      };
    },
  },
  'a timer that is set anew is forgotten': {
    invariant: 'lost',
    wrap: () => {
      let wasCancelled = false;
      return {
        clock: (own) => ({
          now: () => own.now(),
          monotonic: () => own.monotonic(),
          setTimer(callback, delayMs): Timer {
            if (wasCancelled) return { cancel: () => {} };
            const timer = own.setTimer(callback, delayMs);
            return {
              cancel: () => {
                wasCancelled = true;
                timer.cancel();
              },
            };
          },
        }),
      };
    },
  },
  'a job is claimable before its thread has gone': {
    invariant: 'ranConcurrently',
    wrap: () =>
      events((own) => ({
        stopping(task) {
          own.stopping(task);
          own.settled([{ task, outcome: lostOutcome(task, 'timedOut') }]);
        },
      })),
  },
  'an inline job runs beside its old promise': {
    invariant: 'ranConcurrently',
    wrap: () => ({ inline: (own) => pool(own, { isLingering: () => false }) }),
  },
  'jobs that come together go in two batches': {
    invariant: 'torn',
    wrap: () =>
      engine((own) => ({
        async enqueueMany(items) {
          const [first, ...others] = items;
          const one = first ? await own.enqueueMany([first]) : [];
          return [...one, ...(await own.enqueueMany(others))];
        },
      })),
  },
  'a cancel is acknowledged before it is committed': {
    invariant: 'lost',
    wrap: () =>
      engine((own) => ({
        async cancel(id) {
          own.cancel(id).catch(() => {});
          return 'cancelled';
        },
      })),
  },
  'an id makes a second job': {
    invariant: 'counterDrift',
    wrap: () => {
      let isBlind = false;
      return {
        ...journal((own) => ({
          jobs: async (ids) => (isBlind ? ids.map(() => undefined) : own.jobs(ids)),
        })),
        ...engine((own) => ({
          enqueue(name, payload, options) {
            // The journal is asked for the id before this call returns.
            isBlind = options?.id !== undefined;
            const enqueued = own.enqueue(name, payload, options);
            isBlind = false;
            return enqueued;
          },
        })),
      };
    },
  },
  'an end is told twice': {
    invariant: 'announcedTwice',
    wrap: () => ({
      announcer: (own) =>
        replacing(own, (right) => ({
          settled(before, job) {
            right.settled(before, job);
            right.settled(before, job);
          },
        })),
    }),
  },
  'a job gets the result of the one before': {
    invariant: 'mixedUp',
    wrap: () => {
      let last: Outcome | undefined;
      return outcomes(({ outcome }) => {
        if (outcome.kind !== 'completed') return outcome;
        const other = last ?? outcome;
        last = outcome;
        return other;
      });
    },
  },
  'a mark is raised too far': {
    invariant: 'lost',
    wrap: () => journal((own) => ({ raiseMark: (from) => own.raiseMark(from, `${from}~`) })),
  },
  'a deadline is left behind': {
    invariant: 'leftover',
    wrap: () => ({
      store: (store) =>
        batching(store, (own) => ({
          ...writing(own, (sync) => own.write(sync)),
          del(key) {
            if (!key.startsWith('x!')) own.del(key);
          },
        })),
    }),
  },
  'nobody looks at deadlines': {
    invariant: 'startedLate',
    wrap: () =>
      journal((own) => ({
        deadlines: async () => ({ entries: [] }),
        jobs: async (ids) => (await own.jobs(ids)).map(withoutDeadline),
      })),
  },
  'a limit is not kept': {
    invariant: 'overLimit',
    wrap: () => ({
      settings: (own) => ({
        ...own,
        types: new Map([...own.types].map(([name, type]) => [name, { ...type, concurrency: Infinity }])),
      }),
    }),
  },
  'the limit of a key is not kept': {
    invariant: 'overKeyLimit',
    wrap: () => ({
      settings: (own) => ({
        ...own,
        types: new Map(
          [...own.types].map(([name, type]) => [name, { ...type, concurrencyPerKey: Infinity }]),
        ),
      }),
    }),
  },
  'the lanes of some keys are not found': {
    invariant: 'lost',
    wrap: () =>
      indexes((own) => ({
        async readyLanes(span, limit) {
          const page = await own.readyLanes(span, limit);
          return { ...page, lanes: page.lanes.slice(0, 1) };
        },
      })),
  },
  ...PLANTED_TICKS,
  ...PLANTED_FLOWS,
  ...PLANTED_REQUESTS,
  ...PLANTED_AGAIN,
  ...PLANTED_RATES,
  ...PLANTED_BOUNDS,
  ...PLANTED_VERSIONS,
  ...PLANTED_FILES,
  'closing is over before it is': {
    invariant: 'broke',
    wrap: () =>
      engine((own) => ({
        async close(timeoutMs) {
          void own.close(timeoutMs);
        },
      })),
  },
  'a value is damaged on its way to the disk': {
    invariant: 'unreadable',
    wrap: () => ({
      store: (store) =>
        batching(store, (own) => ({
          ...writing(own, (sync) => own.write(sync)),
          put(key, value) {
            const isStatus = key.startsWith('s!');
            own.put(key, isStatus ? value.map((byte, i) => (i === 8 ? byte ^ 1 : byte)) : value);
          },
        })),
    }),
  },
};

function withoutDeadline(read: JobRead): JobRead {
  if (read === undefined || read instanceof MillraceError) return read;
  const { deadlineAt: _, ...spec } = read.spec;
  return { ...read, spec };
}
