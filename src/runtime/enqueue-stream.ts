/** Enqueues as many jobs as an iterable gives, a chunk at a time: in bounded memory, and each chunk in one write. */
import { asError, StreamError } from '../errors.js';
import type { EnqueueItem } from './intake.js';
import { Slices } from './slices.js';

/** How many jobs go into the journal in one write: few enough to wait in memory, and a sync is shared by many. */
const CHUNK = 1_000;

export interface StreamOptions {
  readonly signal?: AbortSignal | undefined;
  /** Counts the items of a chunk: whether one with this item should get no more, for want of room in a queue. */
  readonly portion?: (() => (item: EnqueueItem) => boolean) | undefined;
}

/**
 * @param enqueueMany Takes all of a chunk, or none. @param first The index of the chunk's first item among all.
 * @returns how many jobs were enqueued.
 * @throws StreamError
 */
export async function enqueueStream(
  items: AsyncIterable<EnqueueItem> | Iterable<EnqueueItem>,
  enqueueMany: (chunk: readonly EnqueueItem[], first: number) => Promise<unknown>,
  { signal, portion = () => () => false }: StreamOptions,
): Promise<number> {
  const slices = new Slices();
  let enqueued = 0;
  let chunk: EnqueueItem[] = [];
  let isEnough = portion();
  const commit = async (): Promise<void> => {
    await enqueueMany(chunk, enqueued);
    enqueued += chunk.length;
    chunk = [];
    isEnough = portion();
  };
  try {
    signal?.throwIfAborted();
    for await (const item of items) {
      signal?.throwIfAborted();
      chunk.push(item);
      if (isEnough(item) || chunk.length === CHUNK) await commit();
      // What is awaited of an iterable that is not async lets nobody else have a turn.
      if (slices.isOver) await slices.next();
    }
    if (chunk.length > 0) await commit();
    return enqueued;
  } catch (thrown) {
    const cause = asError(thrown);
    throw new StreamError(cause.message, enqueued, { cause });
  }
}
