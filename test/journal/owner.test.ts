/** One owner per journal, whatever its path is called. */
import { chmod, mkdir, readFile, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, join, relative } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Clock } from '../../src/clock.js';
import type { Journal } from '../../src/journal/journal.js';
import { openJournal } from '../../src/journal/open.js';
import { openInChild } from '../fixtures/children.js';
import { FakeClock } from '../fixtures/fake-clock.js';
import { startTimeOf } from '../fixtures/processes.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

const onLinux = test.skipIf(process.platform !== 'linux');

async function open(directory: string, lockTimeoutMs = 0, clock: Clock = new FakeClock()): Promise<Journal> {
  const journal = await openJournal({ directory, lockTimeoutMs, clock });
  onTestFinished(() => journal.close());
  return journal;
}

const locked = (pid: number | undefined): object => ({
  code: 'MILLRACE_JOURNAL_LOCKED',
  pid,
  message: expect.stringContaining(pid === process.pid ? 'this very process' : `process ${pid}`) as string,
});

/** Leaves an owner file as another process would. */
async function leaveOwner(directory: string, owner: unknown): Promise<void> {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'OWNER'), typeof owner === 'string' ? owner : JSON.stringify(owner));
}

test.each([
  ['the same path', (path: string) => path],
  ['a trailing slash', (path: string) => `${path}/`],
  ['a dot', (path: string) => join(path, '..') + `/./${basename(path)}`],
  ['a way up and down again', (path: string) => `${path}/../${basename(path)}`],
  ['a relative path', (path: string) => relative(process.cwd(), path)],
])('a journal is open once in this process: %s is the same directory', async (_what, spell) => {
  const directory = join(await temporaryDirectory(), 'journal');
  await open(directory);
  await expect(open(spell(directory))).rejects.toMatchObject(locked(process.pid));
});

test('a journal is open once in this process: a link leads to the same directory', async () => {
  const parent = await temporaryDirectory();
  await open(join(parent, 'journal'));
  await symlink(join(parent, 'journal'), join(parent, 'link'));
  await symlink(parent, join(parent, 'parent'));
  await expect(open(join(parent, 'link'))).rejects.toMatchObject(locked(process.pid));
  await expect(open(join(parent, 'parent', 'journal'))).rejects.toMatchObject(locked(process.pid));
});

test('two opens at once: one gets the journal, the other is told that it is locked', async () => {
  const directory = await temporaryDirectory();
  const opens = await Promise.allSettled([open(directory), open(`${directory}/`)]);
  expect(opens.map(({ status }) => status).sort()).toStrictEqual(['fulfilled', 'rejected']);
  expect(opens.find(({ status }) => status === 'rejected')).toMatchObject({ reason: locked(process.pid) });
});

test('a journal that another process has open names that process', async () => {
  const directory = await temporaryDirectory();
  const child = openInChild(directory);
  await child.news.reached(1);
  await expect(open(directory)).rejects.toMatchObject(locked(child.pid));
  const other = openInChild(`${directory}/.`);
  expect(await other.news.reached(1)).toMatchObject([
    { kind: 'refused', code: 'MILLRACE_JOURNAL_LOCKED', holder: child.pid },
  ]);
});

test('after a close the owner file is gone, and another process can open the journal', async () => {
  const directory = await temporaryDirectory();
  const journal = await open(directory);
  expect(await readdir(directory)).toContain('OWNER');
  await journal.close();
  expect((await readdir(directory)).filter((file) => file.startsWith('OWNER'))).toStrictEqual([]);
  const child = openInChild(directory);
  expect(await child.news.reached(1)).toStrictEqual([{ kind: 'open' }]);
  await child.close();
  await open(directory);
});

test('an open that waits gets the journal when its owner closes it', async () => {
  const directory = await temporaryDirectory();
  const journal = await open(directory);
  const clock = new FakeClock();
  const waiting = open(directory, 60_000, clock);
  for (let i = 0; i < 3; i++) {
    await clock.armed();
    await clock.advance(1_000);
  }
  await clock.armed();
  await journal.close();
  await clock.advance(1_000);
  await waiting;
});

