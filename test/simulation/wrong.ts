/** How a part of an engine is made to be wrong: each of these puts something around the right one. */
import type { Indexes } from '../../src/journal/indexes.js';
import type { Journal } from '../../src/journal/journal.js';
import type { Store, StoreBatch } from '../../src/journal/store.js';
import type { Outcome } from '../../src/job/outcome.js';
import type { Pool, PoolEvents, Settled } from '../../src/pool/contract.js';
import type { EmbeddedEngine } from '../../src/runtime/embedded-engine.js';
import type { ScheduleControl } from '../../src/runtime/schedule-control.js';
import type { Definition, Progress } from '../../src/schedule/record.js';
import { decodeSchedule, encodeSchedule } from '../../src/schedule/record-format.js';
import type { Wraps } from './process.js';

/** An engine that is wrong. */
export interface Planted {
  /** What finds it. */
  readonly invariant: string;
  readonly wrap: () => Wraps;
}

/** A store with another way to make batches. */
export const batching = (store: Store, batch: (own: StoreBatch) => StoreBatch): Store => ({
  batch: () => batch(store.batch()),
  getMany: (keys) => store.getMany(keys),
  page: (range) => store.page(range),
  view: () => store.view(),
  reopen: () => store.reopen(),
  close: () => store.close(),
});

/** Replaces methods of an object that is otherwise left as it is. */
export function replacing<Part extends object>(part: Part, methods: (own: Part) => Partial<Part>): Part {
  // A copy whose methods are bound: those of a class with private fields cannot be called on another object.
  const own = new Proxy(part, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  const replaced = methods(own);
  return new Proxy(part, {
    get: (_target, name) => Reflect.get(name in replaced ? replaced : own, name),
    set: (target, name, value) => Reflect.set(target, name, value, target),
  });
}

export const journal = (methods: (own: Journal) => Partial<Journal>): Wraps => ({
  journal: (own) => replacing(own, methods),
});
export const indexes = (methods: (own: Indexes) => Partial<Indexes>): Wraps =>
  journal((own) => ({ indexes: replacing(own.indexes, methods) }));
export const engine = (methods: (own: EmbeddedEngine) => Partial<EmbeddedEngine>): Wraps => ({
  engine: (own) => replacing(own, methods),
});
export const pool = (own: Pool, methods: Partial<Pool>): Pool => replacing(own, () => methods);
export const events = (methods: (own: PoolEvents) => Partial<PoolEvents>): Wraps => ({
  events: (own) => ({ ...own, ...methods(own) }),
});
/** Each outcome that is told of becomes another. */
export const outcomes = (change: (settled: Settled) => Outcome): Wraps =>
  events((own) => ({
    settled: (ends) => own.settled(ends.map((end) => ({ ...end, outcome: change(end) }))),
  }));

type Change = readonly [key: string, value: Uint8Array | undefined];

/** Of the schedules, in the journal. */
export const isSchedule = (key: string): boolean => key.startsWith('h!');
/** The record of a tick's job. */
export const isTick = (key: string): boolean => /^j!.+@.+Z$/.test(key);

/** A store whose batches are handed over, as they are to be written. */
export const collecting = (
  store: Store,
  write: (changes: readonly Change[], sync: boolean) => Promise<void>,
): Store =>
  batching(store, () => {
    const changes: Change[] = [];
    return {
      get length() {
        return changes.length;
      },
      // Copies, for the caller may use its buffer again.
      put: (key, value) => void changes.push([key, new Uint8Array(value)]),
      del: (key) => void changes.push([key, undefined]),
      write: (sync) => write(changes, sync),
    };
  });

export async function writeAll(store: Store, changes: readonly Change[], sync: boolean): Promise<void> {
  const batch = store.batch();
  for (const [key, value] of changes) {
    if (value) batch.put(key, value);
    else batch.del(key);
  }
  await batch.write(sync);
}

/** A store that leaves out some of what it is given, by its key and all that come with it. */
export const choosing = (store: Store, isKept: (key: string, keys: readonly string[]) => boolean): Store =>
  collecting(store, (changes, sync) => {
    const keys = changes.map(([key]) => key);
    return writeAll(
      store,
      changes.filter(([key]) => isKept(key, keys)),
      sync,
    );
  });

/** Schedules are read as something else than they are. */
export function loading(
  change: (progress: Progress, definition: Definition, now: number) => Progress,
): Wraps {
  let now = (): number => 0;
  return {
    clock: (own) => {
      now = () => own.now();
      return own;
    },
    ...indexes((own) => ({
      async schedules(after, limit) {
        const page = await own.schedules(after, limit);
        const schedules = page.schedules.map(({ name, record }) => {
          const { definition, progress } = decodeSchedule(name, record);
          return {
            name,
            record: encodeSchedule({ name, definition, progress: change(progress, definition, now()) }),
          };
        });
        return { ...page, schedules };
      },
    })),
  };
}

export const schedules = (methods: (own: ScheduleControl) => Partial<ScheduleControl>): Wraps =>
  engine((own) => ({ schedules: replacing(own.schedules, methods) }));
