/** Real disks that fill up, let nothing be written, or are gone: the whole engine, with threads. */
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Millrace, type MillraceError } from '../../src/index.js';
import { bench, scriptedThread, type Bench } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';
import { recordingLogger } from '../fixtures/logger.js';
import { Recorder } from '../fixtures/recorder.js';
import { canMount, smallDisk } from '../fixtures/small-disk.js';

const jobs = { work: scriptedThread() };
const refused = { code: 'MILLRACE_JOURNAL_WRITE_FAILED' };
const reopened = { code: 'MILLRACE_JOURNAL_REOPENED' };

async function open(directory: string, closing: Bench['closing']) {
  const options = { directory, jobs, threads: { count: 2 }, logger: recordingLogger() };
  const mill = closing(await Millrace.open(options));
  const warnings = new Recorder<MillraceError>();
  mill.on('warning', warnings.push);
  return { mill, warnings };
}

type Mill = Awaited<ReturnType<typeof open>>['mill'];

/** Enqueues until the journal takes no more. @returns the ids that were acknowledged. */
async function enqueueUntilRefused(mill: Mill): Promise<string[]> {
  const payload = { do: 'return', value: 'x'.repeat(2_000) } as const;
  const ids: string[] = [];
  for (;;) {
    try {
      ids.push((await mill.enqueue('work', payload)).id);
    } catch (thrown) {
      expect(thrown).toMatchObject(refused);
      return ids;
    }
  }
}

describe.skipIf(!canMount())('a disk of a few megabytes', () => {
  test('full: what was acknowledged stays, outcomes are kept, and all goes on once there is room', async () => {
    const disk = smallDisk(40);
    const { closing, directory } = await bench();
    const gate = await Gate.in(directory);
    const { mill, warnings } = await open(join(disk.directory, 'journal'), closing);
    const labels = ['one', 'two'];
    const running = await Promise.all(
      labels.map((label) => mill.enqueue('work', { do: 'passGate', gate: gate.path, label, value: label })),
    );
    await Promise.all(labels.map((label) => gate.arrived(label)));
    disk.fill();
    const before = await enqueueUntilRefused(mill);
    await warnings.until(({ code }) => code === refused.code);

    // They end now, and their outcomes cannot be written.
    for (const label of labels) gate.open(label);
    const results = Promise.all(running.map((job) => job.result()));
    await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_OPEN_FAILED');
    await expect(mill.enqueue('work', { do: 'return' })).rejects.toMatchObject(refused);
    expect(await mill.job(running[0]?.id ?? '')).toMatchObject({ state: 'running' });

    disk.free();
    await warnings.until(({ code }) => code === reopened.code);
    expect(await results).toEqual(labels);
    const after = await mill.enqueue('work', { do: 'return', value: 'after' });
    expect(await after.result()).toBe('after');
    await mill.drain();
    await mill.close();

    const next = await open(join(disk.directory, 'journal'), closing);
    const all = [...before, after.id, ...running.map(({ id }) => id)];
    for (const id of all) expect(await next.mill.job(id)).toMatchObject({ state: 'completed', attempt: 1 });
    const { completed, available, running: stillRunning } = await next.mill.counts();
    // One more where the write that failed was there after all.
    expect(completed - all.length).toBeOneOf([0, 1]);
    expect({ available, stillRunning }).toEqual({ available: 0, stillRunning: 0 });
    await next.mill.close();
  });

  test('full when it is to be opened: open() says so, and nothing is lost', async () => {
    const disk = smallDisk(24);
    const { closing } = await bench();
    const journal = join(disk.directory, 'journal');
    const { mill } = await open(journal, closing);
    const { id } = await mill.enqueue('work', { do: 'return' }, { delay: '1h' });
    await mill.close();
    disk.fill();
    await expect(open(journal, closing)).rejects.toMatchObject({
      code: 'MILLRACE_JOURNAL_OPEN_FAILED',
      message: expect.stringMatching(/no space left/i),
    });
    disk.free();
    const next = await open(journal, closing);
    expect(await next.mill.job(id)).toMatchObject({ state: 'scheduled' });
    await next.mill.close();
  });

  test('read-only when it is to be opened: open() says so', async () => {
    const disk = smallDisk(24);
    const { closing } = await bench();
    const journal = join(disk.directory, 'journal');
    const { mill } = await open(journal, closing);
    const { id } = await mill.enqueue('work', { do: 'return' }, { delay: '1h' });
    await mill.close();
    disk.lock();
    await expect(open(journal, closing)).rejects.toMatchObject({
      code: 'MILLRACE_JOURNAL_OPEN_FAILED',
      message: expect.stringMatching(/read-only/i),
    });
    disk.unlock();
    const next = await open(journal, closing);
    expect(await next.mill.job(id)).toMatchObject({ state: 'scheduled' });
    await next.mill.close();
  });
});

test('a directory that was moved away is noticed, waited for, and nothing is lost', async () => {
  const { closing, directory } = await bench();
  const [journal, aside] = [join(directory, 'journal'), join(directory, 'aside')];
  const gate = await Gate.in(directory);
  const { mill, warnings } = await open(journal, closing);
  const running = await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'one', value: 'one' });
  await gate.arrived('one');
  await rename(journal, aside);
  await expect(mill.enqueue('work', { do: 'return' })).rejects.toMatchObject(refused);
  gate.open('one');
  await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_OPEN_FAILED');
  await rename(aside, journal);
  await warnings.until(({ code }) => code === reopened.code);
  expect(await running.result()).toBe('one');
  await (await mill.enqueue('work', { do: 'return' })).result();
});

test('a directory that was removed is not made anew: nothing is taken, and close() ends it', async () => {
  const { closing, directory } = await bench();
  const journal = join(directory, 'journal');
  const { mill, warnings } = await open(journal, closing);
  await mill.enqueue('work', { do: 'return' }, { delay: '1h' });
  await rm(journal, { recursive: true });
  await expect(mill.enqueue('work', { do: 'return' })).rejects.toMatchObject(refused);
  await mkdir(journal);
  await warnings.until(({ code }) => code === 'MILLRACE_JOURNAL_OPEN_FAILED');
  await expect(mill.enqueue('work', { do: 'return' })).rejects.toMatchObject(refused);
  await mill.close();
});
