/** Numbers that the journal keeps about itself, as decimal text. */
import { seal, unseal } from './integrity.js';
import { metaKey } from './keys.js';
import type { Store, StoreBatch } from './store.js';

export const numberOf = (text: Uint8Array): number => Number(Buffer.from(text).toString());

export function putNumber(batch: Pick<StoreBatch, 'put'>, name: string, value: number): void {
  const key = metaKey(name);
  batch.put(key, seal(key, Buffer.from(String(value))));
}

/** @throws MillraceError `MILLRACE_JOURNAL_CORRUPT` */
export async function readNumber(store: Store, name: string): Promise<number | undefined> {
  const key = metaKey(name);
  const [value] = await store.getMany([key]);
  return value && numberOf(unseal(key, value));
}
