/** The demo is killed at ten moments, and goes on each time as if nothing had happened. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { PlannedJob } from '../examples/demo/plan.js';
import { readPdf, textOf } from '../workers/pdf-reader.js';
import { DemoProcess, madeIn, runDemo } from './demo-process.js';
import {
  DAMAGED,
  describeImage,
  filesIn,
  identitiesOf,
  makeFolders,
  planOf,
  readJournal,
  type Folders,
} from './folders.js';

const PHOTOGRAPHS = 7;

const A_SIZE_IS_MADE = /^Sizes .* × /;
/** The line that is waited for, and how often. */
const MOMENTS: readonly (readonly [pattern: RegExp, count?: number])[] = [
  [/^Opening the journal/],
  [/^Opened in/],
  [A_SIZE_IS_MADE],
  [A_SIZE_IS_MADE, 2],
  [A_SIZE_IS_MADE],
  [A_SIZE_IS_MADE, 3],
  [A_SIZE_IS_MADE],
  [/^Contact sheet .* started/],
  [/^Contact sheet .* 1 page/],
  [/jobs were done by an earlier run/],
];

/** What is known to be done for good. */
class Done {
  readonly #plan: readonly PlannedJob[];
  readonly #titles = new Set<string>();
  readonly #files = new Map<string, string>();
  readonly #finishedAt = new Map<string, number>();

  constructor(plan: readonly PlannedJob[]) {
    this.#plan = plan;
  }

  /** What a process said it had made, it had made, and no process before had. */
  async said(lines: readonly string[]): Promise<void> {
    for (const title of madeIn(lines)) {
      expect(this.#titles).not.toContain(title);
      this.#titles.add(title);
    }
    await this.#keep(this.#plan.filter((job) => this.#titles.has(titleOf(job))));
  }

  /** What the journal has as completed, with what was said among it. */
  async journaled(folders: Folders): Promise<void> {
    const { jobs } = await readJournal(
      folders,
      this.#plan.map(({ id }) => id),
    );
    const completed = this.#plan.filter(({ id }) => jobs.get(id)?.state === 'completed');
    expect(completed.map(titleOf)).toEqual(expect.arrayContaining([...this.#titles]));
    for (const { id } of completed) {
      const finishedAt = jobs.get(id)?.finishedAt ?? 0;
      expect(this.#finishedAt.get(id) ?? finishedAt).toBe(finishedAt);
      this.#finishedAt.set(id, finishedAt);
    }
    await this.#keep(completed);
  }

  /** Nothing that was done has been written since. */
  async isUntouched(): Promise<void> {
    expect(await identitiesOf([...this.#files.keys()])).toEqual(this.#files);
  }

  async #keep(jobs: readonly PlannedJob[]): Promise<void> {
    for (const [path, identity] of await identitiesOf(jobs.map(({ path }) => path))) {
      expect(this.#files.get(path) ?? identity).toBe(identity);
      this.#files.set(path, identity);
    }
  }
}

const titleOf = ({ target, image }: PlannedJob): string => `${target.folder}/${image.name}`;

test('killed at ten moments, it ends with every output, each made once', { timeout: 180_000 }, async () => {
  const folders = await makeFolders(PHOTOGRAPHS);
  const plan = await planOf(folders);
  const done = new Done(plan);

  for (const [index, [pattern, count]] of MOMENTS.entries()) {
    const { signal, stdout } = await new DemoProcess(...folders.args).killAt('SIGKILL', pattern, count);
    expect(signal).toBe('SIGKILL');
    await done.said(stdout);
    // Every other time only: opening the journal rescues what was running, which is the demo's own task, too.
    if (index % 2 === 0) await done.journaled(folders);
  }
  const { code, stdout, stderr } = await runDemo(...folders.args);
  await done.said(stdout);
  await done.journaled(folders);

  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  await done.isUntouched();
  await expectEveryJobToHaveEndedOnce(folders, plan);
  await expectEveryOutput(folders, plan);
  expect(stdout.join('\n')).toMatch(new RegExp(`${DAMAGED}: .*premature end of JPEG image`));
});

async function expectEveryJobToHaveEndedOnce(folders: Folders, plan: readonly PlannedJob[]): Promise<void> {
  const { jobs, counts } = await readJournal(
    folders,
    plan.map(({ id }) => id),
  );
  const sizes = plan.length - 3;
  const nothingElse = { waiting: 0, scheduled: 0, available: 0, running: 0, retryable: 0, cancelled: 0 };
  // The sheet is the one job more.
  expect(counts).toEqual({ ...nothingElse, completed: sizes + 1, failed: 3 });
  for (const { id, image } of plan) {
    const job = jobs.get(id);
    // An attempt that died with its process does not count.
    expect(job).toMatchObject({ attempt: 1, state: image.name === DAMAGED ? 'failed' : 'completed' });
    if (image.name === DAMAGED) expect(job?.error?.code).toBe('MILLRACE_UNRECOVERABLE');
  }
}

async function expectEveryOutput({ output }: Folders, plan: readonly PlannedJob[]): Promise<void> {
  const intact = plan.filter(({ image }) => image.name !== DAMAGED);
  const files = intact.map(({ path }) => path.slice(output.length + 1));
  const folders = ['prints', 'thumbnails', 'web'];
  // Nothing else: no half file, no temporary file.
  expect(await filesIn(output)).toEqual([...files, ...folders, '.millrace', 'contact-sheet.pdf'].sort());
  const expected = { thumbnails: 'jpeg 320 × 320', web: 'webp 1280 × 960', prints: 'jpeg 2000 × 1500' };
  for (const { path, target } of intact) {
    expect(await describeImage(path)).toBe(Reflect.get(expected, target.folder));
  }
  await expectSheet(join(output, 'contact-sheet.pdf'));
}

async function expectSheet(path: string): Promise<void> {
  const file = await readFile(path);
  expect(file.subarray(0, 5).toString()).toBe('%PDF-');
  expect(file.subarray(-6).toString()).toBe('%%EOF\n');
  const { pages, images } = readPdf(file);
  expect(pages).toHaveLength(1);
  expect(images).toHaveLength(PHOTOGRAPHS);
  const text = textOf(pages[0]);
  expect(text).toContain(DAMAGED);
  expect(text).toContain('premature end of JPEG image');
  for (let number = 1; number <= PHOTOGRAPHS; number += 1) expect(text).toContain(`photo-${number}.jpg`);
}
