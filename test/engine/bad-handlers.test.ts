/** Handlers that do what they should not: each has its code, and the engine goes on working. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { startProgram } from '../fixtures/child.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { revoked } from '../fixtures/hostile.js';
import type { Script } from '../fixtures/scripted.js';

const atOnce = { type: 'exponential', delay: 0 } as const;

/** What any handler can do, and the code, the message and the number of attempts that it makes. */
const anywhere: [what: string, script: Script, code: string, message: RegExp, attempts: number][] = [
  ['throws a string', { do: 'throwValue', value: 'oh' }, 'MILLRACE_HANDLER_THREW_NON_ERROR', /"oh"/, 2],
  [
    'throws undefined',
    { do: 'throwValue', value: undefined },
    'MILLRACE_HANDLER_THREW_NON_ERROR',
    /undefined/,
    2,
  ],
  ['throws null', { do: 'throwValue', value: null }, 'MILLRACE_HANDLER_THREW_NON_ERROR', /null/, 2],
  ['returns a function', { do: 'returnFunction' }, 'MILLRACE_RESULT_INVALID', /result\.nested\.call/, 1],
  [
    'returns an instance',
    { do: 'returnInstance' },
    'MILLRACE_RESULT_INVALID',
    /Instance at result\.list\[1\]/,
    1,
  ],
  ['returns what was revoked', { do: 'returnRevoked' }, 'MILLRACE_RESULT_INVALID', /result\.list\[1\]/, 1],
  [
    'throws what was revoked',
    { do: 'throwHostile', what: 'revoked' },
    'MILLRACE_HANDLER_THREW_NON_ERROR',
    /cannot be looked into/,
    2,
  ],
];

/** What only a thread survives. */
const inThreads: typeof anywhere = [
  ['exits', { do: 'exit', code: 3 }, 'MILLRACE_HANDLER_EXITED', /process\.exit\(3\)/, 2],
  ['has a stray timer', { do: 'strayDuring' }, 'MILLRACE_HANDLER_STRAY_ERROR', /a stray timer/, 2],
  ['leaves a rejection', { do: 'rejectUnhandled' }, 'MILLRACE_HANDLER_STRAY_ERROR', /nobody looked/, 2],
  ['takes all memory', { do: 'exhaust', how: 'objects' }, 'MILLRACE_HANDLER_OUT_OF_MEMORY', /maxHeapMb/, 2],
];

const jobTypes = {
  thread: scriptedThread({ maxAttempts: 2, backoff: atOnce }),
  inline: scriptedInline({ maxAttempts: 2, backoff: atOnce }),
};

test.each([
  ...[...anywhere, ...inThreads].map(([what, ...rest]) => ['thread', what, ...rest] as const),
  ...anywhere.map(([what, ...rest]) => ['inline', what, ...rest] as const),
])('a handler (%s) that %s', async (name, _what, script, code, message, attempts) => {
  const { options, closing } = await bench();
  const mill = closing(
    await Millrace.open({ ...options, jobs: jobTypes, threads: { count: 1, maxHeapMb: 32 } }),
  );
  const job = await mill.enqueue(name, script);
  await expect(job.result()).rejects.toMatchObject({
    code: 'MILLRACE_JOB_FAILED',
    attempt: attempts,
    cause: { code, message: expect.stringMatching(message) },
  });
  expect((await job.snapshot()).errors).toHaveLength(attempts);
  for (const other of ['thread', 'inline'] as const) {
    expect(await (await mill.enqueue(other, { do: 'return', value: 'works' })).result()).toBe('works');
  }
});