test('an open that waits gives up after its timeout, and says who has the journal', async () => {
  const directory = await temporaryDirectory();
  const child = openInChild(directory);
  await child.news.reached(1);
  const clock = new FakeClock();
  const refused = expect(open(directory, 2_000, clock)).rejects.toMatchObject(locked(child.pid));
  for (let i = 0; i < 2; i++) {
    await clock.armed();
    await clock.advance(1_000);
  }
  await refused;
});

test('after a kill of its owner the journal opens at once', async () => {
  const directory = await temporaryDirectory();
  const child = openInChild(directory);
  await child.news.reached(1);
  await child.kill();
  expect(await readdir(directory)).toContain('OWNER');
  await open(directory);
  expect(JSON.parse(await readFile(join(directory, 'OWNER'), 'utf8'))).toMatchObject({ pid: process.pid });
});

onLinux(
  'an owner that certainly runs keeps the journal, even if it has lost the lock of the system',
  async () => {
    const directory = await temporaryDirectory();
    const child = openInChild(await temporaryDirectory());
    await child.news.reached(1);
    await leaveOwner(directory, {
      pid: child.pid,
      host: hostname(),
      startedAt: await startTimeOf(child.pid),
    });
    await expect(open(directory)).rejects.toMatchObject(locked(child.pid));
    await child.kill();
    await open(directory);
  },
);

test.each([
  ['whose process id another process has now', { pid: process.ppid, host: hostname(), startedAt: '1' }],
  ['of a process that is gone', { pid: 2 ** 22 + 1, host: hostname(), startedAt: '1' }],
  ['of another host', { pid: process.ppid, host: `not-${hostname()}`, startedAt: '1' }],
  ['of a former process with this process id', { pid: process.pid, host: hostname(), startedAt: '1' }],
  ['that is empty', ''],
  ['that is cut', '{"pid":'],
  ['of another make', '[1]'],
  ['without sense', { pid: 'me', host: 5 }],
])('an owner file %s does not keep the journal', async (_what, owner) => {
  const directory = await temporaryDirectory();
  await leaveOwner(directory, owner);
  await open(directory);
});

test('the directory is made, with those above it, for its owner alone', async () => {
  const directory = join(await temporaryDirectory(), 'data', 'jobs');
  await open(directory);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect((await stat(join(directory, 'OWNER'))).mode & 0o777).toBe(0o600);
});

test('a directory that is there keeps its mode', async () => {
  const directory = await temporaryDirectory();
  await chmod(directory, 0o755);
  await open(directory);
  expect((await stat(directory)).mode & 0o777).toBe(0o755);
});

test.each([
  ['a file', ''],
  ['a path below a file', '/journal'],
])('%s is no directory for a journal', async (_what, below) => {
  const file = join(await temporaryDirectory(), 'file');
  await writeFile(file, 'text');
  const refused = open(file + below);
  await expect(refused).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_OPEN_FAILED' });
  await expect(refused).rejects.toThrow(file);
  expect(await readFile(file, 'utf8')).toBe('text');
});

test('an owner file that cannot be read or replaced fails the open with a code', async () => {
  const directory = await temporaryDirectory();
  await mkdir(join(directory, 'OWNER'));
  await expect(open(directory)).rejects.toMatchObject({ code: 'MILLRACE_JOURNAL_OPEN_FAILED' });
});

test('an open that failed leaves nothing locked', async () => {
  const directory = await temporaryDirectory();
  const journal = await open(directory);
  await journal.close();
  const current = await readFile(join(directory, 'CURRENT'));
  await writeFile(join(directory, 'CURRENT'), 'garbage');
  await expect(open(directory)).rejects.toMatchObject({
    code: expect.stringMatching(/CORRUPT|OPEN_FAILED/) as string,
  });
  expect((await readdir(directory)).filter((file) => file.startsWith('OWNER'))).toStrictEqual([]);
  await writeFile(join(directory, 'CURRENT'), current);
  const child = openInChild(directory);
  expect(await child.news.reached(1)).toStrictEqual([{ kind: 'open' }]);
  await child.close();
  await open(directory);
});

test('an open that found the journal locked takes nothing from its owner', async () => {
  const directory = await temporaryDirectory();
  const child = openInChild(directory);
  await child.news.reached(1);
  for (let i = 0; i < 3; i++) await expect(open(directory)).rejects.toMatchObject(locked(child.pid));
  expect(JSON.parse(await readFile(join(directory, 'OWNER'), 'utf8'))).toMatchObject({ pid: child.pid });
});
