/** Whoever waits for a job: what the waiting itself costs. */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { MillraceError } from '../../src/errors.js';
import { Results } from '../../src/runtime/results.js';

/** A job that never ends. */
const pending = () => new Promise<never>(() => {});

test('one signal for a thousand results is no leak, and aborts all of them', async () => {
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const results = new Results();
  const controller = new AbortController();
  const reason = new Error('enough');

  const waits = Array.from({ length: 1_000 }, (_, index) =>
    results.wait(`job-${index}`, pending, controller.signal),
  );
  await setImmediate();
  controller.abort(reason);

  for (const wait of waits) await expect(wait).rejects.toBe(reason);
  process.off('warning', onWarning);
  expect(warnings).toEqual([]);
});

test('a signal can be used again once what waited with it is over', async () => {
  const results = new Results();
  const controller = new AbortController();
  const { signal } = controller;

  const first = results.wait('a', () => Promise.reject(new Error('there is no such job')), signal);
  await expect(first).rejects.toThrow('no such job');
  const second = results.wait('a', pending, signal);
  const aborted = once(signal, 'abort');
  controller.abort();
  await aborted;

  await expect(second).rejects.toBe(signal.reason);
  await expect(results.wait('a', pending, signal)).rejects.toBe(signal.reason);
  results.close(new MillraceError('MILLRACE_CLOSED', 'closed'));
});
