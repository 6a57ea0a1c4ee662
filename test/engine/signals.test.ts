/** closeOnSignals: what becomes of a process that is told to end. */
import { once } from 'node:events';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { Millrace, type CloseOnSignals, type JobSnapshot } from '../../src/index.js';
import { startCommand, startProgram } from '../fixtures/child.js';
import { bench, scriptedThread, type Bench } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';

const isLine = (expected: string) => (line: string) => line === expected;
const jobs = { work: scriptedThread() };

/** A process with engines whose jobs stand at the gate. */
async function start(mode: string, ...labels: string[]) {
  const own = await bench();
  const gate = await Gate.in(own.directory);
  const program = startProgram('signalled', own.directory, gate.path, mode);
  await Promise.all(labels.map((label) => gate.arrived(label)));
  return { own, gate, program };
}

/** What became of an engine's job, in the journal that its process left; its queue is not served here. */
async function jobOf(own: Bench, name: string): Promise<JobSnapshot | undefined> {
  const directory = join(own.directory, name);
  const mill = own.closing(
    await Millrace.open({ ...own.options, directory, jobs: {}, queues: { none: {} } }),
  );
  const job = await mill.job(name);
  await mill.close();
  return job;
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  'at %s the running job finishes, the engine closes, and the signal ends the process',
  async (signal) => {
    const { own, gate, program } = await start('alone', 'a');
    program.kill(signal);
    await program.lines.until(isLine('a closing'));
    gate.open('a');
    expect(await program.exit).toEqual({ code: null, signal });
    expect(await jobOf(own, 'a')).toMatchObject({ state: 'completed', result: 'a' });
  },
);

test('the timeout is that of the option, and other signals than those asked for are not listened to', async () => {
  const { own, program } = await start('short', 'a');
  program.kill('SIGHUP');
  expect(await program.exit).toEqual({ code: null, signal: 'SIGHUP' });
  expect(await jobOf(own, 'a')).toMatchObject({ state: 'available', attempt: 0 });

  const other = await start('short', 'a');
  other.program.kill('SIGTERM');
  expect(await other.program.exit).toEqual({ code: null, signal: 'SIGTERM' });
  expect(other.program.lines.all).toEqual([]);
});

test('whoever awaits a job that does not finish in time is told nothing: the signal ends the process, and no error', async () => {
  const { own, program } = await start('awaiting', 'a');
  program.kill('SIGHUP');
  expect(await program.exit, program.stderr()).toEqual({ code: null, signal: 'SIGHUP' });
  expect(await jobOf(own, 'a')).toMatchObject({ state: 'available', attempt: 0 });
});

test('the process ends when all of its engines have closed', async () => {
  const { own, gate, program } = await start('two', 'a', 'b');
  program.kill('SIGTERM');
  await Promise.all([program.lines.until(isLine('a closing')), program.lines.until(isLine('b closing'))]);
  gate.open('a');
  await program.lines.until(isLine('a closed'));
  gate.open('b');
  expect(await program.exit).toEqual({ code: null, signal: 'SIGTERM' });
  expect(await jobOf(own, 'a')).toMatchObject({ state: 'completed' });
  expect(await jobOf(own, 'b')).toMatchObject({ state: 'completed' });
});

test.each(['SIGTERM', 'SIGINT'] as const)(
  'a second signal, here %s, ends the process at once',
  async (second) => {
    const { own, program } = await start('alone', 'a');
    program.kill('SIGTERM');
    await program.lines.until(isLine('a closing'));
    program.kill(second);
    expect(await program.exit).toEqual({ code: null, signal: second });
    expect(program.lines.all).not.toContain('exit');
    expect(await jobOf(own, 'a')).toMatchObject({ state: 'available', attempt: 0 });
  },
);

test('an app that listens, too, ends its process itself', async () => {
  const { own, gate, program } = await start('listening', 'a');
  program.kill('SIGTERM');
  await program.lines.until(isLine('a closing'));
  gate.open('a');
  expect(await program.exit).toEqual({ code: 7, signal: null });
  expect(program.lines.all).toContain('mine');
  expect(program.lines.all).toContain('exit');
  expect(await jobOf(own, 'a')).toMatchObject({ state: 'completed' });
});

