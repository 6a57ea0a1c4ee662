/** What the demo cannot work with: exit code 2, a reason on standard error, and nothing begun. */
import { access, chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseOptions, UnusableError } from '../examples/demo/options.js';
import { runDemo } from './demo-process.js';

let folder = '';

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-demo-'));
  await mkdir(join(folder, 'empty'));
  await mkdir(join(folder, 'texts'));
  await writeFile(join(folder, 'texts/a.txt'), '');
  await writeFile(join(folder, 'texts/.hidden.jpg'), '');
  // Cannot be read even by a superuser.
  await symlink('loop', join(folder, 'loop'));
  await mkdir(join(folder, 'closed'));
  await chmod(join(folder, 'closed'), 0o000);
});

afterAll(async () => {
  await chmod(join(folder, 'closed'), 0o700);
  await rm(folder, { recursive: true, force: true });
});

test.for([
  ['missing', /There is no folder .*missing/],
  ['empty', /There are no images in .*empty: it is empty\n\nImages are .jpg/],
  ['texts', /There are no images in .*texts: none of its 1 files/],
  ['texts/a.txt', /Expected --input to be a folder, got a file: .*a\.txt/],
  ['loop', /The folder .*loop cannot be read: ELOOP/],
] as const)('an input folder that is %s', async ([input, reason]) => {
  await expectRefusal(['--input', join(folder, input)], reason);
});

test.skipIf(process.getuid?.() === 0)('an input folder without permission to read', async () => {
  await expectRefusal(['--input', join(folder, 'closed')], /The folder .*closed cannot be read: EACCES/);
});

test('unusable options', async () => {
  await expectRefusal(['--colour'], /Unknown option '--colour'[^]*Usage/);
});

test.for([
  [['--colour'], /^Unknown option '--colour'$/],
  [['extra'], /^Unexpected argument 'extra'/],
  [['--input'], /'--input <value>' argument missing/],
  [['--input', ''], /^Expected --input to be a folder, got nothing/],
  [['--threads', '0'], /^Expected --threads to be a whole number from 1 to 64, got: 0$/],
  [['--threads', 'two'], /^Expected --threads .* got: two$/],
  [['--threads', '1.5'], /^Expected --threads .* got: 1\.5$/],
  [['--photographs', '1e9'], /^Expected --photographs to be a whole number from 1 to 1000, got: 1e9$/],
] as const)('options: %s', ([args, reason]) => {
  const parsing = () => parseOptions(args);
  expect(parsing).toThrow(UnusableError);
  expect(parsing).toThrow(reason);
});

test('a folder for results that cannot be made', async () => {
  const file = join(folder, 'texts/a.txt');
  const { code, stderr } = await runDemo('--output', join(file, 'inside'));
  expect(code).toBe(2);
  expect(stderr).toMatch(/The folder .* for results cannot be made: ENOTDIR/);
});

test('an input folder that results go to', async () => {
  const { code, stderr } = await runDemo('--input', join(folder, 'web'), '--output', folder);
  expect(code).toBe(2);
  expect(stderr).toMatch(/Expected --input to be another folder than .*web/);
});

test('--help is no refusal', async () => {
  const { code, stdout, stderr } = await runDemo('--help');
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout[0]).toBe('Usage: npm run demo -- [options]');
});

async function expectRefusal(args: readonly string[], reason: RegExp): Promise<void> {
  const output = join(folder, 'output');
  const exit = await runDemo('--output', output, ...args);
  expect(exit).toMatchObject({ code: 2, stdout: [] });
  expect(exit.stderr).toMatch(reason);
  expect(exit.stderr).not.toMatch(/^ {4}at /m);
  await expect(access(output)).rejects.toThrow('ENOENT');
}
