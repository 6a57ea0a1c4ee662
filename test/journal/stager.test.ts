import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { cancelled } from '../../src/job/transitions.js';
import { Transaction } from '../../src/journal/transaction.js';
import { jobOf } from '../fixtures/jobs.js';
import { dueIds, openOn, readyIds } from './harness.js';
import { StagerBench } from './stager-bench.js';

const MINUTE = 60_000;
const DAY = 86_400_000;

test('jobs that are due become available, in the order of their times', async () => {
  const bench = await StagerBench.open();
  const late = await bench.schedule(300);
  const first = await bench.schedule(100);
  const second = await bench.schedule(200);
  bench.stager.start();
  await bench.advance(1_000);
  expect(await bench.promoted.reached(3)).toStrictEqual([first, second, late]);
  expect(await readyIds(bench.journal)).toStrictEqual([late, first, second]);
  expect(bench.journal.counts()).toMatchObject({ scheduled: 0, available: 3 });
  expect(bench.jobs.get(first)?.status).toStrictEqual({ state: 'available', attempt: 0 });
});

test('a job becomes available when it is due, and not before', async () => {
  const bench = await StagerBench.open();
  const id = await bench.schedule(1_000);
  bench.stager.start();
  await bench.clock.armed();
  await bench.advance(999);
  expect(bench.promoted.all).toStrictEqual([]);
  await bench.advance(1);
  expect(await bench.promoted.reached(1)).toStrictEqual([id]);
});

test('what was due while nobody looked becomes available at the start', async () => {
  const bench = await StagerBench.open();
  const id = await bench.schedule(-DAY);
  bench.stager.start();
  expect(await bench.promoted.reached(1)).toStrictEqual([id]);
});

test('a job that is due earlier than all others is not waited past', async () => {
  const bench = await StagerBench.open();
  await bench.schedule(50_000);
  bench.stager.start();
  await bench.clock.armed();
  const id = await bench.schedule(100);
  await bench.advance(100);
  expect(await bench.promoted.reached(1)).toStrictEqual([id]);
});

test('with nothing scheduled no timer runs', async () => {
  const bench = await StagerBench.open();
  bench.stager.start();
  await bench.stager.passed();
  expect(bench.clock.isIdle).toBe(true);
  const id = await bench.schedule(10);
  await bench.advance(10);
  expect(await bench.promoted.reached(1)).toStrictEqual([id]);
  await bench.stager.passed();
  expect(bench.clock.isIdle).toBe(true);
});

test('a delay of more than 2^31 milliseconds is kept', async () => {
  const bench = await StagerBench.open();
  const id = await bench.schedule(30 * DAY);
  bench.stager.start();
  await bench.clock.armed();
  await bench.advance(30 * DAY - 1);
  expect(bench.promoted.all).toStrictEqual([]);
  await bench.clock.armed();
  await bench.advance(1);
  expect(await bench.promoted.reached(1)).toStrictEqual([id]);
});

test('after the clock was set forward, what is due then is found within a minute', async () => {
  const bench = await StagerBench.open();
  const id = await bench.schedule(DAY);
  bench.stager.start();
  await bench.clock.armed();
  bench.clock.jump(DAY);
  await bench.advance(MINUTE);
  expect(await bench.promoted.reached(1)).toStrictEqual([id]);
});

test('after the clock was set back, a job waits until its time has come again', async () => {
  const bench = await StagerBench.open();
  const id = await bench.schedule(MINUTE);
  bench.stager.start();
  await bench.clock.armed();
  bench.clock.jump(-DAY);
  await bench.advance(DAY);
  expect(bench.promoted.all).toStrictEqual([]);
  await bench.clock.armed();
  await bench.advance(MINUTE);
  expect(await bench.promoted.reached(1)).toStrictEqual([id]);
});

test('a job that somebody holds is passed over, and taken when it is free', async () => {
  const bench = await StagerBench.open();
  const held = await bench.schedule(100);
  const free = await bench.schedule(200);
  bench.held.add(held);
  bench.stager.start();
  await bench.advance(200);
  expect(await bench.promoted.reached(1)).toStrictEqual([free]);
  bench.held.clear();
  await bench.clock.armed();
  await bench.advance(1_000);
  expect(await bench.promoted.reached(2)).toStrictEqual([free, held]);
});

