/** Schedules that are wrong: refused at once, with what was expected and what came, by open() and by upsert(). */
import { readdir } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { inlineJob, Millrace } from '../../src/index.js';
import { NOW } from '../fixtures/jobs.js';
import { ticking } from '../fixtures/ticking.js';

const invalid = 'MILLRACE_OPTION_INVALID';
const unstorable = 'MILLRACE_PAYLOAD_INVALID';
const hourly = { job: 'work', every: '1h' } as const;
const name129 = 'n'.repeat(129);

/** What a schedule has instead of `every: '1h'` and a static payload; what the message must say behind its name; the code. */
const wrong: [given: object, says: string[], code?: string][] = [
  [{ job: 'nope' }, ['.job`', 'work, other', '"nope"'], 'MILLRACE_JOB_UNKNOWN'],
  [{ job: undefined }, ['.job`', 'undefined'], 'MILLRACE_JOB_UNKNOWN'],
  [{ job: 'toString' }, ['.job`', '"toString"'], 'MILLRACE_JOB_UNKNOWN'],
  [{ payload: { list: [1, () => 2] } }, ['.payload', 'function', '.payload.list[1]'], unstorable],
  [{ payload: Symbol('no') }, ['.payload', 'a symbol'], unstorable],
  [{ payload: new URL('file:///a') }, ['.payload', 'URL'], unstorable],
  [{ payload: { ['__proto__']: 1 } }, ['.payload'], unstorable],
  [{ every: undefined }, ['`', '`pattern`', "'30 2 * * *'", '`every`', 'undefined']],
  [{ every: 0 }, ['.every`', "'15m'", 'from a millisecond', '0']],
  [{ every: -5 }, ['.every`', '-5']],
  [{ every: Number.NaN }, ['.every`', 'NaN']],
  [{ every: Infinity }, ['.every`', 'Infinity']],
  [{ every: '1 fortnight' }, ['.every`', "'10m'", '"1 fortnight"']],
  [{ every: '' }, ['.every`', '""']],
  [{ every: null }, ['.every`', 'null']],
  [{ every: '1h', pattern: '@daily' }, ['.pattern`', 'absent', '`every`', '"@daily"']],
  [{ every: '1h', timezone: 'UTC' }, ['.timezone`', 'absent', 'interval', '"UTC"']],
  [{ every: undefined, pattern: 7 }, ['.pattern`', "'30 2 * * *'", '7']],
  [{ every: undefined, pattern: null }, ['.pattern`', 'null']],
  [{ every: undefined, pattern: '' }, ['.pattern`', '""']],
  [{ every: undefined, pattern: 'soon' }, ['.pattern`', '"soon"', '1 field']],
  [{ every: undefined, pattern: '0 25 * * *' }, ['.pattern`', '"0 25 * * *"', '"25" is no hour']],
  [{ every: undefined, pattern: '0 0 30 2 *' }, ['.pattern`', '"0 0 30 2 *"', 'no such day']],
  [{ every: undefined, pattern: '@fortnightly' }, ['.pattern`', '"@fortnightly"']],
  [{ every: undefined, pattern: '@every' }, ['.pattern`', '"@every"']],
  [{ every: undefined, pattern: '@every now' }, ['.pattern`', '"now"']],
  [{ every: undefined, pattern: '@daily', timezone: 'Mars' }, ['.timezone`', "'Europe/Berlin'", '"Mars"']],
  [{ every: undefined, pattern: '@daily', timezone: '+02:00' }, ['.timezone`', '"+02:00"']],
  [{ every: undefined, pattern: '@daily', timezone: '' }, ['.timezone`', '""']],
  [{ every: undefined, pattern: '@daily', timezone: null }, ['.timezone`', 'null']],
  [{ startAt: 'tomorrow' }, ['.startAt`', 'valid Date', '"tomorrow"']],
  [{ startAt: new Date(Number.NaN) }, ['.startAt`', 'Date']],
  [{ startAt: -1 }, ['.startAt`', '-1']],
  [{ startAt: 0.5 }, ['.startAt`', '0.5']],
  [{ startAt: Date.UTC(10_000, 0) }, ['.startAt`', 'year 10000', '253402300800000']],
  [{ startAt: Number.MAX_SAFE_INTEGER }, ['.startAt`', 'valid Date', '9007199254740991']],
  [{ endAt: 'tomorrow' }, ['.endAt`', '"tomorrow"']],
  [{ endAt: null }, ['.endAt`', 'null']],
  [{ startAt: NOW, endAt: NOW }, ['.endAt`', 'later than `startAt`', `${NOW}`]],
  [{ startAt: new Date(NOW), endAt: new Date(5) }, ['.endAt`', 'later than `startAt`', 'Date']],
  [{ maxRuns: 0 }, ['.maxRuns`', '≥ 1', '0']],
  [{ maxRuns: 1.5 }, ['.maxRuns`', '1.5']],
  [{ maxRuns: Infinity }, ['.maxRuns`', 'Infinity']],
  [{ jitter: -1 }, ['.jitter`', 'at least 0', '-1']],
  [{ jitter: 'some' }, ['.jitter`', '"some"']],
  [{ misfire: 'twice' }, ['.misfire`', "'skip' or 'once' or 'all'", '"twice"']],
  [{ misfire: null }, ['.misfire`', 'null']],
  [{ maxCatchUp: 0 }, ['.maxCatchUp`', '1 to 10000', '0']],
  [{ maxCatchUp: 10_001 }, ['.maxCatchUp`', '10001']],
  [{ maxAge: 0 }, ['.maxAge`', 'at least 1', '0']],
  [{ maxAge: 'old' }, ['.maxAge`', '"old"']],
  [{ overlap: 'cancel' }, ['.overlap`', "'cancelPrevious'", '"cancel"']],
  [{ options: 'soon' }, ['.options`', 'a plain object', '"soon"']],
  [{ options: 7 }, ['.options`', 'a plain object', '7']],
  [{ options: null }, ['.options`', 'a plain object', 'null']],
  [{ options: { queue: 'nope' } }, ['.options.queue`', 'default', '"nope"'], 'MILLRACE_QUEUE_UNKNOWN'],
  [{ options: { priority: 0.5 } }, ['.options.priority`', '-32768 to 32767', '0.5']],
  [{ options: { maxAttempts: 0 } }, ['.options.maxAttempts`', '≥ 1', '0']],
  [{ options: { timeout: 0 } }, ['.options.timeout`', 'at least 1', '0']],
  [{ options: { expiresIn: 0 } }, ['.options.expiresIn`', 'at least 1', '0']],
  [{ options: { deadline: 5 } }, ['.options.deadline`', 'absent', '5']],
  [{ options: { timeout: 'long' } }, ['.options.timeout`', '"long"']],
  [{ options: { durability: 'none' } }, ['.options.durability`', "'fsync' or 'os'", '"none"']],
  [{ options: { delay: '5m' } }, ['.options.delay`', 'absent', '"5m"']],
  [{ options: { id: 'mine' } }, ['.options.id`', 'absent', '"mine"']],
  [{ maxRun: 5 }, ['.maxRun`', 'absent', 'maxRuns', '5']],
  [{ name: 'one' }, ['.name`', 'absent', '"one"']],
];

