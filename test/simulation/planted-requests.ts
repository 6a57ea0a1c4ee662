/** Engines that are wrong in what handlers ask them for. */
import { MillraceError, type EnqueueOptions } from '../../src/index.js';
import { decode } from '../../src/job/codec.js';
import type { JobRead } from '../../src/journal/journal.js';
import type { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import { collecting, journal, writeAll, type Planted } from './wrong.js';
import type { Wraps } from './process.js';

export const PLANTED_REQUESTS: Readonly<Record<string, Planted>> = {
  'a follow-up is enqueued when it is asked for': {
    invariant: 'followUpsLeaked',
    wrap: () => {
      let engine: EmbeddedEngine | undefined;
      return {
        engine: (own) => (engine = own),
        events: (own) => ({
          ...own,
          async request(task, request) {
            if (request.kind !== 'enqueue' || !engine) return own.request(task, request);
            const { name, payload, options } = request;
            // Safe: histories have handlers ask for what they ask of an engine.
            const given = options && (decode(options) as EnqueueOptions);
            return (await engine.enqueue(name, decode(payload), given)).id;
          },
        }),
      };
    },
  },
  'follow-ups are committed before the outcome': {
    invariant: 'followUpsDoubled',
    wrap: () =>
      apart(async (followUps, others, write) => {
        if (followUps.length > 0) await write(followUps);
        await write(others);
      }),
  },
  'follow-ups go into the batch after the outcome': {
    invariant: 'followUpsLost',
    wrap: () => {
      let late: Changes = [];
      return apart((followUps, others, write) => {
        const changes = [...late, ...others];
        late = followUps;
        return write(changes);
      });
    },
  },
  'a checkpoint is not looked for': {
    invariant: 'checkpointLost',
    wrap: () => journal((own) => ({ jobs: async (ids) => (await own.jobs(ids)).map(withoutCheckpoint) })),
  },
  'a checkpoint is acknowledged before it is written': {
    invariant: 'checkpointLost',
    wrap: () => ({
      events: (own) => ({
        ...own,
        async request(task, request) {
          const reply = own.request(task, request);
          if (request.kind !== 'checkpoint') return reply;
          reply.catch(() => {});
          return undefined;
        },
      }),
    }),
  },
};

type Changes = Parameters<typeof writeAll>[1];

/** @param write Gets the records of follow-ups, and the other changes that come with them. */
function apart(
  write: (followUps: Changes, others: Changes, write: (some: Changes) => Promise<void>) => Promise<void>,
): Wraps {
  const specs = new Set<string>();
  return {
    events: (own) => ({
      ...own,
      async request(task, request) {
        const reply = await own.request(task, request);
        if (request.kind === 'enqueue') specs.add(`j!${String(reply)}`);
        return reply;
      },
    }),
    store: (store) =>
      collecting(store, (changes, sync) => {
        const isOfFollowUp = ([key]: Changes[number]): boolean => specs.has(key);
        const others = changes.filter((change) => !isOfFollowUp(change));
        return write(changes.filter(isOfFollowUp), others, (some) => writeAll(store, some, sync));
      }),
  };
}

function withoutCheckpoint(read: JobRead): JobRead {
  if (read === undefined || read instanceof MillraceError) return read;
  const { hasCheckpoint: _, ...status } = read.status;
  return { ...read, status };
}
