/** Concurrency keys: tenants take turns, each up to its limit, on the event loop and in threads, across restarts. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, threadJob, type MillraceEvents } from '../../src/index.js';
import { collect } from '../fixtures/collect.js';
import { deferred, type Deferred } from '../fixtures/deferred.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { startProgram } from '../fixtures/child.js';
import { Gate } from '../fixtures/gate.js';
import { Recorder } from '../fixtures/recorder.js';

const tiny = threadJob<typeof import('../fixtures/tiny.js')>(new URL('../fixtures/tiny.js', import.meta.url));

const many = <Name extends string, Payload>(
  name: Name,
  payload: Payload,
  concurrencyKey: string,
  count: number,
  first = 0,
) =>
  Array.from({ length: count }, (_, i) => ({
    name,
    payload,
    options: { concurrencyKey, id: `${concurrencyKey}-${first + i}` },
  }));

const tenantOf = (id: string): string => id.replace(/-\d+$/, '');

/** An inline type whose handlers wait until a test lets each go. */
function held(options: Parameters<typeof inlineJob>[1] = {}) {
  const started = new Recorder<string>();
  const running = new Map<string, Deferred<void>>();
  const type = inlineJob(
    async (_payload: unknown, job) => {
      const end = deferred();
      running.set(job.id, end);
      started.push(job.id);
      job.signal.addEventListener('abort', () => end.resolve());
      await end.promise;
      running.delete(job.id);
    },
    { grace: 1, ...options },
  );
  const letGo = (id: string): void => running.get(id)?.resolve();
  return { type, started, running, letGo };
}

test('a tenant with 20,000 jobs delays the first of another by no more than those that run', async () => {
  const { options, closing } = await bench();
  const { type, started, letGo } = held({ concurrency: 4 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work: type }, durability: 'os' }));
  for (const first of [0, 10_000]) await mill.enqueueMany(many('work', 1, 'a', 10_000, first));
  const running = await started.reached(4);
  const other = await mill.enqueue('work', 1, { concurrencyKey: 'b' });
  letGo(running[0] ?? '');
  await started.reached(5);
  expect(started.all[4]).toBe(other.id);
});

test('in threads, tiny jobs of a tenant that has 20,000 do not go before the first of another', async () => {
  const { options, closing } = await bench();
  const mill = closing(
    await Millrace.open({ ...options, jobs: { tiny }, durability: 'os', threads: { count: 2 } }),
  );
  const started: string[] = [];
  mill.on('started', ({ id }) => started.push(tenantOf(id)));
  const completed = record(mill, 'completed');
  for (const first of [0, 10_000]) await mill.enqueueMany(many('tiny', 1, 'a', 10_000, first));
  await completed.reached(2_000);
  const before = started.length;
  const other = await mill.enqueue('tiny', 1, { concurrencyKey: 'b', id: 'b-0' });
  await other.result();
  const at = started.indexOf('b');
  expect(at).toBeGreaterThanOrEqual(before);
  // What was chosen before it was committed: no more than the threads hold.
  expect(at - before).toBeLessThan(1_000);
  expect((await mill.counts()).available).toBeGreaterThan(1_000);
});

test('jobs of two tenants alternate, whoever came first', async () => {
  const { options, closing } = await bench();
  const { type, started, letGo } = held({ concurrency: 1 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work: type }, durability: 'os' }));
  // It is never found, and lets each go that starts.
  void started.until((id) => {
    letGo(id);
    return false;
  });
  await mill.enqueueMany([...many('work', 1, 'a', 40), ...many('work', 1, 'b', 5)]);
  await mill.drain();
  expect(started.all.map(tenantOf).join('')).toBe(`${'ab'.repeat(5)}${'a'.repeat(35)}`);
});

/** The most jobs that ran at once, by what names them. */
class Peaks {
  readonly most = new Map<string, number>();
  readonly #running = new Map<string, number>();

