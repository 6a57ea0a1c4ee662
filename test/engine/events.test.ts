/** What listeners are told, and what they cannot break. */
import { expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';

const broken = (): void => {
  throw new Error('no ink');
};

const atOnce = { type: 'exponential', delay: 0 } as const;

test.each([
  ['in a thread', scriptedThread({ backoff: atOnce })],
  ['inline', scriptedInline({ backoff: atOnce })],
])('the life of a job %s is told from its enqueue to the empty queue', async (_where, work) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const events = record(
    mill,
    ...(['enqueued', 'started', 'progress', 'errored', 'retrying', 'completed', 'drained'] as const),
  );
  const scripts = [{ do: 'throw' }, { do: 'report', value: 'done' }] as const;
  const { id } = await mill.enqueue('work', { do: 'inTurn', scripts });
  await events.until(([event]) => event === 'completed');
  await mill.drain();
  const job = { id, name: 'work', queue: 'default' };
  const error = expect.objectContaining({ name: 'RangeError', code: 'E_LUCK' });
  expect(events.all.filter(([event]) => event !== 'drained')).toEqual([
    ['enqueued', job],
    ['started', { ...job, attempt: 1 }],
    ['errored', { ...job, attempt: 1, error }],
    ['retrying', { ...job, attempt: 1, error, runAt: expect.any(Number) }],
    ['started', { ...job, attempt: 2 }],
    ['progress', { ...job, attempt: 2, value: { percent: 10 } }],
    ['progress', { ...job, attempt: 2, value: { percent: 90 } }],
    ['completed', { ...job, attempt: 2, result: 'done', durationMs: expect.any(Number) }],
  ]);
});

test('an event is told after the commit that it speaks of', async () => {
  const { options, closing } = await bench();
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: scriptedInline({ maxAttempts: 1 }) } }),
  );
  const seen: Promise<unknown>[] = [];
  const look = ({ id }: { id: string }) => void seen.push(mill.job(id).then((job) => job?.state));
  mill.on('completed', look);
  mill.on('failed', look);
  mill.on('cancelled', look);
  const handles = [
    await mill.enqueue('work', { do: 'return' }),
    await mill.enqueue('work', { do: 'throw' }),
    await mill.enqueue('work', { do: 'return' }, { delay: '1h' }),
  ];
  await handles[2]?.cancel();
  await Promise.allSettled(handles.map((handle) => handle.result()));
  expect(new Set(await Promise.all(seen))).toEqual(new Set(['cancelled', 'completed', 'failed']));
});

test.each([
  [
    'throws',
    () => {
      throw new Error('a bad listener');
    },
  ],
  ['rejects', () => Promise.reject(new Error('a bad listener'))],
])('a listener that %s harms nobody, and is warned of', async (_what, bad) => {
  const { options, closing, logger } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedThread() } }));
  for (const event of ['enqueued', 'started', 'progress', 'completed', 'drained'] as const)
    mill.on(event, bad);
  const warnings = record(mill, 'warning', 'completed');
  const job = await mill.enqueue('work', { do: 'report', value: 'unharmed' });
  expect(await job.result()).toBe('unharmed');
  expect(warnings.all.some(([event]) => event === 'completed')).toBe(true);
  const [, warning] = await warnings.until(([event]) => event === 'warning');
  expect(warning).toMatchObject({
    code: 'MILLRACE_LISTENER_THREW',
    message: expect.stringMatching(/listener of \w+ threw: a bad listener/),
    cause: { message: 'a bad listener' },
  });
  await logger.lines.until(
    ({ level, fields }) => level === 'warn' && fields['code'] === 'MILLRACE_LISTENER_THREW',
  );
});

test('a listener of warnings that throws is logged, and does not hear of itself', async () => {
  const { options, closing, logger } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  let heard = 0;
  mill.on('warning', () => {
    heard++;
    throw new Error('a bad listener of warnings');
  });
  mill.on('enqueued', () => {
    throw new Error('a bad listener');
  });
  await (await mill.enqueue('work', { do: 'return' })).result();
  await logger.lines.until(({ message }) => message.includes('a bad listener of warnings'));
  expect(heard).toBe(1);
});

test('a logger that throws stops no job, and is warned of', async () => {
  const { options, closing } = await bench();
  const logger = { debug: broken, info: broken, warn: broken, error: broken };
  const jobs = { work: scriptedThread({ maxAttempts: 1 }) };
  const mill = closing(await Millrace.open({ ...options, jobs, logger }));
  const warnings = record(mill, 'warning');
  expect(await (await mill.enqueue('work', { do: 'report', value: 1 })).result()).toBe(1);
  await expect((await mill.enqueue('work', { do: 'throw' })).result()).rejects.toMatchObject({ attempt: 1 });
  expect(warnings.all).toContainEqual([
    'warning',
    expect.objectContaining({ code: 'MILLRACE_LISTENER_THREW', message: 'The logger threw: no ink' }),
  ]);
});

test('a listener hears until it is taken off, as often as it was put on', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work: scriptedInline() } }));
  let heard = 0;
  const listener = () => void heard++;
  const offs = [mill.on('completed', listener), mill.on('completed', listener)];
  const run = async () => (await mill.enqueue('work', { do: 'return' })).result();
  await run();
  expect(heard).toBe(2);
  offs[0]?.();
  offs[0]?.();
  await run();
  expect(heard).toBe(3);
  offs[1]?.();
  await run();
  expect(heard).toBe(3);
});

test('a job that fails, and one that will be retried, are logged with their names', async () => {
  const { options, closing, logger } = await bench();
  const mill = closing(
    await Millrace.open({ ...options, jobs: { work: scriptedInline({ maxAttempts: 2, backoff: atOnce }) } }),
  );
  for (const [message, told] of [
    ['bad luck', 'bad luck'],
    ['', 'without a message'],
  ] as const) {
    const job = await mill.enqueue('work', { do: 'throw', message });
    const { id } = job;
    await job.result().catch(() => {});
    const lines = logger.lines.all.filter(({ fields }) => fields['jobId'] === id);
    const dueAt = new Date(Number(lines[0]?.fields['runAt'])).toISOString();
    expect(lines).toMatchObject([
      {
        level: 'warn',
        fields: { jobId: id, job: 'work', attempt: 1 },
        message: `Job work ${id} is tried again at ${dueAt}, for attempt 1 errored (${told})`,
      },
      {
        level: 'error',
        fields: { jobId: id, job: 'work', attempt: 2 },
        message: `Job work ${id} failed: ${told}`,
      },
    ]);
  }
});

test('what is no event, and what cannot listen, is refused', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: {} }));
  // @ts-expect-error what plain JavaScript may pass
  expect(() => mill.on('complete', () => {})).toThrow(
    expect.objectContaining({
      code: 'MILLRACE_OPTION_INVALID',
      message: expect.stringMatching(/^Expected `event` to be .*'completed' or .*, got: "complete"$/),
    }),
  );
  // @ts-expect-error what plain JavaScript may pass
  expect(() => mill.on('completed')).toThrow(
    expect.objectContaining({
      code: 'MILLRACE_OPTION_INVALID',
      message: 'Expected `listener` to be a function, got: undefined',
    }),
  );
});
