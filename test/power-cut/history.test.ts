import { expect, test } from 'vitest';
import { bytesAfter, type History } from './history.js';
import { callsOf, create, historyOf, ROOT, sync, write } from './plant.js';

const contents = ({ names }: History): Record<string, string> =>
  Object.fromEntries([...names].map(([name, { writes }]) => [name, bytesAfter(writes).toString()]));

test('writes go on where the last one ended, and behind the end where the file is appended to', () => {
  const history = historyOf(
    create('log', 3),
    write(3, 'ab'),
    write(3, 'cd'),
    `openat(AT_FDCWD, '${ROOT}/log', O_WRONLY|O_CREAT|O_APPEND, 0666) = 4`,
    write(4, 'ef'),
    `openat(AT_FDCWD, '${ROOT}/log', O_RDWR) = 5`,
    "pwrite64(5, 'X', 1, 1) = 1",
  );
  expect(contents(history)).toEqual({ log: 'aXcdef' });
});

test('a write that was cut short wrote no more than it says', () => {
  expect(contents(historyOf(create('log', 3), "write(3, 'abcd', 4) = 2"))).toEqual({ log: 'ab' });
});

test('a descriptor that is given again stands for another file', () => {
  const history = historyOf(
    create('a', 3),
    'close(3) = 0',
    write(3, 'to a socket'),
    create('b', 3),
    write(3, 'b'),
  );
  expect(contents(history)).toEqual({ a: '', b: 'b' });
});

test('a file keeps its bytes under a new name, and what is emptied is another file', () => {
  const history = historyOf(
    create('1.dbtmp', 3),
    write(3, 'new'),
    create('CURRENT', 4),
    write(4, 'old'),
    `rename('${ROOT}/1.dbtmp', '${ROOT}/CURRENT') = 0`,
    create('1.dbtmp', 5),
    `unlink('${ROOT}/1.dbtmp') = 0`,
  );
  expect(contents(history)).toEqual({ CURRENT: 'new' });
});

test('calls that failed, and those that strace answered, changed nothing', () => {
  const history = historyOf(
    create('a', 3),
    "write(3, 'x', 1) = -1 ENOSPC (No space left on device)",
    `unlink('${ROOT}/a') = 0 (INJECTED)`,
    'fdatasync(3) = 0 (INJECTED)',
  );
  expect(contents(history)).toEqual({ a: '' });
  expect(history.names.get('a')?.syncs).toEqual([]);
});

test('files elsewhere are nobody’s', () => {
  const elsewhere = "openat(AT_FDCWD, '/etc/passwd', O_WRONLY|O_CREAT, 0666) = 3";
  expect(contents(historyOf(elsewhere, write(3, 'x'), 'ftruncate(3, 0) = 0'))).toEqual({});
});

test('a sync of a file that has not grown leaves names as they are, one that has grown makes them last', () => {
  const history = historyOf(create('a', 3), sync(3), sync(3), "pwrite64(3, 'x', 1, 0) = 1", sync(3));
  expect(history.commits.map(({ beganAt }) => beganAt)).toEqual([1, 4]);
});

test('a sync of the directory makes names last', () => {
  const history = historyOf(
    create('journal/a', 3),
    `openat(AT_FDCWD, '${ROOT}/journal', O_RDONLY) = 4`,
    'fsync(4) = 0',
  );
  expect(history.commits).toHaveLength(1);
});

test('a call that the model does not know must not touch the files', () => {
  expect(() => historyOf(create('a', 3), 'ftruncate(3, 0) = 0')).toThrow('Expected no ftruncate');
  expect(() => historyOf(`link('${ROOT}/a', '${ROOT}/b') = 0`)).toThrow('Expected no link');
});

test('of a call that the death of its process interrupted, as much was done as is there', () => {
  const [made, ...pending] = callsOf(
    `7 ${create('a', 3)}`,
    "7 write(3, 'abcd', 4 <unfinished ...>",
    `8 rename('${ROOT}/a', '${ROOT}/b' <unfinished ...>`,
  );
  const settled = (there: Readonly<Record<string, string>>): unknown => {
    const history = historyOf();
    if (made) history.apply(made);
    const look = (name: string) => (name in there ? Buffer.from(there[name] ?? '') : undefined);
    for (const call of pending) history.settle(call, look);
    return contents(history);
  };
  expect(settled({ a: '' })).toEqual({ a: '' });
  expect(settled({ a: 'ab' })).toEqual({ a: 'ab' });
  expect(settled({ b: '' })).toEqual({ b: '' });
});
