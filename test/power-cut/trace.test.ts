import { expect, test } from 'vitest';
import { callsOf } from './plant.js';

test('a call on one line begins and is over there', () => {
  expect(callsOf('7  +++ exited with 0 +++', '7  fdatasync(23)       = 0')).toEqual([
    { name: 'fdatasync', args: '23', result: 0, isFaked: false, beganAt: 1, endedAt: 1 },
  ]);
});

test('a call that others interrupt is put together, and told when it is over', () => {
  const calls = callsOf(
    '7 fdatasync(23 <unfinished ...>',
    '8 fdatasync(24) = 0',
    '7 <... fdatasync resumed>) = 0',
  );
  expect(calls).toMatchObject([
    { args: '24', beganAt: 1, endedAt: 1 },
    { args: '23', result: 0, beganAt: 0, endedAt: 2 },
  ]);
});

test('a descriptor that is being closed can be given again before that is over', () => {
  const calls = callsOf(
    '7 close(23 <unfinished ...>',
    "8 openat(AT_FDCWD, '/data/a', O_RDONLY) = 23",
    '7 <... close resumed>) = 0',
  );
  expect(calls.map(({ name }) => name)).toEqual(['close', 'openat']);
});

test('what had begun when the process died may have been done', () => {
  const calls = callsOf(
    "7 write(3, 'abc', 3 <unfinished ...>",
    '8 <... ??? resumed>) = ?',
    '7 +++ killed by SIGKILL +++',
  );
  expect(calls).toMatchObject([{ name: 'write', beganAt: 0, endedAt: Infinity }]);
  expect(calls[0]).not.toHaveProperty('result');
});

test('a call that failed has a negative result, and one that strace answered is marked', () => {
  expect(
    callsOf("7 unlink('/data/a') = -1 ENOENT (No such file or directory)", '7 fdatasync(23) = 0 (INJECTED)'),
  ).toMatchObject([
    { name: 'unlink', result: -1, isFaked: false },
    { name: 'fdatasync', result: 0, isFaked: true },
  ]);
});

test('a line that is not of strace is no trace', () => {
  expect(() => callsOf('strace: Process 7 attached')).toThrow('Expected a line of strace');
  expect(() => callsOf('7 <... fdatasync resumed>) = 0')).toThrow('Expected a line of strace');
});
