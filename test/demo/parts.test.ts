/** The demo's parts, as far as whole runs do not show them. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import type { JobSnapshot, JobState } from '../../src/index.js';
import { createDisplay } from '../examples/demo/display.js';
import { formatBytes, formatMs, formatTable } from '../examples/demo/format.js';
import type { InputImage } from '../examples/demo/images.js';
import makePhotograph from '../examples/demo/make-photograph.js';
import { once } from '../examples/demo/once.js';
import { planJobs } from '../examples/demo/plan.js';
import { contactSheet } from '../examples/demo/sheet.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';
import { describeImage, noContext } from './folders.js';

test('a photograph is the same for the same seed, noisy, and can break off', async () => {
  const folder = await temporaryDirectory();
  const size = { width: 400, height: 300 };
  const make = async (name: string, seed: number, keep?: number) => {
    const path = join(folder, name);
    await makePhotograph({ path, seed, ...size, ...(keep !== undefined && { keep }) }, noContext);
    return readFile(path);
  };
  const one = await make('1.jpg', 1);
  const same = await make('same.jpg', 1);
  const other = await make('2.jpg', 2);
  const broken = await make('broken.jpg', 1, 0.5);

  expect(same).toEqual(one);
  expect(other).not.toEqual(one);
  expect(broken).toEqual(one.subarray(0, Math.ceil(one.length / 2)));
  expect(await describeImage(join(folder, '1.jpg'))).toBe('jpeg 400 × 300');
  await expect(describeImage(join(folder, 'broken.jpg'))).rejects.toThrow('premature end');
  // In bits per pixel; a picture without noise has next to none.
  expect((await sharp(one).stats()).entropy).toBeGreaterThan(5);
});

const image = (name: string, change: Partial<InputImage> = {}): InputImage => ({
  name,
  path: `/in/${name}`,
  bytes: 1,
  modifiedAt: 1,
  ...change,
});

const ids = (images: InputImage[], output = '/out') => planJobs(images, output).map(({ id }) => id);

test('an id stands for the work: the image, its contents, the size, the place', () => {
  const before = ids([image('a.jpg')]);

  expect(ids([image('a.jpg')])).toEqual(before);
  const others = [
    ...ids([image('a.jpg', { modifiedAt: 2 })]),
    ...ids([image('a.jpg', { bytes: 2 })]),
    ...ids([image('a.jpg', { path: '/elsewhere/a.jpg' })]),
    ...ids([image('a.jpg')], '/elsewhere'),
  ];
  expect(new Set([...before, ...others])).toHaveLength(before.length + others.length);
});

test('two images whose names differ in their endings only get outputs of their own', () => {
  const paths = planJobs([image('a.jpg'), image('A.png'), image('b.jpg')], '/out').map(({ path }) => path);
  expect(paths.filter((path) => path.startsWith('/out/web/'))).toEqual([
    '/out/web/a.jpg.webp',
    '/out/web/A.png.webp',
    '/out/web/b.webp',
  ]);
});

/** A journal that holds these jobs. */
function journalOf(jobs: Readonly<Record<string, JobSnapshot>>) {
  return { job: (id: string) => Promise.resolve(jobs[id]) };
}

function snapshot(state: JobState, code?: string): JobSnapshot {
  return {
    id: 'job',
    name: 'job',
    queue: 'default',
    state,
    stopping: false,
    priority: 0,
    attempt: 1,
    snoozes: 0,
    enqueuedAt: 0,
    payload: undefined,
    errors: [],
    ...(code !== undefined && { error: { name: 'Error', message: code, code } }),
  };
}

/** Enqueues nothing, and tells under which id it would have. */
const enqueueAs = (id: string): Promise<string> => Promise.resolve(id);

const hopeless = snapshot('failed', 'MILLRACE_UNRECOVERABLE');
const diskFull = snapshot('failed', 'ENOSPC');
const completed = snapshot('completed');

test.for([
  ['that the journal does not know', {}, 'job', false],
  ['that waits', { job: snapshot('available') }, 'job', false],
  ['that is completed', { job: completed }, 'job', true],
  ['that failed for good', { job: hopeless }, 'job', true],
  ['that failed on a full disk', { job: diskFull }, 'job~2', false],
  ['that was made again', { job: diskFull, 'job~2': completed }, 'job~2', true],
  ['that failed again', { job: diskFull, 'job~2': diskFull }, 'job~3', false],
] as const)('work %s', async ([, jobs, handle, wasDone]) => {
  const file = join(await temporaryDirectory(), 'file');
  await writeFile(file, '');
  expect(await once(journalOf(jobs), 'job', file, enqueueAs)).toEqual({ handle, wasDone });
});

test('work whose result was deleted is done under a fresh id', async () => {
  const missing = join(await temporaryDirectory(), 'missing');
  const again = { handle: 'job~2', wasDone: false };
  expect(await once(journalOf({ job: completed }), 'job', missing, enqueueAs)).toEqual(again);
});

test('a sheet can be drawn whatever an image is called', () => {
  const job = planJobs([image('Zoë 日本\n.jpg')], '/out')[0];
  if (!job) throw new Error('nothing planned');
  const failed = { kind: 'failed', job, id: job.id, reason: '→ no', finishedAt: 1 } as const;
  const text = JSON.stringify(contactSheet('/out/sheet.pdf', [failed]).content);
  expect(text).toContain('"Zoë ???.jpg","? no"');
});

test('on a terminal there is one bar, which what stays is written above', () => {
  let written = '';
  const terminal = { isTTY: true, columns: 60, write: (text: string) => (written += text) };
  const display = createDisplay(terminal);
  display.step({ label: 'Sizes', done: 1, total: 2, note: 'a note that is far too long for sixty columns' });
  display.say('something else');
  display.step({ label: 'Sizes', done: 2, total: 2 }, 'not shown');
  display.step({ label: 'Contact sheet', done: 0, total: 2 });
  display.end();
  display.say('and so it ended');

  const clear = '\r\u001B[K';
  const half = `Sizes         ${'█'.repeat(14)}${'░'.repeat(14)} 1/2  `;
  const [, bar, said, end, begun, ended] = written.split(clear);
  expect(bar?.startsWith(half)).toBe(true);
  expect(bar?.length).toBeLessThan(60);
  expect(said).toBe(`something else\n${bar}`);
  expect(end).toBe(`Sizes         ${'█'.repeat(28)} 2/2  \n`);
  expect(begun).toBe(`Contact sheet ${'░'.repeat(28)} 0/2  \n`);
  expect(ended).toBe('and so it ended\n');
});

test('numbers are short, and tables aligned', () => {
  expect([0, 999, 1_000, 9_949, 12_345, 999_999, 1.5e6, 2.4e9].map(formatBytes)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '9.9 kB',
    '12 kB',
    '1.0 MB',
    '1.5 MB',
    '2400 MB',
  ]);
  expect([0.4, 999, 1_000, 61_234].map(formatMs)).toEqual(['0 ms', '999 ms', '1.0 s', '61.2 s']);
  expect(formatTable([['a', 'b'], ['long', '10'], ['x']])).toBe('a       b\nlong   10\nx');
});
