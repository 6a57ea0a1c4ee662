/** Jobs as fast-check draws them. */
import * as fc from 'fast-check';
import type { Item } from './history.js';

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
  { expiresIn: 15 },
  { expiresIn: 1_000, delay: 5 },
  { expiresIn: 5, delay: 40, durability: 'os' },
);
/** Only thread jobs may be in a queue with a limit. */
export const anyItem: fc.Arbitrary<Item> = fc.oneof(
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

/** Of a few tenants, one of which has a key that no name could be. */
export const anyTenantsItem: fc.Arbitrary<Item> = fc.record({
  name: fc.constantFrom('tenant' as const, 'tenant' as const, 'mail' as const, 'work' as const),
  options: fc.constantFrom<Item['options']>(
    { concurrencyKey: 'a' },
    { concurrencyKey: 'a' },
    { concurrencyKey: 'b' },
    { concurrencyKey: 'c!' },
    { concurrencyKey: 'a', priority: 3 },
    { concurrencyKey: 'b', delay: 5 },
    { concurrencyKey: 'a', durability: 'os' },
  ),
});

/** How often such jobs start is limited: by their type, its keys, or the queue. */
export const anyMeteredItem = fc.constantFrom<Item>(
  { name: 'metered', options: {} },
  { name: 'metered', options: {} },
  { name: 'metered', options: { concurrencyKey: 'a' } },
  { name: 'metered', options: { concurrencyKey: 'a', priority: 3 } },
  { name: 'metered', options: { concurrencyKey: 'b', queue: 'dribble' } },
  { name: 'metered', options: { queue: 'dribble', durability: 'os' } },
  { name: 'work', options: { queue: 'dribble' } },
  { name: 'work', options: { queue: 'dribble', delay: 5 } },
);

/** Payloads in files of their own: of jobs that are synced, or a power cut could take one and leave the other. */
export const anyLargeItem = fc.constantFrom<Item>(
  { name: 'work', isLarge: true, options: { durability: 'fsync' } },
  { name: 'work', isLarge: true, options: { durability: 'fsync', delay: 5 } },
  { name: 'aged', isLarge: true, options: { durability: 'fsync' } },
);

/** Their payloads have versions, and may wait for newer code. */
export const anyAgedItem = fc.constantFrom<Item>(
  { name: 'aged', options: {} },
  { name: 'aged', options: { delay: 40 } },
  { name: 'aged', options: { durability: 'os' } },
);
