/** The backlog of a real journal in memory: what is in windows, and what is found again. */
import { expect, test } from 'vitest';
import { laneSpan, readyKey } from '../../src/journal/keys.js';
import { WINDOW_SIZE } from '../../src/queue/window.js';
import type { MillraceError } from '../../src/errors.js';
import { Strays } from '../../src/runtime/strays.js';
import { specOf } from '../fixtures/jobs.js';
import { always, BacklogBench as Bench } from './backlog-bench.js';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a queue longer than its window is handed out in order, and whole', async () => {
  const bench = await Bench.open();
  const jobs = await bench.enqueue(2 * WINDOW_SIZE + 500);
  const ids: string[] = [];
  while (ids.length < jobs.length) {
    const some = await bench.claim(400);
    ids.push(...some);
    if (some.length === 0) await bench.refills.reached(bench.refills.all.length + 1);
  }
  expect(ids).toStrictEqual(jobs.map(({ spec }) => spec.id));
  await turn();
  expect(await bench.claim(1)).toStrictEqual([]);
});

test('a window that cancels have emptied is filled again', async () => {
  const bench = await Bench.open();
  const jobs = await bench.enqueue(WINDOW_SIZE + 5);
  await Promise.all(jobs.slice(0, WINDOW_SIZE).map((job) => bench.cancel(job)));
  await bench.claim(1);
  await bench.refills.reached(2);
  expect(await bench.claim(10)).toHaveLength(5);
});

test('the next process begins behind what was claimed', async () => {
  const bench = await Bench.open();
  const jobs = await bench.enqueue(1_200);
  await bench.claim(1_100);
  await bench.enqueue(1);
  const next = await Bench.open(bench.disk);
  const scan = next.store.pages.find(({ range }) =>
    range.from.startsWith(laneSpan('default', 'resize').from),
  );
  expect(scan?.range.from).toBe(readyKey(jobs[1_000]?.spec ?? specOf(0)));
  expect(await next.claim(1)).toStrictEqual([jobs[1_100]?.spec.id]);
});

test('jobs of a type that the code does not know are reported, wait, and are found by code that does', async () => {
  const bench = await Bench.open(undefined, { types: { resize: Infinity, former: Infinity } });
  const former = await bench.enqueue(2, { name: 'former' });
  await bench.enqueue(1_500);
  const second = await Bench.open(bench.disk);
  const told: MillraceError[] = [];
  const known = { queues: new Map([['default', {}]]), types: new Set(['resize']) };
  await new Strays(second.journal, known, (error) => told.push(error)).look(() => false);
  expect(told).toMatchObject([{ code: 'MILLRACE_JOB_UNKNOWN', message: expect.stringContaining('former') }]);
  expect(await second.claim(1_200)).toHaveLength(1_200);
  // One that becomes available meanwhile, ahead of the others.
  const [urgent] = await second.enqueue(1, { name: 'former', priority: 5 });
  const third = await Bench.open(bench.disk, { types: { resize: Infinity, former: Infinity } });
  expect(await third.claim(3)).toStrictEqual([urgent, ...former].map((job) => job?.spec.id));
});

test('a job type that has no room holds up no other, and fills no place of others', async () => {
  const bench = await Bench.open(undefined, { types: { resize: 1, mail: Infinity } });
  await bench.enqueue(2 * WINDOW_SIZE);
  const mails = await bench.enqueue(3, { name: 'mail' });
  expect(bench.backlog.next(always, always)?.name).toBe('resize');
  expect(await bench.claim(10)).toStrictEqual(mails.map(({ spec }) => spec.id));
});

test('the types of a queue are handed out in one order of priority and enqueue', async () => {
  const bench = await Bench.open(undefined, { types: { resize: Infinity, mail: Infinity } });
  for (const [name, priority] of [
    ['mail', 0],
    ['resize', 0],
    ['mail', 5],
    ['resize', 5],
    ['mail', 0],
  ] as const) {
    await bench.enqueue(1, { name, priority });
  }
  expect(await bench.claim(10)).toStrictEqual(['job-3', 'job-4', 'job-1', 'job-2', 'job-5']);
});

test('a page that cannot be read is reported, and read again a little later', async () => {
  const bench = await Bench.open();
  const [job] = await bench.enqueue(1);
  const next = await Bench.open(bench.disk, { pageFailure: new Error('too many open files') });
  expect(next.warnings.all).toMatchObject([
    { code: 'MILLRACE_JOURNAL_READ_FAILED', cause: { message: 'too many open files' } },
  ]);
  expect(next.backlog.next(always, always)).toBeUndefined();
  expect(next.warnings.all).toHaveLength(1);
  next.store.pageFailure = undefined;
  await next.clock.advance(1_000);
  expect(next.backlog.next(always, always)).toBeUndefined();
  // Told when it failed, when it rested enough, and when it was there.
  await next.refills.reached(3);
  expect(next.backlog.next(always, always)).toMatchObject({ id: job?.spec.id, queue: 'default' });
});