test('a timer that throws after its job has ended is warned of, and costs no other job an attempt', async () => {
  const { options, closing, logger } = await bench();
  const jobs = { work: scriptedThread({ maxAttempts: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const warnings = record(mill, 'warning');
  const stray = await mill.enqueue('work', { do: 'strayAfter' });
  const others = await Promise.all(
    Array.from({ length: 20 }, (_, value) => mill.enqueue('work', { do: 'return', value })),
  );
  expect(await stray.result()).toBe('done');
  expect(await Promise.all(others.map((job) => job.result()))).toEqual(others.map((_, i) => i));
  const [, warning] = await warnings.reached(1).then(([first]) => first ?? []);
  expect(warning).toMatchObject({
    code: 'MILLRACE_HANDLER_STRAY_ERROR',
    message: expect.stringContaining(stray.id),
  });
  expect(logger.lines.all).toMatchObject([
    { level: 'warn', fields: { code: 'MILLRACE_HANDLER_STRAY_ERROR' } },
  ]);
  expect(await stray.snapshot()).toMatchObject({ state: 'completed' });
});

test('a thread that ends itself between jobs is warned of, and the engine works on', async () => {
  const { options, closing } = await bench();
  const jobs = { work: scriptedThread({ maxAttempts: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
  const warnings = record(mill, 'warning');
  expect(await (await mill.enqueue('work', { do: 'exitAfter' })).result()).toBe('done');
  await warnings.until(([, value]) => 'code' in value && value.code === 'MILLRACE_HANDLER_EXITED');
  expect(await (await mill.enqueue('work', { do: 'return', value: 'works' })).result()).toBe('works');
});

test('one array that grows until memory ends may take the process along, and the journal recovers', async () => {
  const { options, closing, directory } = await bench();
  const program = startProgram('exhausted', directory);
  const { code, signal } = await program.exit;
  const [survived] = program.lines.all.slice(1);
  expect(program.lines.all[0]).toBe('before');
  // Either the thread's limit held, or Node itself gave up.
  if (survived === undefined) expect([code, signal]).not.toEqual([0, null]);
  else expect(survived).toBe('MILLRACE_HANDLER_OUT_OF_MEMORY');

  const jobs = { work: inlineJob(() => 'recovered') };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  expect(await mill.job('before')).toMatchObject({ state: 'completed', attempt: 1 });
  if (survived === undefined) expect(await mill.handle('work', 'greedy').result()).toBe('recovered');
  expect(await mill.handle('work', 'waiting').result()).toBe('recovered');
});

class Custom {
  field = 1;
}
const circular: { self?: unknown } = {};
circular.self = circular;

test.each([
  ['a function', { list: [() => {}] }, /function.*payload\.list\[0\]/],
  ['a symbol', { [Symbol('key')]: 1 }, /symbol.*payload/],
  ['a symbol as a value', { a: Symbol('value') }, /symbol.*payload\.a/],
  ['an instance', { deep: { down: new Custom() } }, /Custom.*payload\.deep\.down/],
  ['a promise', [Promise.resolve()], /Promise.*payload\[0\]/],
  ['a weak map', new WeakMap(), /WeakMap/],
  ['something circular', circular, /circular/],
  ['a key named __proto__', JSON.parse('{ "a": { "__proto__": 1 } }') as unknown, /__proto__.*payload\.a/],
  ['a map with a function', new Map([['key', () => {}]]), /payload\.get\("key"\)/],
  ['what was revoked', { list: [revoked()] }, /revoked.*payload\.list\[0\]/],
  ['shared memory', { bytes: new Uint8Array(new SharedArrayBuffer(1)) }, /payload\.bytes/],
])('a payload with %s is refused with its path, and nothing is kept', async (_what, payload, message) => {
  const { options, closing } = await bench();
  const jobs = { work: inlineJob((payload: unknown) => payload) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await expect(mill.enqueue('work', payload)).rejects.toMatchObject({
    code: 'MILLRACE_PAYLOAD_INVALID',
    message: expect.stringMatching(message),
  });
  expect(Object.values(await mill.counts()).every((count) => count === 0)).toBe(true);
  expect(await (await mill.enqueue('work', 'works')).result()).toBe('works');
});

test('progress that cannot be sent is the handler’s error', async () => {
  const { options, closing } = await bench();
  const jobs = { work: inlineJob((_nothing: undefined, job) => job.progress(() => {}), { maxAttempts: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await expect((await mill.enqueue('work')).result()).rejects.toMatchObject({
    cause: { code: 'MILLRACE_PAYLOAD_INVALID', message: expect.stringContaining('at progress') },
  });
});
