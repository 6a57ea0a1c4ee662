/** Whoever is suspected of taking its process down runs alone, in its turn, and neither waits for ever nor holds up others so. */
import { expect, test } from 'vitest';
import { encode } from '../../src/job/codec.js';
import type { JobStatus } from '../../src/job/record.js';
import { openJournal } from '../../src/journal/open.js';
import { systemClock } from '../../src/clock.js';
import { Transaction } from '../../src/journal/transaction.js';
import { Millrace, type JobTypeOptions } from '../../src/index.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { collect } from '../fixtures/collect.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';
import { specOf } from '../fixtures/jobs.js';
import type { Script } from '../fixtures/scripted.js';

const SUSPECT: JobStatus = { state: 'available', attempt: 0, suspicions: 2 };

/** A journal with suspects that wait, as two crashes leave them; and a gate for them and all others. */
async function suspects(...ids: string[]) {
  const { options, closing, directory, logger } = await bench();
  const gate = await Gate.in(directory);
  const at = (label: string): Script => ({ do: 'passGate', gate: gate.path, label, value: label });
  const journal = await openJournal({ ...options, lockTimeoutMs: 0, clock: systemClock });
  const change = new Transaction();
  for (const id of ids) {
    const payload = encode(at(id), 'payload');
    const fields = { id, name: 'work', durability: 'fsync', payload } as const;
    change.restore(specOf(journal.nextSequence(), fields), SUSPECT);
  }
  await journal.commit(change.withSync());
  await journal.close();
  return { options, closing, gate, at, logger };
}

type Around = Awaited<ReturnType<typeof suspects>>;

async function open(
  { options, closing }: Around,
  kind: 'thread' | 'inline',
  clock?: FakeClock,
  type: JobTypeOptions = {},
) {
  const jobs = {
    work:
      kind === 'thread'
        ? scriptedThread({ grace: 1, ...type })
        : scriptedInline({ concurrency: 4, grace: 1, ...type }),
  };
  const mill = closing(
    await Millrace.open({ ...options, jobs, threads: { count: 2 }, ...(clock && { clock }) }),
  );
  return { mill, warnings: record(mill, 'warning') };
}

test.each(['thread', 'inline'] as const)(
  'suspects run one after the other, and nothing beside them: %s',
  async (kind) => {
    const around = await suspects('a', 'b');
    const { gate, at } = around;
    const { mill, warnings } = await open(around, kind);
    await gate.arrived('a');
    const other = await mill.enqueue('work', at('other'));
    expect(await mill.counts()).toMatchObject({ running: 1, available: 2 });
    gate.open('a');
    await gate.arrived('b');
    expect(gate.arrivals('other')).toBe(0);
    expect(await mill.counts()).toMatchObject({ running: 1, available: 1, completed: 1 });
    gate.open('b');
    gate.open('other');
    await expect(other.result()).resolves.toBe('other');
    expect(warnings.all).toMatchObject([
      ['warning', { code: 'MILLRACE_JOB_SUSPECT', message: expect.stringContaining('work a') }],
      ['warning', { code: 'MILLRACE_JOB_SUSPECT', message: expect.stringContaining('work b') }],
    ]);
    // It ended as any job does, and is like any other from here on.
    expect(await mill.job('a')).toMatchObject({ state: 'completed', attempt: 1 });
  },
);

test('a suspect waits for its turn, and then until nothing else runs', async () => {
  const around = await suspects();
  const { gate, at } = around;
  const { mill, warnings } = await open(around, 'thread');
  const running = await Promise.all(['x', 'y'].map((label) => mill.enqueue('work', at(label))));
  for (const label of ['x', 'y']) await gate.arrived(label);
  const first = await mill.enqueue('work', at('first'), { priority: 2 });
  await mill.import([exported('s', at('s'))]);
  await mill.enqueue('work', at('last'));
  gate.open('x');
  await gate.arrived('first');
  expect(warnings.all).toEqual([]);
  gate.open('first');
  await first.result();
  await warnings.reached(1);
  // A thread is free, and the suspect comes first.
  await mill.enqueue('work', at('late'), { priority: 3 });
  expect(await mill.counts()).toMatchObject({ running: 1, available: 3 });
  gate.open('y');
  await gate.arrived('s');
  await Promise.all(running.map((job) => job.result()));
  expect(gate.arrivals('late') + gate.arrivals('last')).toBe(0);
  gate.open('s');
  await gate.arrived('late');
  expect(await mill.job('s')).toMatchObject({ state: 'completed' });
});

