/**
 * Which start of the machine a journal was written in. A power cut can take back an unsynced write and leave a
 * newer one: LevelDB leaves a full log for a new one without syncing it. The removal of an entry may then be lost
 * while the low-water mark that was raised over it is not. So marks hold within one start of the machine only; the
 * death of the process alone takes nothing back.
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { sealText } from './integrity.js';
import { MARKS_SPAN, metaKey } from './keys.js';
import type { Store } from './store.js';

/** Before the instant of a start, where the system has no name for it. */
const SINCE = 'since ';
/** A machine takes longer to start, and its clock is not set by more in passing. */
const SAME_START_MS = 5_000;

/**
 * Linux: a value of each start (random(4)). Elsewhere one that never comes again, so that no mark is trusted; but it says
 * when the machine was started.
 */
export function currentBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Not Linux, or /proc is not there: it cannot be told for certain.
    const startedAt = Math.round(performance.timeOrigin + performance.now() - uptime() * 1_000);
    return `${SINCE}${startedAt} ${randomUUID()}`;
  }
}

/** Whether both are of one start of the machine, as far as can be told: enough to suspect, not to trust in. */
export function isSameBoot(one: string, other: string): boolean {
  if (!one.startsWith(SINCE) || !other.startsWith(SINCE)) return one === other;
  const [a, b] = [one, other].map((boot) => Number.parseInt(boot.slice(SINCE.length), 10));
  return Math.abs((a ?? NaN) - (b ?? NaN)) < SAME_START_MS;
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
