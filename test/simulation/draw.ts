/** Histories as fast-check draws them, and shrinks them to the smallest that fails. */
import * as fc from 'fast-check';
import { queues } from './catalogue.js';
import type { Failure } from './disk.js';
import type { Act, History, Item, Tuning, Until } from './history.js';
import { anyAgedItem, anyItem, anyLargeItem, anyMeteredItem, anyTenantsItem } from './items.js';
import type { End } from './runs.js';
import { DECLARED, NAMES, PLANS } from './schedules.js';

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
  declared: fc.constantFrom(undefined, undefined, ...DECLARED.keys()),
});

type Keyed = Extract<Act, { readonly do: 'enqueueKeyed' }>;
type Entrant = Extract<Act, { readonly do: 'enter' }>['options'][number];

const anyN = fc.nat(MAX_N);
const anyDownMs = fc.constantFrom(0, 0, 0, 40, 1_000, 90_000, 3_600_000);
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
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('enqueueKeyed' as const),
      n: fc.constantFrom(0, 0, 0, 1),
      held: fc.constantFrom<Keyed['held']>(
        'active',
        'active',
        'active',
        'active',
        'queued',
        'queued',
        'retained',
        40,
      ),
      onConflict: fc.constantFrom<Keyed['onConflict']>('return', 'return', 'replace', 'reject'),
      options: fc.constantFrom<Item['options']>(
        {},
        {},
        {},
        { delay: 5 },
        { durability: 'os' },
        { priority: 3 },
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('enqueueMany' as const),
      items: fc.array(anyItem, { minLength: 2, maxLength: 5, size: 'max' }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('enqueueMany' as const),
      items: fc.array(anyTenantsItem, { minLength: 2, maxLength: 7, size: 'max' }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('enqueue' as const), item: anyTenantsItem }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('enqueueMany' as const),
      items: fc.array(anyMeteredItem, { minLength: 2, maxLength: 6, size: 'max' }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('enqueue' as const), item: anyMeteredItem }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('enqueue' as const), item: anyAgedItem }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('enqueue' as const), item: anyLargeItem }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('enqueueNamed' as const), n: fc.nat(2), item: anyLargeItem }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('enter' as const),
      queue: fc.constantFrom('small' as const, 'patient' as const),
      options: fc.array(
        fc.constantFrom<Entrant>({}, {}, {}, { delay: 40 }, { durability: 'os' }, { priority: 3 }),
        {
          minLength: 1,
          maxLength: 3,
          size: 'max',
        },
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('giveUp' as const), n: anyN }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('flood' as const),
      priorities: fc.array(fc.nat(2), { minLength: 4, maxLength: 7, size: 'max' }),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('enqueueFlow' as const),
      jobs: fc.array(
        fc.record({
          item: anyItem,
          parents: fc.nat(15),
          onParentFailure: fc.constantFrom('fail' as const, 'cancel' as const, 'ignore' as const),
        }),
        { minLength: 2, maxLength: 4, size: 'max' },
      ),
    }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constantFrom('cancel' as const, 'await' as const, 'look' as const, 'promote' as const),
      n: anyN,
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('retry' as const), n: anyN }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retryAll' as const), n: fc.nat(2) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('removeJob' as const), n: anyN }) },
  {
    weight: 24,
    arbitrary: fc.record({
      do: fc.constant('end' as const),
      n: anyN,
      how: fc.constantFrom<End>('return', 'return', 'return', 'throw', 'throw', 'snooze', 'giveUp', 'die'),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('followUp' as const), n: anyN, item: anyItem }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('followUp' as const),
      n: anyN,
      item: anyItem,
      named: fc.nat(2),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('checkpoint' as const), n: anyN }) },
  {
    weight: 8,
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
    arbitrary: fc.record({
      do: fc.constant('close' as const),
      timeoutMs: fc.constantFrom(0, 10),
      deploys: fc.boolean(),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('kill' as const), downMs: anyDownMs, deploys: fc.boolean() }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('cutPower' as const), kept: fc.nat(6), downMs: anyDownMs }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('upsert' as const),
      n: fc.nat(NAMES.length - 1),
      plan: fc.nat(PLANS.length - 1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom('pause' as const, 'resume' as const, 'remove' as const, 'runNow' as const),
      n: fc.nat(NAMES.length - 1),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'list' as const }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('find' as const), n: fc.nat(4) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('pauseQueue' as const, 'resumeQueue' as const),
      n: fc.nat(Object.keys(queues).length),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('setClock' as const),
      ms: fc.constantFrom(30, 90_000, 90_000, 3_600_000, -30, -90_000, -3_600_000),
    }),
  },
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
