/** One timer for everybody who waits for an instant of the wall clock. */
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Alarm } from '../../src/runtime/alarm.js';
import { threeBells } from '../fixtures/alarm.js';
import { WatchedClock } from '../fixtures/watched-clock.js';

const MINUTE = 60_000;
const DAY = 86_400_000;

test('a bell rings once, at its instant', async () => {
  const { clock, rings, bells, startAt } = threeBells();
  bells[0].set(startAt + 500);
  await clock.advance(499);
  expect(rings).toEqual([]);
  await clock.advance(1);
  expect(rings).toEqual([[0, 500]]);
  await clock.advance(DAY);
  expect(rings).toHaveLength(1);
});

test('several bells have one timer, which is for the first of them', async () => {
  const { clock, rings, bells, startAt } = threeBells();
  bells[0].set(startAt + 3_000);
  bells[1].set(startAt + 1_000);
  bells[2].set(startAt + 2_000);
  expect(clock.delays).toEqual([3_000, 1_000]);
  expect(clock.pending).toBe(1);
  await clock.advance(5_000);
  expect(rings).toEqual([
    [1, 1_000],
    [2, 2_000],
    [0, 3_000],
  ]);
  expect(clock.delays).toEqual([3_000, 1_000, 1_000, 1_000]);
});

test('bells for the same instant ring together', async () => {
  const { clock, rings, bells, startAt } = threeBells();
  for (const bell of bells) bell.set(startAt + 1_000);
  await clock.advance(1_000);
  expect(rings).toEqual([
    [0, 1_000],
    [1, 1_000],
    [2, 1_000],
  ]);
  expect(clock.delays).toEqual([1_000]);
});

test('a bell that is set anew rings then, and not when it would have', async () => {
  const { clock, rings, bells, startAt } = threeBells();
  bells[0].set(startAt + 1_000);
  bells[0].set(startAt + 2_000);
  await clock.advance(1_999);
  expect(rings).toEqual([]);
  bells[0].set(startAt + 2_500);
  bells[0].set(startAt + 2_200);
  await clock.advance(201);
  expect(rings).toEqual([[0, 2_200]]);
});

test('one that is set again and again for the same instant sets no other timer', async () => {
  const { clock, bells, startAt } = threeBells();
  for (let n = 0; n < 5; n++) bells[0].set(startAt + 1_000);
  for (let n = 0; n < 5; n++) bells[1].set(startAt + 2_000 + n);
  expect(clock.delays).toEqual([1_000]);
});

test('no timer is set where nobody waits', async () => {
  const { clock, rings, bells, startAt } = threeBells();
  expect(clock.isIdle).toBe(true);
  bells[0].set(startAt + 1_000);
  bells[1].set(Infinity);
  bells[0].set(Infinity);
  expect(clock.isIdle).toBe(true);
  bells[0].set(startAt + 1_000);
  await clock.advance(1_000);
  expect(clock.isIdle).toBe(true);
  expect(rings).toHaveLength(1);
});

test.each([0, -1, -DAY, -Infinity])(
  'an instant that has passed (%d ms) rings at once, and not within the call',
  async (ms) => {
    const { clock, rings, bells, startAt } = threeBells();
    bells[0].set(startAt + ms);
    expect(rings).toEqual([]);
    expect(clock.delays).toEqual([0]);
    await clock.advance(0);
    expect(rings).toEqual([[0, 0]]);
  },
);

test('whoever rings can be set from there', async () => {
  const clock = new WatchedClock();
  const startAt = clock.now();
  const alarm = new Alarm(clock);
  const rings: number[] = [];
  const bell = alarm.bell(() => {
    rings.push(clock.now() - startAt);
    if (rings.length < 4) bell.set(clock.now() + 10 * rings.length);
  });
  const other = alarm.bell(() => bell.set(startAt));
  bell.set(startAt + 100);
  other.set(startAt + 1_000);
  await clock.advance(2_000);
  expect(rings).toEqual([100, 110, 130, 160, 1_000]);
  expect(clock.pending).toBe(0);
});

