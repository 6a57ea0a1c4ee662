/** What is particular to handlers on the event loop: nothing can end them. */
import { expect, test } from 'vitest';
import type { JobContext } from '../../src/index.js';
import { InlinePool, type InlineHandler } from '../../src/pool/inline-pool.js';
import type { Task } from '../../src/pool/contract.js';
import { deferred } from '../fixtures/deferred.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { needOf, poolBench, resultOf, run, task } from './news.js';

/** A handler that a test ends by hand. */
function heldHandler() {
  const { promise, resolve: end } = deferred<unknown>();
  return { handler: () => promise, end };
}

function inline(handlers: Record<string, InlineHandler>, clock: FakeClock) {
  return poolBench(async (events, given) => new InlinePool(handlers, events, given), clock);
}

const named = (limits: Partial<Task> = {}): Task => task({ do: 'return' }, limits);

test('a handler that goes on after its grace keeps its place, and its job lingers', async () => {
  const { handler } = heldHandler();
  const clock = new FakeClock();
  const { pool, news } = await inline({ scripted: { handler, concurrency: 2 } }, clock);
  const one = named({ timeoutMs: 1_000, graceMs: 100 });
  run(pool, one);
  await clock.advance(1_000);
  expect(news.story()).toEqual([]);
  await clock.advance(100);
  expect((await news.outcome(one)).kind).toBe('timedOut');
  expect((await news.warned('MILLRACE_INLINE_STUCK')).message).toContain(one.id);
  expect(pool.isLingering(one.id)).toBe(true);

  run(pool, named());
  expect(pool.hasRoom(needOf('scripted'))).toBe(false);
});

test('a result that comes too late is ignored, and then the job lingers no more', async () => {
  const { handler, end } = heldHandler();
  const clock = new FakeClock();
  const { pool, news } = await inline({ scripted: { handler, concurrency: 1 } }, clock);
  const one = named({ timeoutMs: 1_000, graceMs: 100 });
  run(pool, one);
  await clock.advance(1_100);
  await news.outcome(one);
  end('too late');
  await news.all.until((news) => news.kind === 'available');
  expect(news.story()).toEqual([`${one.id} timedOut`]);
  expect(pool.isLingering(one.id)).toBe(false);
  expect(pool.hasRoom(needOf('scripted'))).toBe(true);
});

test('each job type has its own number of places', async () => {
  const [first, second] = [heldHandler(), heldHandler()];
  const handlers = {
    first: { handler: first.handler, concurrency: 1 },
    second: { handler: second.handler, concurrency: 2 },
  };
  const { pool } = await inline(handlers, new FakeClock());
  run(pool, named({ name: 'first' }));
  expect(pool.hasRoom(needOf('first'))).toBe(false);
  run(pool, named({ name: 'second' }));
  expect(pool.hasRoom(needOf('second'))).toBe(true);
  expect(pool.hasRoom(needOf('unknown'))).toBe(false);
});

test('a timeout may be longer than a timer can be set for', async () => {
  const { handler, end } = heldHandler();
  const clock = new FakeClock();
  const { pool, news } = await inline({ scripted: { handler, concurrency: 1 } }, clock);
  const one = named({ timeoutMs: 40 * 86_400_000 });
  run(pool, one);
  await clock.advance(30 * 86_400_000);
  end('in time');
  expect(resultOf(await news.outcome(one))).toBe('in time');
});

test('no timer is left behind', async () => {
  const clock = new FakeClock();
  const { pool, news } = await inline({ scripted: { handler: () => 'done', concurrency: 1 } }, clock);
  const one = named({ timeoutMs: 1_000 });
  run(pool, one);
  await news.outcome(one);
  expect(clock.isIdle).toBe(true);
});

test('what a handler tells after its outcome was decided is not heard', async () => {
  const clock = new FakeClock();
  const context = deferred<JobContext>();
  const handler: InlineHandler['handler'] = (_payload, job) => {
    context.resolve(job);
    return new Promise(() => {});
  };
  const { pool, news } = await inline({ scripted: { handler, concurrency: 1 } }, clock);
  const one = named({ timeoutMs: 1, graceMs: 1 });
  run(pool, one);
  await clock.advance(2);
  await news.outcome(one);
  (await context.promise).log.info('still here');
  expect(news.story()).toEqual([`${one.id} timedOut`]);
});
