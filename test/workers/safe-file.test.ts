import { chmod, link, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { writeWholeFile } from '../../workers/safe-file.js';
import { ABORTED, filesIn, makeDirectory, makeJob, rejection } from './workspace.js';

let directory: string;
let path: string;

beforeEach(async () => {
  directory = await makeDirectory();
  path = join(directory, 'file');
});

describe('writeWholeFile', () => {
  test('puts all that was written in place, and says how much', async () => {
    const bytes = await writeWholeFile(path, makeJob(), async (sink) => {
      await sink.write(Buffer.from('one'));
      await sink.write(Buffer.from('two'));
      expect(sink.bytes).toBe(6);
    });
    expect(bytes).toBe(6);
    expect(await readFile(path, 'utf8')).toBe('onetwo');
  });

  test('shows the old content until the new is complete', async () => {
    await writeFile(path, 'old');
    await writeWholeFile(path, makeJob(), async (sink) => {
      await sink.write(Buffer.from('new'));
      expect(await readFile(path, 'utf8')).toBe('old');
    });
    expect(await readFile(path, 'utf8')).toBe('new');
  });

  test('replaces the file instead of writing into it', async () => {
    await writeFile(path, 'old');
    await link(path, join(directory, 'same file'));
    await writeWholeFile(path, makeJob(), (sink) => sink.write(Buffer.from('new')));
    expect(await readFile(join(directory, 'same file'), 'utf8')).toBe('old');
  });

  test('creates the directories it needs', async () => {
    await writeWholeFile(join(directory, 'a/b/c'), makeJob(), (sink) => sink.write(Buffer.from('x')));
    expect(await filesIn(directory)).toEqual(['a/b/c']);
  });

  test('leaves nothing but the old content when filling fails', async () => {
    await writeFile(path, 'old');
    const failure = new Error('no more');
    const filling = writeWholeFile(path, makeJob(), async (sink) => {
      await sink.write(Buffer.from('half'));
      throw failure;
    });
    expect(await rejection(filling)).toBe(failure);
    expect(await filesIn(directory)).toEqual(['file']);
    expect(await readFile(path, 'utf8')).toBe('old');
  });

  test('leaves nothing when the job is aborted before the file is in place', async () => {
    const job = makeJob();
    const filling = writeWholeFile(path, job, async (sink) => {
      await sink.write(Buffer.from('all of it'));
      job.abort();
    });
    expect(await rejection(filling)).toBe(ABORTED);
    expect(await filesIn(directory)).toEqual([]);
  });

  test('does nothing for a job that is aborted already', async () => {
    const job = makeJob();
    job.abort();
    const deep = join(directory, 'new', 'file');
    expect(await rejection(writeWholeFile(deep, job, () => expect.unreachable()))).toBe(ABORTED);
    await expect(stat(join(directory, 'new'))).rejects.toThrow('ENOENT');
  });

  test('takes a name as long as the file system allows', async () => {
    const long = join(directory, 'x'.repeat(255));
    await writeWholeFile(long, makeJob(), (sink) => sink.write(Buffer.from('x')));
    expect(await filesIn(directory)).toEqual(['x'.repeat(255)]);
  });

  test('writes where the directory can be written but not listed', async () => {
    await chmod(directory, 0o300);
    try {
      await writeWholeFile(path, makeJob(), (sink) => sink.write(Buffer.from('x')));
      expect(await readFile(path, 'utf8')).toBe('x');
    } finally {
      await chmod(directory, 0o700);
    }
  });
});
