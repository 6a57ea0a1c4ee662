/** What a caller gives is taken when it is given: an array that is emptied behind the call, or options that are used again, change nothing. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type EnqueueOptions } from '../../src/index.js';
import { bench } from '../fixtures/engine.js';

/** More than one slice builds. */
const MANY = 10_000;
/** So large that it is written to a file first. */
const large = 'x'.repeat(70_000);

async function open() {
  const { options, closing } = await bench();
  const jobs = { work: inlineJob((payload: unknown) => payload, { retention: { completed: '1h' } }) };
  const mill = closing(await Millrace.open({ ...options, jobs, durability: 'os' }));
  return { mill, options };
}

test('an array that is emptied behind the call', async () => {
  const { mill } = await open();
  const buffer = Array.from({ length: MANY }, (_, i) => ({ name: 'work' as const, payload: i }));
  const many = mill.enqueueMany(buffer);
  buffer.length = 0;
  expect(await many).toHaveLength(MANY);
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: MANY });
});

test('options that are changed behind the call, while the payload is written', async () => {
  const { mill, options } = await open();
  await (await mill.enqueue('work', 'first', { id: 'pay' })).result();
  const given: EnqueueOptions<'default'> = { id: 'pay' };
  const again = mill.enqueue('work', large, given);
  delete given.id;
  expect(await (await again).result()).toBe('first');
  const many = { id: 'pay' } as EnqueueOptions<'default'>;
  const together = mill.enqueueMany([{ name: 'work', payload: large, options: many }]);
  delete many.id;
  expect(await (await together)[0]?.result()).toBe('first');
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: 1 });
  await mill.close();
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
});

test('a flow that is emptied behind the call', async () => {
  const { mill } = await open();
  const parents = ['first'];
  const first = {
    name: 'work',
    payload: large,
    options: { delay: '1h' } as EnqueueOptions<'default'>,
  } as const;
  const flow: Record<string, object> = { first, second: { name: 'work', parents } };
  const enqueued = mill.enqueueFlow(flow as never, { id: 'flow' }) as Promise<object>;
  parents.length = 0;
  delete first.options.delay;
  for (const key of Object.keys(flow)) delete flow[key];
  expect(Object.keys(await enqueued)).toEqual(['first', 'second']);
  expect(await mill.job('flow/first')).toMatchObject({ state: 'scheduled' });
  expect(await mill.job('flow/second')).toMatchObject({ state: 'waiting' });
});
