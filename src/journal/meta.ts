/** Numbers that the journal keeps about itself, as decimal text. */
import { sealText, unsealText } from './integrity.js';
import { metaKey } from './keys.js';
import type { Store, StoreBatch } from './store.js';

export function putNumber(batch: Pick<StoreBatch, 'put'>, name: string, value: number): void {
  const key = metaKey(name);
  batch.put(key, sealText(key, String(value)));
}

/** @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
export async function readNumber(store: Store, name: string): Promise<number | undefined> {
  const key = metaKey(name);
  const [value] = await store.getMany([key]);
  return value && Number(unsealText(key, value));
}
