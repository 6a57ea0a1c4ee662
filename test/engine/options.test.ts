/** Options that are wrong: refused at once, with the option's name, what was expected and what came. */
import { expect, test } from 'vitest';
import { inlineJob, Millrace, threadJob } from '../../src/index.js';
import { bench } from '../fixtures/engine.js';

const work = inlineJob((payload: unknown) => payload);
const invalid = 'MILLRACE_OPTION_INVALID';
const name129 = 'n'.repeat(129);

/** The options given, the code, and what the message must say. */
const atOpen: [given: object, says: string[], code?: string][] = [
  [{ directory: '' }, ['`directory`', 'a path', '""']],
  [{ directory: 7 }, ['`directory`', '7']],
  [{ directory: undefined }, ['`directory`', 'undefined']],
  [
    { jobs: { work: inlineJob(() => 1, { timout: 5 } as object) } },
    ['`jobs.work.timout`', '(did you mean `timeout`?)', 'expiresIn', '5'],
  ],
  [{ dierctory: 'a' }, ['`dierctory`', '(did you mean `directory`?)']],
  [{ scheduled: {} }, ['`scheduled` to be absent (did you mean `schedules`?)']],
  [{ banana: 5 }, ['`banana` to be absent: there are directory']],
  [
    { jobs: { work: inlineJob(() => 1, { timeout: -5 }) } },
    ['`jobs.work.timeout`', 'milliseconds of at least 1, or a string', '-5'],
  ],
  [
    { jobs: { work: threadJob(new URL('file:///a.js'), 'x' as never) } },
    ['`jobs.work`', 'threadJob() with an object of options', '"x"'],
  ],
  [{ schedules: { 'a name': { job: 'work', every: '1h' } } }, ['`schedules`', 'for each key', '"a name"']],
  [{ jobs: [] }, ['`jobs`', 'defineJobs()', 'an array of 0']],
  [{ queues: ['default'] }, ['`queues`', '{ default: {} }', 'an array of 1']],
  [{ schedules: [] }, ['`schedules`', 'an array of 0']],
  [{ threads: [] }, ['`threads`', 'a plain object', 'an array of 0']],
  [{ closeOnSignals: { signal: ['SIGINT'] } }, ['`closeOnSignals.signal`', 'signals', 'an array of 1']],
  [{ closeOnSignals: { timout: 5 } }, ['`closeOnSignals.timout`', 'timeout', '5']],
  [{ logger: () => {} }, ['`logger`', 'debug(), info(), warn(), error()']],
  [{ logger: { info() {} } }, ['`logger`', 'it lacks debug, warn, error']],
  [{ logger: null }, ['`logger`', 'null']],
  [{ clock: Date }, ['`clock`', 'it lacks monotonic, setTimer', 'function Date']],
  [
    { schedules: { a: { job: 'work', every: '1h', payload: async () => 1 } } },
    ['`schedules.a.payload`', 'not async', 'function payload'],
  ],
  [{ jobs: undefined }, ['`jobs`', 'defineJobs()', 'undefined']],
  [{ jobs: { work: () => {} } }, ['`jobs.work`', 'threadJob() or inlineJob()', 'function']],
  [{ jobs: { work: undefined } }, ['`jobs.work`', 'undefined']],
  [{ jobs: { 'a name': work } }, ['`jobs`', 'letters, digits', '"a name"']],
  [{ jobs: { [name129]: work } }, ['`jobs`', 'at most 128']],
  [
    { jobs: { work: threadJob('./handler.js' as never) } },
    ['`jobs.work`', 'import.meta.url', '"./handler.js"'],
  ],
  [{ jobs: { work: inlineJob(7 as never) } }, ['`jobs.work`', 'function', '7']],
  [
    { jobs: { work: inlineJob(() => 1, { queue: 'nope' }) } },
    ['`jobs.work.queue`', 'default', '"nope"'],
    'MILLRACE_QUEUE_UNKNOWN',
  ],
  [
    { jobs: { work: inlineJob(() => 1, { priority: 0.5 }) } },
    ['`jobs.work.priority`', '-32768 to 32767', '0.5'],
  ],
  [{ jobs: { work: inlineJob(() => 1, { priority: 32_768 }) } }, ['`jobs.work.priority`', '32768']],
  [{ jobs: { work: inlineJob(() => 1, { maxAttempts: 0 }) } }, ['`jobs.work.maxAttempts`', '≥ 1', '0']],
  [
    { jobs: { work: inlineJob(() => 1, { timeout: '5 parsecs' as never }) } },
    ['`jobs.work.timeout`', "'90s'", '"5 parsecs"'],
  ],
  [{ jobs: { work: inlineJob(() => 1, { timeout: 0 }) } }, ['`jobs.work.timeout`', 'at least 1', '0']],
  [{ jobs: { work: inlineJob(() => 1, { expiresIn: 0 }) } }, ['`jobs.work.expiresIn`', 'at least 1', '0']],
  [
    { jobs: { work: inlineJob(() => 1, { deadline: 5 } as object) } },
    ['`jobs.work.deadline`', 'absent', 'expiresIn', '5'],
  ],
  [{ jobs: { work: inlineJob(() => 1, { grace: -1 }) } }, ['`jobs.work.grace`', '-1']],
  [{ queues: { default: { rateLimit: 5 as never } } }, ['`queues.default.rateLimit`', '{ max, per }', '5']],
  [
    { queues: { default: { rateLimit: { max: 0, per: 1 } } } },
    ['`queues.default.rateLimit.max`', '≥ 1', '0'],
  ],
  [
    { queues: { default: { rateLimit: { max: 1, per: 0 } } } },
    ['`queues.default.rateLimit.per`', 'at least 1', '0'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { rateLimit: { max: 1, per: 'soon' as never } }) } },
    ['`jobs.work.rateLimit.per`', '"soon"'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { rateLimitPerKey: { max: 1.5, per: 1 } }) } },
    ['`jobs.work.rateLimitPerKey.max`', '≥ 1', '1.5'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { rateLimitPerKey: 7 as never }) } },
    ['`jobs.work.rateLimitPerKey`', '{ max, per }', '7'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { rateLimit: { max: 1, per: 1, burst: 2 } as never }) } },
    ['`jobs.work.rateLimit.burst`', 'max, per', '2'],
  ],
  [{ queues: { default: { maxSize: 0 } } }, ['`queues.default.maxSize`', '≥ 1', '0']],
  [{ queues: { default: { maxSize: 1.5 } } }, ['`queues.default.maxSize`', '1.5']],
  [
    { queues: { default: { maxSize: 1, onFull: 'drop' as never } } },
    ['`queues.default.onFull`', "'reject' or 'wait'", '"drop"'],
  ],
  [{ queues: { default: { onFull: 'wait' } } }, ['`queues.default.onFull`', '`maxSize`', '"wait"']],
  [{ jobs: { work: inlineJob(() => 1, { concurrency: 0 }) } }, ['`jobs.work.concurrency`', '≥ 1', '0']],
  [
    { jobs: { work: inlineJob(() => 1, { concurrencyPerKey: 1.5 }) } },
    ['`jobs.work.concurrencyPerKey`', '≥ 1', '1.5'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { backoff: { type: 'quadratic' as never } }) } },
    ['`jobs.work.backoff.type`', "'exponential', 'linear' or 'fixed'", '"quadratic"'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { backoff: 'exponential' as never }) } },
    ['`jobs.work.backoff`', "'linear'", 'a list', 'a function', '"exponential"'],
  ],
  [{ jobs: { work: inlineJob(() => 1, { backoff: [] }) } }, ['`jobs.work.backoff`', 'at least one delay']],
  [
    { jobs: { work: inlineJob(() => 1, { backoff: ['1s', 'soon' as never] }) } },
    ['`jobs.work.backoff[1]`', '"soon"'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { backoff: { type: 'fixed', jitter: 2 } }) } },
    ['`jobs.work.backoff.jitter`', "'equal'", 'a fraction', '2'],
  ],
  [{ jobs: { work: inlineJob(() => 1, { maxSnoozes: -1 }) } }, ['`jobs.work.maxSnoozes`', '≥ 0', '-1']],
  [{ jobs: { work: inlineJob(() => 1, { maxSnoozes: 1.5 }) } }, ['`jobs.work.maxSnoozes`', '1.5']],
  [
    { jobs: { work: inlineJob(() => 1, { isRetryable: true as never }) } },
    ['`jobs.work.isRetryable`', 'a function', 'true'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { onFailed: 'mail me' as never }) } },
    ['`jobs.work.onFailed`', 'a function', '"mail me"'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { backoff: { type: 'exponential', delay: NaN } }) } },
    ['`jobs.work.backoff.delay`', 'NaN'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { backoff: { type: 'exponential', jitter: 'some' as never } }) } },
    ['`jobs.work.backoff.jitter`', '"some"'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { retention: '1h' as never }) } },
    ['`jobs.work.retention`', 'a plain object', '"1h"'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { retention: { completed: 'for ever' as never } }) } },
    ['`jobs.work.retention.completed`', "'forever'", "'7d'", '"for ever"'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { retention: { failed: Infinity } }) } },
    ['`jobs.work.retention.failed`', 'Infinity'],
  ],
  [
    { jobs: { work: inlineJob(() => 1, { retention: { cancelled: -1 } }) } },
    ['`jobs.work.retention.cancelled`', 'at least 0', '-1'],
  ],
  [{ retentoin: '1h' }, ['`retentoin`', 'absent', 'durability', '"1h"']],
  [{ jobs: { work: inlineJob(() => 1, { timout: 5 } as object) } }, ['`jobs.work.timout`', 'timeout', '5']],
  [{ queues: { default: { wieght: 2 } } }, ['`queues.default.wieght`', 'weight', '2']],
  [{ threads: { coutn: 2 } }, ['`threads.coutn`', 'count', '2']],
  [{ queues: {} }, ['`queues`', 'at least one']],
  [{ queues: { default: {}, 'a queue': {} } }, ['`queues`', '"a queue"']],
  [{ queues: { default: 7 } }, ['`queues.default`', 'a plain object', '7']],
  [{ queues: { default: { weight: 0 } } }, ['`queues.default.weight`', '1 to 1000000', '0']],
  [{ queues: { default: { weight: 1.5 } } }, ['`queues.default.weight`', '1.5']],
  [{ queues: { default: { concurrency: '2' } } }, ['`queues.default.concurrency`', '"2"']],
  [{ selection: 'random' }, ['`selection`', "'weighted' or 'strict'", '"random"']],
  [{ threads: { count: 0 } }, ['`threads.count`', '1 to 1024', '0']],
  [{ threads: { count: 2.5 } }, ['`threads.count`', '2.5']],
  [{ threads: { maxHeapMb: 1 } }, ['`threads.maxHeapMb`', '≥ 8', '1']],
  [{ threads: { maxJobs: 0 } }, ['`threads.maxJobs`', '≥ 1', '0']],
  [{ threads: { maxJobs: 1.5 } }, ['`threads.maxJobs`', '1.5']],
  [{ threads: { nice: 20 } }, ['`threads.nice`', '0 to 19', '20']],
  [{ threads: { execArgv: '--import tsx' } }, ['`threads.execArgv`', 'an array', '"--import tsx"']],
  [{ durability: 'none' }, ['`durability`', "'fsync' or 'os'", '"none"']],
  [{ lockTimeout: 'soon' }, ['`lockTimeout`', '"soon"']],
];

