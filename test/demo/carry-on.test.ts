/** What a second run does: what is left, and nothing besides. */
import { rm, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DemoProcess, madeIn, runDemo } from './demo-process.js';
import { filesIn, identitiesOf, identityOf, makeFolders, planOf, readJournal } from './folders.js';

const SMALL = { width: 800, height: 600 };

test('a second run finds everything done', async () => {
  const folders = await makeFolders(2, SMALL);
  const first = await runDemo(...folders.args);
  const paths = (await filesIn(folders.output))
    .filter((name) => /\.\w+$/.test(name) && !name.endsWith('.millrace'))
    .map((name) => join(folders.output, name));
  const made = await identitiesOf(paths);

  const second = await runDemo(...folders.args);

  expect(madeIn(first.stdout)).toHaveLength(6);
  expect(first.stdout[0]).toContain('ignored: notes.txt');
  expect(second).toMatchObject({ code: 0, stderr: '' });
  expect(second.stdout).toContain('9 of 9 jobs were done by an earlier run');
  expect(second.stdout.filter((line) => /^(Sizes|Contact sheet) \[/.test(line))).toEqual([]);
  expect(second.stdout).toContain('Written        nothing');
  expect(paths).toHaveLength(7);
  expect(await identitiesOf(paths)).toEqual(made);
});

test.for(['SIGINT', 'SIGTERM'] as const)('%s ends it in order, and it carries on', async (signal) => {
  const folders = await makeFolders(3);
  const first = await new DemoProcess(...folders.args).killAt(signal, /^Sizes .* × /);
  const ids = (await planOf(folders)).map(({ id }) => id);
  const { jobs, counts } = await readJournal(folders, ids);

  const second = await runDemo(...folders.args);

  expect(first).toMatchObject({ code: 130, signal: null, stderr: '' });
  expect(first.stdout.join('\n')).toContain(`npm run demo -- ${folders.args.join(' ')}`);
  // What ran has finished or gone back; nothing is left as if it still ran.
  expect(counts.running).toBe(0);
  expect(counts.completed).toBeGreaterThan(0);
  expect(counts.completed + counts.available + counts.failed).toBe(ids.length);
  const completed = ids.filter((id) => jobs.get(id)?.state === 'completed').length;
  expect(second).toMatchObject({ code: 0, stderr: '' });
  expect(madeIn(second.stdout)).toHaveLength(9 - completed);
});

test('what was deleted or changed is made again, and so is the sheet', async () => {
  const folders = await makeFolders(2, SMALL);
  await runDemo(...folders.args);
  const sheet = join(folders.output, 'contact-sheet.pdf');
  const before = await identityOf(sheet);

  await unlink(join(folders.output, 'web/photo-1.webp'));
  const deleted = await runDemo(...folders.args);
  const between = await identityOf(sheet);
  await utimes(join(folders.input, 'photo-2.jpg'), 1, 1);
  const changed = await runDemo(...folders.args);
  const after = await identityOf(sheet);
  await unlink(sheet);
  const sheetDeleted = await runDemo(...folders.args);

  expect(madeIn(deleted.stdout)).toEqual(['web/photo-1.jpg']);
  expect(between).not.toBe(before);
  expect(madeIn(changed.stdout).sort()).toEqual([
    'prints/photo-2.jpg',
    'thumbnails/photo-2.jpg',
    'web/photo-2.jpg',
  ]);
  expect(after).not.toBe(between);
  expect(madeIn(sheetDeleted.stdout)).toEqual([]);
  expect(await filesIn(folders.output)).toContain('contact-sheet.pdf');
});

test('a temporary file of a process that was killed is removed', async () => {
  const folders = await makeFolders(1, SMALL);
  await runDemo(...folders.args);
  await writeFile(join(folders.output, 'web/.millrace-0.tmp'), 'half');
  await rm(join(folders.output, 'prints'), { recursive: true });

  const { code } = await runDemo(...folders.args);

  expect(code).toBe(0);
  const files = await filesIn(folders.output);
  expect(files.filter((name) => name.endsWith('.tmp'))).toEqual([]);
  expect(files).toContain('prints/photo-1.jpg');
});
