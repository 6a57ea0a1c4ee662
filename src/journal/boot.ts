/**
 * Which start of the machine a journal was written in. A power cut can take back an unsynced write and leave a
 * newer one: LevelDB leaves a full log for a new one without syncing it. The removal of an entry may then be lost
 * while the low-water mark that was raised over it is not. So marks hold within one start of the machine only; the
 * death of the process alone takes nothing back.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { sealText } from './integrity.js';
import { MARKS_SPAN, metaKey } from './keys.js';
import type { Store } from './store.js';

/** Linux: a value of each start (random(4)). Elsewhere one that never comes again, so that no mark is trusted. */
export function currentBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return randomUUID(); // Not Linux, or /proc is not there: it cannot be told.
  }
}

/** Drops the marks of another start of the machine; the first pages after that walk over what was deleted. */
export async function dropMarksOfOtherBoots(store: Store, boot: string): Promise<void> {
  const key = metaKey('boot');
  const sealed = sealText(key, boot);
  const [stored] = await store.getMany([key]);
  if (stored && Buffer.compare(stored, sealed) === 0) return;
  const batch = store.batch();
  for (const mark of await store.page({ ...MARKS_SPAN, limit: Number.MAX_SAFE_INTEGER })) batch.del(mark.key);
  batch.put(key, sealed);
  await batch.write(true);
}
