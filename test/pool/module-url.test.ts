/** Which file a handler's URL means. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';
import { resolveModule } from '../../src/pool/module-url.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

async function urlIn(files: string[], asked: string): Promise<URL> {
  const directory = await temporaryDirectory();
  for (const file of files) await writeFile(join(directory, file), '');
  return pathToFileURL(join(directory, asked));
}

const loadsTypes = Boolean((process.features as { typescript?: unknown }).typescript);

test('a file that exists is taken as it is', async () => {
  const url = await urlIn(['handler.js', 'handler.ts'], 'handler.js');
  expect(resolveModule(url, ['--import', 'tsx']).href).toBe(url.href);
});

test.each([
  ['handler.js', 'handler.ts'],
  ['handler.mjs', 'handler.mts'],
  ['handler.cjs', 'handler.cts'],
])('%s finds %s where a loader is given', async (asked, sibling) => {
  const url = await urlIn([sibling], asked);
  for (const execArgv of [['--import', 'tsx'], ['--import=tsx'], ['--loader', 'x'], ['-r', 'x']]) {
    expect(resolveModule(url, execArgv).href).toBe(new URL(sibling, url).href);
  }
});

test.skipIf(loadsTypes)('without a loader a .ts alone is refused with advice', async () => {
  const url = await urlIn(['handler.ts'], 'handler.js');
  expect(() => resolveModule(url, [])).toThrow(
    expect.objectContaining({
      code: 'MILLRACE_HANDLER_LOAD_FAILED',
      message: expect.stringMatching(/handler\.ts.*Build first.*execArgv/),
    }),
  );
});

test('a URL that ends in .ts is taken at its word', async () => {
  const url = await urlIn(['handler.ts'], 'handler.ts');
  expect(resolveModule(url, []).href).toBe(url.href);
});

test('a file that does not exist is refused with its path', async () => {
  const url = await urlIn([], 'handler.js');
  expect(() => resolveModule(url, ['--import', 'tsx'])).toThrow(
    expect.objectContaining({
      code: 'MILLRACE_HANDLER_LOAD_FAILED',
      message: expect.stringContaining('handler.js'),
    }),
  );
});

test('a URL that is no file is left to the thread', () => {
  const url = new URL('data:text/javascript,export default () => 1');
  expect(resolveModule(url, [])).toBe(url);
});

test('a path with characters that a URL escapes is found', async () => {
  const url = await urlIn(['mein handler #1.ts'], 'mein handler #1.js');
  expect(resolveModule(url, ['--import', 'tsx']).pathname).toMatch(/mein%20handler%20%231\.ts$/);
});
