/** `jitter`: jobs that are due some time after their ticks, always the same. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { record } from '../fixtures/engine.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, ticking, tickOf, type Ticking } from '../fixtures/ticking.js';

const jittery = { job: 'work', payload: 'one', every: '1h', jitter: '10m' } as const;
const names = Array.from({ length: 100 }, (_, i) => `s${i}`);
const schedules = Object.fromEntries(names.map((name) => [name, jittery]));

/** How long after their first ticks the jobs of all names are due, in a journal of its own. */
async function delays({ options, directory, closing, clock }: Ticking, journal: string): Promise<number[]> {
  const at = clock.now() + HOUR;
  const mill = closing(await Millrace.open({ ...options, directory: join(directory, journal), schedules }));
  const enqueued = record(mill, 'enqueued');
  await pass(clock, HOUR);
  await enqueued.reached(names.length);
  const jobs = await Promise.all(names.map((name) => mill.job(tickOf(name, at))));
  await mill.close();
  return jobs.map((job) => (job?.runAt ?? NaN) - at);
}

test('its jobs are due within the jitter, at different times', async () => {
  const own = await ticking();
  const all = await delays(own, 'one');
  for (const delayMs of all)
    expect(delayMs).toSatisfy((ms: number) => Number.isInteger(ms) && ms > 0 && ms <= 10 * MINUTE);
  expect(new Set(all).size).toBeGreaterThan(90);
  expect(all.filter((delayMs) => delayMs < 5 * MINUTE).length).toSatisfy((n: number) => n > 25 && n < 75);
  expect(own.runs.all).toEqual([]);
});

test('for the same tick of the same name they are due at the same time, for another at another', async () => {
  const own = await ticking();
  const first = await delays(own, 'one');
  own.clock.jump(-HOUR);
  expect(await delays(own, 'two')).toEqual(first);
  const later = await delays(own, 'three');
  expect(later.filter((delayMs, i) => delayMs === first[i]).length).toBeLessThan(5);
});

test('a job is scheduled until it is due, and for its tick all the same', async () => {
  const { options, clock, runs, closing } = await ticking();
  const mill = closing(await Millrace.open({ ...options, schedules: { one: jittery } }));
  await pass(clock, HOUR);
  await scheduleThat(mill, 'one', ({ runCount }) => runCount === 1);
  const id = tickOf('one', NOW + HOUR);
  const waiting = await mill.job(id);
  expect(waiting).toMatchObject({ state: 'scheduled', scheduledFor: NOW + HOUR, enqueuedAt: NOW + HOUR });
  const { runAt = NaN } = waiting ?? {};
  await pass(clock, runAt - NOW - HOUR);
  expect(await runs.reached(1)).toEqual([{ id, scheduledFor: NOW + HOUR, payload: 'one' }]);
  const ended = await scheduleThat(mill, 'one', ({ lastRun }) => lastRun?.outcome !== undefined);
  expect(ended).toMatchObject({ upcoming: [NOW + 2 * HOUR], lastRun: { finishedAt: runAt } });
});

test('a job that waits for its time outlasts a restart', async () => {
  const { options, clock, runs, closing } = await ticking();
  const first = closing(await Millrace.open({ ...options, schedules: { one: jittery } }));
  await pass(clock, HOUR);
  await scheduleThat(first, 'one', ({ runCount }) => runCount === 1);
  await first.close();
  await clock.advance(10 * MINUTE);
  const again = closing(await Millrace.open({ ...options, schedules: { one: jittery } }));
  expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + HOUR }]);
  expect(await scheduleThat(again, 'one')).toMatchObject({ runCount: 1, upcoming: [NOW + 2 * HOUR] });
});

test('a job whose jitter has passed when its tick is made up for runs at once', async () => {
  const { options, clock, runs, closing } = await ticking();
  await closing(await Millrace.open({ ...options, schedules: { one: jittery } })).close();
  await clock.advance(HOUR + 10 * MINUTE);
  const again = closing(await Millrace.open({ ...options, schedules: { one: jittery } }));
  expect(await runs.reached(1)).toMatchObject([{ scheduledFor: NOW + HOUR }]);
  expect(await again.job(tickOf('one', NOW + HOUR))).not.toHaveProperty('runAt');
});
