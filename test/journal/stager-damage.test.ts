/** The stager where the journal is damaged, or fails. */
import { expect, test } from 'vitest';
import { tamper } from './harness.js';
import { StagerBench } from './stager-bench.js';

const DAY = 86_400_000;

test('a damaged record stops no other job, is reported once, and is not tried again and again', async () => {
  const bench = await StagerBench.open();
  const damaged = await bench.schedule(100);
  const sound = await bench.schedule(200);
  await tamper(bench.disk, (key, value) => (key === `j!${damaged}` ? value.map((byte) => ~byte) : undefined));
  bench.stager.start();
  await bench.advance(200);
  expect(await bench.promoted.reached(1)).toStrictEqual([sound]);
  await bench.stager.passed();
  expect(bench.clock.isIdle).toBe(true);
  const another = await bench.schedule(100);
  await bench.advance(100);
  expect(await bench.promoted.reached(2)).toStrictEqual([sound, another]);
  expect(bench.warnings.all).toMatchObject([{ code: 'MILLRACE_JOURNAL_CORRUPT' }]);
});

test('a damaged record is reported by the next process, too', async () => {
  const bench = await StagerBench.open();
  const damaged = await bench.schedule(-200);
  await bench.schedule(-100);
  await tamper(bench.disk, (key, value) => (key === `j!${damaged}` ? value.map((byte) => ~byte) : undefined));
  bench.stager.start();
  await bench.promoted.reached(1);
  await bench.schedule(DAY);
  await bench.close();
  const next = await StagerBench.open(bench.disk);
  next.stager.start();
  expect(await next.warnings.reached(1)).toMatchObject([{ code: 'MILLRACE_JOURNAL_CORRUPT' }]);
});

test('a damaged index entry stops no other job', async () => {
  const bench = await StagerBench.open();
  await bench.schedule(100, { id: 'lost' });
  const sound = await bench.schedule(200);
  const [lost] = (await bench.journal.indexes.due(undefined, 1)).entries;
  await tamper(bench.disk, (key, value) => (key === lost?.key ? value.map((byte) => ~byte) : undefined));
  bench.stager.start();
  await bench.advance(200);
  expect(await bench.promoted.reached(1)).toStrictEqual([sound]);
});

test('a page that cannot be read is reported, and read again a little later', async () => {
  const bench = await StagerBench.open();
  const id = await bench.schedule(-100);
  bench.store.pageFailure = new Error('too many open files');
  bench.stager.start();
  expect(await bench.warnings.reached(1)).toMatchObject([{ cause: { message: 'too many open files' } }]);
  bench.store.pageFailure = undefined;
  await bench.clock.armed();
  await bench.advance(1_000);
  expect(await bench.promoted.reached(1)).toStrictEqual([id]);
});

test('after the journal has failed the stager rests, for the failure was told already', async () => {
  const bench = await StagerBench.open();
  await bench.schedule(100);
  bench.stager.start();
  await bench.clock.armed();
  bench.store.failure = new Error('no space left');
  await bench.clock.advance(100);
  await bench.stager.passed();
  expect(bench.promoted.all).toStrictEqual([]);
  expect(bench.warnings.all).toStrictEqual([]);
  expect(bench.clock.isIdle).toBe(true);
});
