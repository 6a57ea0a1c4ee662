/** Telling the world must never hurt the engine. */
import { expect, test } from 'vitest';
import { MillraceError } from '../../src/index.js';
import { Announcer } from '../../src/runtime/announcer.js';

test('a logger and a listener of warnings that both throw are called once each, and that is all', () => {
  const calls: string[] = [];
  const thrower = (): never => {
    calls.push('logger');
    throw new Error('no log');
  };
  const announcer = new Announcer({ debug: thrower, info: thrower, warn: thrower, error: thrower });
  announcer.emitter.on('warning', ({ code }) => {
    calls.push(code);
    throw new Error('no listener');
  });
  announcer.warning(new MillraceError('MILLRACE_THREAD_STUCK', 'one thing'));
  expect(calls.length).toBeLessThan(10);
  expect(calls).toContain('MILLRACE_THREAD_STUCK');
});