test('a job that could not be read comes back to its place, after a rest', async () => {
  const bench = await Bench.open();
  await bench.enqueue(2);
  const pick = bench.backlog.next(always, always);
  if (pick) {
    bench.backlog.end(pick);
    bench.backlog.giveBack(pick);
  }
  expect(bench.backlog.next(always, always)).toBeUndefined();
  await bench.clock.advance(1_000);
  expect(bench.backlog.next(always, always)?.id).toBe(pick?.id);
});

test('once stopped nothing is read, and no timer is left', async () => {
  const bench = await Bench.open();
  const next = await Bench.open(bench.disk, { pageFailure: new Error('too many open files') });
  await next.backlog.stop();
  expect(next.clock.isIdle).toBe(true);
  const pages = next.store.pages.length;
  next.backlog.next(always, always);
  expect(next.store.pages).toHaveLength(pages);
});

test('job types that work on the pool of libuv share a limit', async () => {
  const bench = await Bench.open(undefined, { types: { image: Infinity, resize: Infinity } });
  await bench.enqueue(2, { name: 'image' });
  const [resize] = await bench.enqueue(1);
  const image = bench.backlog.next(always, always);
  expect(image?.name).toBe('image');
  expect(bench.backlog.next(always, always)?.id).toBe(resize?.spec.id);
  expect(bench.backlog.next(always, always)).toBeUndefined();
  if (image) bench.backlog.end(image);
  expect(bench.backlog.next(always, always)?.name).toBe('image');
});

test('limits of queues and of job types hold, and are given back', async () => {
  const bench = await Bench.open(undefined, {
    types: { resize: 2, mail: Infinity },
    queues: { default: 3, low: Infinity },
  });
  await bench.enqueue(5);
  await bench.enqueue(5, { name: 'mail' });
  await bench.enqueue(1, { queue: 'low' });
  const picks = Array.from({ length: 12 }, () => bench.backlog.next(always, always)).filter(Boolean);
  expect(picks.map((pick) => `${pick?.queue} ${pick?.name}`).sort()).toStrictEqual([
    'default mail',
    'default mail',
    'default resize',
    'low resize',
  ]);
  const mail = picks.find((pick) => pick?.name === 'mail');
  if (mail) bench.backlog.end(mail);
  expect(bench.backlog.next(always, always)).toMatchObject({ queue: 'default', name: 'mail' });
});

test('a small job is kept with its entry, a large one is read when it is claimed', async () => {
  const bench = await Bench.open();
  const [small] = await bench.enqueue(1);
  await bench.enqueue(1, { payload: new Uint8Array(10_000) });
  expect(bench.backlog.next(always, always)?.job).toStrictEqual(small);
  expect(bench.backlog.next(always, always)).toHaveProperty('job', undefined);
});

test.each(['strict', 'weighted'] as const)(
  'a lane that cannot be read does not hold up the others for ever: %s',
  async (selection) => {
    const bench = await Bench.open(undefined, { types: { image: Infinity, resize: Infinity } });
    await bench.enqueue(1, { name: 'image' });
    const [job] = await bench.enqueue(1, { name: 'resize' });
    const next = await Bench.open(bench.disk, {
      types: { image: Infinity, resize: Infinity },
      selection,
      pageFailure: new Error('too many open files'),
      pageFailureIn: 'r!default!image!',
    });
    await next.refills.reached(2);
    expect(next.backlog.next(always, always)?.id).toBe(job?.spec.id);
  },
);

test('a job that needs more room than there is, is told of, unless a limit holds it back', async () => {
  const bench = await Bench.open(undefined, { types: { image: 1, resize: Infinity } });
  await bench.enqueue(2, { name: 'image' });
  await bench.enqueue(1, { name: 'resize' });
  const isImage = ({ name }: { name: string }): boolean => name === 'image';
  expect(bench.backlog.hasStuck(isImage, always)).toBe(true);
  expect(bench.backlog.hasStuck(() => false, always)).toBe(false);
  expect(bench.backlog.next(isImage, always)?.name).toBe('image');
  expect(bench.backlog.hasStuck(isImage, always)).toBe(false);
});

test('the small jobs of a page are at hand before they are claimed, each as it is', async () => {
  const bench = await Bench.open();
  const jobs = await bench.enqueue(450);
  await bench.enqueue(1, { payload: new Uint8Array(10_000) });
  const next = await Bench.open(bench.disk);
  const picks = Array.from({ length: 451 }, () => next.backlog.next(always, always));
  expect(structuredClone(picks.slice(0, 450).map((pick) => pick?.job))).toStrictEqual(structuredClone(jobs));
  expect(picks[450]).toMatchObject({ job: undefined });
});