const nameOf = (code: string): string =>
  code === 'MILLRACE_PAYLOAD_INVALID' ? 'PayloadInvalidError' : 'MillraceError';

describe.each(wrong)('%o is refused', (given, says, code = invalid) => {
  test('by open()', async () => {
    const { options, directory } = await ticking();
    const jobs = { ...options.jobs, other: inlineJob(() => {}) };
    const all = { ...options, jobs, schedules: { ok: hourly, one: { ...hourly, ...given } } };
    await expect(Millrace.open(all as never)).rejects.toMatchObject({
      name: nameOf(code),
      code,
      message: saying('schedules.one', says),
    });
    expect(await readdir(directory)).toEqual([]);
  });

  test('by upsert()', async () => {
    const { options, closing } = await ticking();
    const jobs = { ...options.jobs, other: inlineJob(() => {}) };
    const mill = closing(await Millrace.open({ ...options, jobs }));
    await mill.schedules.upsert('one', { ...hourly, payload: 'sound' });
    const before = await mill.schedules.list();
    await expect(mill.schedules.upsert('one', { ...hourly, ...given })).rejects.toMatchObject({
      name: nameOf(code),
      code,
      message: saying('schedule', says),
    });
    expect(await mill.schedules.list()).toEqual(before);
  });
});

