/** A job that takes its process down is told from those beside it, and fails at last; whoever is killed for no fault does not. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { startCommand, startProgram, type Program } from '../fixtures/child.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';

const jobs = { threaded: scriptedThread(), inline: scriptedInline(), work: scriptedThread() };

/** As the program numbers them: the eleventh is the other one. */
const INNOCENT = Array.from({ length: 21 }, (_, i) => `innocent-${i}`).filter((id) => id !== 'innocent-10');

test('of many jobs the one that takes the process down fails after five deaths, and no other is harmed', async () => {
  const { options, closing, directory } = await bench();
  const heard: string[] = [];
  let deaths = 0;
  for (let signal: string | null = 'SIGKILL'; signal === 'SIGKILL';) {
    const program = startProgram('poisoned', directory);
    const exit = await program.exit;
    expect(exit.signal ?? exit.code, program.stderr()).toBe(exit.signal ? 'SIGKILL' : 0);
    ({ signal } = exit);
    if (signal) deaths++;
    heard.push(...program.lines.all);
  }
  expect(deaths).toBe(5);
  expect(heard.filter((line) => line.startsWith('failed'))).toEqual(['failed poison MILLRACE_JOB_CRASHED']);
  expect(heard).toContain('warning MILLRACE_JOB_SUSPECT');

  const mill = closing(await Millrace.open({ ...options, jobs }));
  for (const id of INNOCENT)
    expect(await mill.job(id)).toMatchObject({ state: 'completed', attempt: 1, errors: [] });
  expect(await mill.job('poison')).toMatchObject({ state: 'failed', attempt: 0, crashes: 3, errors: [] });
  await expect(mill.handle('threaded', 'poison').result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
    cause: { code: 'MILLRACE_JOB_CRASHED', message: expect.stringContaining('3 times') },
  });
}, 30_000);

/** Starts programs one after the other, and ends each of them once its job runs. */
async function endEach(
  times: number,
  gate: Gate,
  label: string,
  start: () => Program,
  end: (program: Program) => unknown,
) {
  for (let round = 1; round <= times; round++) {
    const program = start();
    await gate.arrived(label, round);
    await end(program);
    program.kill('SIGKILL');
    expect(await program.exit).toMatchObject({ signal: 'SIGKILL' });
  }
}

test('deploys that kill a long job before the engine has closed never fail it', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const start = () => startProgram('signalled', directory, gate.path);
  await endEach(6, gate, 'a', start, async (program) => {
    program.kill('SIGTERM');
    await program.lines.until((line) => line === 'a closing');
  });
  gate.open('a');
  const mill = closing(await Millrace.open({ ...options, directory: `${directory}/a`, jobs }));
  const events = record(mill, 'warning');
  await expect(mill.handle('work', 'a').result()).resolves.toBe('a');
  const job = await mill.job('a');
  expect(job).toMatchObject({ state: 'completed', attempt: 1, errors: [] });
  expect(job).not.toHaveProperty('crashes');
  expect(events.all).toEqual([]);
}, 30_000);

test.runIf(process.platform === 'linux')(
  'power cuts make no job a suspect',
  async () => {
    const { options, closing, directory } = await bench();
    const gate = await Gate.in(directory);
    const [otherBoot, resumed] = ['../power-cut/other-boot.js', '../fixtures/programs/resumed.js'].map(
      (file) => fileURLToPath(new URL(file, import.meta.url)),
    );
    const args = ['--import', otherBoot ?? '', resumed ?? '', directory, gate.path];
    await endEach(
      6,
      gate,
      'running',
      () => startCommand(process.execPath, args, directory),
      () => {},
    );
    gate.open('running');
    const mill = closing(await Millrace.open({ ...options, jobs }));
    const events = record(mill, 'warning');
    await expect(mill.handle('threaded', 'the one').result()).resolves.toBe('let through');
    expect(await mill.job('the one')).not.toHaveProperty('crashes');
    expect(events.all).toEqual([]);
  },
  30_000,
);

test('one that is killed alone fails no sooner than its type says', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  await endEach(
    4,
    gate,
    'running',
    () => startProgram('resumed', directory, gate.path),
    () => {},
  );
  gate.open('running');
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await expect(mill.handle('threaded', 'the one').result()).resolves.toBe('let through');
  expect(await mill.job('the one')).toMatchObject({ state: 'completed', attempt: 1, crashes: 2 });
}, 30_000);
