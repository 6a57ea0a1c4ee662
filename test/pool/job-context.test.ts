import { expect, it } from 'vitest';
import { decode } from '../../src/job/codec.js';
import type { LogLine } from '../../src/pool/contract.js';
import { encodeParentResults } from '../../src/pool/wire.js';
import { jobContext, type ContextLinks } from '../../src/pool/job-context.js';

const TASK = { id: 'a', name: 'work', queue: 'default', attempt: 1, maxAttempts: 3 };

it('works where a handler takes it apart', async () => {
  const controller = new AbortController();
  const told: unknown[] = [];
  const noResults = encodeParentResults({ results: [], next: undefined });
  const links: ContextLinks = {
    signal: controller.signal,
    progress: (value) => told.push(decode(value)),
    log: ({ level, message }) => told.push([level, message]),
    request: async ({ kind }) => (told.push(kind), kind === 'parentResults' ? noResults : 'b'),
    hand: (promise) => promise,
  };
  const context = jobContext(TASK, links);
  // oxlint-disable-next-line typescript/unbound-method -- that these can be taken so is what is tested
  const { log, signal, progress, checkpoint, parentResults, enqueue, snooze, throwIfAborted } = context;
  progress(10);
  log.info('half of it');
  await checkpoint(1);
  expect(await parentResults()).toEqual({});
  expect(await enqueue('next')).toEqual({ id: 'b' });
  expect(told).toEqual([10, ['info', 'half of it'], 'checkpoint', 'parentResults', 'enqueue']);
  expect(() => snooze('1m')).toThrow(expect.objectContaining({ code: 'MILLRACE_SNOOZED' }));
  controller.abort(new Error('enough'));
  expect(signal.reason).toEqual(new Error('enough'));
  expect(throwIfAborted).toThrow('enough');
  expect(() => progress(20)).toThrow('enough');
});

const ERROR = new RangeError('no luck');

it.each([
  [['half of it', { done: 5 }], 'half of it', { done: 5 }],
  [['half of it'], 'half of it', {}],
  [[{ done: 5 }, 'half of it'], 'half of it', { done: 5 }],
  [['half of it', 5], 'half of it', { value: 5 }],
  [['half of it', null], 'half of it', { value: null }],
  [[5], '5', {}],
  [[ERROR], 'no luck', { err: ERROR }],
  [['half of it', ERROR], 'half of it', { err: ERROR }],
  [[ERROR, 'half of it'], 'half of it', { err: ERROR }],
  [[ERROR, { done: 5 }], 'no luck', { done: 5, err: ERROR }],
])('takes for a log line what JavaScript may give: %j', (given, message, fields) => {
  const lines: LogLine[] = [];
  const links: ContextLinks = {
    signal: new AbortController().signal,
    progress: () => {},
    log: (line) => lines.push(line),
    request: async () => undefined,
    hand: (promise) => promise,
  };
  const { log } = jobContext(TASK, links);
  const [first, second] = given;
  // Which types say otherwise is what is tested.
  log.warn(first as string, second as Record<string, unknown>);
  expect(lines).toEqual([{ level: 'warn', message, fields }]);
});

it('says for which tick its job is, where a schedule enqueued that', () => {
  const links: ContextLinks = {
    signal: new AbortController().signal,
    progress: () => {},
    log: () => {},
    request: async () => undefined,
    hand: (promise) => promise,
  };
  expect(jobContext({ ...TASK, scheduledFor: 5 }, links).scheduledFor).toBe(5);
  expect('scheduledFor' in jobContext(TASK, links)).toBe(false);
});
