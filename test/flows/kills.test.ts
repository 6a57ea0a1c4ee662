/** The process is killed at every write of a flow's life, before the disk has it and after: no job is lost, stuck or told twice. */
import { expect, test } from 'vitest';
import type { Kill } from '../fixtures/killable-store.js';
import { FlowBench, expectedStates, item } from './bench.js';

const FLOW = {
  root: item('root'),
  left: item('left', ['root']),
  wrong: item('wrong', ['root'], { act: 'throw' }),
  both: item('both', ['left', 'wrong'], { onParentFailure: 'ignore' }),
  none: item('none', ['wrong']),
  off: item('off', ['none'], { onParentFailure: 'cancel' }),
  last: item('last', ['both', 'off'], { onParentFailure: 'ignore' }),
};
const keys = Object.keys(FLOW);
const ids = keys.map((key) => `flow/${key}`);
const expected = expectedStates(FLOW, (key) => (key === 'wrong' ? 'throw' : 'return'));

/** Whoever was killed is followed by another process, to which nothing happens; it is asked for the same flow. */
async function live(kill?: Kill): Promise<FlowBench> {
  const bench = new FlowBench();
  await bench.start(kill);
  if (!bench.store.isDead) await bench.run(FLOW, 'flow');
  if (bench.store.isDead) {
    await bench.start();
    await bench.run(FLOW, 'flow');
  }
  return bench;
}

async function check(bench: FlowBench): Promise<void> {
  expect(await bench.states(ids)).toEqual(keys.map((key) => expected[key]));
  const { completed, failed, cancelled, ...others } = await bench.engine.counts();
  expect({ completed, failed, cancelled }).toEqual({ completed: 4, failed: 2, cancelled: 1 });
  expect(Object.values(others).every((count) => count === 0)).toBe(true);
  for (const label of ['none', 'off']) expect(bench.begun).not.toContain(label);
  const begun = (label: string): number => bench.begun.indexOf(label);
  expect(begun('both')).toBeGreaterThan(Math.max(begun('left'), begun('wrong')));
  expect(begun('last')).toBeGreaterThan(begun('both'));
  expect(bench.warnings).toEqual([]);
  await bench.end();
}

test('without a kill', async () => {
  await check(await live());
});

test('killed at any write', async () => {
  const { writes } = (await live()).store;
  expect(writes).toBeGreaterThan(10);
  for (let write = 1; write <= writes; write++)
    for (const when of ['before', 'after'] as const) await check(await live({ write, when }));
});
