/** A record that is damaged on the disk: its job fails with a reason, and all others run. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { damage } from '../fixtures/damage.js';
import { bench, record, type Bench } from '../fixtures/engine.js';
import { FakeClock } from '../fixtures/fake-clock.js';

const corrupt = 'MILLRACE_JOURNAL_CORRUPT';
const jobs = { work: inlineJob((payload: string) => `did ${payload}`) };

/** Three jobs for later, in a journal that is closed. */
async function threeScheduled({ options, closing }: Bench, clock: FakeClock) {
  const mill = closing(await Millrace.open({ ...options, jobs, clock }));
  for (const id of ['a', 'b', 'c']) await mill.enqueue('work', id, { id, delay: '1h' });
  await mill.close();
  await clock.advance(3_600_000);
  return options.directory;
}

/** Three available jobs, which the one before them kept from running. */
async function threeAvailable({ options, closing }: Bench) {
  const blocked = { ...jobs, block: inlineJob(() => new Promise(() => {}), { grace: 1 }) };
  const queues = { default: { concurrency: 1 } };
  const mill = closing(await Millrace.open({ ...options, jobs: blocked, queues }));
  const started = record(mill, 'started');
  await mill.enqueue('block');
  await started.reached(1);
  for (const id of ['a', 'b', 'c']) await mill.enqueue('work', id, { id });
  await mill.close({ timeout: 0 });
  return options.directory;
}

test('a job whose spec is damaged fails, and the others run', async () => {
  const own = await bench();
  expect(await damage(await threeAvailable(own), 'j!b')).toBe(1);
  const mill = own.closing(await Millrace.open({ ...own.options, jobs }));
  const events = record(mill, 'failed', 'completed', 'warning');
  expect(await mill.handle('work', 'a').result()).toBe('did a');
  expect(await mill.handle('work', 'c').result()).toBe('did c');
  const [, failed] = await events.until(([event]) => event === 'failed');
  expect(failed).toMatchObject({ id: 'b', name: 'work', error: { code: corrupt } });
  expect(events.all).toContainEqual(['warning', expect.objectContaining({ code: corrupt })]);
  expect(await mill.counts()).toMatchObject({ completed: 2, failed: 1, running: 0 });
  for (const ask of [() => mill.handle('work', 'b').result(), () => mill.job('b'), () => mill.cancel('b')])
    await expect(ask()).rejects.toMatchObject({ code: corrupt, message: expect.stringContaining('b') });
});

test('whoever waits for a job that turns out to be damaged is told', async () => {
  const own = await bench();
  await damage(await threeAvailable(own), 'j!b');
  const mill = own.closing(await Millrace.open({ ...own.options, jobs }));
  await expect(mill.handle('work', 'b').result()).rejects.toMatchObject({ code: corrupt });
});

test('a scheduled job whose record is damaged is warned of once, and the others run', async () => {
  const own = await bench();
  const clock = new FakeClock();
  expect(await damage(await threeScheduled(own, clock), 'j!b')).toBe(1);
  const mill = own.closing(await Millrace.open({ ...own.options, jobs, clock }));
  const warnings = record(mill, 'warning');
  expect(await mill.handle('work', 'a').result()).toBe('did a');
  expect(await mill.handle('work', 'c').result()).toBe('did c');
  await warnings.reached(1);
  // Another round of what is due.
  const another = await mill.enqueue('work', 'd', { delay: 1_000 });
  await clock.armed(1_000);
  await clock.advance(1_000);
  expect(await another.result()).toBe('did d');
  expect(warnings.all).toMatchObject([
    ['warning', { code: corrupt, message: expect.stringContaining('j!b') }],
  ]);
});

test('a place in a queue that is damaged is warned of, and the others run', async () => {
  const own = await bench();
  const directory = await threeAvailable(own);
  expect(await damage(directory, 'r!default!work')).toBe(3);
  const mill = own.closing(await Millrace.open({ ...own.options, jobs }));
  const warnings = record(mill, 'warning');
  expect(await (await mill.enqueue('work', 'new')).result()).toBe('did new');
  const told = warnings.all.filter(([, warning]) => 'code' in warning && warning.code === corrupt);
  expect(told).toHaveLength(3);
});

test('a journal whose counters are damaged does not open', async () => {
  const own = await bench();
  await damage(await threeAvailable(own), 'c!');
  await expect(Millrace.open({ ...own.options, jobs })).rejects.toMatchObject({ code: corrupt });
  // And is not locked by that.
  await expect(Millrace.open({ ...own.options, jobs })).rejects.toMatchObject({ code: corrupt });
});
