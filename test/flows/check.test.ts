/** How a flow is taken and checked: what it comes to is tested on the engine. */
import { expect, test } from 'vitest';
import type { EnqueueOptions } from '../../src/job-options.js';
import { checkFlow, takeFlow, type AnyFlow } from '../../src/flow.js';

const layers = (above: number, below: number): AnyFlow => {
  const parents = Array.from({ length: above }, (_, i) => `p${i}`);
  return {
    ...Object.fromEntries(parents.map((key) => [key, { name: 'work' }])),
    ...Object.fromEntries(Array.from({ length: below }, (_, i) => [`c${i}`, { name: 'work', parents }])),
  };
};

/** How many steps it takes to check a flow of two full layers. */
const stepsOf = (above: number, below: number): number =>
  [...checkFlow(takeFlow(layers(above, below)))].length;

test.each([
  [1, 2_000],
  [2_000, 1],
  [60, 60],
])('%i jobs above %i are checked in small steps, as many as there are jobs and parents', (above, below) => {
  const [jobs, links] = [above + below, above * below];
  // To pause between: none of them is about more than one job, or one parent.
  expect(stepsOf(above, below)).toBeGreaterThanOrEqual(jobs + links);
  expect(stepsOf(above, below)).toBeLessThanOrEqual(3 * (jobs + links));
});

test('what is checked is what was given, whatever becomes of that', () => {
  const parents = ['a'];
  const options: EnqueueOptions = { delay: '1h' };
  const flow: Record<string, AnyFlow[string]> = {
    a: { name: 'work', options },
    b: { name: 'work', parents },
  };
  const given = takeFlow(flow);
  const check = checkFlow(given);
  check.next();
  parents.push('b', 'none');
  Object.assign(options, { uniqueKey: 'key' });
  delete flow.a;
  expect(() => [...check]).not.toThrow();
  expect([...given]).toEqual([
    ['a', { name: 'work', payload: undefined, options: { delay: '1h' }, parents: [] }],
    ['b', { name: 'work', payload: undefined, parents: ['a'] }],
  ]);
});
