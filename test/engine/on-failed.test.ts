/** What a job type has done when one of its jobs fails. */
import { Level } from 'level';
import { expect, test } from 'vitest';
import { inlineJob, Millrace, type JobSnapshot } from '../../src/index.js';
import { deferred } from '../fixtures/deferred.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { Recorder } from '../fixtures/recorder.js';

const atOnce = [0];

function hook() {
  const calls = new Recorder<readonly [job: JobSnapshot, error: Error]>();
  return { calls, onFailed: (job: JobSnapshot, error: Error): void => calls.push([job, error]) };
}

test.each([
  ['in a thread', scriptedThread],
  ['inline', scriptedInline],
])(
  'a job %s that has used up its attempts is handed over, once that is committed and told',
  async (_where, scripted) => {
    const { options, closing } = await bench();
    const { calls, onFailed } = hook();
    const order: string[] = [];
    const work = scripted({
      maxAttempts: 2,
      backoff: atOnce,
      onFailed: (job, error) => {
        order.push('onFailed');
        onFailed(job, error);
      },
    });
    const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
    mill.on('failed', () => order.push('failed'));
    const job = await mill.enqueue('work', { do: 'throw', message: 'bad luck' });
    await expect(job.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
    const [[snapshot, error]] = (await calls.reached(1)) as [readonly [JobSnapshot, Error]];
    expect(order).toEqual(['failed', 'onFailed']);
    expect(snapshot).toEqual(await job.snapshot());
    expect(snapshot).toMatchObject({ state: 'failed', attempt: 2, payload: { do: 'throw' } });
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({
      name: 'RangeError',
      message: 'bad luck',
      code: 'E_LUCK',
      cause: { message: 'inner' },
    });
  },
);

test('it is called however a job fails, and for no other end', async () => {
  const { options, closing } = await bench();
  const { calls, onFailed } = hook();
  const work = scriptedThread({
    onFailed,
    grace: 1,
    backoff: atOnce,
    isRetryable: ({ message }) => message !== 'hopeless',
  });
  const jobs = { work, other: scriptedInline({ maxAttempts: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  const scripts = [{ do: 'throw' }, { do: 'return', value: 'fine' }] as const;
  const fine = await mill.enqueue('work', { do: 'inTurn', scripts });
  const cancelled = await mill.enqueue('work', { do: 'return' }, { delay: '1h' });
  await cancelled.cancel();
  const hopeless = await mill.enqueue('work', { do: 'throw', message: 'hopeless' });
  const unrecoverable = await mill.enqueue('work', { do: 'throwUnrecoverable' });
  const exits = await mill.enqueue('work', { do: 'exit', code: 1 }, { maxAttempts: 1 });
  const late = await mill.enqueue('work', { do: 'hang' }, { maxAttempts: 1, timeout: 1 });
  const other = await mill.enqueue('other', { do: 'throw' });
  expect(await fine.result()).toBe('fine');
  await expect(other.result()).rejects.toThrow();
  await calls.reached(4);
  expect(
    Object.fromEntries(
      calls.all.map(([{ id, attempt }, { code }]: readonly [JobSnapshot, Error & { code?: string }]) => [
        id,
        [attempt, code],
      ]),
    ),
  ).toEqual({
    [hopeless.id]: [1, 'E_LUCK'],
    [unrecoverable.id]: [1, 'MILLRACE_UNRECOVERABLE'],
    [exits.id]: [1, 'MILLRACE_HANDLER_EXITED'],
    [late.id]: [1, 'MILLRACE_TIMEOUT'],
  });
});

test('a job whose record is damaged is handed over with what is left of it', async () => {
  const own = await bench();
  const { calls, onFailed } = hook();
  const jobs = { work: inlineJob((payload: string) => payload, { onFailed }) };
  const blocked = { ...jobs, block: inlineJob(() => new Promise(() => {}), { grace: 1 }) };
  const queues = { default: { concurrency: 1 } };
  const first = own.closing(await Millrace.open({ ...own.options, jobs: blocked, queues }));
  const started = record(first, 'started');
  await first.enqueue('block');
  await started.reached(1);
  await first.enqueue('work', 'lost', { id: 'a', priority: 3 });
  await first.close({ timeout: 0 });
  const level = new Level<string, Uint8Array>(own.options.directory, { valueEncoding: 'view' });
  await level.put('j!a', Uint8Array.of(1, 2, 3));
  await level.close();
  own.closing(await Millrace.open({ ...own.options, jobs }));
  expect(await calls.reached(1)).toMatchObject([
    [
      { id: 'a', name: 'work', state: 'failed', priority: 3, payload: undefined },
      { code: 'MILLRACE_JOURNAL_CORRUPT' },
    ],
  ]);
});

const mistake = new Error('a mistake');

test.each([
  [
    'throws',
    (): never => {
      throw mistake;
    },
  ],
  ['rejects', () => Promise.reject(mistake)],
])('one that %s is warned of, and harms nobody', async (_what, onFailed) => {
  const { options, closing } = await bench();
  const work = scriptedInline({ maxAttempts: 1, onFailed });
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const warnings = record(mill, 'warning');
  const job = await mill.enqueue('work', { do: 'throw' });
  await expect(job.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
  await warnings.reached(1);
  expect(warnings.all).toMatchObject([
    [
      'warning',
      { code: 'MILLRACE_ON_FAILED_THREW', message: expect.stringContaining(job.id), cause: mistake },
    ],
  ]);
  expect(await (await mill.enqueue('work', { do: 'return', value: 'still there' })).result()).toBe(
    'still there',
  );
});

test('nobody waits for one that takes its time', async () => {
  const { options, closing } = await bench();
  const { promise: never } = deferred();
  const { calls, onFailed } = hook();
  const work = scriptedInline({
    maxAttempts: 1,
    onFailed: (job, error) => {
      onFailed(job, error);
      return never;
    },
  });
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  await mill.enqueue('work', { do: 'throw' });
  await calls.reached(1);
  await mill.drain();
  await mill.close();
});
