/** job.checkpoint(): the next attempt goes on from there, whatever the last one came to. */
import { describe, expect, test } from 'vitest';
import { Millrace } from '../../src/index.js';
import { collect } from '../fixtures/collect.js';
import { bench, scriptedInline, scriptedThread } from '../fixtures/engine.js';
import { Gate } from '../fixtures/gate.js';
import type { Script } from '../fixtures/scripted.js';

describe.each([
  ['in a thread', scriptedThread],
  ['inline', scriptedInline],
] as const)('%s', (_where, scripted) => {
  async function open(grace = 1) {
    const { options, closing, directory } = await bench();
    const jobs = {
      long: scripted({ maxAttempts: 2, backoff: { type: 'exponential', delay: 1, max: 1 }, grace }),
      small: scripted({ maxResultBytes: 100, maxAttempts: 1 }),
    };
    const reopen = async () => closing(await Millrace.open({ ...options, jobs, threads: { count: 1 } }));
    return { mill: await reopen(), reopen, directory, options };
  }

  const tell: Script = { do: 'tellResume' };

  test('there is none at first', async () => {
    const { mill } = await open();
    expect(await (await mill.enqueue('long', tell)).result()).toBe(undefined);
  });

  test.each([
    ['an error', { do: 'throw' }],
    ['a timeout', { do: 'untilAborted', ends: 'throw' }],
  ] as const)('after %s the next attempt gets the last one', async (_what, next) => {
    const { mill } = await open();
    const value = { page: 2, seen: new Set(['a', 'b']), at: new Date(7) };
    const scripts: Script[] = [{ do: 'checkpoint', values: [{ page: 1 }, value], next }, tell];
    const timeout = next.do === 'throw' ? '1m' : 200;
    expect(await (await mill.enqueue('long', { do: 'inTurn', scripts }, { timeout })).result()).toEqual(
      value,
    );
  });

  test('one that is larger than a result may be is refused, and so is progress', async () => {
    const { mill } = await open();
    const value = 'x'.repeat(98);
    const kinds: [of: (value: string) => Script, what: string][] = [
      [(given) => ({ do: 'checkpoint', values: [given] }), 'checkpoint'],
      [(given) => ({ do: 'progress', value: given, next: { do: 'return' } }), 'progress'],
    ];
    for (const [of, what] of kinds) {
      await (await mill.enqueue('small', of(value))).result();
      const tooLarge = await mill.enqueue('small', of(`${value}x`));
      await expect(tooLarge.result()).rejects.toMatchObject({
        cause: {
          code: 'MILLRACE_PAYLOAD_INVALID',
          message: expect.stringMatching(
            `${what} of at most 100 bytes, got 101 bytes.*maxResultBytes.*small`,
          ),
        },
      });
    }
  });

  test('of several at once the last call counts', async () => {
    const { mill } = await open();
    const values = Array.from({ length: 100 }, (_, i) => i);
    const scripts: Script[] = [{ do: 'checkpoint', values, atOnce: true, next: { do: 'throw' } }, tell];
    expect(await (await mill.enqueue('long', { do: 'inTurn', scripts })).result()).toBe(99);
  });

  test('after close() and another start the job goes on from it, also from one made while closing', async () => {
    const { mill, reopen } = await open(10_000);
    const scripts: Script = {
      do: 'resumeOr',
      first: {
        do: 'checkpoint',
        values: ['begun'],
        next: { do: 'onceStopped', next: { do: 'checkpoint', values: ['stopping'], next: { do: 'throw' } } },
      },
    };
    const handle = await mill.enqueue('long', scripts);
    for await (const value of handle.progress()) {
      expect(value).toBe('begun');
      break;
    }
    await mill.close({ timeout: 0 });
    const next = await reopen();
    expect(await next.handle('long', handle.id).result()).toBe('stopping');
    expect(await next.job(handle.id)).toMatchObject({ attempt: 1, errors: [] });
  });

  test('it outlives a job that waits while the engine is closed, and a backup has it', async () => {
    const { mill, reopen, directory, options } = await open();
    const gate = await Gate.in(directory);
    const first: Script = {
      do: 'checkpoint',
      values: ['half'],
      next: { do: 'passGate', gate: gate.path, label: 'in', value: 'never' },
    };
    const { id } = await mill.enqueue('long', { do: 'resumeOr', first });
    await gate.arrived('in');
    await mill.backup(`${directory}/copy`);
    await mill.close({ timeout: 0 });
    expect(await Millrace.verify(options.directory)).toMatchObject({ sound: true });
    const again = await reopen();
    expect(await again.handle('long', id).result()).toBe('half');
    const jobs = { long: scripted({ maxAttempts: 1 }) };
    const copy = await Millrace.open({ ...options, directory: `${directory}/copy`, jobs });
    expect(await copy.handle('long', id).result()).toBe('half');
    await copy.close();
  });

  test('an export carries it along, and an import gives it to the next attempt', async () => {
    const { mill, directory, options } = await open();
    const gate = await Gate.in(directory);
    const value = { page: 3, seen: new Set([1n]) };
    const next: Script = { do: 'passGate', gate: gate.path, label: 'in' };
    const { id } = await mill.enqueue('long', {
      do: 'resumeOr',
      first: { do: 'checkpoint', values: [value], next },
    });
    await gate.arrived('in');
    const lines = await collect(mill.export());
    const jobs = { long: scripted() };
    const other = await Millrace.open({ ...options, directory: `${directory}/other`, jobs });
    await other.import(lines);
    expect(await other.handle('long', id).result()).toEqual(value);
    await other.close();
  });
});