test('a job that is freed while others are promoted is not forgotten', async () => {
  const bench = await StagerBench.open();
  const held = await bench.schedule(-100);
  const free = await bench.schedule(-50);
  bench.held.add(held);
  bench.store.hold();
  bench.stager.start();
  const writes = bench.store.writes.length;
  while (bench.store.writes.length === writes) await new Promise((resolve) => setImmediate(resolve));
  bench.held.clear();
  bench.store.letGo();
  expect(await bench.promoted.reached(1)).toStrictEqual([free]);
  await bench.clock.armed();
  await bench.advance(1_000);
  expect(await bench.promoted.reached(2)).toStrictEqual([free, held]);
});

test('a job that is cancelled between page and promotion stays cancelled', async () => {
  const bench = await StagerBench.open();
  const gone = await bench.schedule(-200);
  const due = await bench.schedule(-100);
  bench.store.onPage = async () => {
    const { spec, status } = bench.jobs.get(gone) ?? jobOf(0);
    const next = cancelled(status, bench.clock.now());
    await bench.journal.commit(new Transaction().move(spec, status, next));
  };
  bench.stager.start();
  await bench.promoted.reached(1);
  await bench.stager.passed();
  expect(bench.promoted.all).toStrictEqual([due]);
  expect(bench.journal.counts()).toMatchObject({ scheduled: 0, available: 1, cancelled: 1 });
  expect(await readyIds(bench.journal)).toStrictEqual([due]);
});

test('a job that is scheduled while a pass reads is not missed, even if it is due already', async () => {
  const bench = await StagerBench.open();
  const first = await bench.schedule(-100);
  let second = '';
  bench.store.onPage = async () => {
    second = await bench.schedule(-200);
  };
  bench.stager.start();
  expect(await bench.promoted.reached(2)).toStrictEqual([first, second]);
});

test('more due jobs than a page are promoted in one go', async () => {
  const bench = await StagerBench.open();
  const ids = await Promise.all(Array.from({ length: 1_200 }, (_, i) => bench.schedule(i - 2_000)));
  const later = await bench.schedule(DAY);
  bench.stager.start();
  expect(await bench.promoted.reached(1_200)).toStrictEqual(ids);
  expect(await dueIds(bench.journal)).toStrictEqual([later]);
});

test('once stopped nothing is promoted, and a pass under way is waited for', async () => {
  const bench = await StagerBench.open();
  const due = await bench.schedule(-100);
  await bench.schedule(100);
  bench.stager.start();
  await bench.stager.stop();
  const after = bench.promoted.all.length;
  await bench.advance(DAY);
  await bench.schedule(-50);
  expect(bench.promoted.all.length).toBe(after);
  expect(bench.promoted.all.every((id) => id === due)).toBe(true);
  expect(bench.clock.isIdle).toBe(true);
});

test('whatever is scheduled and whenever, all of it is promoted once, and what is left is found by the next process', async () => {
  const anyStep = fc.tuple(
    fc.constantFrom('schedule', 'schedule', 'turn', 'advance', 'hold', 'letGo'),
    fc.nat(300),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { minLength: 5, maxLength: 60, size: 'max' }), async (walk) => {
      const bench = await StagerBench.open();
      bench.stager.start();
      const scheduled: Promise<string>[] = [];
      for (const [what, n] of walk) {
        if (what === 'schedule') scheduled.push(bench.schedule(n - 100));
        else if (what === 'turn') await new Promise((resolve) => setImmediate(resolve));
        else if (what === 'advance') await bench.clock.advance(n);
        else if (what === 'hold') bench.store.hold();
        else bench.store.letGo();
      }
      bench.store.letGo();
      const ids = await Promise.all(scheduled);
      await bench.schedule(DAY, { id: 'last' });
      await bench.close();
      const left = ids.filter((id) => !bench.promoted.all.includes(id));
      expect(new Set(bench.promoted.all).size).toBe(bench.promoted.all.length);
      const { journal } = await openOn(bench.disk);
      expect((await dueIds(journal)).sort()).toStrictEqual([...left, 'last'].sort());
      expect((await readyIds(journal)).sort()).toStrictEqual([...bench.promoted.all].sort());
    }),
    { numRuns: 200 },
  );
});
