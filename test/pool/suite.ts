/** What every pool keeps, whatever its handlers run in. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { MillraceError, PayloadInvalidError } from '../../src/errors.js';
import { decode, encode } from '../../src/job/codec.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { Gate } from '../fixtures/gate.js';
import type { Script } from '../fixtures/scripted.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import type { JobRequest } from '../../src/pool/contract.js';
import { errorOf, needOf, poolBench, resultOf, run, task, type MakePool } from './news.js';

/** @param make A pool of one place at least, with scripted.ts as the handler of jobs named `scripted`. */
export function poolSuite(name: string, make: MakePool): void {
  describe(name, () => {
    test('a handler’s value is the outcome', async () => {
      const { pool, news } = await poolBench(make);
      const value = { text: 'é', when: new Date(0), list: [1, null, undefined], map: new Map([[1n, 'one']]) };
      const one = task({ do: 'return', value });
      run(pool, one);
      expect(resultOf(await news.outcome(one))).toEqual(value);
    });

    test('a handler that throws errs, with the error as data', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'throw', message: 'bad luck' });
      run(pool, one);
      const outcome = await news.outcome(one);
      expect(outcome).toMatchObject({ kind: 'errored', unrecoverable: false });
      expect(errorOf(outcome)).toMatchObject({
        name: 'RangeError',
        message: 'bad luck',
        code: 'E_LUCK',
        cause: { name: 'Error', message: 'inner' },
        properties: { detail: { tries: new Map([['first', 2]]) } },
      });
      expect(errorOf(outcome).stack).toContain('scripted');
    });

    test('an UnrecoverableError says so', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'throwUnrecoverable' });
      run(pool, one);
      const outcome = await news.outcome(one);
      expect(outcome).toMatchObject({ kind: 'errored', unrecoverable: true });
      expect(errorOf(outcome)).toMatchObject({ name: 'UnrecoverableError', code: 'MILLRACE_UNRECOVERABLE' });
    });

    test('a handler that is snoozed says for how long, and with which error where it threw one', async () => {
      const { pool, news } = await poolBench(make);
      const file = join(await temporaryDirectory(), 'runs');
      const one = task({ do: 'snooze', delay: '10m', times: 2, file });
      run(pool, one);
      expect(await news.outcome(one)).toEqual({ kind: 'snoozed', delayMs: 600_000 });
      const other = task({ do: 'throwRetryAfter', delay: '10m', times: 2, file });
      run(pool, other);
      const outcome = await news.outcome(other);
      expect(outcome).toMatchObject({ kind: 'snoozed', delayMs: 600_000 });
      expect(errorOf(outcome)).toMatchObject({
        name: 'RetryAfterError',
        code: 'MILLRACE_RETRY_AFTER',
        message: 'busy',
      });
    });

    test('a task that is over its time has timed out, even if it would be snoozed then', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'snoozeWhenAborted', delay: '10m' }, { timeoutMs: 30 });
      run(pool, one);
      expect((await news.outcome(one)).kind).toBe('timedOut');
    });

    test.each([
      ['a string', 'just words', '"just words"'],
      ['undefined', undefined, 'undefined'],
      ['null', null, 'null'],
    ])('a handler that throws %s errs with a code of its own', async (_what, value, shown) => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'throwValue', value });
      run(pool, one);
      const outcome = await news.outcome(one);
      expect(outcome).toMatchObject({ kind: 'errored', unrecoverable: false });
      expect(errorOf(outcome).code).toBe('MILLRACE_HANDLER_THREW_NON_ERROR');
      expect(errorOf(outcome).message).toContain(shown);
    });

    test.each([
      ['returnFunction', 'result.nested.call'],
      ['returnInstance', 'result.list[1]'],
    ] as const)('a result that cannot be stored is refused with its path: %s', async (act, path) => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: act });
      run(pool, one);
      const outcome = await news.outcome(one);
      expect(outcome).toMatchObject({ kind: 'errored', unrecoverable: true });
      expect(errorOf(outcome)).toMatchObject({
        code: 'MILLRACE_RESULT_INVALID',
        message: expect.stringContaining(path),
      });
    });

    test('progress and log lines come in order, and before the outcome', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'report' }, { id: 'it' });
      run(pool, one);
      await news.outcome(one);
      expect(news.story()).toEqual([
        'it progress {"percent":10}',
        'it info halfway',
        'it progress {"percent":90}',
        'it completed',
      ]);
    });

    test('a handler that is told to cancel can end in its own time', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'untilAborted', ends: 'throw' });
      run(pool, one);
      await news.begun(one);
      pool.stop(one, 'cancelled');
      expect(await news.outcome(one)).toEqual({ kind: 'cancelled' });
    });

    test('a task that is over its time is told, and its outcome is the timeout’s', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'untilAborted', ends: 'throw' }, { timeoutMs: 30 });
      run(pool, one);
      const outcome = await news.outcome(one);
      expect(outcome.kind).toBe('timedOut');
      expect(news.all.all).toContainEqual({ kind: 'stopping', id: one.id });
      expect(errorOf(outcome)).toMatchObject({ name: 'TimeoutError', code: 'MILLRACE_TIMEOUT' });
      expect(errorOf(outcome).message).toContain('30 ms');
    });

    test.each(['timedOut', 'overdue', 'cancelled'] as const)(
      'once a task was told it is %s, a value within the grace changes nothing',
      async (reason) => {
        const { pool, news } = await poolBench(make);
        const one = task({ do: 'untilAborted', ends: 'return' });
        run(pool, one);
        await news.begun(one);
        pool.stop(one, reason);
        expect((await news.outcome(one)).kind).toBe(reason);
      },
    );

    test('a task that is stopped at its deadline is told so, and its outcome says so', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'untilAborted', ends: 'throw' }, { timeoutMs: 3_600_000 });
      run(pool, one);
      await news.begun(one);
      pool.stop(one, 'overdue');
      const outcome = await news.outcome(one);
      expect(outcome.kind).toBe('overdue');
      expect(errorOf(outcome)).toMatchObject({ name: 'DeadlineError', code: 'MILLRACE_DEADLINE' });
      expect(news.story()).toContain(`${one.id} info aborted with MILLRACE_DEADLINE`);
    });

    test('a task that the engine’s end stops may still complete', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'untilAborted', ends: 'return' });
      run(pool, one);
      await news.begun(one);
      pool.stop(one, 'shutdown');
      expect(resultOf(await news.outcome(one))).toBe('too late');
    });

    test('a task that the engine’s end stops, and that errs, counts for nothing', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'untilAborted', ends: 'throw' });
      run(pool, one);
      await news.begun(one);
      pool.stop(one, 'shutdown');
      expect(await news.outcome(one)).toEqual({ kind: 'released' });
    });

    test('a task that the engine’s end stops, and that says that no other attempt would help, is believed', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'onceStopped', next: { do: 'throwUnrecoverable' } });
      run(pool, one);
      await news.begun(one);
      pool.stop(one, 'shutdown');
      const outcome = await news.outcome(one);
      expect(outcome).toMatchObject({ kind: 'errored', unrecoverable: true });
      expect(errorOf(outcome)).toMatchObject({ code: 'MILLRACE_UNRECOVERABLE' });
    });

    test('a task that the engine’s end stops, and that takes that for a reason to give up, counts for nothing', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'onceStopped', next: { do: 'throwUnrecoverableOfAbort' } });
      run(pool, one);
      await news.begun(one);
      pool.stop(one, 'shutdown');
      expect(await news.outcome(one)).toEqual({ kind: 'released' });
    });

    test.each([
      ['cancelled', 'timedOut'],
      ['timedOut', 'cancelled'],
      ['timedOut', 'overdue'],
      ['overdue', 'timedOut'],
      ['cancelled', 'shutdown'],
    ] as const)('of two reasons to stop the first counts: %s, then %s', async (first, second) => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'untilAborted', ends: 'throw' });
      run(pool, one);
      await news.begun(one);
      pool.stop(one, first);
      pool.stop(one, second);
      expect((await news.outcome(one)).kind).toBe(first);
    });

    test('a task that does not stop is given up after its grace', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'hang' }, { graceMs: 1 });
      run(pool, one);
      await news.begun(one);
      pool.stop(one, 'cancelled');
      expect(await news.outcome(one)).toEqual({ kind: 'cancelled' });
    });

    test('a task that hangs is not given up while its grace lasts', async () => {
      const clock = new FakeClock();
      const { pool, news } = await poolBench(make, clock);
      const [hanging, other] = [task({ do: 'hang' }, { graceMs: 1_000 }), task({ do: 'return' })];
      run(pool, hanging);
      await news.begun(hanging);
      pool.stop(hanging, 'cancelled');
      await clock.advance(999);
      await news.room(pool);
      run(pool, other);
      await news.outcome(other);
      expect(news.story()).not.toContain(`${hanging.id} cancelled`);
      await clock.advance(1);
      expect(await news.outcome(hanging)).toEqual({ kind: 'cancelled' });
    });

    test('a stop that comes after the outcome is harmless', async () => {
      const { pool, news } = await poolBench(make);
      const [one, next] = [task({ do: 'return' }), task({ do: 'return', value: 2 })];
      run(pool, one);
      await news.outcome(one);
      pool.stop(one, 'cancelled');
      await news.room(pool);
      run(pool, next);
      pool.stop(one, 'cancelled');
      expect(resultOf(await news.outcome(next))).toBe(2);
    });

    test('a handler gets the replies to what it asks for', async () => {
      const { pool, news } = await poolBench(make);
      const options = { delay: '5s', runAt: new Date(0) } as const;
      const jobs = [{ name: 'other', payload: new Map([[1, 2n]]), options }, { name: 'plain' }];
      const one = task({ do: 'enqueue', jobs });
      let asked = 0;
      news.answer = async () => `id ${++asked}`;
      run(pool, one);
      expect(resultOf(await news.outcome(one))).toEqual(['id 1', 'id 2']);
      const requests = news.all.all.flatMap((each) => (each.kind === 'request' ? decoded(each.request) : []));
      expect(requests).toEqual([
        { kind: 'enqueue', name: 'other', payload: jobs[0]?.payload, options },
        { kind: 'enqueue', name: 'plain', payload: undefined, options: undefined },
      ]);
    });

    test('what a handler asks for can be refused, with the error as it is', async () => {
      const { pool, news } = await poolBench(make);
      news.answer = async () => Promise.reject(new MillraceError('MILLRACE_JOB_UNKNOWN', 'there is none'));
      const one = task({ do: 'checkpoint', values: [1] });
      run(pool, one);
      expect(errorOf(await news.outcome(one))).toMatchObject({
        name: 'MillraceError',
        code: 'MILLRACE_JOB_UNKNOWN',
        message: 'job.checkpoint(): there is none',
      });
    });

    test.each([
      ['checkpoint', 'MILLRACE_PAYLOAD_INVALID'],
      ['payload', 'MILLRACE_PAYLOAD_INVALID'],
      ['progress', 'MILLRACE_PAYLOAD_INVALID'],
      ['options', 'MILLRACE_OPTION_INVALID'],
      ['signal', 'MILLRACE_OPTION_INVALID'],
    ] as const)('what cannot be stored is refused before it is asked for: %s', async (what, code) => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'tellRefusal', of: { do: 'askInvalid', what } });
      run(pool, one);
      expect(resultOf(await news.outcome(one))).toBe(code);
      expect(news.all.all).not.toContainEqual(expect.objectContaining({ kind: 'request' }));
    });

    test.each([
      [
        'checkpoint',
        /^job\.checkpoint\(\): Expected a checkpoint that can be stored, got .* at checkpoint\.call/,
      ],
      ['progress', /^job\.progress\(\): Expected a progress that can be stored, got .* at progress\.call/],
      ['payload', /^job\.enqueue\('any'\): Expected a payload that can be stored, got .* at payload\.call/],
      ['options', /^job\.enqueue\('any'\): Expected options that can be stored, got .* at options\.delay/],
      [
        'signal',
        /^job\.enqueue\('any'\): Expected `signal` to be absent: .*, got: an instance of AbortSignal$/,
      ],
    ] as const)('a refusal says of which call it is, and is one for good: %s', async (what, message) => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'askInvalid', what });
      run(pool, one);
      const outcome = await news.outcome(one);
      expect(outcome).toMatchObject({ kind: 'errored', unrecoverable: true });
      const { message: told, stack } = errorOf(outcome);
      expect(told).toMatch(message);
      expect(stack?.split('\n').slice(0, 2)).toEqual([
        expect.stringContaining(told),
        expect.stringContaining('fixtures/scripted.'),
      ]);
    });

    test.each([
      [new MillraceError('MILLRACE_OPTION_INVALID', 'no option'), true],
      [new PayloadInvalidError('too large'), true],
      [new PayloadInvalidError('the schema says no', [{ message: 'no' }]), false],
      [new MillraceError('MILLRACE_JOB_UNKNOWN', 'there is none'), false],
    ])('what the engine refuses may be refused for good, too: %s', async (refusal, unrecoverable) => {
      const { pool, news } = await poolBench(make);
      const { code, message } = refusal;
      news.answer = async () => Promise.reject(refusal);
      const one = task({ do: 'enqueue', jobs: [{ name: 'other' }] });
      run(pool, one);
      const outcome = await news.outcome(one);
      expect(outcome).toMatchObject({ kind: 'errored', unrecoverable });
      expect(errorOf(outcome)).toMatchObject({ code, message: `job.enqueue('other'): ${message}` });
    });

    test('a refusal that nobody has listened to says that, too', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'checkpointUnawaited', next: { do: 'return' } });
      run(pool, one);
      const outcome = await news.outcome(one);
      expect(outcome).toMatchObject({ kind: 'errored', unrecoverable: true });
      const { message, stack } = errorOf(outcome);
      expect(message).toMatch(/^job\.checkpoint\(\) \(it was not awaited\): Expected a checkpoint that/);
      expect(stack).toContain(message);
      expect(stack).toContain('fixtures/scripted.');
    });

    test('what a call rejects with for another reason is as it is', async () => {
      const { pool, news } = await poolBench(make);
      const failure = new MillraceError('MILLRACE_JOURNAL_WRITE_FAILED', 'the disk is full');
      news.answer = async () => Promise.reject(failure);
      const one = task({ do: 'checkpoint', values: [1] });
      run(pool, one);
      const outcome = await news.outcome(one);
      expect(outcome).toMatchObject({ kind: 'errored', unrecoverable: false });
      expect(errorOf(outcome).message).toBe('the disk is full');
    });

    test('the checkpoint of an earlier attempt is there', async () => {
      const { pool, news } = await poolBench(make);
      const value = { page: 7, seen: new Set(['a']) };
      const [one, first] = [
        task({ do: 'tellResume' }, { resumeFrom: encode(value) }),
        task({ do: 'tellResume' }),
      ];
      run(pool, one);
      expect(resultOf(await news.outcome(one))).toEqual(value);
      await news.room(pool);
      run(pool, first);
      expect(resultOf(await news.outcome(first))).toBe(undefined);
    });

    test.each([
      ['timedOut', 'MILLRACE_TIMEOUT'],
      ['cancelled', 'MILLRACE_JOB_CANCELLED'],
    ] as const)(
      'what is awaited when the attempt is stopped rejects with the reason: %s',
      async (reason, code) => {
        const { pool, news } = await poolBench(make);
        news.answer = () => new Promise(() => {});
        const one = task(
          { do: 'tellRefusal', of: { do: 'checkpoint', values: [1] } },
          { id: `${reason} one` },
        );
        run(pool, one);
        await news.asked(one);
        pool.stop(one, reason);
        expect((await news.outcome(one)).kind).toBe(reason);
        expect(news.story()).toContain(`${one.id} info ${code}`);
      },
    );

    test.each([
      ['timedOut', 'MILLRACE_TIMEOUT'],
      ['cancelled', 'MILLRACE_JOB_CANCELLED'],
    ] as const)('nothing can be asked for once the attempt was stopped: %s', async (reason, code) => {
      const { pool, news } = await poolBench(make);
      const asking: Script = { do: 'tellRefusal', of: { do: 'enqueue', jobs: [{ name: 'any' }] } };
      const one = task({ do: 'onceStopped', next: asking }, { id: `${reason} two` });
      run(pool, one);
      await news.begun(one);
      pool.stop(one, reason);
      expect((await news.outcome(one)).kind).toBe(reason);
      expect(news.story()).toContain(`${one.id} info ${code}`);
      expect(news.all.all).not.toContainEqual(expect.objectContaining({ kind: 'request' }));
    });

    test('while the engine closes a handler can still make a checkpoint', async () => {
      const { pool, news } = await poolBench(make);
      const last: Script = { do: 'checkpoint', values: ['so far'], next: { do: 'throw' } };
      const one = task({ do: 'onceStopped', next: last });
      run(pool, one);
      await news.begun(one);
      pool.stop(one, 'shutdown');
      expect(await news.outcome(one)).toEqual({ kind: 'released' });
      expect(decoded(await news.asked(one))).toEqual({ kind: 'checkpoint', value: 'so far' });
    });

    test('an attempt that is over asks for nothing', async () => {
      const { pool, news } = await poolBench(make);
      const file = join(await temporaryDirectory(), 'code');
      const one = task({ do: 'askLate', file });
      run(pool, one);
      await news.outcome(one);
      await vi.waitFor(async () => expect(await readFile(file, 'utf8')).toBe('MILLRACE_ATTEMPT_OVER'));
      expect(news.all.all).not.toContainEqual(expect.objectContaining({ kind: 'request' }));
    });

    test('room that is reserved is not given twice, and can be given back', async () => {
      const { pool } = await poolBench(make);
      const seats = [];
      while (pool.hasRoom(needOf('scripted', true))) seats.push(pool.reserve(needOf('scripted', true)));
      expect(seats.length).toBeGreaterThan(0);
      seats[0]?.release();
      expect(pool.hasRoom(needOf('scripted', true))).toBe(true);
    });

    test('a full pool takes no more, and says when there is room again', async () => {
      const { pool, news } = await poolBench(make);
      const gate = await Gate.in(await temporaryDirectory());
      const tasks = [];
      while (pool.hasRoom(needOf('scripted', false))) {
        const one = task({ do: 'passGate', gate: gate.path, label: 'in' });
        tasks.push(one);
        run(pool, one);
      }
      await gate.arrived('in', tasks.length);
      expect(pool.hasRoom(needOf('scripted', false))).toBe(false);
      gate.open('in');
      await news.room(pool);
      const next = task({ do: 'return' });
      run(pool, next);
      expect((await news.outcome(next)).kind).toBe('completed');
    });

    test('close() ends what still runs and returns it, and takes nothing more', async () => {
      const { pool, news } = await poolBench(make);
      const one = task({ do: 'hang' });
      run(pool, one);
      await news.begun(one);
      await pool.close();
      expect(await news.outcome(one)).toEqual({ kind: 'released' });
      await pool.close();
    });
  });
}

/** What a handler asked for, as it said it. */
function decoded(request: JobRequest): object {
  const entries = Object.entries(request).map(([field, value]) => [
    field,
    value instanceof Uint8Array ? decode(value) : value,
  ]);
  return Object.fromEntries(entries);
}