test.each(atOpen)('open(%o)', async (given, says, code = invalid) => {
  const { options } = await bench();
  const wrong = { ...options, jobs: { work }, ...given };
  await expect(Millrace.open(wrong)).rejects.toMatchObject({
    name: 'MillraceError',
    code,
    message: saying(says),
  });
});

test('open() without options', async () => {
  for (const options of [undefined, null, 'a/path'])
    await expect(Millrace.open(options as never)).rejects.toMatchObject({
      code: invalid,
      message: saying(['`options`']),
    });
});

const atEnqueue: [given: unknown, says: string[], code?: string][] = [
  ['soon', ['`options`', 'a plain object', '"soon"']],
  [new Map([['id', 'x']]), ['`options`', 'a plain object', 'Map']],
  [Promise.resolve({ id: 'x' }), ['`options`', 'a plain object', 'Promise']],
  [null, ['`options`', 'null']],
  [{ dealy: 5 }, ['`dealy`', 'delay', '5']],
  [{ id: '' }, ['`id`', '1 to 512', '""']],
  [{ id: 'x'.repeat(513) }, ['`id`', '512']],
  [{ id: '\ud800' }, ['`id`', 'well-formed']],
  [{ id: 7 }, ['`id`', '7']],
  [{ queue: 'nope' }, ['`queue`', 'default', '"nope"'], 'MILLRACE_QUEUE_UNKNOWN'],
  [{ priority: 1.5 }, ['`priority`', '1.5']],
  [{ priority: -32_769 }, ['`priority`', '-32769']],
  [{ delay: -1 }, ['`delay`', '-1']],
  [{ delay: 'tomorrow' }, ['`delay`', '"tomorrow"']],
  [{ delay: Infinity }, ['`delay`', 'Infinity']],
  [{ signal: 'now' as never }, ['`signal`', 'an AbortSignal', '"now"']],
  [{ delay: 1, runAt: 1 }, ['`delay`', '`runAt`']],
  [{ runAt: 'tomorrow' }, ['`runAt`', '"tomorrow"']],
  [{ runAt: new Date(NaN) }, ['`runAt`', 'valid Date', 'Date']],
  [{ runAt: -1 }, ['`runAt`', '-1']],
  [{ maxAttempts: 0 }, ['`maxAttempts`', '≥ 1', '0']],
  [{ timeout: 0 }, ['`timeout`', '0']],
  [{ timeout: '' }, ['`timeout`', '""']],
  [{ timeout: '1'.repeat(200) }, ['`timeout`', '"111']],
  [{ expiresIn: 0 }, ['`expiresIn`', 'at least 1', '0']],
  [{ expiresIn: 'soon' }, ['`expiresIn`', '"soon"']],
  [{ deadline: 'tomorrow' }, ['`deadline`', 'epoch milliseconds', '"tomorrow"']],
  [{ deadline: new Date(NaN) }, ['`deadline`', 'valid Date', 'Date']],
  [{ deadline: 8.64e15 + 1 }, ['`deadline`', 'valid Date']],
  [{ deadline: 5, expiresIn: '1h' }, ['`expiresIn`', 'absent', '`deadline`', '"1h"']],
  [{ durability: 'memory' }, ['`durability`', '"memory"']],
  [{ concurrencyKey: '' }, ['`concurrencyKey`', '1 to 512', '""']],
  [{ concurrencyKey: 'x'.repeat(513) }, ['`concurrencyKey`', '512']],
  [{ concurrencyKey: '\udc00' }, ['`concurrencyKey`', 'well-formed']],
  [{ concurrencyKey: 7 }, ['`concurrencyKey`', '7']],
];