  change(name: string, by: 1 | -1): void {
    const now = (this.#running.get(name) ?? 0) + by;
    this.#running.set(name, now);
    this.most.set(name, Math.max(now, this.most.get(name) ?? 0));
  }
}

test.each(['thread', 'inline'] as const)('no more of a tenant than two run at once: %s', async (kind) => {
  const { options, closing } = await bench();
  const backoff = { type: 'fixed', delay: 1 } as const;
  const limited = { concurrencyPerKey: 2, concurrency: 5, backoff };
  const work = kind === 'thread' ? scriptedThread(limited) : scriptedInline(limited);
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work }, durability: 'os', threads: { count: 3 } }),
  );
  const peaks = new Peaks();
  mill.on('started', ({ id }) => peaks.change(tenantOf(id), 1));
  const over = ({ id }: MillraceEvents['completed']): void => peaks.change(tenantOf(id), -1);
  mill.on('completed', over);
  mill.on('retrying', ({ id }) => peaks.change(tenantOf(id), -1));
  const ok = { do: 'takeTurns', turns: 2 } as const;
  const error = { do: 'inTurn', scripts: [{ do: 'throw' }, ok] } as const;
  const all = [...many('work', ok, 'a', 120), ...many('work', error, 'b', 10), ...many('work', ok, 'c', 20)];
  await mill.enqueueMany(all);
  await Promise.all(all.map(({ options: { id } }) => mill.handle('work', id).result()));
  expect([...peaks.most.values()].every((most) => most <= 2)).toBe(true);
  expect(peaks.most.get('a')).toBe(2);
});

test('tenants that are at their limits hold up neither others nor jobs without a key', async () => {
  const { options, closing } = await bench();
  const { type, started, letGo } = held({ concurrencyPerKey: 1, concurrency: 10 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work: type }, durability: 'os' }));
  await mill.enqueueMany([...many('work', 1, 'a', 2_000), ...many('work', 1, 'b', 3)]);
  await started.reached(2);
  await mill.enqueue('work', 1, { id: 'none-0' });
  await mill.enqueue('work', 1, { id: 'c-0', concurrencyKey: 'c' });
  await started.reached(4);
  expect(started.all.toSorted()).toEqual(['a-0', 'b-0', 'c-0', 'none-0']);
  expect(await mill.explain('a-3')).toMatchObject({
    summary: expect.stringContaining('job type work with the key a runs 1 of 1 at once (work a-0)'),
    reasons: [
      { reason: 'keyBusy', name: 'work', key: 'a', running: 1, limit: 1, jobs: [{ id: 'a-0' }] },
      { reason: 'behind', jobs: 2, sameType: 2 },
    ],
  });
  letGo('a-0');
  await started.reached(5);
  expect(started.all[4]).toBe('a-1');
});

test('an inline handler that goes on after its timeout counts for its tenant until it has gone', async () => {
  const { options, closing } = await bench();
  const end = deferred();
  const started = new Recorder<string>();
  const work = inlineJob(
    async (_payload: unknown, job) => {
      started.push(job.id);
      if (job.id === 'a-0') await end.promise;
    },
    { concurrencyPerKey: 1, timeout: 5, grace: 1, maxAttempts: 1 },
  );
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, durability: 'os' }));
  const failed = record(mill, 'failed');
  await mill.enqueueMany([...many('work', 1, 'a', 2), ...many('work', 1, 'b', 1)]);
  await failed.reached(1);
  await mill.enqueue('work', 1, { id: 'b-1', concurrencyKey: 'b' }).then((job) => job.result());
  expect(started.all).not.toContain('a-1');
  end.resolve();
  await mill.handle('work', 'a-1').result();
});

