/** Schedules while the journal cannot be written: changes are refused, and ticks come when it can be written again. */
import { expect, test } from 'vitest';
import { MemoryDisk, openMemoryStore } from '../../src/journal/memory-store.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { FragileStore } from '../fixtures/fragile-store.js';
import { openInline } from '../fixtures/inline-engine.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, tickOf } from '../fixtures/ticking.js';

const refused = { code: 'MILLRACE_JOURNAL_WRITE_FAILED' };
const reopened = { code: 'MILLRACE_JOURNAL_REOPENED' };
const hourly = { job: 'work', payload: 'one', every: '1h' } as const;
/** Before the journal is first tried again. */
const FIRST_RETRY_MS = 100;
const FAULTS = ['lost', 'applied'] as const;

async function open() {
  const clock = new FakeClock();
  const store = new FragileStore(openMemoryStore(new MemoryDisk()));
  const opened = await openInline(store, { clock });
  opened.release();
  /** There is room again. */
  const heal = async (): Promise<void> => {
    store.writes = undefined;
    await clock.armed(FIRST_RETRY_MS);
    await clock.advance(FIRST_RETRY_MS);
    await opened.warnings.until(({ code }) => code === reopened.code);
  };
  return { ...opened, schedules: opened.engine.schedules, clock, store, heal };
}

test('what would change a schedule is refused, and all can be listed', async () => {
  const { engine, schedules, store, heal } = await open();
  await schedules.upsert('one', hourly);
  const before = await schedules.list({ upcoming: 3 });
  store.writes = 'lost';
  await expect(engine.enqueue('work', null)).rejects.toMatchObject(refused);
  const calls = [
    schedules.upsert('one', { ...hourly, every: '2h' }),
    schedules.upsert('two', hourly),
    schedules.pause('one'),
    schedules.resume('one'),
    schedules.remove('one'),
    schedules.runNow('one'),
  ];
  for (const call of calls) await expect(call).rejects.toMatchObject(refused);
  expect(await schedules.list({ upcoming: 3 })).toEqual(before);
  await heal();
  expect(await schedules.list({ upcoming: 3 })).toEqual(before);
  await schedules.pause('one');
  expect(await schedules.list()).toMatchObject([{ state: 'paused' }]);
});

test.each(FAULTS)('a change whose write failed counts where it was made all the same (%s)', async (fault) => {
  const { schedules, store, heal } = await open();
  await schedules.upsert('changed', hourly);
  await schedules.upsert('paused', hourly);
  await schedules.upsert('removed', hourly);
  const before = await schedules.list();
  store.writes = fault;
  // One write takes them all.
  const calls = [
    schedules.upsert('changed', { ...hourly, payload: 'two' }),
    schedules.upsert('new', hourly),
    schedules.pause('paused'),
    schedules.remove('removed'),
  ];
  for (const call of calls) await expect(call).rejects.toMatchObject(refused);
  expect(await schedules.list()).toEqual(before);
  await heal();
  const after = (await schedules.list()).map(({ name, payload, state }) => [name, payload, state]);
  expect(after).toEqual(
    fault === 'lost'
      ? before.map(({ name, payload, state }) => [name, payload, state])
      : [
          ['changed', 'two', 'active'],
          ['new', 'one', 'active'],
          ['paused', 'one', 'paused'],
        ],
  );
});

test.each(FAULTS)('a tick whose write failed has one job afterwards (%s)', async (fault) => {
  const { engine, schedules, store, clock, starts, warnings, heal } = await open();
  await schedules.upsert('static', hourly);
  await schedules.upsert('made', { ...hourly, payload: (at: number) => at });
  await clock.armed(MINUTE);
  store.writes = fault;
  await clock.advance(HOUR);
  await warnings.until(({ code }) => code === refused.code);
  expect(starts.all).toEqual([]);
  expect(await schedules.list()).toMatchObject([{ runCount: 0 }, { runCount: 0 }]);
  await heal();
  await starts.reached(2);
  for (const name of ['static', 'made'])
    expect(await scheduleThat(engine, name, ({ lastRun }) => lastRun?.outcome === 'completed')).toMatchObject(
      { runCount: 1, upcoming: [NOW + 2 * HOUR] },
    );
  const ids = [tickOf('made', NOW + HOUR), tickOf('static', NOW + HOUR)];
  expect(starts.all.toSorted()).toEqual(ids);
  expect(await engine.snapshot(tickOf('made', NOW + HOUR))).toMatchObject({ payload: NOW + HOUR });
  expect(warnings.all).toMatchObject([refused, reopened]);
  await pass(clock, HOUR - FIRST_RETRY_MS);
  await starts.reached(4);
});

test.each(FAULTS)('a job that could not be run now is there where its write was (%s)', async (fault) => {
  const { engine, schedules, store, starts, heal } = await open();
  await schedules.upsert('one', hourly);
  store.writes = fault;
  await expect(schedules.runNow('one')).rejects.toMatchObject(refused);
  await heal();
  if (fault === 'applied') {
    await starts.reached(1);
    await scheduleThat(engine, 'one', ({ lastRun }) => lastRun?.outcome === 'completed');
  }
  expect(await engine.counts()).toMatchObject({ completed: fault === 'applied' ? 1 : 0, available: 0 });
  expect(await schedules.list()).toMatchObject([{ runCount: 0, upcoming: [NOW + HOUR] }]);
});

test('ticks that come during an outage are made up for when it is over', async () => {
  const { engine, schedules, store, clock, starts, heal } = await open();
  await schedules.upsert('one', { ...hourly, misfire: 'all' });
  await clock.armed(MINUTE);
  store.writes = 'lost';
  await expect(engine.enqueue('work', null)).rejects.toMatchObject(refused);
  // As if it had been out for so long.
  clock.jump(3 * HOUR);
  await heal();
  await starts.reached(3);
  expect(starts.all).toEqual([1, 2, 3].map((n) => tickOf('one', NOW + n * HOUR)));
  expect(await scheduleThat(engine, 'one')).toMatchObject({ runCount: 3, upcoming: [NOW + 4 * HOUR] });
});
