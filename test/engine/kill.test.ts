/** kill -9: whatever was acknowledged is there afterwards, and whatever was completed does not run again. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { startProgram } from '../fixtures/child.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';

const idsAfter = (word: string, lines: readonly string[]): string[] =>
  lines.flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []));

const jobs = { threaded: scriptedThread(), inline: scriptedInline() };
const queues = { default: {}, other: { weight: 2 } };

/** Runs the program until it has printed so many lines, and kills it. */
async function killAfter(lines: number, directory: string, durability: string, gate: Gate) {
  const program = startProgram('killed', directory, durability, gate.path);
  await gate.arrived('running');
  await program.lines.reached(lines);
  program.kill('SIGKILL');
  expect(await program.exit).toMatchObject({ signal: 'SIGKILL' });
  return program.lines.all;
}

test.each([
  ['os', 40],
  ['os', 700],
  ['fsync', 30],
  ['fsync', 500],
])('with durability %s, killed after %i lines', async (durability, lines) => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const told = await killAfter(lines, directory, durability, gate);
  const acknowledged = idsAfter('acknowledged', told);
  const [atGate = '', retried = ''] = acknowledged;
  const completed = new Set(idsAfter('completed', told).filter((id) => id !== retried));
  const runsBefore = await runs(directory);
  gate.open('running');

  const mill = closing(await Millrace.open({ ...options, jobs, queues, threads: { count: 2 } }));
  const rescued = record(mill, 'rescued');
  const results: Promise<unknown>[] = [];
  for (const id of acknowledged) {
    const job = await mill.job(id);
    expect(job, id).toBeDefined();
    if (completed.has(id)) expect(job).toMatchObject({ state: 'completed', errors: [] });
    results.push(mill.handle(job?.name === 'threaded' ? 'threaded' : 'inline', id).result());
  }
  await Promise.all(results);

  // The one at the gate was running for certain; that it was interrupted costs it no attempt.
  expect(rescued.all.map(([, value]) => 'id' in value && value.id)).toContain(atGate);
  expect(await mill.job(atGate)).toMatchObject({ state: 'completed', attempt: 1, errors: [] });
  expect(await mill.job(retried)).toMatchObject({ state: 'completed', attempt: 2 });
  const runsAfter = (await runs(directory)).slice(runsBefore.length).map((line) => line.split(' ')[0]);
  expect(runsAfter.filter((id) => id && completed.has(id))).toEqual([]);
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ running: 0, available: 0, failed: 0 });
});

async function runs(directory: string): Promise<string[]> {
  return (await readFile(join(directory, 'runs'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
}

test('killed again and again, the same job is rescued each time and costs no attempt', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  for (let round = 1; round <= 3; round++) {
    const program = startProgram('resumed', directory, gate.path);
    await gate.arrived('running', round);
    program.kill('SIGKILL');
    await program.exit;
  }
  gate.open('running');
  const mill = closing(await Millrace.open({ ...options, jobs }));
  expect(await mill.handle('threaded', 'the one').result()).toBe('let through');
  expect(await mill.job('the one')).toMatchObject({ attempt: 1, errors: [] });
});

test('a checkpoint outlives the process, and what its handler enqueued does not', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const program = startProgram('checkpointing', directory, gate.path);
  await gate.arrived('in', 2);
  program.kill('SIGKILL');
  await program.exit;
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  for (const name of ['threaded', 'inline'] as const) {
    expect(await mill.handle(name, name).result()).toBe(`${name} done`);
    expect(await mill.job(name)).toMatchObject({ attempt: 1, errors: [] });
    expect(await mill.job(`after ${name}`)).toBe(undefined);
  }
  expect(await mill.counts()).toMatchObject({ completed: 2, running: 0, available: 0 });
});

test('a cancel that was acknowledged holds, although the process died before the job had ended', async () => {
  const { options, closing, directory } = await bench();
  const program = startProgram('cancelling', directory);
  await program.lines.until((line) => line === 'cancelling');
  program.kill('SIGKILL');
  await program.exit;
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const events = record(mill, 'cancelled', 'rescued', 'started');
  await events.reached(1);
  expect(events.all).toMatchObject([['cancelled', { id: 'the one' }]]);
  expect(await mill.job('the one')).toMatchObject({ state: 'cancelled' });
});

test('what was retried, promoted, removed or cancelled stays so, although the process died behind that', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const program = startProgram('dead-letters', directory, gate.path);
  await program.lines.until((line) => line === 'acknowledged');
  program.kill('SIGKILL');
  await program.exit;
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const started = record(mill, 'started');
  for (const id of ['retried', 'again', 'promoted'])
    expect(await mill.handle('threaded', id).result()).toBe('done');
  await mill.drain();
  expect(await mill.job('retried')).toMatchObject({
    state: 'completed',
    attempt: 2,
    retries: 1,
    errors: [{}],
  });
  expect(await mill.job('again')).toMatchObject({ state: 'completed', attempt: 1, retries: 1 });
  expect(await mill.job('kept')).toMatchObject({ state: 'failed', attempt: 1 });
  expect(await mill.job('removed')).toBeUndefined();
  expect(await mill.job('cancelled')).toMatchObject({
    state: 'cancelled',
    cancelReason: 'too late',
    attempt: 0,
  });
  expect(await mill.job('running')).toMatchObject({ state: 'cancelled', cancelReason: 'too long' });
  expect(started.all).toHaveLength(3);
  expect(await mill.counts()).toMatchObject({
    completed: 3,
    failed: 1,
    cancelled: 2,
    available: 0,
    running: 0,
  });
  await mill.close();
  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
});
