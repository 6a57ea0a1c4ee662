/** job.enqueue(): what a handler enqueues comes with its job's completion, and with nothing else. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { StandardSchemaV1 } from '@standard-schema/spec';
import { describe, expect, test } from 'vitest';
import { inlineJob, Millrace, type MillraceEvents } from '../../src/index.js';
import { bench, record, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';
import type { FollowUpScript, Script } from '../fixtures/scripted.js';

const NOTHING: Script = { do: 'return' };
const HOUR = 3_600_000;

describe.each([
  ['in a thread', scriptedThread],
  ['inline', scriptedInline],
] as const)('%s', (_where, scripted) => {
  /** One engine after the other on one journal. */
  async function open() {
    const { options, closing, directory } = await bench();
    const jobs = {
      parent: scripted({ maxAttempts: 2, backoff: { type: 'exponential', delay: 1, max: 1 }, grace: 1 }),
      child: scripted({ maxPayloadBytes: 5_000 }),
      other: scripted(),
    };
    const reopen = async () =>
      closing(
        await Millrace.open({ ...options, jobs, threads: { count: 1 }, queues: { default: {}, low: {} } }),
      );
    return { mill: await reopen(), reopen, directory };
  }

  /** How many jobs there are, and what the journal says of each id. */
  const total = async (mill: Pick<Millrace, 'counts'>): Promise<number> =>
    Object.values(await mill.counts()).reduce((sum, count) => sum + count, 0);

  const enqueue = (...jobs: FollowUpScript[]): Script => ({ do: 'enqueue', jobs });

  test('the jobs are there when the handler’s is completed, in its order, with what they were given', async () => {
    const { mill } = await open();
    const events = record(mill, 'enqueued', 'completed');
    const now = Date.now();
    const parent = await mill.enqueue(
      'parent',
      enqueue(
        { name: 'child', payload: { do: 'return', value: 1 } },
        { name: 'other', payload: NOTHING, options: { id: 'mine', queue: 'low', priority: 3, delay: '1h' } },
        { name: 'child', payload: { do: 'return', value: 2 }, options: { runAt: new Date(0) } },
      ),
    );
    const ids = (await parent.result()) as string[];
    expect(ids).toEqual([expect.stringMatching(/^[0-9a-f-]{36}$/), 'mine', expect.any(String)]);
    const [first = '', , third = ''] = ids;
    expect(await mill.handle('child', first).result()).toBe(1);
    expect(await mill.handle('child', third).result()).toBe(2);
    const mine = await mill.job('mine');
    expect(mine).toMatchObject({ name: 'other', queue: 'low', priority: 3, state: 'scheduled' });
    expect((mine?.runAt ?? 0) - now - HOUR).toBeLessThan(60_000);
    expect(mine?.runAt).toBeGreaterThanOrEqual(now + HOUR);
    // Whoever hears of the completion can rely on them.
    const story = events.all.map(([event, value]) => `${event} ${(value as MillraceEvents['enqueued']).id}`);
    expect(story.slice(0, 5)).toEqual([
      `enqueued ${parent.id}`,
      ...ids.map((id) => `enqueued ${id}`),
      `completed ${parent.id}`,
    ]);
  });

  test('one that is not awaited comes, too', async () => {
    const { mill } = await open();
    const job = { name: 'child', payload: NOTHING, options: { id: 'mine' } } as const;
    expect(await (await mill.enqueue('parent', { do: 'enqueueUnawaited', job })).result()).toBe(
      'not awaited',
    );
    await mill.handle('child', 'mine').result();
  });

  test.each([
    [
      'a follow-up of an unknown type',
      { do: 'enqueueUnawaited', job: { name: 'nobody' } },
      'MILLRACE_JOB_UNKNOWN',
    ],
    [
      'a follow-up with a taken id',
      { do: 'enqueueUnawaited', job: { name: 'child', options: { id: 'taken' } } },
      'MILLRACE_ID_CONFLICT',
    ],
  ] as const)(
    '%s that is refused and not awaited errors the attempt, and nothing else',
    async (_what, script, code) => {
      const { mill } = await open();
      const warnings = record(mill, 'warning');
      await (await mill.enqueue('other', NOTHING, { id: 'taken' })).result();
      const parent = await mill.enqueue('parent', { do: 'inTurn', scripts: [script as Script, NOTHING] });
      await parent.result();
      expect(await mill.job(parent.id)).toMatchObject({
        attempt: 2,
        errors: [{ attempt: 1, error: { code } }],
      });
      expect(await total(mill)).toBe(2);
      expect(warnings.all).toEqual([]);
    },
  );

  test.each([
    ['a checkpoint', { do: 'checkpointUnawaited', next: NOTHING }],
    [
      'a checkpoint, while the handler goes on',
      { do: 'checkpointUnawaited', next: { do: 'spinFor', ms: 5 } },
    ],
    ['progress', { do: 'askInvalid', what: 'progress' }],
    ['a payload', { do: 'askInvalid', what: 'payload' }],
    ['options', { do: 'askInvalid', what: 'options' }],
    [
      'a payload that is too large',
      { do: 'enqueue', jobs: [{ name: 'child', payload: { do: 'return', value: 'x'.repeat(6_000) } }] },
    ],
    ['a wrong option', { do: 'enqueue', jobs: [{ name: 'child', options: { priority: 0.5 } }] }],
  ] as const)('%s that cannot be taken fails the job at its first attempt', async (_what, script) => {
    const { mill } = await open();
    const parent = await mill.enqueue('parent', { do: 'inTurn', scripts: [script as Script, NOTHING] });
    await expect(parent.result()).rejects.toMatchObject({
      attempt: 1,
      cause: {
        code: expect.stringMatching(/^MILLRACE_(PAYLOAD|OPTION)_INVALID$/),
        message: expect.stringMatching(/^job\.(checkpoint|progress|enqueue)\(/),
      },
    });
    expect(await total(mill)).toBe(1);
  });

  test('an attempt that fails anyway fails with its own error, whatever it did not await', async () => {
    const { mill } = await open();
    const script: Script = { do: 'checkpointUnawaited', next: { do: 'throwUnrecoverable' } };
    const parent = await mill.enqueue('parent', script);
    await expect(parent.result()).rejects.toMatchObject({ cause: { code: 'MILLRACE_UNRECOVERABLE' } });
  });

  test('a handler that never stops asking behind its end does not keep its job from ending', async () => {
    const { mill } = await open();
    await (await mill.enqueue('parent', { do: 'askForEver' })).result();
  });

  test('what is asked for too late, and not awaited, is a warning', async () => {
    const { mill } = await open();
    const warnings = record(mill, 'warning');
    const parent = await mill.enqueue('parent', { do: 'askLateUnawaited' });
    await parent.result();
    await warnings.reached(1);
    expect(warnings.all).toEqual([
      ['warning', expect.objectContaining({ code: 'MILLRACE_HANDLER_STRAY_ERROR' })],
    ]);
    expect(await mill.job(parent.id)).toMatchObject({ state: 'completed' });
    await (await mill.enqueue('child', NOTHING)).result();
  });

  test('a failed attempt leaves none, and a retry does not double them', async () => {
    const { mill } = await open();
    const jobs = [
      { name: 'child', payload: NOTHING },
      { name: 'child', payload: NOTHING, options: { id: 'mine' } },
    ];
    const scripts: Script[] = [
      { do: 'enqueue', jobs, next: { do: 'throw' } },
      { do: 'enqueue', jobs },
    ];
    await (await mill.enqueue('parent', { do: 'inTurn', scripts })).result();
    await mill.drain();
    expect(await mill.counts()).toMatchObject({ completed: 3 });
    expect(await total(mill)).toBe(3);
  });

  test.each([
    ['fails', { do: 'throw' }, 'failed'],
    ['gives up', { do: 'throwUnrecoverable' }, 'failed'],
    ['times out', { do: 'hang' }, 'failed'],
    ['returns what cannot be stored', { do: 'returnFunction' }, 'failed'],
  ] as const)('a job that %s leaves none behind', async (_what, next, state) => {
    const { mill } = await open();
    const script: Script = {
      ...enqueue({ name: 'child', payload: NOTHING }, { name: 'child', options: { id: 'x' } }),
      next,
    } as Script;
    const job = await mill.enqueue('parent', script, {
      maxAttempts: 1,
      timeout: next.do === 'hang' ? 100 : '1m',
    });
    await expect(job.result()).rejects.toMatchObject({ code: 'MILLRACE_JOB_FAILED' });
    expect(await mill.job(job.id)).toMatchObject({ state });
    expect(await total(mill)).toBe(1);
  });

  test('a job that is cancelled leaves none behind, whatever it still returns', async () => {
    const { mill } = await open();
    const script: Script = {
      ...enqueue({ name: 'child', payload: NOTHING }),
      next: { do: 'untilAborted', ends: 'return' },
    } as Script;
    const job = await mill.enqueue('parent', script);
    for await (const value of job.progress()) {
      expect(value).toBe('begun');
      expect(await job.cancel()).toBe('cancelled');
    }
    expect(await total(mill)).toBe(1);
  });

  test('an attempt that close() released leaves none behind, and the next one’s come', async () => {
    const { mill, reopen, directory } = await open();
    const gate = await Gate.in(directory);
    const script: Script = {
      ...enqueue({ name: 'child', payload: NOTHING }),
      next: { do: 'passGate', gate: gate.path, label: 'in' },
    } as Script;
    const { id } = await mill.enqueue('parent', script);
    await gate.arrived('in');
    await mill.close({ timeout: 0 });
    const next = await reopen();
    await gate.arrived('in', 2);
    expect(await total(next)).toBe(1);
    gate.open('in');
    await next.handle('parent', id).result();
    await next.drain();
    expect(await next.counts()).toMatchObject({ completed: 2 });
    expect(await total(next)).toBe(2);
  });

  test.each([
    ['an unknown type', { name: 'nobody' }, 'MILLRACE_JOB_UNKNOWN'],
    ['an unknown queue', { name: 'child', options: { queue: 'nowhere' } }, 'MILLRACE_QUEUE_UNKNOWN'],
    ['a wrong option', { name: 'child', options: { priority: 1.5 } }, 'MILLRACE_OPTION_INVALID'],
    ['a unique key', { name: 'child', options: { uniqueKey: 'k' } }, 'MILLRACE_OPTION_INVALID'],
    ['an option that there is not', { name: 'child', options: { nonsense: 1 } }, 'MILLRACE_OPTION_INVALID'],
    ['the id of a job of another type', { name: 'child', options: { id: 'taken' } }, 'MILLRACE_ID_CONFLICT'],
  ])('%s is refused in the handler, which can go on', async (_what, job, code) => {
    const { mill } = await open();
    await mill.enqueue('other', NOTHING, { id: 'taken' });
    await mill.drain();
    const of = { do: 'enqueue', jobs: [job as FollowUpScript] } as const;
    const handle = await mill.enqueue('parent', { do: 'tellRefusal', of });
    expect(await handle.result()).toBe(code);
    await mill.drain();
    expect(await total(mill)).toBe(2);
  });

  test('an id makes one job of however many follow-ups, and none where there is one', async () => {
    const { mill } = await open();
    const job = { name: 'child', payload: NOTHING, options: { id: 'mine' } };
    for (let i = 0; i < 2; i++)
      expect(await (await mill.enqueue('parent', enqueue(job, job))).result()).toEqual(['mine', 'mine']);
    await mill.drain();
    expect(await mill.counts()).toMatchObject({ completed: 3 });
    expect(await total(mill)).toBe(3);
  });

  test('an id that two types ask for in one attempt is refused to the second', async () => {
    const { mill } = await open();
    const of = enqueue(
      { name: 'child', options: { id: 'x' }, payload: NOTHING },
      { name: 'other', options: { id: 'x' } },
    );
    expect(await (await mill.enqueue('parent', { do: 'tellRefusal', of })).result()).toBe(
      'MILLRACE_ID_CONFLICT',
    );
    expect(await mill.job('x')).toMatchObject({ name: 'child' });
  });

  test('a conflict that shows only at the end costs the follow-up, and neither the job nor the others', async () => {
    const { mill, directory } = await open();
    const warnings = record(mill, 'warning');
    const gate = await Gate.in(directory);
    const jobs = [
      { name: 'child', payload: NOTHING, options: { id: 'taken' } },
      { name: 'child', payload: NOTHING, options: { id: 'free' } },
    ];
    const parent = await mill.enqueue('parent', {
      do: 'enqueue',
      jobs,
      next: { do: 'passGate', gate: gate.path, label: 'in', value: 'done' },
    });
    await gate.arrived('in');
    await mill.enqueue('other', NOTHING, { id: 'taken', delay: '1h' });
    gate.open('in');
    expect(await parent.result()).toBe('done');
    const [warning] = await warnings.reached(1);
    expect(warning).toMatchObject(['warning', { code: 'MILLRACE_ID_CONFLICT' }]);
    expect(await mill.handle('child', 'free').result()).toBe(undefined);
    expect(await mill.job('taken')).toMatchObject({ name: 'other' });
  });

  test('ten thousand come in one write, and one more is refused', async () => {
    const { mill } = await open();
    const parent = await mill.enqueue('parent', { do: 'enqueueMany', name: 'child', count: 10_000 });
    expect(await parent.result()).toBe(10_000);
    await mill.drain();
    expect(await mill.counts()).toMatchObject({ completed: 10_001 });
    const of = { do: 'enqueueMany', name: 'child', count: 10_001 } as const;
    const beyond = await mill.enqueue('parent', { do: 'tellRefusal', of });
    expect(await beyond.result()).toBe('MILLRACE_FOLLOW_UPS_TOO_MANY');
  });
});