/** An export of one suspect. */
function exported(id: string, payload: Script, own: object = {}): string {
  const job = { id, name: 'work', queue: 'default', state: 'available', priority: 1, payload };
  const rest = { enqueuedAt: 0, durability: 'fsync', attempt: 0, suspicions: 2 };
  const lines = [
    { format: 'millrace-jobs', version: 1, exportedAt: 0 },
    { ...job, ...rest, ...own },
    { end: true, jobs: 1 },
  ];
  return lines.map((line) => `${JSON.stringify(line)}\n`).join('');
}

test('what runs for long does not keep all others waiting behind a suspect, nor the suspect for ever', async () => {
  const clock = new FakeClock();
  const around = await suspects();
  const { gate, at } = around;
  const { mill, warnings } = await open(around, 'inline', clock);
  await mill.enqueue('work', at('long'));
  await gate.arrived('long');
  await mill.import([exported('s', at('s'))]);
  await warnings.reached(1);
  await mill.enqueue('work', at('other'));
  await clock.advance(9_999);
  expect(gate.arrivals('other')).toBe(0);
  await clock.advance(1);
  await gate.arrived('other');
  await mill.enqueue('work', at('another'));
  await gate.arrived('another');
  // Its turn again, with more patience.
  await clock.advance(10_000);
  await warnings.reached(2);
  await mill.enqueue('work', at('third'));
  await clock.advance(19_999);
  expect([gate.arrivals('third'), gate.arrivals('s')]).toEqual([0, 0]);
  for (const label of ['long', 'other', 'another']) gate.open(label);
  await gate.arrived('s');
  expect(gate.arrivals('third')).toBe(0);
  gate.open('s');
  await gate.arrived('third');
});

test('a handler that goes on after its attempt keeps a suspect from running, and nobody else', async () => {
  const around = await suspects();
  const { gate, at } = around;
  const { mill, warnings } = await open(around, 'inline', undefined, {
    timeout: 1,
    grace: 1,
    maxAttempts: 1,
  });
  const stuck = await mill.enqueue('work', at('stuck'));
  await expect(stuck.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
  await mill.import([exported('s', at('s'))]);
  await expect((await mill.enqueue('work', { do: 'return', value: 1 })).result()).resolves.toBe(1);
  expect(gate.arrivals('s')).toBe(0);
  gate.open('stuck');
  await gate.arrived('s');
  const codes = warnings.all.map(([, value]) => 'code' in value && value.code);
  expect(codes).toContain('MILLRACE_JOB_SUSPECT');
});

test('a suspect that is cancelled while all wait for it holds nobody up any more', async () => {
  const around = await suspects();
  const { gate, at } = around;
  const { mill, warnings } = await open(around, 'thread');
  await mill.enqueue('work', at('long'));
  await gate.arrived('long');
  await mill.import([exported('s', at('s'))]);
  await warnings.reached(1);
  await mill.enqueue('work', at('other'));
  expect(await mill.cancel('s')).toBe('cancelled');
  await gate.arrived('other');
});

test('a suspect is one still after a restart, whatever kept it from running', async () => {
  const around = await suspects('s');
  const { gate } = around;
  const first = await open(around, 'thread');
  await gate.arrived('s');
  await first.mill.close({ timeout: 0 });
  const report = await Millrace.verify(around.options.directory);
  expect(report).toMatchObject({ sound: true });
  const { mill, warnings } = await open(around, 'thread');
  await warnings.reached(1);
  gate.open('s');
  await mill.drain();
  await mill.close();
  const last = await open(around, 'thread');
  await last.mill.enqueue('work', { do: 'return' }, { id: 's' });
  await last.mill.drain();
  expect(last.warnings.all).toEqual([]);
});

test('an export tells of suspects, and a job that has ended is none', async () => {
  const around = await suspects('s');
  const { gate, at } = around;
  const { mill } = await open(around, 'thread');
  await gate.arrived('s');
  const [, line = ''] = await collect(mill.export());
  expect(JSON.parse(line)).toMatchObject({ id: 's', suspicions: 2 });
  for (const wrong of [{ suspicions: 3 }, { state: 'cancelled', finishedAt: 1 }, { crashes: 0 }])
    await expect(mill.import([exported('t', at('t'), wrong)])).rejects.toMatchObject({
      code: 'MILLRACE_IMPORT_INVALID',
    });
});

test('maxCrashes is an integer from 1 on', async () => {
  const around = await suspects();
  await expect(open(around, 'inline', undefined, { maxCrashes: 0 })).rejects.toMatchObject({
    code: 'MILLRACE_OPTION_INVALID',
    message: expect.stringContaining('`jobs.work.maxCrashes`'),
  });
});