test('the clock is looked at once a minute, however far the instant', async () => {
  const { clock, rings, bells, startAt } = threeBells();
  // A timer of more than 2 ** 31 ms would fire at once.
  const far = 2 ** 31 + 12_345;
  bells[0].set(startAt + far);
  await clock.advance(far - 1);
  expect(rings).toEqual([]);
  expect(Math.max(...clock.delays)).toBe(MINUTE);
  expect(clock.delays).toHaveLength(Math.ceil(far / MINUTE));
  await clock.advance(1);
  expect(rings).toEqual([[0, far]]);
});

test('a clock that is set forward rings within a minute', async () => {
  const { clock, rings, bells, startAt } = threeBells();
  bells[0].set(startAt + DAY);
  bells[1].set(startAt + 3 * DAY);
  await clock.advance(10_000);
  clock.jump(2 * DAY);
  await clock.advance(49_999);
  expect(rings).toEqual([]);
  await clock.advance(1);
  expect(rings).toEqual([[0, 2 * DAY + MINUTE]]);
});

test('a clock that is set back rings when it shows the instant', async () => {
  const { clock, rings, bells, startAt } = threeBells();
  bells[0].set(startAt + 30_000);
  clock.jump(-10_000);
  await clock.advance(39_999);
  expect(rings).toEqual([]);
  await clock.advance(1);
  expect(rings).toEqual([[0, 30_000]]);
});

test('all are told within a minute of a clock that was set back, once', async () => {
  const { clock, alarm, setBacks, bells, startAt } = threeBells();
  alarm.bell(() => {});
  bells[0].set(startAt + DAY);
  await clock.advance(10_000);
  clock.jump(-5 * MINUTE);
  await clock.advance(49_999);
  expect(setBacks).toEqual([]);
  await clock.advance(1);
  expect(setBacks).toEqual([0, 1, 2]);
  await clock.advance(10 * MINUTE);
  expect(setBacks).toHaveLength(3);
});

test('it is noticed, too, when somebody sets a bell', async () => {
  const { clock, setBacks, bells, startAt } = threeBells();
  bells[0].set(startAt + DAY);
  clock.jump(-5_000);
  bells[1].set(startAt + 1_000);
  // Who sets a bell is in the middle of something.
  expect(setBacks).toEqual([]);
  await turn();
  expect(setBacks).toEqual([0, 1, 2]);
});

test.each([-1, -1_000])('a clock that is kept right by %d ms was not set back', async (ms) => {
  const { clock, setBacks, bells, startAt } = threeBells();
  bells[0].set(startAt + DAY);
  clock.jump(ms);
  await clock.advance(5 * MINUTE);
  expect(setBacks).toEqual([]);
});

test('whoever is told of a clock that was set back can set a bell', async () => {
  const clock = new WatchedClock();
  const startAt = clock.now();
  const alarm = new Alarm(clock);
  const rings: number[] = [];
  const bell = alarm.bell(() => rings.push(clock.now() - startAt), {
    onSetBack: () => bell.set(clock.now() + 100),
  });
  bell.set(startAt + DAY);
  clock.jump(-DAY);
  await clock.advance(2 * MINUTE);
  expect(rings).toEqual([MINUTE + 100 - DAY]);
  expect(clock.pending).toBe(0);
});

test('the process stays alive for a bell that is set, unless no such bell is to keep it', () => {
  const clock = new WatchedClock();
  const alarm = new Alarm(clock);
  const idle = alarm.bell(() => {}, { keepsAlive: false });
  const bell = alarm.bell(() => {});
  idle.set(clock.now() + 1_000);
  // Though it comes later.
  bell.set(clock.now() + 2_000);
  bell.set(clock.now() + 3_000);
  bell.set(Infinity);
  idle.set(Infinity);
  expect(clock.keptAlive).toEqual([false, true, false]);
  expect(clock.pending).toBe(0);
});