test('an app that listens, too, can go on without the engine', async () => {
  const { gate, program } = await start('staying', 'a');
  program.kill('SIGTERM');
  gate.open('a');
  await program.lines.until(isLine('a closed'));
  program.kill('SIGTERM');
  await program.lines.reached(4);
  expect(program.lines.all.toSorted()).toEqual(['a closed', 'a closing', 'mine', 'mine']);
  program.kill('SIGINT');
  expect(await program.exit).toEqual({ code: null, signal: 'SIGINT' });
});

test('it works for an app of CommonJS', async () => {
  const own = await bench();
  const index = fileURLToPath(new URL('../../src/index.js', import.meta.url));
  const file = join(own.directory, 'app.cjs');
  await writeFile(
    file,
    `const { Millrace } = require(${JSON.stringify(index)});
     Millrace.open({ directory: ${JSON.stringify(own.options.directory)}, jobs: {}, closeOnSignals: true }).then(() => {
       setInterval(() => {}, 1e6);
       console.log('open');
     });`,
  );
  const program = startCommand(process.execPath, ['--no-warnings', file], own.directory);
  await program.lines.until(isLine('open'));
  program.kill('SIGTERM');
  expect(await program.exit).toEqual({ code: null, signal: 'SIGTERM' });
  // Closed, and not just ended.
  expect(await readdir(own.options.directory)).not.toContain('OWNER');
});

test('a worker thread hears of no signal, and says so', async () => {
  const own = await bench();
  const index = new URL('../../src/index.js', import.meta.url).href;
  const options = JSON.stringify({ directory: own.options.directory, jobs: {}, closeOnSignals: true });
  const worker = new Worker(
    `import(${JSON.stringify(index)}).then(({ Millrace }) => Millrace.open(${options})).catch(
       (error) => require('node:worker_threads').parentPort.postMessage(error.message));`,
    { eval: true },
  );
  const [message]: unknown[] = await once(worker, 'message');
  expect(message).toContain('worker thread');
  await worker.terminate();
});

test('engines listen once for all of them, while they are open, and only where that is asked for', async () => {
  const own = await bench();
  const count = (): number[] =>
    ['SIGTERM', 'SIGINT', 'SIGHUP'].map((signal) => process.listenerCount(signal));
  const before = count();
  const plus = (...more: number[]): number[] => before.map((one, i) => one + (more[i] ?? 0));
  const open = async (name: string, closeOnSignals: boolean | CloseOnSignals) =>
    own.closing(
      await Millrace.open({ ...own.options, directory: join(own.directory, name), jobs: {}, closeOnSignals }),
    );
  for (let cycle = 0; cycle < 12; cycle++) {
    const first = await open('first', true);
    const second = await open('second', { signals: ['SIGINT', 'SIGHUP'] });
    const third = await open('third', false);
    expect(count()).toEqual(plus(1, 1, 1));
    await first.close();
    expect(count()).toEqual(plus(0, 1, 1));
    await Promise.all([second.close(), third.close()]);
    expect(count()).toEqual(before);
  }
  await own.closing(await Millrace.open({ ...own.options, jobs })).close();
  expect(count()).toEqual(before);
});

test.each([
  ['yes', 'true, false or an object'],
  [[], 'true, false or an object'],
  [{ signals: [] }, 'an array of signals'],
  [{ signals: 'SIGTERM' }, 'an array of signals'],
  [{ signals: ['SIGKILL'] }, 'an array of SIGTERM'],
  [{ timeout: 'soon' }, 'milliseconds'],
])('closeOnSignals: %j is refused', async (closeOnSignals, expected) => {
  const { options } = await bench();
  const wrong = closeOnSignals as unknown as CloseOnSignals;
  await expect(Millrace.open({ ...options, jobs: {}, closeOnSignals: wrong })).rejects.toMatchObject({
    code: 'MILLRACE_OPTION_INVALID',
    message: expect.stringContaining(expected),
  });
});

test('a close() that is refused leaves the engine listening', async () => {
  const own = await bench();
  const listening = (): number => process.listenerCount('SIGTERM');
  const before = listening();
  const mill = own.closing(await Millrace.open({ ...own.options, jobs: {}, closeOnSignals: true }));
  await expect(mill.close({ timeout: 'soon' as never })).rejects.toMatchObject({
    code: 'MILLRACE_OPTION_INVALID',
  });
  expect(listening()).toBe(before + 1);
  await mill.close();
  expect(listening()).toBe(before);
});