test.each(['', 'a b', 'a!b', 'ü', '-a', name129, '\n'])('%o is no name of a schedule', async (name) => {
  const { options, closing } = await ticking();
  const refused = {
    code: invalid,
    message: expect.stringMatching(/`(name|schedules)`.*letters, digits.*got: "/),
  };
  await expect(Millrace.open({ ...options, schedules: { [name]: hourly } })).rejects.toMatchObject(refused);
  const mill = closing(await Millrace.open(options));
  await expect(mill.schedules.upsert(name, hourly)).rejects.toMatchObject(refused);
});

test.each([undefined, null, 7, {}])('%o is no name of a schedule, either', async (name) => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  await expect(mill.schedules.upsert(name as never, hourly)).rejects.toMatchObject({ code: invalid });
});

test.each([undefined, null, 7, '@daily', () => {}])('%o is no schedule', async (schedule) => {
  const { options, closing } = await ticking();
  const says = (name: string) => ({
    code: invalid,
    message: expect.stringContaining(`\`${name}\` to be a plain object`),
  });
  const all = { ...options, schedules: { one: schedule } };
  await expect(Millrace.open(all as never)).rejects.toMatchObject(says('schedules.one'));
  const mill = closing(await Millrace.open(options));
  await expect(mill.schedules.upsert('one', schedule as never)).rejects.toMatchObject(says('schedule'));
});

test.each([
  [{ schedules: null }, '`schedules`'],
  [{ schedules: 7 }, '`schedules`'],
  [{ schedules: 'hourly' }, '`schedules`'],
  [{ pruneSchedules: 1 }, '`pruneSchedules`'],
  [{ pruneSchedules: 'true' }, '`pruneSchedules`'],
])('open() with %o', async (given, option) => {
  const { options } = await ticking();
  await expect(Millrace.open({ ...options, ...given } as never)).rejects.toMatchObject({
    code: invalid,
    message: expect.stringContaining(option),
  });
});

test('what was refused leaves nothing open, and what was there goes on', async () => {
  const { options, closing } = await ticking();
  const first = closing(await Millrace.open({ ...options, schedules: { one: hourly } }));
  const before = await first.schedules.list();
  await first.close();
  for (let time = 0; time < 2; time++)
    await expect(
      Millrace.open({ ...options, schedules: { one: { ...hourly, every: 0 } }, pruneSchedules: true }),
    ).rejects.toMatchObject({ code: invalid });
  const again = closing(await Millrace.open({ ...options, schedules: { one: hourly } }));
  expect(await again.schedules.list()).toEqual(before);
});

test('every option that is right is taken', async () => {
  const { options, closing } = await ticking();
  const mill = closing(await Millrace.open(options));
  const right = [
    { every: 1 },
    { every: '90s' },
    { every: undefined, pattern: ' 0  0 * * * ' },
    { every: undefined, pattern: '*/10 0 0 * * MON-FRI', timezone: 'Australia/Lord_Howe' },
    { every: undefined, pattern: '@every 15m' },
    { startAt: 0, endAt: 8.64e15 },
    { startAt: new Date(NOW), endAt: new Date(NOW + 1) },
    { maxRuns: 1, jitter: 0, misfire: 'skip', overlap: 'queue' },
    { misfire: 'all', maxCatchUp: 10_000, maxAge: '7d', jitter: '1h' },
    { options: {} },
    { options: { queue: undefined, priority: -32_768, maxAttempts: 1, timeout: 1, durability: 'os' } },
    { payload: undefined, options: undefined, pattern: undefined, startAt: undefined, maxRuns: undefined },
  ];
  for (const given of right) {
    await mill.schedules.upsert('one', { ...hourly, ...given } as never);
    await mill.schedules.pause('one');
  }
  expect(await mill.schedules.list()).toMatchObject([{ name: 'one', everyMs: 3_600_000, state: 'paused' }]);
});

/** A message that says all of it, in this order, of an option of this name. */
function saying(name: string, parts: readonly string[]): unknown {
  const [first = '', ...others] = parts;
  const pattern = [`${name}${first}`, ...others]
    .map((part) => part.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`))
    .join('.*');
  return expect.stringMatching(new RegExp(pattern, 's'));
}
