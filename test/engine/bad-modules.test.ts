/** Handler modules that cannot be used: open() says which and why, and leaves nothing behind. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { Millrace, threadJob } from '../../src/index.js';
import { bench, scriptedThread } from '../fixtures/engine.js';

const loadFailed = 'MILLRACE_HANDLER_LOAD_FAILED';
const noDefault = 'MILLRACE_HANDLER_NO_DEFAULT_EXPORT';

test.each([
  ['does not exist', undefined, loadFailed, /There is no file .*bad\.mjs/],
  ['has a syntax error', 'export default function (', loadFailed, /bad.*bad\.mjs.*Unexpected/],
  ['throws when it is loaded', "throw new Error('not today')", loadFailed, /bad.*bad\.mjs.*not today/],
  ['throws no error when it is loaded', 'throw 7', loadFailed, /bad.*bad\.mjs.*7/],
  ['imports what does not exist', "import './nowhere.mjs'", loadFailed, /bad.*nowhere/],
  ['has no default export', 'export const handler = () => 1', noDefault, /bad.*bad\.mjs.*undefined/],
  ['has something else as its default', 'export default { run() {} }', noDefault, /bad.*object/],
  ['exits when it is loaded', 'process.exit(5)', loadFailed, /bad.*bad\.mjs.*process\.exit\(5\)/],
])('a module that %s', async (_what, source, code, message) => {
  const { options, closing, directory } = await bench();
  const file = join(directory, 'bad.mjs');
  if (source !== undefined) await writeFile(file, source);
  const bad = threadJob(pathToFileURL(file));
  await expect(Millrace.open({ ...options, jobs: { good: scriptedThread(), bad } })).rejects.toMatchObject({
    name: 'MillraceError',
    code,
    message: expect.stringMatching(message),
  });

  // The journal was let go, and no thread is left.
  const mill = closing(await Millrace.open({ ...options, jobs: { good: scriptedThread() } }));
  expect(await (await mill.enqueue('good', { do: 'return', value: 'works' })).result()).toBe('works');
});

test.each([
  [
    'that was compiled to it',
    'Object.defineProperty(exports, "__esModule", { value: true }); exports.default =',
  ],
  ['by hand', 'module.exports ='],
])('a handler’s module in CommonJS, %s', async (_what, head) => {
  const { options, closing, directory } = await bench();
  const file = join(directory, 'double.cjs');
  await writeFile(file, `${head} async (n) => 2 * n;`);
  const jobs = { double: threadJob<{ default: (n: number) => Promise<number> }>(pathToFileURL(file)) };
  const mill = closing(await Millrace.open({ ...options, jobs }));
  expect(await (await mill.enqueue('double', 2)).result()).toBe(4);
});

test('several bad modules are all told of', async () => {
  const { options, directory } = await bench();
  const jobs: Record<string, ReturnType<typeof threadJob>> = {};
  for (const name of ['first', 'second']) {
    const file = join(directory, `${name}.mjs`);
    await writeFile(file, `throw new Error('no ${name}')`);
    jobs[name] = threadJob(pathToFileURL(file));
  }
  await expect(Millrace.open({ ...options, jobs })).rejects.toMatchObject({
    code: loadFailed,
    message: expect.stringMatching(/2 handlers.*no first.*no second/),
    cause: { errors: [{ code: loadFailed }, { code: loadFailed }] },
  });
});

test('threads that cannot start at all fail open(), and say why', async () => {
  const { options, closing } = await bench();
  const open = (execArgv: string[]) =>
    Millrace.open({ ...options, jobs: { work: scriptedThread() }, threads: { execArgv } });
  await expect(open(['--import', 'no-such-loader'])).rejects.toMatchObject({
    code: 'MILLRACE_THREADS_UNAVAILABLE',
    message: expect.stringContaining('no-such-loader'),
  });
  await expect(open(['--no-such-option'])).rejects.toMatchObject({ code: 'MILLRACE_THREADS_UNAVAILABLE' });
  const mill = closing(await open([]));
  expect(await (await mill.enqueue('work', { do: 'return', value: 'works' })).result()).toBe('works');
});

test('an engine without thread jobs starts no thread', async () => {
  const { options, closing } = await bench();
  const mill = closing(
    await Millrace.open({ ...options, jobs: {}, threads: { execArgv: ['--no-such-option'] } }),
  );
  expect(await mill.counts()).toMatchObject({ available: 0 });
});
