/**
 * Image upload. The photograph is enqueued as the bytes that came: once the job is on disk the request can be answered,
 * and a worker thread makes the thumbnail with the ready-made handler, which needs sharp (`npm install sharp`).
 */
import { defineJobs, threadJob, type Millrace } from 'millrace';

export const jobs = defineJobs({
  resizeImage: threadJob<typeof import('millrace/workers/resize-image')>(
    new URL(import.meta.resolve('millrace/workers/resize-image')),
    { maxPayloadBytes: 30_000_000, timeout: '1m' },
  ),
});

/** For the handler of an upload, in whatever framework. One that is sent twice is worked on once. */
export async function takePhoto(
  mill: Millrace<typeof jobs>,
  upload: { id: string; bytes: Uint8Array },
  thumbnail: string,
) {
  return mill.enqueue(
    'resizeImage',
    { input: upload.bytes, outputs: [{ path: thumbnail, width: 320, height: 320, format: 'webp' }] },
    { id: `photo-${upload.id}` },
  );
}
