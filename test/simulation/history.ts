/** What can happen to an engine, as data: drawn by fast-check, which also finds the smallest history that fails. */
import * as fc from 'fast-check';
import type { Durability, EnqueueOptions, Selection } from '../../src/index.js';
import type { Name, Queue } from './catalogue.js';
import type { Failure } from './disk.js';
import type { End } from './runs.js';
import type { Access, StoreOptions } from './store.js';

/** How the engines of a history are opened. */
export interface Tuning extends StoreOptions {
  readonly durability: Durability;
  readonly threads: number;
  readonly selection: Selection;
  /** How many jobs of a type a queue keeps in memory. */
  readonly windowSize: number;
  /** What the disk does first of all that it is asked for. */
  readonly first: 'asked' | Access;
}

/** A job that is enqueued. */
export interface Item {
  readonly name: Name;
  readonly options: Omit<EnqueueOptions<Queue>, 'id'>;
}

/** `n` picks one of those that there are. */
export type Act =
  | { readonly do: 'enqueue'; readonly item: Item; readonly and?: 'await' | 'cancel' }
  /** With an id that is used again and again. */
  | { readonly do: 'enqueueNamed'; readonly n: number; readonly item: Item }
  | { readonly do: 'enqueueMany'; readonly items: readonly Item[] }
  /** As many jobs of one type as no window holds that is small, with priorities as they come. */
  | { readonly do: 'flood'; readonly priorities: readonly number[] }
  | { readonly do: 'cancel' | 'await' | 'look'; readonly n: number }
  /** A handler comes to its end. */
  | { readonly do: 'end'; readonly n: number; readonly how: End }
  | { readonly do: 'advance'; readonly ms: number }
  /** The next write will fail, and so many tries to open the disk again. */
  | { readonly do: 'failWrite'; readonly failure: Failure; readonly opens: number }
  | { readonly do: 'close'; readonly timeoutMs: number }
  /** The process dies; all that was written survives, and another one opens. */
  | { readonly do: 'kill' }
  /** The power is cut: so many batches that were not synced survive, or nearly as many as there are. */
  | { readonly do: 'cutPower'; readonly kept: number }
  | { readonly do: 'nothing' };

/** How far everything gets after an act, before the next one. */
export type Until =
  /** To its rest. */
  | 'rest'
  /** As far as it gets without the disk. */
  | 'disk'
  /** The same, with one write or read that gets through. */
  | 'write'
  | 'read'
  /** As far as it gets with one of the two alone. */
  | 'writes'
  | 'reads';

export interface Step {
  readonly act: Act;
  readonly until: Until;
}

export interface History {
  readonly tuning: Tuning;
  readonly steps: readonly Step[];
  /** The last process lives on to do all that is left, so that nothing comes to light only when another one opens. */
  readonly livesOn: boolean;
}

const MAX_STEPS = 24;
const MAX_N = 20;

const anyTuning: fc.Arbitrary<Tuning> = fc.record({
  durability: fc.constantFrom('fsync', 'os'),
  threads: fc.constantFrom(1, 2, 3),
  selection: fc.constantFrom('weighted', 'strict'),
  windowSize: fc.constantFrom(1_000, 2, 2, 3, 4),
  readsEarly: fc.boolean(),
  readsBackwards: fc.boolean(),
  first: fc.constantFrom('asked', 'write', 'write', 'read'),
});

/** Whole sets, for drawing each option by itself would take longer than running the history. */
const anyOptions = fc.constantFrom<Item['options']>(
  {},
  {},
  {},
  {},
  { delay: 5 },
  { delay: 40 },
  { delay: 90_000 },
  { priority: 3 },
  { priority: -2 },
  { priority: 3, delay: 5 },
  { maxAttempts: 1 },
  { maxAttempts: 5, priority: 1 },
  { durability: 'os' },
  { durability: 'os' },
  { durability: 'os', delay: 5 },
  { durability: 'fsync' },
  { durability: 'fsync', delay: 5 },
);
/** Only thread jobs may be in a queue with a limit. */
const anyItem: fc.Arbitrary<Item> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ name: fc.constant('work' as const), options: anyOptions }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom<Item>(
      { name: 'work', options: { queue: 'low' } },
      { name: 'work', options: { timeout: 5 } },
      { name: 'work', options: { timeout: 5, priority: 1 } },
      { name: 'narrow', options: { queue: 'default' } },
      { name: 'work', options: { queue: 'low', timeout: 5, durability: 'os' } },
    ),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      name: fc.constantFrom('narrow' as const, 'mail' as const, 'call' as const),
      options: anyOptions,
    }),
  },
);

const anyN = fc.nat(MAX_N);
const nothing = { do: 'nothing' } as const;

const anyAct: fc.Arbitrary<Act> = fc.oneof(
  { withCrossShrink: true },
  { weight: 1, arbitrary: fc.constant(nothing) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constant('enqueue' as const),
      item: anyItem,
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('enqueue' as const),
      item: anyItem,
      and: fc.constantFrom('await' as const, 'cancel' as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('enqueueNamed' as const), n: fc.nat(2), item: anyItem }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('enqueueMany' as const),
      items: fc.array(anyItem, { minLength: 2, maxLength: 5, size: 'max' }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('flood' as const),
      priorities: fc.array(fc.nat(2), { minLength: 4, maxLength: 7, size: 'max' }),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constantFrom('cancel' as const, 'await' as const, 'look' as const),
      n: anyN,
    }),
  },
  {
    weight: 18,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      n: anyN,
      how: fc.constantFrom<End>('return', 'return', 'return', 'throw', 'throw', 'giveUp', 'die'),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      ms: fc.constantFrom(0, 1, 5, 15, 15, 40, 40, 1_000, 90_000),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('failWrite' as const),
      failure: fc.constantFrom<Failure>('nothing', 'all', 'unsynced'),
      opens: fc.constantFrom(0, 0, 0, 1, 2),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('close' as const), timeoutMs: fc.constantFrom(0, 10) }),
  },
  { weight: 2, arbitrary: fc.constant({ do: 'kill' as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cutPower' as const), kept: fc.nat(6) }) },
);

/** Mostly to their rest, and often not, so that what is asked overlaps. */
const anyUntil = fc.constantFrom<Until>(
  'rest',
  'rest',
  'rest',
  'rest',
  'disk',
  'disk',
  'write',
  'write',
  'read',
  'writes',
  'reads',
);

export const anyHistory: fc.Arbitrary<History> = fc.record({
  tuning: anyTuning,
  livesOn: fc.boolean(),
  steps: fc.array(fc.record({ act: anyAct, until: anyUntil }), {
    minLength: 1,
    maxLength: MAX_STEPS,
    size: 'max',
  }),
});
