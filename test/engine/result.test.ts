/** result() and handle(): whoever waits, whenever they come. */
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { collect } from '../fixtures/collect.js';
import { bench, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';
import { startProgram } from '../fixtures/child.js';

test('the result of a job of an earlier process can be had through its id', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread({ maxAttempts: 1 }) };
  const first = closing(await Millrace.open({ ...options, jobs }));
  const done = await first.enqueue('work', { do: 'return', value: new Map([['kept', 1]]) });
  const failed = await first.enqueue('work', { do: 'throw', message: 'kept, too' });
  const cancelled = await first.enqueue('work', { do: 'return' }, { delay: '1h' });
  await Promise.allSettled([done.result(), failed.result(), cancelled.cancel()]);
  await first.close();
  const second = closing(await Millrace.open({ ...options, jobs }));
  expect(await second.handle('work', done.id).result()).toEqual(new Map([['kept', 1]]));
  await expect(second.handle('work', failed.id).result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
    cause: { name: 'RangeError', message: 'kept, too', code: 'E_LUCK' },
  });
  await expect(second.handle('work', cancelled.id).result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_CANCELLED',
  });
});

test('a handle whose name is not that of the job tells nothing of it, and does nothing to it', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const jobs = { work: scriptedInline(), other: scriptedInline() };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const conflict = {
    code: 'MILLRACE_ID_CONFLICT',
    message: expect.stringMatching(
      /^Expected the id "\w+" to be that of a job of other, but it is a job of work$/,
    ),
  };
  const running = await mill.enqueue(
    'work',
    { do: 'passGate', gate: gate.path, label: 'in', value: 1 },
    { id: 'running' },
  );
  await gate.arrived('in');
  await (await mill.enqueue('work', { do: 'return' }, { id: 'ended' })).result();
  await mill.enqueue('work', { do: 'return' }, { id: 'delayed', delay: '1h' });
  for (const id of ['running', 'ended', 'delayed']) {
    const wrong = mill.handle('other', id);
    await expect(wrong.result()).rejects.toMatchObject(conflict);
    await expect(wrong.snapshot()).rejects.toMatchObject(conflict);
    await expect(wrong.explain()).rejects.toMatchObject(conflict);
    await expect(wrong.cancel()).rejects.toMatchObject(conflict);
    await expect(collect(wrong.progress())).rejects.toMatchObject(conflict);
  }
  expect(await mill.job('delayed')).toMatchObject({ state: 'scheduled' });
  gate.open('in');
  expect(await running.result()).toBe(1);
  expect(await mill.handle('work', 'delayed').cancel()).toBe('cancelled');
  await expect(mill.handle('other', 'nobody').cancel()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_NOT_FOUND',
  });
});

test('a signal ends the waiting and not the job', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const pass = { do: 'passGate', gate: gate.path, label: 'in', value: 'in the end' } as const;
  const job = await mill.enqueue('work', pass);
  const controller = new AbortController();
  const impatient = job.result({ signal: controller.signal });
  await gate.arrived('in');
  controller.abort(new Error('no more patience'));
  await expect(impatient).rejects.toThrow('no more patience');
  await expect(job.result({ signal: controller.signal })).rejects.toThrow('no more patience');
  gate.open('in');
  expect(await job.result()).toBe('in the end');
  expect(await job.result({ signal: new AbortController().signal })).toBe('in the end');
});

test('one waiter’s signal does not disturb the others', async () => {
  const { options, closing, directory } = await bench();
  const gate = await Gate.in(directory);
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const job = await mill.enqueue('work', { do: 'passGate', gate: gate.path, label: 'in', value: 1 });
  const controller = new AbortController();
  const [impatient, patient] = [job.result({ signal: controller.signal }), job.result()];
  controller.abort();
  await expect(impatient).rejects.toMatchObject({ name: 'AbortError' });
  gate.open('in');
  expect(await patient).toBe(1);
});

test('progress ends with the job, also for a reader who comes too late', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  const job = await mill.enqueue('work', { do: 'report' });
  await job.result();
  for await (const progress of job.progress()) expect.unreachable(`there is no ${String(progress)} any more`);
});

test('a result that nobody looks at is never an unhandled rejection', async () => {
  const { directory } = await bench();
  const program = startProgram('ignored-results', directory);
  expect(await program.exit).toEqual({ code: 0, signal: null });
  expect(program.lines.all).toEqual(['failed', 'cancelled', 'closed', 'not found', 'alive']);
  expect(program.stderr()).not.toContain('nhandled');
});
