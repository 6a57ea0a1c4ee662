/** Threads that cannot start: the pool says so, backs off, takes no task, and recovers. */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import type { MillraceError } from '../../src/errors.js';
import { ThreadPool } from '../../src/pool/thread-pool.js';
import { startProgram } from '../fixtures/child.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { needOf, PoolNews, resultOf, run, task } from './news.js';
import { scriptedUrl, threads } from './threads.js';

/** A file; a module that throws, and one that exits, while the file exists. */
async function sickness() {
  const directory = await temporaryDirectory();
  const flag = join(directory, 'sick');
  const moduleThat = async (name: string, does: string): Promise<string> => {
    const file = join(directory, name);
    const source = `import { existsSync } from 'node:fs';
      if (existsSync(${JSON.stringify(flag)})) ${does};
      export default () => 'well';`;
    await writeFile(file, source);
    return pathToFileURL(file).href;
  };
  return {
    throwing: await moduleThat('throwing.mjs', "throw new Error('sick')"),
    exiting: await moduleThat('exiting.mjs', 'process.exit(9)'),
    fall: () => writeFile(flag, ''),
    heal: () => rm(flag),
  };
}

function warnings(news: PoolNews): MillraceError[] {
  return news.all.all.flatMap((one) => (one.kind === 'warning' ? [one.error] : []));
}

async function warningNumber(news: PoolNews, count: number): Promise<MillraceError | undefined> {
  await news.all.until((one) => one.kind === 'warning' && warnings(news).length >= count);
  return warnings(news)[count - 1];
}

/** Ends the pool's only thread, which is then to be replaced. */
async function endThread(pool: ThreadPool, news: PoolNews, clock: FakeClock): Promise<void> {
  const stuck = task({ do: 'loop' }, { graceMs: 1 });
  run(pool, stuck);
  await news.begun(stuck);
  pool.stop(stuck, 'cancelled');
  await clock.advance(1);
  await news.outcome(stuck);
}

test('a pool whose threads cannot start backs off, takes no task, and recovers', async () => {
  const sick = await sickness();
  const clock = new FakeClock();
  const { pool, news } = await threads({ execArgv: ['--import', sick.throwing] }, clock);
  await sick.fall();
  await endThread(pool, news, clock);
  const waits = [100, 200, 400];
  for (const [i, waitMs] of waits.entries()) {
    const warning = await warningNumber(news, i + 1);
    expect(warning?.code).toBe('MILLRACE_THREADS_UNAVAILABLE');
    expect(warning?.message).toMatch(new RegExp(`sick.*the next try is in ${waitMs} ms`));
    expect(pool.hasRoom(needOf('scripted', false))).toBe(false);
    await clock.advance(waitMs - 1);
    expect(warnings(news)).toHaveLength(i + 1);
    if (i === waits.length - 1) await sick.heal();
    await clock.advance(1);
  }
  await news.room(pool);
  const one = task({ do: 'return', value: 'well' });
  run(pool, one);
  expect(resultOf(await news.outcome(one))).toBe('well');
  expect(warnings(news)).toHaveLength(waits.length);
});

test('a handler’s module that can no longer be loaded holds the pool up, and costs no job an attempt', async () => {
  const sick = await sickness();
  const clock = new FakeClock();
  const { pool, news } = await threads({ handlers: { scripted: scriptedUrl, other: sick.throwing } }, clock);
  await sick.fall();
  await endThread(pool, news, clock);
  const warning = await warningNumber(news, 1);
  expect(warning?.code).toBe('MILLRACE_HANDLER_LOAD_FAILED');
  expect(warning?.message).toMatch(/other.*sick.*No job is lost/);
  expect(pool.hasRoom(needOf('scripted', false))).toBe(false);
  await sick.heal();
  await clock.advance(100);
  await news.room(pool);
  const one = task({ do: 'return' }, { name: 'other' });
  run(pool, one);
  expect(resultOf(await news.outcome(one))).toBe('well');
});

test('a module that ends the thread while it is loaded is named', async () => {
  const sick = await sickness();
  await sick.fall();
  await expect(threads({ handlers: { scripted: scriptedUrl, other: sick.exiting } })).rejects.toMatchObject({
    code: 'MILLRACE_HANDLER_LOAD_FAILED',
    message: expect.stringMatching(/other.*exiting\.mjs.*process\.exit\(9\)/),
  });
});

test('a first thread that cannot start fails the start', async () => {
  const sick = await sickness();
  await sick.fall();
  await expect(threads({ execArgv: ['--import', sick.throwing] })).rejects.toMatchObject({
    code: 'MILLRACE_THREADS_UNAVAILABLE',
    message: expect.stringContaining('sick'),
  });
});

test('a system that refuses threads at once is asked again after a while, the longest 30 s', async () => {
  const clock = new FakeClock();
  const news = new PoolNews();
  // An option that Node refuses stands for a system that does: both throw where the thread is made.
  const execArgv = ['--no-such-option'];
  const pool = new ThreadPool({ handlers: {}, count: 2, nice: 0, batchSize: 1, execArgv }, news, clock);
  onTestFinished(() => pool.close());
  const tries: number[] = [];
  pool.fill();
  for (let i = 0; i < 10; i++) {
    const before = clock.now();
    await clock.advanceToNext();
    tries.push(clock.now() - before);
  }
  expect(tries).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 12_800, 25_600, 30_000]);
  expect(pool.hasRoom(needOf('scripted', false))).toBe(false);
});

test('a closed pool tries no more', async () => {
  const sick = await sickness();
  const clock = new FakeClock();
  const { pool, news } = await threads({ execArgv: ['--import', sick.throwing] }, clock);
  await sick.fall();
  await endThread(pool, news, clock);
  await warningNumber(news, 1);
  await pool.close();
  await sick.heal();
  await clock.advance(3_600_000);
  expect(pool.hasRoom(needOf('scripted', false))).toBe(false);
  expect(clock.isIdle).toBe(true);
});

test('a thread that is ended while it begins takes nothing along', async () => {
  const { lines, stderr, exit } = startProgram('ended-early');
  expect(await exit, stderr()).toEqual({ code: 0, signal: null });
  expect(lines.all).toEqual(['ended 180']);
});
