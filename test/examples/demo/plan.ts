/** What is to be made of which image, where it goes, and under which id. Pure: the same input, the same plan. */
import { createHash } from 'node:crypto';
import { extname, join } from 'node:path';
import type { ImageOutput, ResizeImagePayload } from 'millrace/workers/resize-image';
import type { InputImage } from './images.js';
import type { QueueName } from './jobs.js';

/** One of the three sizes. */
export interface Target {
  readonly queue: QueueName;
  /** Inside the output folder. */
  readonly folder: string;
  readonly extension: string;
  readonly output: Omit<ImageOutput, 'path'>;
}

/** One job: one size of one image. */
export interface PlannedJob {
  readonly id: string;
  readonly image: InputImage;
  readonly target: Target;
  readonly path: string;
  readonly payload: ResizeImagePayload;
}

export const THUMBNAIL: Target = {
  queue: 'thumbnails',
  folder: 'thumbnails',
  extension: '.jpg',
  output: { width: 320, height: 320, fit: 'cover', format: 'jpeg', quality: 82 },
};

/** In the order in which they are shown. */
export const TARGETS: readonly Target[] = [
  THUMBNAIL,
  {
    queue: 'web',
    folder: 'web',
    extension: '.webp',
    output: { width: 1_280, height: 1_280, fit: 'inside', format: 'webp', quality: 80 },
  },
  {
    queue: 'prints',
    folder: 'prints',
    extension: '.jpg',
    output: { width: 2_400, height: 2_400, fit: 'inside', format: 'jpeg', quality: 85 },
  },
];

/** Image by image, so that none waits for all the others. */
export function planJobs(images: readonly InputImage[], output: string): PlannedJob[] {
  const stems = stemsOf(images);
  return images.flatMap((image, index) =>
    TARGETS.map((target) => {
      const path = join(output, target.folder, `${stems[index]}${target.extension}`);
      const payload = { input: image.path, outputs: [{ path, ...target.output }] };
      const id = jobId(`${target.folder}/${image.name}`, { payload, ...identity(image) });
      return { id, image, target, path, payload };
    }),
  );
}

/**
 * The same for the same work, so that enqueuing it again finds the job that was made of it. A photograph that
 * was changed, another size or another place makes another id.
 */
export function jobId(title: string, work: object): string {
  const hash = createHash('sha256').update(JSON.stringify(work)).digest('hex');
  return `${title}#${hash.slice(0, 16)}`;
}

const identity = ({ bytes, modifiedAt }: InputImage) => ({ bytes, modifiedAt });

const stem = ({ name }: InputImage): string => name.slice(0, -extname(name).length);

/** The names without their endings, except where two would then be the same file: a.jpg and A.png. */
function stemsOf(images: readonly InputImage[]): string[] {
  const uses = new Map<string, number>();
  for (const image of images) {
    const key = stem(image).toLowerCase();
    uses.set(key, (uses.get(key) ?? 0) + 1);
  }
  return images.map((image) => (uses.get(stem(image).toLowerCase()) === 1 ? stem(image) : image.name));
}
