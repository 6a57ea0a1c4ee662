import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { selector, type Selector } from '../../src/queue/selector.js';

interface Queue {
  readonly name: string;
  readonly weight: number;
}

const CRITICAL: Queue = { name: 'critical', weight: 6 };
const DEFAULT: Queue = { name: 'default', weight: 3 };
const LOW: Queue = { name: 'low', weight: 1 };
const THREE = [CRITICAL, DEFAULT, LOW];

const always = (): boolean => true;

/** The names of the next dispatches. */
function serve(
  chooser: Selector<Queue>,
  count: number,
  isReady: (queue: Queue) => boolean = always,
): string[] {
  return Array.from({ length: count }, () => chooser.next(isReady)?.name ?? '');
}

const countOf = (served: readonly string[], name: string): number =>
  served.filter((other) => other === name).length;

/** The longest run of dispatches of one queue. */
function longestRun(served: readonly string[], name: string): number {
  let longest = 0;
  let run = 0;
  for (const other of served) {
    run = other === name ? run + 1 : 0;
    longest = Math.max(longest, run);
  }
  return longest;
}

const anyQueues = (maxWeight: number): fc.Arbitrary<Queue[]> =>
  fc
    .array(fc.integer({ min: 1, max: maxWeight }), { minLength: 1, maxLength: 6 })
    .map((weights) => weights.map((weight, i) => ({ name: `q${i}`, weight })));

test('full queues weighted 6/3/1 share 10,000 dispatches 60/30/10, exactly', () => {
  const served = serve(selector('weighted', THREE), 10_000);
  expect(THREE.map(({ name }) => countOf(served, name))).toStrictEqual([6_000, 3_000, 1_000]);
});

test('each run of as many dispatches as the weights add up to serves each queue its weight', () => {
  fc.assert(
    fc.property(anyQueues(12), fc.nat(50), (queues, start) => {
      const total = queues.reduce((sum, { weight }) => sum + weight, 0);
      const chooser = selector('weighted', queues);
      serve(chooser, total * start);
      const served = serve(chooser, total);
      for (const { name, weight } of queues) expect(countOf(served, name)).toBe(weight);
    }),
  );
});

test('the dispatches of a queue are spread, not bunched', () => {
  const served = serve(selector('weighted', THREE), 1_000);
  expect(longestRun(served, 'critical')).toBeLessThanOrEqual(3);
  expect(longestRun(served, 'default')).toBe(1);
  expect(serve(selector('weighted', [CRITICAL, DEFAULT]), 9).join(' ')).toBe(
    'critical default critical critical default critical critical default critical',
  );
});

test('the same calls give the same order', () => {
  expect(serve(selector('weighted', THREE), 100)).toStrictEqual(serve(selector('weighted', THREE), 100));
});

test('queues of one weight take turns in the order in which they were declared', () => {
  const equal = ['a', 'b', 'c'].map((name) => ({ name, weight: 2 }));
  expect(serve(selector('weighted', equal), 6)).toStrictEqual(['a', 'b', 'c', 'a', 'b', 'c']);
});

test('what an empty queue leaves is shared by the others according to their weights', () => {
  const served = serve(selector('weighted', THREE), 1_000, ({ name }) => name !== 'critical');
  expect([countOf(served, 'default'), countOf(served, 'low')]).toStrictEqual([750, 250]);
});

test('a queue that becomes ready late does not make up for what it missed', () => {
  fc.assert(
    fc.property(anyQueues(10), fc.integer({ min: 1, max: 500 }), (queues, missed) => {
      const chooser = selector('weighted', queues);
      const [late] = queues;
      const total = queues.reduce((sum, { weight }) => sum + weight, 0);
      serve(chooser, missed, (queue) => queue !== late);
      const served = serve(chooser, 2 * total);
      const weight = late?.weight ?? 0;
      expect(countOf(served.slice(0, total), 'q0')).toBeLessThanOrEqual(weight + 1);
      expect(countOf(served, 'q0')).toBeGreaterThanOrEqual(weight - 1);
    }),
  );
});

test('no ready queue waits for ever, whatever the others do', () => {
  fc.assert(
    fc.property(anyQueues(8), fc.array(fc.nat(63), { minLength: 1, maxLength: 20 }), (queues, readiness) => {
      const chooser = selector('weighted', queues);
      const total = queues.reduce((sum, { weight }) => sum + weight, 0);
      const served: string[] = [];
      // The first queue is always ready, the others come and go in a pattern.
      for (let turn = 0; turn < 40 * total; turn++) {
        const mask = readiness[turn % readiness.length] ?? 0;
        served.push(
          ...serve(chooser, 1, (queue) => queue === queues[0] || (mask >> queues.indexOf(queue)) % 2 === 1),
        );
      }
      expect(countOf(served.slice(0, 20 * total), 'q0')).toBeGreaterThan(0);
      expect(countOf(served.slice(20 * total), 'q0')).toBeGreaterThan(0);
    }),
  );
});

test('with nothing ready nothing is chosen, and nothing is counted', () => {
  const chooser = selector('weighted', THREE);
  expect(serve(chooser, 100, () => false)).toStrictEqual(Array.from({ length: 100 }, () => ''));
  expect(serve(chooser, 10)).toStrictEqual(serve(selector('weighted', THREE), 10));
  expect(selector('weighted', []).next(always)).toBeUndefined();
});

test('strict: a queue is served only while all heavier ones have nothing', () => {
  const chooser = selector('strict', [LOW, CRITICAL, DEFAULT]);
  expect(new Set(serve(chooser, 1_000))).toStrictEqual(new Set(['critical']));
  expect(new Set(serve(chooser, 100, ({ name }) => name !== 'critical'))).toStrictEqual(new Set(['default']));
  expect(serve(chooser, 1, ({ name }) => name === 'low')).toStrictEqual(['low']);
  expect(serve(chooser, 1, () => false)).toStrictEqual(['']);
});

test('strict: of queues of one weight the one declared first comes first', () => {
  const chooser = selector(
    'strict',
    ['a', 'b'].map((name) => ({ name, weight: 1 })),
  );
  expect(serve(chooser, 3)).toStrictEqual(['a', 'a', 'a']);
  expect(serve(chooser, 1, ({ name }) => name === 'b')).toStrictEqual(['b']);
});