test('a follow-up is held to its type like any job, and a large payload lies in a file', async () => {
  const { options, closing } = await bench();
  const told: string[] = [];
  const onlyNumbers: StandardSchemaV1<number> = {
    '~standard': {
      version: 1,
      vendor: 'test',
      validate: (value: unknown) =>
        typeof value === 'number' ? { value } : { issues: [{ message: 'Expected a number' }] },
    },
  };
  const jobs = {
    checked: inlineJob((payload: number) => payload, { schema: onlyNumbers }),
    small: inlineJob((payload: string) => payload.length, { maxPayloadBytes: 100 }),
    large: inlineJob((payload: Uint8Array) => payload.length),
    asks: inlineJob(async (_payload: undefined, job) => {
      const wrong = [
        ['checked', 'no number'],
        ['small', 'x'.repeat(200)],
      ] as const;
      for (const [name, payload] of wrong)
        await job.enqueue(name, payload).catch(({ code }: { code: string }) => told.push(code));
      const { id } = await job.enqueue('large', new Uint8Array(500_000).fill(7));
      return id;
    }),
  };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  await mill.pause();
  const asks = await mill.enqueue('asks');
  await mill.resume();
  const id = await asks.result();
  expect(told).toEqual(['MILLRACE_PAYLOAD_INVALID', 'MILLRACE_PAYLOAD_INVALID']);
  expect(await mill.handle('large', id).result()).toBe(500_000);
  expect((await readdir(join(options.directory, 'payloads'))).length).toBe(1);
  expect(await mill.counts()).toMatchObject({ completed: 2, available: 0 });
});
