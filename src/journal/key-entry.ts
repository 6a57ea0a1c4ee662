/** Who took a unique key last. It goes with the job that lets go of the key, or is swept when nobody holds it. */
import { MillraceError } from '../errors.js';
import { pack, unpack } from '../job/packer.js';
import { isEnd, type JobSpec, type JobStatus } from '../job/record.js';
import { heldUntil, holdsKey } from '../job/uniqueness.js';
import type { ChangeList } from './change-list.js';
import { sealBytes, unsealBytes } from './integrity.js';
import { sweepKey, uniqueKeyOf } from './keys.js';
import type { StoreReader } from './store.js';

export interface KeyEntry {
  /** The job's. */
  readonly id: string;
  /** The job's; of those who took the key the greatest counts. */
  readonly sequence: number;
  /** Where it is held for a time, whether the job is kept or not. */
  readonly until?: number;
}

export const sealKeyEntry = (key: string, entry: KeyEntry): Uint8Array => sealBytes(key, pack(entry));

/**
 * The cast is safe for bytes whose checksum held: {@link sealKeyEntry} made them.
 * @throws MillraceError `MILLRACE_JOURNAL_CORRUPT`
 */
export const unsealKeyEntry = (key: string, record: Uint8Array): KeyEntry =>
  unpack(unsealBytes(key, record)) as KeyEntry;

/**
 * A job takes its unique key, or lets go of it. One that has ended may have had to leave the key to another job: so
 * its removal only asks to see whether somebody holds it.
 */
export function keepUniqueKey(
  changes: ChangeList,
  spec: JobSpec,
  from: JobStatus | undefined,
  to: JobStatus | undefined,
): void {
  const { id, name, sequence, uniqueKey = '', uniqueWhile } = spec;
  const held = from !== undefined && holdsKey({ spec, status: from });
  const holds = to !== undefined && holdsKey({ spec, status: to });
  const key = uniqueKeyOf(name, uniqueKey);
  const until = heldUntil(spec);
  // One that has ended may have left it to another job, and takes it again when it is retried.
  const isRetried = from !== undefined && to !== undefined && isEnd(from.state) && !isEnd(to.state);
  if (holds && (!held || isRetried)) {
    changes.put(key, sealKeyEntry(key, { id, sequence, ...(until !== undefined && { until }) }));
    if (until !== undefined) changes.putText(sweepKey(until, sequence), key);
  }
  if (holds || !held || until !== undefined) return;
  if (uniqueWhile === 'retained') changes.putText(sweepKey(0, sequence), key);
  else changes.forget(key);
}

/** @param onDamage Told of an entry that cannot be read: nobody holds that key. */
export async function readKeyEntries(
  store: StoreReader,
  keys: readonly string[],
  onDamage: (key: string, error: MillraceError) => void,
): Promise<(KeyEntry | undefined)[]> {
  try {
    const records = await store.getMany(keys);
    return keys.map((key, i) => {
      const record = records[i];
      return record && readOne(key, record, onDamage);
    });
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    // Damage that takes one of them must not take the others, too.
    if (keys.length > 1)
      return (await Promise.all(keys.map((key) => readKeyEntries(store, [key], onDamage)))).flat();
    for (const key of keys) onDamage(key, thrown);
    return [undefined];
  }
}

function readOne(
  key: string,
  record: Uint8Array,
  onDamage: (key: string, error: MillraceError) => void,
): KeyEntry | undefined {
  try {
    return unsealKeyEntry(key, record);
  } catch (thrown) {
    // It throws nothing else, for what its checksum lets pass can be decoded.
    onDamage(key, thrown as MillraceError);
    return undefined;
  }
}
