/** Makes photographs where the user gave none, as jobs too: what an earlier run has made is there already. */
import { join } from 'node:path';
import { formatBytes, formatMs } from './format.js';
import { findImages, type InputImage } from './images.js';
import type { PhotographPayload } from './make-photograph.js';
import { once } from './once.js';
import { jobId } from './plan.js';
import { endingOf, type Work } from './work.js';

export const PHOTOGRAPHS_FOLDER = 'photographs';

/** 12 megapixels. */
const SIZE = { width: 4_000, height: 3_000 };
const LABEL = 'Photographs';

export interface Photographs {
  readonly images: readonly InputImage[];
  readonly bytesWritten: number;
  readonly filesWritten: number;
}

/** @returns as many photographs as asked for, and one that is damaged. */
export async function makePhotographs(work: Work, count: number): Promise<Photographs> {
  const { mill, display, signal, output } = work;
  const folder = join(output, PHOTOGRAPHS_FOLDER);
  const plan = planPhotographs(folder, count);
  const jobs = await Promise.all(
    plan.map((payload) =>
      once(mill, jobId('photograph', payload), payload.path, (id) =>
        mill.enqueue('makePhotograph', payload, { id }),
      ),
    ),
  );
  let done = 0;
  const written = await Promise.all(
    jobs.map(async ({ handle, wasDone }, index) => {
      const ending = await endingOf(handle, signal);
      const name = nameOf(index);
      if (ending.kind === 'failed') throw new Error(`${name} could not be made: ${ending.reason}`);
      done += 1;
      const { bytes } = ending.result;
      const text = `${name}: ${formatBytes(bytes)} in ${formatMs(ending.durationMs)}`;
      display.step({ label: LABEL, done, total: plan.length }, wasDone ? undefined : text);
      return wasDone ? 0 : bytes;
    }),
  );
  const { images } = await findImages(folder);
  return {
    // What is in the folder besides was put there by somebody else, or by a run that was asked for more.
    images: images.filter(({ path }) => plan.some((payload) => payload.path === path)),
    bytesWritten: written.reduce((sum, bytes) => sum + bytes, 0),
    filesWritten: written.filter((bytes) => bytes > 0).length,
  };
}

/** The last one breaks off, as the copy of a file does when the card is pulled out. */
function planPhotographs(folder: string, count: number): PhotographPayload[] {
  return Array.from({ length: count + 1 }, (_, index) => ({
    path: join(folder, nameOf(index)),
    seed: index + 1,
    ...SIZE,
    ...(index === count && { keep: 0.6 }),
  }));
}

const nameOf = (index: number): string => `photo-${String(index + 1).padStart(2, '0')}.jpg`;
