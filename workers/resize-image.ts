/**
 * A ready-made handler that makes smaller versions of one image with sharp (`npm install sharp`).
 *
 * ```ts
 * resizeImage: threadJob<typeof import('millrace/workers/resize-image')>(
 *   new URL(import.meta.resolve('millrace/workers/resize-image')))
 * ```
 *
 * - Every output is written whole or not at all, and again on a retry; missing directories are created. When
 *   an output fails, the ones before it stay.
 * - An input that is not an image, is damaged, or has too many pixels fails the job at once: trying again
 *   cannot help. Damage that the decoder can only warn about counts as damage, so a picture that is half grey
 *   is never written. A full disk or a missing permission is an ordinary error and tried again.
 * - The EXIF orientation is applied. Of an animation the first frame is taken.
 *
 * How much native work runs at once. sharp works on libuv's thread pool, which the whole process shares: with
 * file access, and with the journal's commits. This handler keeps exactly one of the pool's threads busy per
 * job, because it makes its outputs one after the other, and `usesNativePool` lets the engine run one job less
 * than that pool has threads: 3, unless `UV_THREADPOOL_SIZE` is set before Node starts. Measured on two cores:
 * reading a small file took 0.2 ms (99 of 100: 9 ms) beside three threads that resize, and 554 ms beside four.
 *
 * Loading sets `sharp.concurrency(1)` and `sharp.cache(false)`, which hold for the whole process.
 */
import type { JobContext } from '../src/index.js';
import { encodeOutput } from './image/encode.js';
import { checkPayload } from './image/payload.js';
import type { ImageOutput, ResizeImagePayload, ResizeImageResult, ResizedImage } from './image/payload.js';
import { openSource } from './image/source.js';
import type { ImageSource } from './image/source.js';
import { writeWholeFile } from './safe-file.js';

export type * from './image/payload.js';

/** Tells the engine to keep one thread of libuv's pool free. */
export const usesNativePool = true;

/**
 * Makes `outputs` of one image. Reports `{ done, total }` outputs as progress.
 *
 * @throws UnrecoverableError for a payload or an input that trying again cannot help; MillraceError
 *   `MILLRACE_WORKER_DEPENDENCY_MISSING` without sharp; what the file system says; the reason of an abort,
 *   after which nothing more is written.
 */
export default async function resizeImage(
  payload: ResizeImagePayload,
  job: JobContext,
): Promise<ResizeImageResult> {
  checkPayload(payload);
  const source = await openSource(payload, job);
  const outputs: ResizedImage[] = [];
  for (const [index, output] of payload.outputs.entries()) {
    job.throwIfAborted();
    outputs.push(await makeOutput(source, output, index, job));
    job.progress({ done: index + 1, total: payload.outputs.length });
  }
  return { input: source.info, outputs };
}

async function makeOutput(
  source: ImageSource,
  output: ImageOutput,
  index: number,
  job: JobContext,
): Promise<ResizedImage> {
  const { data, info } = await encodeOutput(source, output, `outputs[${index}]`);
  await writeWholeFile(output.path, job, (sink) => sink.write(data));
  const { path, format } = output;
  return { path, format, width: info.width, height: info.height, bytes: data.length };
}
