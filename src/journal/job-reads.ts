/** Reads jobs by their ids: spec and status, with their checksums checked. */
import { MillraceError } from '../errors.js';
import type { Job } from '../job/record.js';
import { decodeSpec, decodeStatus } from '../job/record-format.js';
import { enqueued } from '../job/transitions.js';
import { unseal, unsealBytes } from './integrity.js';
import { specKey, statusKey } from './keys.js';
import type { StoreReader } from './store.js';

/** A job, the reason why its record cannot be read, or nothing. */
export type JobRead = Job | MillraceError | undefined;

/** So many bytes of records are decoded in one turn of the event loop: a job of a flow may have thousands of parents. */
const TURN_BYTES = 1 << 17;

/** In the order of the ids. */
export async function readJobs(store: StoreReader, ids: readonly string[]): Promise<JobRead[]> {
  try {
    const keys = ids.flatMap((id) => [specKey(id), statusKey(id)]);
    const values = await store.getMany(keys);
    const reads: JobRead[] = [];
    let bytes = 0;
    for (const [i, id] of ids.entries()) {
      if (bytes > TURN_BYTES) {
        await new Promise((resolve) => setImmediate(resolve));
        bytes = 0;
      }
      const [spec, status] = [values[2 * i], values[2 * i + 1]];
      reads.push(readJob(id, spec, status));
      bytes += (spec?.byteLength ?? 0) + (status?.byteLength ?? 0);
    }
    return reads;
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    // Damage that takes one of them must not take the others, too.
    return ids.length === 1 ? [thrown] : (await Promise.all(ids.map((id) => readJobs(store, [id])))).flat();
  }
}

/** Sealed bytes, in the order of the keys. */
export async function readRecords(
  store: StoreReader,
  keys: readonly string[],
): Promise<(Uint8Array | MillraceError | undefined)[]> {
  try {
    const values = await store.getMany(keys);
    return values.map((value, i) => value && readRecord(keys[i] ?? '', value));
  } catch (thrown) {
    if (!(thrown instanceof MillraceError)) throw thrown;
    return keys.length === 1
      ? [thrown]
      : (await Promise.all(keys.map((key) => readRecords(store, [key])))).flat();
  }
}

function readRecord(key: string, value: Uint8Array): Uint8Array | MillraceError {
  try {
    return unsealBytes(key, value);
  } catch (thrown) {
    if (thrown instanceof MillraceError) return thrown;
    throw thrown;
  }
}

export function readJob(id: string, spec: Uint8Array | undefined, status: Uint8Array | undefined): JobRead {
  if (!spec) return undefined;
  try {
    const decoded = decodeSpec(id, unseal(specKey(id), spec));
    return {
      spec: decoded,
      status: status ? decodeStatus(unseal(statusKey(id), status)) : enqueued(decoded),
    };
  } catch (thrown) {
    if (thrown instanceof MillraceError) return thrown;
    return new MillraceError('MILLRACE_JOURNAL_CORRUPT', `The record of job ${id} cannot be decoded`, {
      cause: thrown,
    });
  }
}
