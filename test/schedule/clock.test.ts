/** Clocks that are set, machines that sleep, long waits, and whole years of ticks. */
import { describe, expect, it } from 'vitest';
import { DAY, HOUR, MINUTE, ScheduleBench, type Schedules } from './bench.js';

const NOON = '2026-03-10T12:00:00Z';

async function startedAt(instant: string, schedules: Schedules): Promise<ScheduleBench> {
  const bench = await ScheduleBench.make();
  bench.clock.jump(Date.parse(instant) - bench.clock.now());
  await bench.start(schedules);
  return bench;
}

/** The instants that jobs were for, and what has begun since is forgotten. */
function ticksOf(bench: ScheduleBench): string[] {
  return bench.began
    .splice(0)
    .map(({ scheduledFor = NaN }) => new Date(scheduledFor).toISOString().slice(0, 16));
}

const codes = ({ warnings }: ScheduleBench): string[] => warnings.map(({ code }) => code);

const tens = { job: 'quick', pattern: '*/10 * * * *', timezone: 'UTC' } as const;
const nightly = { job: 'quick', pattern: '30 2 * * *', timezone: 'UTC' } as const;
const interval = { job: 'quick', every: '10m' } as const;

describe('the clock is set forward', () => {
  it.each([
    ['once', ['2026-03-10T13:00'], 1],
    ['all', ['12:10', '12:20', '12:30', '12:40', '12:50', '13:00'].map((time) => `2026-03-10T${time}`), 0],
    ['skip', [], 1],
  ] as const)('by an hour: misfire %s, within a minute', async (misfire, ticks, warnings) => {
    for (const timing of [tens, interval]) {
      const bench = await startedAt(NOON, { s: { ...timing, misfire } });
      await bench.pass(5 * MINUTE);
      bench.clock.jump(HOUR);
      await bench.pass(MINUTE);
      expect(ticksOf(bench)).toEqual(ticks);
      expect(codes(bench)).toEqual(Array.from({ length: warnings }, () => 'MILLRACE_TICKS_MISSED'));
      await bench.pass(10 * MINUTE);
      expect(ticksOf(bench)).toEqual(['2026-03-10T13:10']);
      await bench.stop();
    }
  });

  it('by a day: the last tick is made up for, and the next comes at its time', async () => {
    const bench = await startedAt(NOON, { nightly });
    bench.clock.jump(DAY);
    await bench.pass(MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-11T02:30']);
    await bench.pass(DAY);
    expect(ticksOf(bench)).toEqual(['2026-03-12T02:30']);
  });

  it('while the machine sleeps, which is no time to its timers', async () => {
    const bench = await startedAt(NOON, { tens });
    bench.clock.jump(8 * HOUR + MINUTE);
    await bench.pass(MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-10T20:00']);
    await bench.pass(8 * MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-10T20:10']);
  });
});

describe('the clock is set back', () => {
  it('by an hour: a pattern rests until the clock is where it was', async () => {
    const bench = await startedAt(NOON, { tens });
    await bench.pass(25 * MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-10T12:10', '2026-03-10T12:20']);
    bench.clock.jump(-HOUR);
    await bench.pass(HOUR);
    expect(ticksOf(bench)).toEqual([]);
    expect(codes(bench)).toEqual(['MILLRACE_CLOCK_SET_BACK']);
    await bench.pass(10 * MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-10T12:30']);
  });

  it('by an hour, past a tick of the night: it does not tick twice', async () => {
    const bench = await startedAt('2026-03-10T02:00:00Z', { nightly });
    await bench.pass(45 * MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-10T02:30']);
    bench.clock.jump(-HOUR);
    await bench.pass(2 * HOUR);
    expect(ticksOf(bench)).toEqual([]);
    await bench.pass(DAY);
    expect(ticksOf(bench)).toEqual(['2026-03-11T02:30']);
  });

  it('by an hour, and it is paused meanwhile: it rests all the same', async () => {
    const bench = await startedAt(NOON, { tens, interval });
    await bench.pass(25 * MINUTE);
    bench.clock.jump(-HOUR);
    for (const name of ['tens', 'interval']) {
      await bench.engine.schedules.pause(name);
      await bench.engine.schedules.resume(name);
    }
    const schedules = await bench.engine.schedules.list();
    const upcoming = schedules.map(({ upcoming: [next = NaN] }) =>
      new Date(next).toISOString().slice(11, 16),
    );
    expect(upcoming).toEqual(['11:35', '12:30']);
  });

  it('by an hour, and it is removed and added again: no tick has a second job', async () => {
    const bench = await startedAt(NOON, { tens });
    await bench.pass(25 * MINUTE);
    bench.clock.jump(-30 * MINUTE);
    await bench.engine.schedules.remove('tens');
    await bench.engine.schedules.upsert('tens', tens);
    await bench.pass(40 * MINUTE);
    const ticks = ['12:10', '12:20', '12:00', '12:30'].map((time) => `2026-03-10T${time}`);
    expect(ticksOf(bench)).toEqual(ticks);
    const [schedule] = await bench.engine.schedules.list();
    expect(schedule?.lastRun).toMatchObject({ outcome: 'completed' });
  });

  it('by an hour: an interval goes on, and never rests longer than itself', async () => {
    const bench = await startedAt(NOON, { interval });
    await bench.pass(25 * MINUTE);
    expect(ticksOf(bench)).toHaveLength(2);
    bench.clock.jump(-HOUR);
    await bench.pass(31 * MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-10T11:36', '2026-03-10T11:46', '2026-03-10T11:56']);
  });

  it('by a day: the clock was wrong, and its new time counts at once', async () => {
    for (const misfire of ['once', 'all', 'skip'] as const) {
      const bench = await startedAt(NOON, { s: { ...tens, misfire } });
      await bench.pass(25 * MINUTE);
      ticksOf(bench);
      bench.clock.jump(-DAY);
      await bench.pass(16 * MINUTE);
      expect(ticksOf(bench)).toEqual(['2026-03-09T12:30', '2026-03-09T12:40']);
      expect(codes(bench)).toEqual(['MILLRACE_CLOCK_SET_BACK']);
      await bench.stop();
    }
  });

  it('by a day, over ticks whose jobs are still kept: they have jobs of other ids', async () => {
    const bench = await startedAt('2026-03-10T02:00:00Z', { nightly });
    await bench.pass(HOUR);
    bench.clock.jump(-DAY);
    await bench.pass(DAY + HOUR);
    const jobs = await Promise.all(bench.began.map(({ id }) => bench.engine.snapshot(id)));
    expect(jobs.map((job) => [job?.id, job?.scheduledFor])).toEqual([
      ['nightly@2026-03-10T02:30:00.000Z', Date.parse('2026-03-10T02:30:00Z')],
      [expect.not.stringContaining('@'), Date.parse('2026-03-10T02:30:00Z')],
    ]);
  });

  it('while the app is down: as if it had been up', async () => {
    const bench = await startedAt(NOON, { interval, nightly, tens });
    await bench.pass(25 * MINUTE);
    await bench.stop();
    ticksOf(bench);
    bench.clock.jump(-HOUR);
    await bench.start({ interval, nightly, tens });
    await bench.pass(10 * MINUTE);
    expect(bench.began.map(({ id }) => id)).toEqual(['interval@2026-03-10T11:35:00.000Z']);
    expect(codes(bench)).toEqual(['MILLRACE_CLOCK_SET_BACK']);
  });

  it('from a year that was wrong', async () => {
    const bench = await startedAt('2035-01-01T00:00:00Z', { nightly, interval });
    await bench.pass(5 * MINUTE);
    bench.clock.jump(Date.parse(NOON) - bench.clock.now());
    await bench.pass(DAY);
    const counts = new Map<string, number>();
    for (const { id } of bench.began)
      counts.set(id.split('@')[0] ?? '', (counts.get(id.split('@')[0] ?? '') ?? 0) + 1);
    expect(Object.fromEntries(counts)).toEqual({ nightly: 1, interval: 143 });
  });

  it('by an hour: an interval that counts from an instant keeps to it, and rests', async () => {
    const phased = { job: 'quick', every: '10m', startAt: Date.parse('2026-03-10T12:04:00Z') } as const;
    const bench = await startedAt(NOON, { phased });
    await bench.pass(25 * MINUTE);
    expect(ticksOf(bench)).toEqual(['12:04', '12:14', '12:24'].map((time) => `2026-03-10T${time}`));
    bench.clock.jump(-HOUR);
    await bench.pass(HOUR + 10 * MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-10T12:34']);
  });

  it('by four hours: one rule for all schedules, however long ago they ticked', async () => {
    const bench = await startedAt('2026-03-10T02:00:00Z', { nightly, tens });
    await bench.pass(2 * HOUR);
    ticksOf(bench);
    bench.clock.jump(-4 * HOUR);
    await bench.pass(3 * HOUR);
    const ticks = ticksOf(bench);
    expect(ticks[0]).toBe('2026-03-10T00:10');
    expect(ticks.filter((tick) => tick === '2026-03-10T02:30')).toHaveLength(2);
  });

  it('to before what made a schedule over: it goes on', async () => {
    const endAt = Date.parse('2026-03-17T12:00:00Z');
    const bench = await startedAt(NOON, { tens: { ...tens, endAt }, interval: { ...interval, endAt } });
    bench.clock.jump(30 * DAY);
    await bench.pass(MINUTE);
    expect(await bench.engine.schedules.list()).toMatchObject([{ state: 'over' }, { state: 'over' }]);
    await bench.stop();
    ticksOf(bench);
    bench.clock.jump(-30 * DAY);
    await bench.start({ tens: { ...tens, endAt }, interval: { ...interval, endAt } });
    await bench.pass(11 * MINUTE);
    expect(ticksOf(bench)).toHaveLength(2);
  });

  it('to before the beginning of a schedule: it begins when it should', async () => {
    const startAt = Date.parse('2026-03-10T13:00:00Z');
    const all = { tens: { ...tens, startAt }, interval: { ...interval, startAt } };
    const bench = await startedAt('2026-03-20T12:00:00Z', all);
    await bench.pass(10 * MINUTE);
    ticksOf(bench);
    bench.clock.jump(-10 * DAY);
    await bench.pass(55 * MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-10T13:00', '2026-03-10T13:00']);
  });

  it('while a schedule is paused: it goes on from the new time', async () => {
    const bench = await startedAt('2034-01-01T00:00:00Z', { interval });
    await bench.engine.schedules.pause('interval');
    bench.clock.jump(Date.parse(NOON) - bench.clock.now());
    await bench.engine.schedules.resume('interval');
    await bench.pass(10 * MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-10T12:10']);
  });

  it('by an hour while a schedule is paused: what has ticked does not tick again', async () => {
    const bench = await startedAt(NOON, { tens });
    await bench.pass(25 * MINUTE);
    ticksOf(bench);
    bench.clock.jump(-HOUR);
    await bench.engine.schedules.pause('tens');
    await bench.engine.schedules.resume('tens');
    await bench.pass(HOUR + 10 * MINUTE);
    expect(ticksOf(bench)).toEqual(['2026-03-10T12:30']);
  });

  it('by less than a minute: an interval of seconds goes on', async () => {
    const bench = await startedAt(NOON, { s: { job: 'quick', every: '10s' } });
    await bench.pass(25_000);
    expect(ticksOf(bench)).toHaveLength(2);
    bench.clock.jump(-50_000);
    await bench.pass(MINUTE + 1_000);
    expect(ticksOf(bench).length).toBeGreaterThanOrEqual(1);
    await bench.pass(20_000);
    expect(ticksOf(bench)).toHaveLength(2);
  });

  it('while the journal cannot be read: schedules go on when it can', async () => {
    const bench = await startedAt(NOON, { interval, tens });
    bench.store.failReads(new Error('the disk is mad'));
    await bench.pass(11 * MINUTE);
    expect(codes(bench)).toContain('MILLRACE_JOURNAL_READ_FAILED');
    bench.clock.jump(-DAY);
    await bench.pass(2 * MINUTE);
    bench.store.failReads(undefined);
    await bench.pass(21 * MINUTE);
    const ticks = bench.began.map(({ id }) => id.split('@')[0]);
    expect(ticks.filter((name) => name === 'tens').length).toBeGreaterThanOrEqual(2);
    expect(ticks.filter((name) => name === 'interval').length).toBeGreaterThanOrEqual(1);
  });

  it('by what keeps it right: nothing comes of that', async () => {
    const bench = await startedAt(NOON, { tens });
    await bench.pass(25 * MINUTE);
    bench.clock.jump(-900);
    await bench.pass(20 * MINUTE);
    expect(ticksOf(bench)).toEqual(['12:10', '12:20', '12:30', '12:40'].map((time) => `2026-03-10T${time}`));
    expect(codes(bench)).toEqual([]);
  });
});

describe('a long time', () => {
  it('waits for longer than a timer can', async () => {
    const yearly = { job: 'quick', pattern: '@yearly', timezone: 'UTC' } as const;
    const bench = await startedAt('2026-01-01T00:00:01Z', { yearly, later: { job: 'quick', every: '100d' } });
    await bench.pass(366 * DAY);
    expect(bench.began.map(({ id }) => id)).toEqual([
      'later@2026-04-11T00:00:01.000Z',
      'later@2026-07-20T00:00:01.000Z',
      'later@2026-10-28T00:00:01.000Z',
      'yearly@2027-01-01T00:00:00.000Z',
    ]);
  });

  it('does not drift', async () => {
    const bench = await startedAt('2026-03-10T12:00:00.250Z', { s: { job: 'quick', every: 700 } });
    for (let i = 0; i < 100; i++) {
      await bench.pass(501);
      // A timer that is late, each time.
      bench.clock.jump(3);
    }
    const ticks = bench.began.map(
      ({ scheduledFor = 0 }) => scheduledFor - Date.parse('2026-03-10T12:00:00.250Z'),
    );
    expect(ticks.length).toBeGreaterThan(60);
    expect(ticks).toEqual(ticks.map((_, i) => (i + 1) * 700));
  });
});

/** What a year of a schedule has, tick by tick: the engine is up all the time. */
describe('a whole year', () => {
  const local = (zone: string) =>
    new Intl.DateTimeFormat('sv', { timeZone: zone, dateStyle: 'short', timeStyle: 'short' });

  /** Of both nights: the local time that the clocks skip to, and the instant of the repeated one that counts. */
  const ZONES = [
    { zone: 'Europe/Berlin', spring: '2028-03-26 03:00', autumn: '2028-10-29T00:30:00.000Z' },
    { zone: 'America/New_York', spring: '2028-03-12 03:00', autumn: undefined },
    { zone: 'Australia/Lord_Howe', spring: '2028-10-01 02:30', autumn: undefined },
  ] as const;

  it.each(ZONES)('in $zone, a leap year', async ({ zone, spring, autumn }) => {
    const night = { job: 'quick', pattern: '30 2 * * *', timezone: zone } as const;
    const twice = { job: 'quick', pattern: '30 2,14 * * *', timezone: zone } as const;
    const leapDay = { job: 'quick', pattern: '0 12 29 2 *', timezone: zone } as const;
    const monthEnd = { job: 'quick', pattern: '0 0 L * *', timezone: zone } as const;
    const first = new Date(Date.parse('2028-01-01T00:00:00Z') - 14 * HOUR);
    const bench = await startedAt(first.toISOString(), { night, twice, leapDay, monthEnd });
    await bench.pass(367 * DAY);
    const timesOf = (name: string): string[] =>
      bench.began
        .filter(({ id }) => id.startsWith(`${name}@`))
        .map(({ scheduledFor }) => local(zone).format(scheduledFor))
        .filter((time) => time.startsWith('2028'));

    const nights = timesOf('night');
    expect(nights).toHaveLength(366);
    expect(new Set(nights.map((time) => time.slice(0, 10))).size).toBe(366);
    expect(nights.filter((time) => !time.endsWith(' 02:30'))).toEqual(
      spring.endsWith('02:30') ? [] : [spring],
    );
    expect(nights).toContain(spring);
    const both = timesOf('twice');
    expect(both).toHaveLength(732);
    expect(both.filter((time) => time.endsWith(' 14:30'))).toHaveLength(366);
    expect(both.filter((time) => !time.endsWith(' 14:30'))).toEqual(nights);
    if (autumn) expect(bench.began.map(({ id }) => id)).toContain(`night@${autumn}`);
    expect(timesOf('leapDay')).toEqual(['2028-02-29 12:00']);
    expect(timesOf('monthEnd').map((time) => time.slice(5, 10))).toEqual(
      [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31].map(
        (day, i) => `${String(i + 1).padStart(2, '0')}-${day}`,
      ),
    );
    expect(codes(bench)).toEqual([]);
  });
});
