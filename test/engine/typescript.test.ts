/** The same line, `new URL('./handler.js', import.meta.url)`, in source, in tests and in the build. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { typeScriptApp } from '../fixtures/typescript-app.js';

const loadsTypes = Boolean((process.features as { typescript?: unknown }).typescript);
const said = { code: 0, output: 'HELLO!' };

test('built by tsc, on this Node', async () => {
  const app = await typeScriptApp();
  expect(await app.run('node', 'node_modules/typescript/bin/tsc')).toEqual({ code: 0, output: '' });
  expect(await app.run('node', join('dist', 'app.js'))).toEqual(said);
});

test('handlers know the jobs that an app registers', async () => {
  const app = await typeScriptApp();
  const config = 'tsconfig.registered.json';
  expect(await app.run('node', 'node_modules/typescript/bin/tsc', '-p', config)).toEqual({
    code: 0,
    output: '',
  });
});

test('from source under tsx', async () => {
  const app = await typeScriptApp();
  expect(await app.run('node', 'node_modules/tsx/dist/cli.mjs', 'app.ts')).toEqual(said);
  expect(await app.run('node', '--import', 'tsx', 'app.ts')).toEqual(said);
});

test('from source under vitest', async () => {
  const app = await typeScriptApp();
  const { code, output } = await app.run(
    'node',
    'node_modules/vitest/vitest.mjs',
    'run',
    '--root',
    '.',
    '--testTimeout',
    '60000',
  );
  expect(output).toContain('1 passed');
  expect(code).toBe(0);
});

test('from source on Node 24', async ({ skip }) => {
  const app = await typeScriptApp();
  const node24 = ['-y', '-p', 'node@24', 'node'] as const;
  // Others may be at the package manager's cache at the same time, which it does not always bear.
  let had = await app.run('npx', ...node24, '--version');
  for (let tries = 1; had.code !== 0 && tries < 3; tries++)
    had = await app.run('npx', ...node24, '--version');
  if (had.code !== 0) skip(`Node 24 could not be had from the registry: ${had.output}`);
  const { output } = await app.run('npx', ...node24, 'app.ts');
  expect(output).toMatch(/^HELLO!/m);
});

test.skipIf(loadsTypes)('from source where nothing can load it, the error says what to do', async () => {
  const app = await typeScriptApp();
  const { output } = await app.run('node', 'plain.mjs');
  expect(output).toMatch(/^MILLRACE_HANDLER_LOAD_FAILED .*handler\.ts.*Build first.*--import', 'tsx'/);
});
