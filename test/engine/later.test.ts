/** Jobs for later: delay and runAt. */
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { bench, record, scriptedInline } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';

async function onFakeClock() {
  const { options, closing } = await bench();
  const clock = new FakeClock();
  const all = { ...options, jobs: { work: scriptedInline() }, clock };
  const mill = closing(await Millrace.open(all));
  return {
    mill,
    clock,
    events: record(mill, 'started'),
    reopen: async () => closing(await Millrace.open(all)),
  };
}

const value = { do: 'return', value: 'ran' } as const;

test.each([
  ['a delay in milliseconds', () => ({ delay: 90_000 })],
  ['a delay in words', () => ({ delay: '1.5m' as const })],
  ['an instant', (now: number) => ({ runAt: now + 90_000 })],
  ['a Date', (now: number) => ({ runAt: new Date(now + 90_000) })],
])('a job with %s runs when it is due, not before', async (_what, option) => {
  const { mill, clock, events } = await onFakeClock();
  const job = await mill.enqueue('work', value, option(clock.now()));
  expect(await job.snapshot()).toMatchObject({ state: 'scheduled', runAt: clock.now() + 90_000 });
  await clock.armed(60_000);
  await clock.advance(89_999);
  // Another job runs through meanwhile.
  await (await mill.enqueue('work', value)).result();
  expect(events.all).toHaveLength(1);
  expect(await job.snapshot()).toMatchObject({ state: 'scheduled' });
  await clock.advance(1);
  expect(await job.result()).toBe('ran');
});

test.each([
  ['no delay', { delay: 0 }],
  ['an instant that has passed', { runAt: 1 }],
])('a job with %s runs at once', async (_what, option) => {
  const { mill } = await onFakeClock();
  expect(await (await mill.enqueue('work', value, option)).result()).toBe('ran');
});

test('a job that is due sooner than all others sets the timer anew', async () => {
  const { mill, clock, events } = await onFakeClock();
  const late = await mill.enqueue('work', value, { delay: '30s' });
  await mill.enqueue('work', value, { delay: '20s', id: 'sooner' });
  await mill.enqueue('work', value, { delay: '10s', id: 'soonest' });
  await clock.armed(10_000);
  await clock.advance(10_000);
  await events.until(([, value]) => 'id' in value && value.id === 'soonest');
  await clock.armed(10_000);
  await clock.advance(10_000);
  await events.until(([, value]) => 'id' in value && value.id === 'sooner');
  await clock.advance(10_000);
  expect(await late.result()).toBe('ran');
});

test('jobs that became due while nobody ran them run after the next open, the first due first', async () => {
  const { mill, clock, reopen } = await onFakeClock();
  for (const [id, delay] of [
    ['third', '3h'],
    ['first', '1h'],
    ['second', '2h'],
  ] as const) {
    await mill.enqueue('work', value, { id, delay });
  }
  const far = await mill.enqueue('work', value, { delay: '30d' });
  await mill.close();
  await clock.advance(86_400_000);
  const again = await reopen();
  const finished = record(again, 'completed');
  await finished.reached(3);
  expect(finished.all.map(([, value]) => 'id' in value && value.id)).toHaveLength(3);
  expect(await again.job(far.id)).toMatchObject({ state: 'scheduled' });
});

test('more jobs than one page become due at the same time, and all run', async () => {
  const { mill, clock } = await onFakeClock();
  const enqueue = () => mill.enqueue('work', value, { delay: '1m', durability: 'os' });
  await Promise.all(Array.from({ length: 1_300 }, enqueue));
  expect((await mill.counts()).scheduled).toBe(1_300);
  const completed = record(mill, 'completed');
  await clock.armed(60_000);
  await clock.advance(60_000);
  await completed.reached(1_300);
  expect(await mill.counts()).toMatchObject({ scheduled: 0, completed: 1_300 });
});

test('a clock that is set forward makes jobs due within a minute', async () => {
  const { mill, clock } = await onFakeClock();
  const job = await mill.enqueue('work', value, { delay: '1d' });
  await clock.armed(60_000);
  clock.jump(86_400_000);
  await clock.advance(60_000);
  expect(await job.result()).toBe('ran');
});
