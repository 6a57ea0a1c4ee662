/** Folders for the demo to work in, and a look at what it leaves in them. */
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { defineJobs, inlineJob, Millrace, type JobContext, type JobSnapshot } from '../../src/index.js';
import makePhotograph from '../examples/demo/make-photograph.js';
import { findImages } from '../examples/demo/images.js';
import { QUEUES } from '../examples/demo/jobs.js';
import { planJobs, type PlannedJob } from '../examples/demo/plan.js';
import { temporaryDirectory } from '../fixtures/temporary-directory.js';

export const SIZE = { width: 2_000, height: 1_500 };
export const DAMAGED = 'damaged.jpg';

export interface Folders {
  readonly input: string;
  readonly output: string;
  /** The demo's arguments for the two. */
  readonly args: readonly string[];
}

/** `count` photographs, one that is damaged, and a file that is no image. */
export async function makeFolders(count: number, size = SIZE): Promise<Folders> {
  const folder = await temporaryDirectory();
  const input = join(folder, 'input');
  const output = join(folder, 'output');
  await mkdir(input);
  const names = Array.from({ length: count }, (_, index) => `photo-${index + 1}.jpg`);
  for (const [index, name] of names.entries())
    await makePhotograph({ path: join(input, name), seed: index, ...size }, noContext);
  await makePhotograph({ path: join(input, DAMAGED), seed: count, ...size, keep: 0.5 }, noContext);
  await writeFile(join(input, 'notes.txt'), 'not an image');
  return { input, output, args: ['--input', input, '--output', output, '--threads', '1'] };
}

/** A handler called without an engine. */
export const noContext: JobContext = {
  id: 'test',
  name: 'test',
  queue: 'default',
  attempt: 1,
  maxAttempts: 1,
  signal: new AbortController().signal,
  log: { debug() {}, info() {}, warn() {}, error() {} },
  progress() {},
  snooze() {
    throw new Error('Nothing of the demo puts anything off');
  },
  throwIfAborted() {},
  resumeFrom: undefined,
  parentResults: () => Promise.resolve({}),
  checkpoint: async () => {},
  enqueue: async () => ({ id: 'none' }),
};

/** The jobs that the demo makes of these folders. */
export async function planOf({ input, output }: Folders): Promise<PlannedJob[]> {
  const { images } = await findImages(input);
  return planJobs(images, output);
}

/** Opens the journal with an engine that knows none of the jobs, and so runs none. */
export async function readJournal({ output }: Folders, ids: readonly string[]) {
  const mill = await Millrace.open({
    directory: join(output, '.millrace'),
    jobs: defineJobs({ nothing: inlineJob(() => {}, { queue: 'documents' }) }),
    queues: QUEUES,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  });
  try {
    const jobs = new Map<string, JobSnapshot | undefined>();
    for (const id of ids) jobs.set(id, await mill.job(id));
    return { jobs, counts: await mill.counts() };
  } finally {
    await mill.close();
  }
}

/** Tells one writing of a file from the next: each is a new file under the old name. */
export async function identityOf(path: string): Promise<string> {
  const { ino, mtimeNs, size } = await stat(path, { bigint: true });
  return `${ino} ${mtimeNs} ${size}`;
}

export async function identitiesOf(paths: readonly string[]): Promise<Map<string, string>> {
  return new Map(await Promise.all(paths.map(async (path) => [path, await identityOf(path)] as const)));
}

/** Decodes all of it, so that half an image is noticed. */
export async function describeImage(path: string): Promise<string> {
  const { info } = await sharp(await readFile(path), { failOn: 'warning' })
    .raw()
    .toBuffer({ resolveWithObject: true });
  const { format } = await sharp(path).metadata();
  return `${format} ${info.width} × ${info.height}`;
}

export async function filesIn(folder: string): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => !name.startsWith('.millrace/')).sort();
}