test.each(atEnqueue)('enqueue() with %o', async (given, says, code = invalid) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  await expect(mill.enqueue('work', 1, given as never)).rejects.toMatchObject({
    code,
    message: saying(says),
  });
  expect(await (await mill.enqueue('work', 'works')).result()).toBe('works');
  expect(await mill.counts()).toMatchObject({ completed: 1, available: 0, scheduled: 0 });
});

test.each(['nope', '', 'toString', '__proto__', undefined])('the job name %o is unknown', async (name) => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  const enqueue = (unknown: string | undefined) => mill.enqueue(unknown as 'work', 1);
  await expect(enqueue(name)).rejects.toMatchObject({
    code: 'MILLRACE_JOB_UNKNOWN',
    message: saying(['work', name === undefined ? 'undefined' : `"${name}"`]),
  });
  expect(await (await mill.enqueue('work', 'works')).result()).toBe('works');
});

test('a queue that counts() does not know is refused', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  await expect(mill.counts('nope' as never)).rejects.toMatchObject({ code: 'MILLRACE_QUEUE_UNKNOWN' });
});

test('a timeout that close() cannot read is refused, and the engine stays open', async () => {
  const { options, closing } = await bench();
  const mill = closing(await Millrace.open({ ...options, jobs: { work } }));
  await expect(mill.close({ timeout: 'a while' as never })).rejects.toMatchObject({
    code: invalid,
    message: saying(['`timeout`', '"a while"']),
  });
  expect(await (await mill.enqueue('work', 'works')).result()).toBe('works');
});

/** A message that says all of it, in this order. */
function saying(parts: readonly string[]): unknown {
  const pattern = parts.map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)).join('.*');
  return expect.stringMatching(new RegExp(pattern, 's'));
}
