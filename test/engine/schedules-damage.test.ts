/** Schedules in journals that are checked, damaged, repaired, or of another format. */
import { Level } from 'level';
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { sealText } from '../../src/journal/integrity.js';
import { record } from '../fixtures/engine.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, ticking, tickOf, type Ticking } from '../fixtures/ticking.js';

const corrupt = 'MILLRACE_JOURNAL_CORRUPT';
const hourly = { job: 'work', payload: 'one', every: '1h' } as const;
const at = NOW + HOUR;

/** Changes records below the engine, as only damage would; to be called while the journal is closed. */
async function tamper(
  { options }: Ticking,
  change: (key: string, value: Uint8Array) => Uint8Array | undefined,
): Promise<string[]> {
  const level = new Level<string, Uint8Array>(options.directory, { valueEncoding: 'view' });
  const changed: string[] = [];
  for await (const [key, value] of level.iterator()) {
    const other = change(key, value);
    if (other) await level.put(key, other);
    if (other) changed.push(key);
  }
  await level.close();
  return changed;
}

const flipping = (damaged: string) => (key: string, value: Uint8Array) =>
  key === damaged ? value.map((byte, i) => (i === value.length >> 1 ? byte ^ 0x10 : byte)) : undefined;

/** A journal whose schedules `own` and `paused` came from upsert() and `declared` from open(), after their first ticks; closed. */
async function written(own: Ticking) {
  const { options, clock, runs, closing } = own;
  const mill = closing(await Millrace.open({ ...options, schedules: { declared: hourly } }));
  await mill.schedules.upsert('own', { ...hourly, payload: new Map([[1, 2n]]), overlap: 'queue' });
  await mill.schedules.upsert('paused', { job: 'work', pattern: '@daily', timezone: 'UTC' });
  await mill.schedules.pause('paused');
  await pass(clock, HOUR);
  await runs.reached(2);
  for (const name of ['declared', 'own'])
    await scheduleThat(mill, name, ({ lastRun }) => lastRun?.outcome === 'completed');
  const listed = await mill.schedules.list({ upcoming: 3 });
  await mill.close();
  return listed;
}

test('a journal with schedules is sound, and repair() leaves it alone', async () => {
  const own = await ticking();
  await written(own);
  expect(await Millrace.verify(own.options.directory)).toMatchObject({ sound: true, damage: [], notes: [] });
  expect(await Millrace.repair(own.options.directory)).toMatchObject({ repaired: false });
});

test('a repair keeps the schedules', async () => {
  const own = await ticking();
  const { options, clock, runs, closing } = own;
  const listed = await written(own);
  expect(await tamper(own, flipping('c!default'))).toHaveLength(1);
  expect(await Millrace.repair(options.directory)).toMatchObject({ repaired: true, lostCount: 0 });
  const mill = closing(await Millrace.open({ ...options, schedules: { declared: hourly } }));
  expect(await mill.schedules.list({ upcoming: 3 })).toEqual(listed);
  await pass(clock, HOUR);
  await runs.reached(4);
  expect(await mill.job(tickOf('own', at))).toMatchObject({ state: 'completed', scheduledFor: at });
});

test('a declared schedule whose record is damaged is warned of, and begins anew; the others go on', async () => {
  const own = await ticking();
  const { options, clock, runs, closing } = own;
  const listed = await written(own);
  await tamper(own, flipping('h!declared'));
  const schedules = { declared: hourly };
  await clock.advance(10 * MINUTE);
  const mill = closing(await Millrace.open({ ...options, schedules }));
  const [, warning] = await record(mill, 'warning').until(() => true);
  expect(warning).toMatchObject({ code: corrupt, message: expect.stringContaining('h!declared') });
  const [declared, ...others] = await mill.schedules.list({ upcoming: 3 });
  expect(declared).toMatchObject({ name: 'declared', runCount: 0, state: 'active' });
  expect(declared?.upcoming[0]).toBe(at + HOUR + 10 * MINUTE);
  expect(others).toEqual(listed.slice(1));
  await mill.close();
  // It has been written anew.
  const again = closing(await Millrace.open({ ...options, schedules }));
  const warnings = record(again, 'warning');
  await pass(clock, 50 * MINUTE);
  await runs.reached(3);
  expect(warnings.all).toEqual([]);
});

test('one of upsert() whose record is damaged is warned of, is gone, and can be upserted anew', async () => {
  const own = await ticking();
  const { options, closing } = own;
  await written(own);
  await tamper(own, flipping('h!own'));
  for (let time = 0; time < 2; time++) {
    const mill = closing(await Millrace.open({ ...options, schedules: { declared: hourly } }));
    const [, warning] = await record(mill, 'warning').until(() => true);
    expect(warning).toMatchObject({ code: corrupt, message: expect.stringContaining('h!own') });
    expect((await mill.schedules.list()).map(({ name }) => name)).toEqual(['declared', 'paused']);
    if (time === 1) await mill.schedules.upsert('own', hourly);
    await mill.close();
  }
  const mill = closing(await Millrace.open({ ...options, schedules: { declared: hourly } }));
  expect(await scheduleThat(mill, 'own')).toMatchObject({ runCount: 0, upcoming: [at + HOUR] });
});

test('a damaged record of a schedule is damage, and a repair leaves it out', async () => {
  const own = await ticking();
  const { options, closing } = own;
  const listed = await written(own);
  await tamper(own, flipping('h!own'));
  const report = await Millrace.verify(options.directory);
  expect(report).toMatchObject({ sound: false, damage: [{ key: 'h!own' }] });
  expect(await Millrace.repair(options.directory)).toMatchObject({ repaired: true, lostCount: 0 });
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
  const mill = closing(await Millrace.open({ ...options, schedules: { declared: hourly } }));
  const warnings = record(mill, 'warning');
  expect(await mill.schedules.list({ upcoming: 3 })).toEqual(listed.filter(({ name }) => name !== 'own'));
  await (await mill.enqueue('work')).result();
  expect(warnings.all).toEqual([]);
});

test('a journal from before there were schedules is opened, and has them from then on', async () => {
  const own = await ticking();
  const { options, clock, runs, closing } = own;
  const first = closing(await Millrace.open(options));
  await (await first.enqueue('work', 'old')).result();
  await first.enqueue('work', 'waits', { delay: '1h' });
  await first.close();
  const format = (version: string) =>
    tamper(own, (key) => (key === 'm!format' ? sealText(key, version) : undefined));
  await format('4');
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true, jobs: { completed: 1 } });
  const mill = closing(await Millrace.open({ ...options, schedules: { one: hourly } }));
  expect(await mill.counts()).toMatchObject({ completed: 1, scheduled: 1 });
  await pass(clock, HOUR);
  await runs.reached(3);
  await mill.close();
  const six = sealText('m!format', '6');
  expect(await tamper(own, (_key, value) => (Buffer.compare(value, six) === 0 ? value : undefined))).toEqual([
    'm!format',
  ]);
  const again = closing(await Millrace.open({ ...options, schedules: { one: hourly } }));
  expect(await again.schedules.list()).toMatchObject([{ runCount: 1 }]);
});
