/** The jobs of ticks in exports, and schedules in backups. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { collect } from '../fixtures/collect.js';
import { NOW } from '../fixtures/jobs.js';
import { HOUR, MINUTE, pass, scheduleThat, ticking, tickOf } from '../fixtures/ticking.js';

const hourly = { job: 'work', payload: 'one', every: '1h' } as const;
const at = NOW + HOUR;

test('an export carries the tick of each job, and an import brings it back', async () => {
  const own = await ticking();
  const { options, clock, runs, closing, directory } = own;
  const mill = closing(
    await Millrace.open({ ...options, schedules: { one: hourly, later: { ...hourly, jitter: '30m' } } }),
  );
  await pass(clock, HOUR);
  await scheduleThat(mill, 'one', ({ lastRun }) => lastRun?.outcome === 'completed');
  await scheduleThat(mill, 'later', ({ runCount }) => runCount === 1);
  await mill.enqueue('work', 'mine', { id: 'mine', delay: '1h' });
  const lines = await collect(mill.export());
  const jobs = lines.slice(1, -1).map((line) => JSON.parse(line) as Record<string, unknown>);
  const told = ({ id, schedule, scheduledFor }: Record<string, unknown>) => ({ id, schedule, scheduledFor });
  expect(jobs.map(told)).toEqual([
    { id: tickOf('later', at), schedule: 'later', scheduledFor: at },
    { id: 'mine', schedule: undefined, scheduledFor: undefined },
    { id: tickOf('one', at), schedule: 'one', scheduledFor: at },
  ]);
  await mill.close();
  const target = closing(await Millrace.open({ ...options, directory: join(directory, 'target') }));
  expect(await target.import(lines)).toEqual({ imported: 3, skipped: 0 });
  expect(await target.job(tickOf('one', at))).toMatchObject({ schedule: 'one', scheduledFor: at });
  expect((await collect(target.export())).slice(1)).toEqual(lines.slice(1));
  // The jobs alone: the schedules are where they were.
  expect(await target.schedules.list()).toEqual([]);
  await clock.armed(MINUTE);
  await clock.advance(30 * MINUTE);
  expect(await runs.reached(2)).toMatchObject([{}, { id: tickOf('later', at), scheduledFor: at }]);
});

test.each([
  ['schedule', 'a b'],
  ['schedule', 7],
  ['scheduledFor', -1],
  ['scheduledFor', 'noon'],
])('a line whose `%s` is %o is refused', async (field, wrong) => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  await mill.enqueue('work', 1, { id: 'a', delay: '1h' });
  const [head = '', job = '', end = ''] = await collect(mill.export());
  const line = JSON.stringify({
    ...(JSON.parse(job) as object),
    id: 'b',
    schedule: 's',
    scheduledFor: 1,
    [field]: wrong,
  });
  await expect(mill.import([head, line, end])).rejects.toMatchObject({
    code: 'MILLRACE_IMPORT_INVALID',
    message: expect.stringContaining(`\`${field}\``),
  });
});

test('a tick whose job was imported has it, and no other', async () => {
  const own = await ticking();
  const { options, clock, runs, closing, directory } = own;
  const mill = closing(await Millrace.open({ ...options, schedules: { one: hourly } }));
  await pass(clock, HOUR);
  await scheduleThat(mill, 'one', ({ lastRun }) => lastRun?.outcome === 'completed');
  const lines = await collect(mill.export());
  await mill.close();
  clock.jump(-HOUR);
  const target = closing(
    await Millrace.open({ ...options, directory: join(directory, 'target'), schedules: { one: hourly } }),
  );
  await target.import(lines);
  await pass(clock, HOUR);
  const { lastRun } = await scheduleThat(target, 'one', (one) => one.lastRun?.outcome === 'completed');
  expect(lastRun).toMatchObject({ scheduledFor: at, jobId: tickOf('one', at) });
  await pass(clock, HOUR);
  await scheduleThat(target, 'one', (one) => one.runCount === 2 && one.lastRun?.outcome === 'completed');
  expect(runs.all.map(({ id }) => id)).toEqual([tickOf('one', at), tickOf('one', at + HOUR)]);
  expect(await target.counts()).toMatchObject({ completed: 2 });
});

test('a backup carries the schedules, which go on there', async () => {
  const { options, clock, runs, closing, directory } = await ticking();
  const schedules = { declared: hourly };
  const mill = closing(await Millrace.open({ ...options, schedules }));
  await mill.schedules.upsert('own', { ...hourly, payload: new Map([[1, 2n]]), overlap: 'queue' });
  await mill.schedules.upsert('paused', { job: 'work', pattern: '@daily', timezone: 'UTC' });
  await mill.schedules.pause('paused');
  await pass(clock, HOUR);
  for (const name of ['declared', 'own'])
    await scheduleThat(mill, name, ({ lastRun }) => lastRun?.outcome === 'completed');
  const listed = await mill.schedules.list({ upcoming: 3 });
  const copy = join(directory, 'copy');
  await mill.backup(copy);
  await mill.close();
  expect(await Millrace.verify(copy)).toMatchObject({ sound: true });
  const restored = closing(await Millrace.open({ ...options, directory: copy, schedules }));
  expect(await restored.schedules.list({ upcoming: 3 })).toEqual(listed);
  await pass(clock, HOUR);
  await runs.reached(4);
  expect(await restored.job(tickOf('own', at + HOUR))).toMatchObject({ schedule: 'own' });
});