test('killed and opened again, tenants take turns, each up to its limit, and every job completes once', async () => {
  const { options, closing, directory } = await bench();
  const program = startProgram('tenants', directory);
  await program.lines.reached(1);
  program.kill('SIGKILL');
  await program.exit;
  const runsBefore = (await readFile(join(directory, 'runs'), 'utf8')).split('\n').length;

  const work = scriptedInline({ concurrency: 4, concurrencyPerKey: 2 });
  const mill = closing(await Millrace.open({ ...options, jobs: { work }, durability: 'os' }));
  const peaks = new Peaks();
  const order: string[] = [];
  mill.on('started', ({ id }) => {
    order.push(tenantOf(id));
    peaks.change(tenantOf(id), 1);
  });
  mill.on('completed', ({ id }) => peaks.change(tenantOf(id), -1));
  await mill.drain();
  expect(await mill.counts()).toMatchObject({ completed: 4_000, failed: 0, available: 0, running: 0 });
  expect([...peaks.most.values()].every((most) => most <= 2)).toBe(true);
  // Those of `b` do not wait for the thousands of `a`.
  const ofB = order.flatMap((tenant, at) => (tenant === 'b' ? [at] : []));
  expect(ofB.length).toBeGreaterThan(0);
  expect(ofB.at(-1)).toBeLessThan(2 * ofB.length + 10);
  expect(runsBefore).toBeGreaterThan(20);
});

test('waiting jobs of tenants are told of, cancelled, exported, imported, verified and repaired like others', async () => {
  const { options, closing, directory } = await bench();
  const jobs = { work: scriptedInline({ concurrency: 1 }) };
  const gate = await Gate.in(directory);
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const script = { do: 'passGate', gate: gate.path, label: 'a' } as const;
  const some = [
    ...many('work', script, 'a', 3),
    ...many('work', script, 'ä!', 3),
    ...many('work', script, 'c', 1),
  ];
  await mill.enqueueMany(some);
  await gate.arrived('a');
  expect(await mill.job('ä!-2')).toMatchObject({ state: 'available', concurrencyKey: 'ä!' });
  expect(await mill.cancel('ä!-2')).toBe('cancelled');
  const waiting = await collect(mill.jobs({ state: 'available', name: 'work' }));
  expect(waiting.map(({ id }) => id).toSorted()).toEqual(['a-1', 'a-2', 'c-0', 'ä!-0', 'ä!-1']);
  const lines = await collect(mill.export());
  const ids = lines.slice(1, -1).map((line) => (JSON.parse(line) as { id: string }).id);
  expect(ids.toSorted()).toEqual(some.map(({ options: { id } }) => id).toSorted());
  await mill.close({ timeout: 0 });

  expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true, damage: [] });
  await Millrace.repair(options.directory);
  const copy = closing(await Millrace.open({ ...options, directory: join(directory, 'copy'), jobs: {} }));
  await copy.import(lines);
  expect(await copy.job('ä!-1')).toMatchObject({ state: 'available', concurrencyKey: 'ä!' });
  await copy.close();
  gate.open('a');
  for (const place of [options.directory, join(directory, 'copy')]) {
    const again = closing(await Millrace.open({ ...options, directory: place, jobs }));
    await again.drain();
    expect(await again.counts()).toMatchObject({ completed: 6, cancelled: 1, available: 0 });
    await again.close();
  }
});

test('jobs with keys of a type that the code does not know are told of, and stay', async () => {
  const { options, closing } = await bench();
  const gone = scriptedInline({ concurrency: 1, grace: 1 });
  const first = closing(await Millrace.open({ ...options, jobs: { gone } }));
  const hang = { do: 'hang' } as const;
  await first.enqueueMany([...many('gone', hang, 'a', 2), ...many('gone', hang, 'b', 2)]);
  await first.close({ timeout: 0 });
  const second = closing(await Millrace.open({ ...options, jobs: {} }));
  const warnings = new Recorder<MillraceEvents['warning']>();
  second.on('warning', warnings.push);
  const warning = await warnings.until(({ code }) => code === 'MILLRACE_JOB_UNKNOWN');
  expect(warning.message).toContain('Jobs named gone wait in queue default');
  expect(await second.counts()).toMatchObject({ available: 4 });
});

test("a schedule's jobs have the key that it gives them", async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  await mill.schedules.upsert('nightly', {
    every: '1h',
    job: 'work',
    payload: { do: 'return' },
    options: { concurrencyKey: 'a' },
  });
  const job = await mill.schedules.runNow('nightly');
  await job.result();
  expect(await job.snapshot()).toMatchObject({ concurrencyKey: 'a' });
});
